package decide_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/table"
)

// proposing is an experiment whose changes people approve.
func proposing() *experiment.Experiment {
	e := defined("short")
	e.Mode = experiment.Propose
	return e
}

func (h *home) approvals(e *experiment.Experiment) *decide.Approvals {
	return &decide.Approvals{Objects: h.store, Experiments: []*experiment.Experiment{e}, Now: h.Now}
}

// proposed runs an experiment up to a proposal to ship.
func proposed(t *testing.T) (*home, *experiment.Experiment, decide.Decision) {
	t.Helper()
	e := proposing()
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	fresh := h.run(t, day(7), e)
	if len(fresh) != 1 || fresh[0].Verdict != decide.Ship || h.patches != 0 {
		t.Fatalf("decides %+v with %d changes, want a proposal", fresh, h.patches)
	}
	return h, e, fresh[0]
}

func TestAnApprovedChangeIsAppliedOnce(t *testing.T) {
	h, e, d := proposed(t)
	h.run(t, day(7), e)
	if h.patches != 0 {
		t.Fatal("a proposal was applied without approval")
	}
	for range 2 { // a button is pressed twice, or Slack sends it twice
		given, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Approved, "U1")
		want := decide.Approval{DecisionID: d.ID, ExperimentID: e.ID, Answer: decide.Approved, By: "U1", At: h.Now().UTC()}
		if diff := cmp.Diff(want, given); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}
	for _, n := range []int{7, 7, 8} { // also on a day without results
		h.run(t, day(n), e)
	}
	got := h.stored(t, e)[0]
	if h.patches != 1 || h.served(t, e) != "short" || got.AppliedAt.IsZero() || got.Answer != decide.Approved || got.AnsweredBy != "U1" || got.AnsweredAt.IsZero() {
		t.Errorf("%d changes, serves %q, decision %+v", h.patches, h.served(t, e), got)
	}
	if given, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Approved, "U2"); err != nil || given.By != "U1" {
		t.Errorf("approving again: %+v, %v, want the approval that stands", given, err)
	}
}

func TestARejectedChangeIsNotApplied(t *testing.T) {
	h, e, d := proposed(t)
	if _, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Rejected, "U1"); err != nil {
		t.Fatal(err)
	}
	_, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Approved, "U2")
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "rejected already, by U1") {
		t.Errorf("a second opinion: %v, want a refusal that says who rejected", err)
	}
	h.known(t, day(8), winning(), checks("pass", "pass"), e)
	h.run(t, day(8), e)
	if got := h.stored(t, e); h.patches != 0 || len(got) != 1 || got[0].Answer != decide.Rejected {
		t.Errorf("%d changes, history %+v", h.patches, got)
	}
}

func TestApprovalsThatAreRefused(t *testing.T) {
	h, e, d := proposed(t)
	for name, c := range map[string]struct {
		change func(*decide.Approvals) (experimentID, decisionID, by string)
		class  fault.Class
		says   string
	}{
		"no such decision":   {func(*decide.Approvals) (string, string, string) { return e.ID, "beef", "U1" }, fault.NotFound, "no decision beef"},
		"no such experiment": {func(*decide.Approvals) (string, string, string) { return "other", d.ID, "U1" }, fault.NotFound, "on other"},
		"not an approver": {func(a *decide.Approvals) (string, string, string) {
			a.Approvers = []string{"U1", "U2"}
			return e.ID, d.ID, "U3"
		}, fault.Invalid, "U3 is not among those"},
		"nobody": {func(*decide.Approvals) (string, string, string) { return e.ID, d.ID, "" }, fault.Invalid, "nobody is not among"},
		"changed definition": {func(a *decide.Approvals) (string, string, string) {
			changed := *e
			changed.MDE = 0.2
			a.Experiments = []*experiment.Experiment{&changed}
			return e.ID, d.ID, "U1"
		}, fault.Conflict, "the definition of one_page has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			approvals := h.approvals(e)
			experimentID, decisionID, by := c.change(approvals)
			_, err := approvals.Give(t.Context(), experimentID, decisionID, decide.Approved, by)
			if !fault.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s with %q", err, c.class, c.says)
			}
		})
	}
	h.run(t, day(8), e)
	if h.patches != 0 {
		t.Error("a refused approval moved a flag")
	}
}

// A step of a ramp was proposed, and then the experiment was blocked.
func TestAnOvertakenProposalCannotBeApproved(t *testing.T) {
	e := proposing()
	e.Ramp, e.Traffic = []experiment.Step{{Traffic: 0.1, Days: 1}}, 1
	h := newHome(t, e)
	h.ruled(t, e, 0.1, day(0))
	undecided := []evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", "undetermined")}
	h.known(t, day(2), undecided, checks("pass", "pass"), e)
	fresh := h.run(t, day(2), e)
	if len(fresh) != 1 || fresh[0].Action != decide.Ramp {
		t.Fatalf("decides %+v, want a step of the ramp", fresh)
	}
	h.known(t, day(3), undecided, checks("fail", "pass"), e)
	h.run(t, day(3), e)
	_, err := h.approvals(e).Give(t.Context(), e.ID, fresh[0].ID, decide.Approved, "U1")
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "no longer the current one: since 2026-01-08") {
		t.Errorf("%v, want that another decision stands", err)
	}
	blocked := h.stored(t, e)[1]
	if _, err := h.approvals(e).Give(t.Context(), e.ID, blocked.ID, decide.Approved, "U1"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "asks for no change") {
		t.Errorf("approving that it is blocked: %v", err)
	}
	if h.patches != 0 {
		t.Error("a flag was moved")
	}
}

// The record of the flags comes with the next model run: until then the decider goes by what it did.
func TestAnApprovedStepOfARampIsTakenOnce(t *testing.T) {
	e := ramping()
	e.Mode = experiment.Propose
	h := newHome(t, e)
	h.now = day(3)
	h.ruled(t, e, 0.1, day(0))
	undecided := []evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", "undetermined")}
	for n := 3; n <= 8; n++ {
		h.known(t, day(n), undecided, checks("pass", "pass"), e)
	}
	step := h.run(t, day(3), e)[0]
	if _, err := h.approvals(e).Give(t.Context(), e.ID, step.ID, decide.Approved, "U1"); err != nil {
		t.Fatal(err)
	}
	included := func() float64 {
		f, err := h.flags.Flag(t.Context(), e.Flag)
		if err != nil {
			t.Fatal(err)
		}
		return f.Rules[0].Included
	}
	for n := 3; n <= 6; n++ { // the second step has not lasted before day 7
		h.run(t, day(n), e)
		if got := included(); got != 0.5 || h.patches != 1 {
			t.Errorf("day %d: %g of users after %d changes, want half after one", n, got, h.patches)
		}
	}
	last := h.run(t, day(8), e)
	if len(last) != 1 || last[0].Action != decide.Ramp || last[0].Included != 1 || included() != 0.5 {
		t.Errorf("day 8: %+v, %g of users, want the next step proposed", last, included())
	}
}

// The evidence of the day on which an approval is to be acted on says otherwise: nothing moves, and nobody is told it will.
func TestAnApprovalThatIsOvertakenIsNotActedOn(t *testing.T) {
	e := ramping()
	e.Mode = experiment.Propose
	h := newHome(t, e)
	h.now = day(3)
	h.ruled(t, e, 0.1, day(0))
	undecided := []evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", "undetermined")}
	h.known(t, day(3), undecided, checks("pass", "pass"), e)
	step := h.run(t, day(3), e)[0]
	if _, err := h.approvals(e).Give(t.Context(), e.ID, step.ID, decide.Approved, "U1"); err != nil {
		t.Fatal(err)
	}
	h.known(t, day(4), undecided, checks("fail", "pass"), e)
	if fresh := h.run(t, day(4), e); len(fresh) != 1 || fresh[0].Verdict != decide.Blocked || h.patches != 0 {
		t.Errorf("decides %+v with %d changes, want that it is blocked", fresh, h.patches)
	}
	if _, err := h.approvals(e).Give(t.Context(), e.ID, step.ID, decide.Approved, "U1"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "no longer the current one") {
		t.Errorf("approving again: %v", err)
	}
}

// Weeks may pass before somebody approves, and the evidence may have turned out to be worth nothing.
func TestAnApprovedShipWaitsForFailedChecks(t *testing.T) {
	h, e, d := proposed(t)
	if _, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Approved, "U1"); err != nil {
		t.Fatal(err)
	}
	h.known(t, day(9), winning(), checks("fail", "pass"), e)
	for _, n := range []int{9, 9, 10} { // also on a day that has not been evaluated yet
		h.run(t, day(n), e)
	}
	if got := h.stored(t, e)[0]; h.patches != 0 || !strings.Contains(got.Change, "a validity check has failed since") {
		t.Errorf("%d changes, %+v", h.patches, got)
	}
	h.known(t, day(11), winning(), checks("pass", "pass"), e)
	h.run(t, day(11), e)
	if got := h.stored(t, e)[0]; h.patches != 1 || got.AppliedAt.IsZero() {
		t.Errorf("%d changes, %+v, want it applied once the checks pass again", h.patches, got)
	}
}

func TestOfOppositeAnswersTheFirstStands(t *testing.T) {
	h, e, d := proposed(t)
	answers := []decide.Answer{decide.Approved, decide.Rejected}
	var wg sync.WaitGroup
	var mu sync.Mutex
	stood := map[decide.Answer]int{}
	for i := range 8 {
		wg.Go(func() {
			given, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, answers[i%2], "U"+strconv.Itoa(i))
			if err != nil && !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			stood[given.Answer]++
		})
	}
	wg.Wait()
	if len(stood) != 1 {
		t.Errorf("answers %v, want that all are told of one", stood)
	}
}

func TestAnAutomaticDecisionWaitsForNobody(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	d := h.run(t, day(7), e)[0]
	if _, err := h.approvals(e).Give(t.Context(), e.ID, d.ID, decide.Rejected, "U1"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "waits for nobody") {
		t.Errorf("got %v", err)
	}
}

// ruled publishes what the flag platform deals out.
func (h *home) ruled(t *testing.T, e *experiment.Experiment, included float64, since time.Time) {
	t.Helper()
	var rows []feature.Row
	for _, v := range e.Variants {
		rows = append(rows, feature.Row{
			FlagKey: e.Flag, Environment: "production", Enabled: true, RuleKey: e.ID, RuleKind: string(feature.Experiment),
			Included: included, Variant: v.Key, Share: v.Share, Revision: "1", ValidFrom: since,
		})
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, table.Place{Table: "dim_feature", Run: h.newRun()}, rows); err != nil {
		t.Fatal(err)
	}
}
