package decide_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/spoil"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/optimizely"
	"verdict/shared/table"
)

// home is everything that a Decider works with, on this machine: a lake, and the flag platform's
// stand-in behind the real client.
type home struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	platform  *flagapi.Server
	flags     *optimizely.Client

	mu      sync.Mutex
	now     time.Time // passes only while somebody waits
	runs    int
	patches int
}

// newHome runs an experiment on a flag of the same name for each key.
func newHome(t *testing.T, experiments ...*experiment.Experiment) *home {
	t.Helper()
	h := &home{store: &directory.Store{Root: t.TempDir()}, now: day(30)}
	var err error
	if h.warehouse, err = duck.Open(t.Context(), h.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.warehouse.Close() })
	var flags []feature.Flag
	for _, e := range experiments {
		rule := feature.Rule{Key: e.ID, Kind: feature.Experiment, Included: 1}
		if len(e.Ramp) > 0 {
			rule.Included = e.FirstTraffic()
		}
		for _, v := range e.Variants {
			rule.Variants = append(rule.Variants, feature.Variant(v))
		}
		flags = append(flags, feature.Flag{Key: e.Flag, Environment: "production", Enabled: true, Rules: []feature.Rule{rule}})
	}
	if h.platform, err = flagapi.New(flagapi.Config{Project: "1", Token: "t0ken"}, flags, h.Now); err != nil {
		t.Fatal(err)
	}
	host := httptest.NewServer(h.platform)
	t.Cleanup(host.Close)
	h.flags = optimizely.New(
		optimizely.Config{BaseURL: host.URL + flagapi.BasePath, Project: "1", Environment: "production", Token: "t0ken"},
		&http.Client{Timeout: 5 * time.Second, Transport: h}, h.Now, h.wait)
	return h
}

func (h *home) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *home) wait(ctx context.Context, d time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
	return ctx.Err()
}

// RoundTrip counts the changes that are asked of the platform.
func (h *home) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch {
		h.mu.Lock()
		h.patches++
		h.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (h *home) newRun() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs++
	return strconv.Itoa(h.runs)
}

func (h *home) decider() *decide.Decider {
	return &decide.Decider{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Flags: h.flags, NewRun: h.newRun, Now: h.Now}
}

// known publishes what evaluate would, with the same evidence on each experiment.
func (h *home) known(t *testing.T, asOf time.Time, evidence []evaluate.Result, validity []evaluate.Check, experiments ...*experiment.Experiment) {
	t.Helper()
	day := asOf.Format(time.DateOnly)
	var results []evaluate.Result
	var all []evaluate.Check
	for _, e := range experiments {
		for _, r := range evidence {
			r.ExperimentID, r.Definition, r.EvaluatedAt, r.AsOf = e.ID, e.Hash(), asOf, day
			results = append(results, r)
		}
		for _, c := range validity {
			c.ExperimentID, c.AsOf = e.ID, day
			all = append(all, c)
		}
	}
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: h.newRun(), PartitionBy: []string{"as_of"}, Values: []string{day}}
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, place("fact_experiment_results"), results); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, place("fact_experiment_check"), all); err != nil {
		t.Fatal(err)
	}
}

func (h *home) run(t *testing.T, asOf time.Time, experiments ...*experiment.Experiment) []decide.Decision {
	t.Helper()
	fresh, err := h.decider().Run(t.Context(), experiments, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

// stored is the history of an experiment. It also checks that the table says the same.
func (h *home) stored(t *testing.T, e *experiment.Experiment) []decide.Decision {
	t.Helper()
	history, err := decide.History(t.Context(), h.store, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lake.Read[decide.Decision](t.Context(), h.warehouse, "select * from fact_decision where experiment_id = "+lake.Quote(e.ID)+" order by decided_at")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(history, rows); diff != "" {
		t.Errorf("fact_decision (-objects +rows):\n%s", diff)
	}
	return history
}

// served is the one variant that a flag delivers to everybody; empty while the experiment runs.
func (h *home) served(t *testing.T, e *experiment.Experiment) string {
	t.Helper()
	f, err := h.flags.Flag(t.Context(), e.Flag)
	if err != nil || len(f.Rules) != 1 {
		t.Fatalf("flag %+v, %v", f, err)
	}
	if f.Rules[0].Kind == feature.Experiment {
		return ""
	}
	return f.Rules[0].Variants[0].Key
}

// disturbance is a flag platform to which something happens just before a change.
type disturbance struct {
	decide.Flags
	before func() error
}

func (d disturbance) Apply(ctx context.Context, change decide.Change) (decide.Applied, error) {
	if err := d.before(); err != nil {
		return decide.Applied{}, err
	}
	return d.Flags.Apply(ctx, change)
}

func winning() []evaluate.Result {
	return []evaluate.Result{goal("short", "better", 0.1, 0.2), guardrail("short", "non_inferior")}
}

func harming() []evaluate.Result {
	return []evaluate.Result{goal("short", "", -0.2, 0.2), guardrail("short", "violated")}
}

func TestADecisionIsAppliedOnceAndRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		evidence []evaluate.Result
		verdict  decide.Verdict
		served   string
	}{
		"ship":      {winning(), decide.Ship, "short"},
		"roll back": {harming(), decide.RollBack, "control"},
	} {
		t.Run(name, func(t *testing.T) {
			e := defined("short")
			h := newHome(t, e)
			h.known(t, day(7), c.evidence, checks("pass", "pass"), e)
			fresh := h.run(t, day(7), e)
			history := h.stored(t, e)
			if diff := cmp.Diff(fresh, history); diff != "" || len(history) != 1 {
				t.Fatalf("%d decisions (-returned +stored):\n%s", len(history), diff)
			}
			got := history[0]
			if got.Verdict != c.verdict || got.AppliedAt.IsZero() || got.Revision == "" || !strings.Contains(got.Change, got.ID) {
				t.Errorf("decision %+v, want it applied, with the revision and the patch that names it", got)
			}
			if served := h.served(t, e); served != c.served || h.patches != 1 {
				t.Errorf("serves %q after %d changes, want %q after one", served, h.patches, c.served)
			}
			before, err := h.store.List(t.Context(), "decisions/")
			if err != nil {
				t.Fatal(err)
			}
			h.known(t, day(8), c.evidence, checks("pass", "pass"), e)
			for _, n := range []int{7, 7, 8} {
				if again := h.run(t, day(n), e); len(again) != 0 {
					t.Errorf("decides again: %+v", again)
				}
			}
			after, err := h.store.List(t.Context(), "decisions/")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("objects (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(history, h.stored(t, e)); diff != "" || h.patches != 1 {
				t.Errorf("%d changes (-before +after):\n%s", h.patches, diff)
			}
		})
	}
}

func TestOnlyAChangeOfVerdictIsADecision(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	undecided := []evaluate.Result{goal("short", "", -0.2, 0.2), guardrail("short", "undetermined")}
	for n, c := range []struct {
		evidence []evaluate.Result
		srm      string
		fresh    int
	}{
		{undecided, "insufficient", 1},
		{undecided, "pass", 0},
		{undecided, "fail", 1},
		{undecided, "fail", 0},
		{undecided, "pass", 1},
		{winning(), "pass", 0},
		{winning(), "pass", 1},
		{harming(), "pass", 0},
	} {
		h.known(t, day(n+1), c.evidence, checks(c.srm, "pass"), e)
		if fresh := h.run(t, day(n+1), e); len(fresh) != c.fresh {
			t.Errorf("day %d: decisions %+v, want %d", n+1, fresh, c.fresh)
		}
	}
	var got []decide.Verdict
	for _, d := range h.stored(t, e) {
		got = append(got, d.Verdict)
	}
	if diff := cmp.Diff([]decide.Verdict{decide.Running, decide.Blocked, decide.Running, decide.Ship}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What is over stays as it is, also when somebody decides on the past.
	h.run(t, day(3), e)
	if n := len(h.stored(t, e)); n != 4 || h.patches != 1 {
		t.Errorf("%d decisions and %d changes, want 4 and 1", n, h.patches)
	}
}

// While nothing is decided, people read what is known today, and since when it has been so.
func TestARunningExperimentSaysWhatIsKnown(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	for _, n := range []int{3, 5} {
		h.known(t, day(n), []evaluate.Result{goal("short", "", -0.1, 0.2)}, nil, e)
		h.run(t, day(n), e)
	}
	history := h.stored(t, e)
	if len(history) != 1 || history[0].Verdict != decide.Running {
		t.Fatalf("history %+v, want one decision that it runs", history)
	}
	if first := day(3).Format(time.DateOnly); history[0].AsOf != first {
		t.Errorf("it runs since %s, want %s", history[0].AsOf, first)
	}
	if want := decide.Decide(decide.Evidence{Experiment: e, Results: []evaluate.Result{goal("short", "", -0.1, 0.2)}, AsOf: day(5)}); history[0].Headline != want.Headline {
		t.Errorf("headline %q, want that of the last run: %q", history[0].Headline, want.Headline)
	}
}

func TestNothingIsDecidedWithoutResultsOfTheDefinition(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	e.MDE = 0.1
	if fresh := h.run(t, day(7), e); len(fresh) != 0 || h.patches != 0 {
		t.Errorf("decides %+v on another definition's results", fresh)
	}
	if fresh := h.run(t, day(8), e); len(fresh) != 0 || h.patches != 0 {
		t.Errorf("decides %+v on a day without results", fresh)
	}
}

func TestAnAbsentPlatformHoldsADecisionUp(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), harming(), checks("pass", "pass"), e)
	const patience = 5 // as often as the client tries
	for range patience {
		h.platform.Inject(spoil.Fault{Status: http.StatusServiceUnavailable})
	}
	fresh, err := h.decider().Run(t.Context(), []*experiment.Experiment{e}, day(7))
	if !fault.Is(err, fault.Transient) || len(fresh) != 1 {
		t.Fatalf("%+v, %v, want a decision and that the platform is away", fresh, err)
	}
	pending := h.stored(t, e)[0]
	if !pending.AppliedAt.IsZero() || pending.Revision != "" || !strings.Contains(pending.Change, "503") || h.patches != 0 {
		t.Errorf("pending decision %+v, want the reason", pending)
	}
	if diff := cmp.Diff(fresh[0], pending); diff != "" {
		t.Errorf("(-returned +stored):\n%s", diff)
	}
	// The next run completes it, also on a day when there are no results yet.
	if fresh := h.run(t, day(8), e); len(fresh) != 0 {
		t.Errorf("decides again: %+v", fresh)
	}
	done := h.stored(t, e)
	if len(done) != 1 || done[0].ID != pending.ID || done[0].AppliedAt.IsZero() || !strings.Contains(done[0].Change, pending.ID) {
		t.Errorf("decisions %+v, want the same one, applied", done)
	}
	if served := h.served(t, e); served != "control" || h.patches != 1 {
		t.Errorf("serves %q after %d changes", served, h.patches)
	}
}

// killed stands for the end of the process: nothing after it happens.
const killed = "killed"

func TestARunThatDiedIsCompleted(t *testing.T) {
	e := defined("short")
	for name, die := range map[string]func(h *home, d *decide.Decider){
		"before the change": func(h *home, d *decide.Decider) {
			d.Flags = disturbance{h.flags, func() error { panic(killed) }}
		},
		"after the change": func(h *home, d *decide.Decider) {
			d.Objects = amnesia{h.store}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, e)
			h.known(t, day(7), winning(), checks("pass", "pass"), e)
			d := h.decider()
			die(h, d)
			func() {
				defer func() {
					if got := recover(); got != killed {
						t.Errorf("panic %v, want the one of the test", got)
					}
				}()
				_, _ = d.Run(t.Context(), []*experiment.Experiment{e}, day(7))
			}()
			h.run(t, day(7), e)
			history := h.stored(t, e)
			if len(history) != 1 || history[0].AppliedAt.IsZero() || history[0].Revision == "" {
				t.Errorf("decisions %+v, want one, applied", history)
			}
			if served := h.served(t, e); served != "short" || h.patches != 1 {
				t.Errorf("serves %q after %d changes, want short after one", served, h.patches)
			}
		})
	}
}

// amnesia is a store before which the process dies when it notes what came of a decision.
type amnesia struct{ lake.Objects }

func (a amnesia) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if strings.HasPrefix(key, "decisions/") && mode == lake.Overwrite {
		panic(killed)
	}
	return a.Objects.Put(ctx, key, body, mode)
}

func TestOtherModesChangeNothing(t *testing.T) {
	for _, mode := range []experiment.Mode{experiment.Observe, experiment.Propose} {
		t.Run(string(mode), func(t *testing.T) {
			e := defined("short")
			e.Mode = mode
			h := newHome(t, e)
			h.known(t, day(7), winning(), checks("pass", "pass"), e)
			for range 2 {
				h.run(t, day(7), e)
			}
			history := h.stored(t, e)
			if len(history) != 1 || history[0].Action != decide.Conclude || history[0].Mode != string(mode) || !history[0].AppliedAt.IsZero() || history[0].Change != "" {
				t.Errorf("decisions %+v, want one that was not acted on", history)
			}
			if h.patches != 0 || h.served(t, e) != "" {
				t.Errorf("%d changes, serves %q", h.patches, h.served(t, e))
			}
		})
	}
}

func TestDriftIsReportedAndNeverOverwritten(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	somebody := h.decider()
	taken := decide.Change{Flag: e.Flag, Rule: e.ID, Action: decide.Rollback, Variant: "control"}
	if _, err := somebody.Flags.Apply(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := h.decider().Run(t.Context(), []*experiment.Experiment{e}, day(7))
		if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), e.ID) {
			t.Errorf("got %v, want a conflict that names the experiment", err)
		}
	}
	history := h.stored(t, e)
	if len(history) != 1 || !history[0].AppliedAt.IsZero() || !strings.Contains(history[0].Change, "it has ended with") {
		t.Errorf("decisions %+v, want one that says why it is pending", history)
	}
	if served := h.served(t, e); served != "control" || h.patches != 1 {
		t.Errorf("serves %q after %d changes, want what somebody chose", served, h.patches)
	}
	// People withdraw it by changing the definition: nothing is tried any more.
	e.Mode = experiment.Observe
	h.run(t, day(8), e)
	if h.patches != 1 {
		t.Errorf("%d changes after it was withdrawn", h.patches)
	}
}

func TestOneExperimentDoesNotHoldUpAnother(t *testing.T) {
	lost, well := defined("short"), defined("short")
	lost.ID, lost.Flag, well.ID, well.Flag = "a_lost", "lost", "b_well", "well"
	h := newHome(t, well) // the platform has never heard of the other
	h.known(t, day(7), winning(), checks("pass", "pass"), lost, well)
	fresh, err := h.decider().Run(t.Context(), []*experiment.Experiment{lost, well}, day(7))
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "a_lost") || strings.Contains(err.Error(), "b_well") {
		t.Errorf("got %v, want that one flag is not found", err)
	}
	if len(fresh) != 2 || !fresh[0].AppliedAt.IsZero() || fresh[1].AppliedAt.IsZero() {
		t.Errorf("decisions %+v, want both, the second applied", fresh)
	}
	if served := h.served(t, well); served != "short" {
		t.Errorf("serves %q", served)
	}
	if n := len(h.stored(t, lost)) + len(h.stored(t, well)); n != 2 {
		t.Errorf("%d decisions, want 2", n)
	}
}

func TestTwoAtOnceDecideOnce(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	const many = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	var decided []decide.Decision
	for range many {
		wg.Go(func() {
			fresh, err := h.decider().Run(t.Context(), []*experiment.Experiment{e}, day(7))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			decided = append(decided, fresh...)
		})
	}
	wg.Wait()
	h.run(t, day(7), e)
	history := h.stored(t, e)
	if len(decided) != 1 || len(history) != 1 || history[0].AppliedAt.IsZero() || h.platform.Revision() != 2 {
		t.Errorf("%d decided, history %+v, revision %d, want one decision and one change", len(decided), history, h.platform.Revision())
	}
}

// slow is a store in which something happens just before a decision is created.
type slow struct {
	lake.Objects
	before func()
}

func (s slow) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if strings.HasPrefix(key, "decisions/") && mode == lake.Create {
		s.before()
	}
	return s.Objects.Put(ctx, key, body, mode)
}

func TestTheSlowerOfTwoDecidesNothing(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	d := h.decider()
	d.Objects = slow{h.store, func() { h.run(t, day(7), e) }}
	fresh, err := d.Run(t.Context(), []*experiment.Experiment{e}, day(7))
	if err != nil || len(fresh) != 0 {
		t.Errorf("decides %+v, %v, want that the other did", fresh, err)
	}
	if n := len(h.stored(t, e)); n != 1 || h.patches != 1 {
		t.Errorf("%d decisions and %d changes, want one", n, h.patches)
	}
}

// Whoever is overtaken while acting keeps the record of who did it.
func TestTheOvertakenKeepsTheRecord(t *testing.T) {
	e := defined("short")
	h := newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	d := h.decider()
	d.Flags = disturbance{h.flags, func() error {
		h.run(t, day(7), e)
		return nil
	}}
	if _, err := d.Run(t.Context(), []*experiment.Experiment{e}, day(7)); err != nil {
		t.Fatal(err)
	}
	history := h.stored(t, e)
	if len(history) != 1 || !strings.Contains(history[0].Change, history[0].ID) || h.patches != 1 {
		t.Errorf("%d changes, decisions %+v, want one with the patch that was sent", h.patches, history)
	}
	// Nor does a failure hide that it was done.
	h = newHome(t, e)
	h.known(t, day(7), winning(), checks("pass", "pass"), e)
	d = h.decider()
	d.Flags = disturbance{h.flags, func() error {
		h.run(t, day(7), e)
		return fault.New(fault.Transient, "the network is down")
	}}
	if _, err := d.Run(t.Context(), []*experiment.Experiment{e}, day(7)); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v, want that the network is down", err)
	}
	if history := h.stored(t, e); len(history) != 1 || history[0].AppliedAt.IsZero() {
		t.Errorf("decisions %+v, want one that is applied", history)
	}
}
