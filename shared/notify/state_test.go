package notify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/lake"
	"verdict/shared/notify"
	"verdict/shared/restate"
)

func TestWhatBecomesOfAProposalIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		answer decide.Answer
		says   string
	}{
		"approved": {decide.Approved, "[info] Done: Ship short of Checkout\n  Everybody now gets short of flag checkout_flag, as U1 approved."},
		"rejected": {decide.Rejected, "[info] Rejected: Ship short of Checkout\n  The rollout stays as it is: U1 rejected to give everybody short"},
	} {
		t.Run(name, func(t *testing.T) {
			d := shipped()
			d.Mode, d.AppliedAt = "propose", time.Time{}
			r := newRig(t, d)
			if got := r.sent(t); got != 3 {
				t.Fatalf("%d messages of the proposal", got)
			}
			r.now = r.now.Add(time.Hour)
			d.Answer, d.AnsweredBy, d.AnsweredAt = c.answer, "U1", r.now
			if c.answer == decide.Approved {
				d.AppliedAt = r.now
			}
			r.decided(t, d)
			r.console.Reset()
			for round, want := range []int{3, 0} {
				if got := r.sent(t); got != want {
					t.Errorf("round %d: %d messages, want %d", round, got, want)
				}
			}
			if !strings.Contains(r.console.String(), c.says) {
				t.Errorf("told %s, want %q", r.console.String(), c.says)
			}
		})
	}
}

// A rollback that the platform held up is told, and so is that it went through.
func TestAChangeThatGoesThroughLaterIsTold(t *testing.T) {
	d := rolledBack()
	d.Change = "not applied yet: the platform is away"
	r := newRig(t, d)
	r.sent(t)
	r.now = r.now.Add(time.Hour)
	d.AppliedAt, d.Change = r.now, "patch"
	r.decided(t, d)
	r.console.Reset()
	if got := r.sent(t); got != 3 || !strings.Contains(r.console.String(), "Done: Roll back Banner") {
		t.Errorf("%d messages, %s", got, r.console.String())
	}
}

func (r *rig) flipped(t *testing.T, d decide.Decision, would decide.Verdict, flipped bool) {
	t.Helper()
	body, err := json.Marshal(restate.Restatement{
		DecisionID: d.ID, ExperimentID: d.ExperimentID, AsOf: "2026-01-10", Verdict: d.Verdict, Would: would, Flipped: flipped, Units: 900, RestatedUnits: 950,
		Headline: "Checkout: with the events that came late, the decision of 2026-01-10 would have been: Checkout is running", Days: []string{"2026-01-07", "2026-01-09"},
		Reasons: []decide.Reason{{Code: "undecided", Text: "No goal metric is significantly better yet."}}, Estimates: []restate.Estimate{{Metric: "Purchases", Variant: "short", Was: "+8.0 %", Is: "+1.0 %"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.Put(t.Context(), "restatements/"+d.ExperimentID+"/"+d.ID+".json", body, lake.Overwrite); err != nil {
		t.Fatal(err)
	}
}

func TestADecisionThatLateEventsWouldFlipIsTold(t *testing.T) {
	r := newRig(t, shipped())
	r.sent(t)
	r.flipped(t, shipped(), decide.Ship, false)
	if got := r.sent(t); got != 0 {
		t.Errorf("%d messages although nothing flips", got)
	}
	r.console.Reset()
	r.flipped(t, shipped(), decide.Running, true)
	for round, want := range []int{3, 0} {
		if got := r.sent(t); got != want {
			t.Errorf("round %d: %d messages, want %d", round, got, want)
		}
	}
	want := `[warning] Checkout: with the events that came late, the decision of 2026-01-10 would have been: Checkout is running
  What came late:
  - Events of 2026-01-07 to 2026-01-09 (2 days) came late: 900 units then, 950 now.
  What the metrics are now:
  - Purchases of short: +1.0 %; it was +8.0 %.
  Why it would have come out otherwise:
  - No goal metric is significantly better yet.
  Nothing is undone. The decision stands until somebody changes it: everybody now gets short of flag checkout_flag.
  http://127.0.0.1:8080/experiments/checkout
`
	if diff := cmp.Diff(want, r.console.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.flipped(t, shipped(), decide.RollBack, true) // more came
	if got := r.sent(t); got != 3 {
		t.Errorf("%d messages of another flip", got)
	}
}

func policies(t *testing.T, text string) map[string]notify.Policy {
	t.Helper()
	p, err := notify.ParsePolicies(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// In Berlin it is an hour later than in UTC in winter.
func TestQuietHoursHoldWhatCanWait(t *testing.T) {
	r := newRig(t, shipped(), rolledBack())
	r.notifier.Policies = policies(t, "slack quiet=22-7 zone=Europe/Berlin")
	r.now = time.Date(2026, 1, 12, 21, 30, 0, 0, time.UTC)
	if got := r.sent(t); got != 5 || r.kept(t, "slack") != 1 {
		t.Errorf("%d messages, slack has %d, want all but what can wait", got, r.kept(t, "slack"))
	}
	all, err := notify.Deliveries(t.Context(), r.store)
	if err != nil {
		t.Fatal(err)
	}
	var held []notify.Delivery
	for _, d := range all {
		if !d.Sent() {
			held = append(held, d)
		}
	}
	morning := time.Date(2026, 1, 13, 6, 0, 0, 0, time.UTC)
	if len(held) != 1 || held[0].Channel != "slack" || held[0].MessageID != "5b1b" || !held[0].HeldUntil.Equal(morning) || held[0].Attempts != 0 {
		t.Errorf("held %+v, want one until %s", held, morning)
	}
	for _, c := range []struct {
		at   time.Time
		want int
	}{{morning.Add(-time.Second), 0}, {morning, 1}, {morning.Add(time.Hour), 0}} {
		r.now = c.at
		if got := r.sent(t); got != c.want {
			t.Errorf("at %s: %d messages, want %d", c.at, got, c.want)
		}
	}
}

func TestTheDigestSaysWhatRunsWhatChangedAndWhatNeedsSomebody(t *testing.T) {
	running := decide.Decision{ID: "0000", ExperimentID: "slow", AsOf: "2026-01-06", Verdict: decide.Running, Headline: "Slow is running: day 6 of 14"}
	ship, proposal, ancient, stuck := shipped(), shipped(), shipped(), rolledBack()
	ship.AsOf, ancient.AsOf = "2026-01-12", "2025-12-01"
	ancient.ID, ancient.ExperimentID, ancient.Headline = "0001", "old", "Ship it of Old"
	proposal.ID, proposal.ExperimentID, proposal.AsOf, proposal.Mode, proposal.AppliedAt, proposal.Headline = "0002", "pay", "2026-01-11", "propose", time.Time{}, "Ship fast of Pay"
	block := blocked()
	block.AsOf = "2026-01-12"
	stuck.AsOf, stuck.Change = "2026-01-12", "not applied yet: the platform is away"
	r := newRig(t, running, ship, proposal, ancient, block, stuck)
	r.notifier.Policies = policies(t, "console digest=only at=8")
	r.flipped(t, ancient, decide.Stop, true) // too long ago to need anybody
	r.away.Store(true)
	r.now = time.Date(2026, 1, 12, 7, 0, 0, 0, time.UTC)
	if _, err := r.notifier.Run(t.Context()); err == nil {
		t.Fatal("slack is away")
	}
	if got := r.console.String(); strings.Count(got, "[") != 1 || !strings.Contains(got, "[critical] Roll back Banner") {
		t.Errorf("before eight the console says %s, want what is critical only", got)
	}
	r.console.Reset()
	r.now = r.now.Add(time.Hour)
	r.notifier.Senders = r.notifier.Senders[2:]
	for range 2 {
		r.sent(t)
	}
	want := `[warning] Experiments on 2026-01-12: 4 need attention, 4 changed, 1 run
  Needs attention:
  - Roll back Banner is not applied yet: the platform is away
  - Menu is blocked: its numbers cannot be trusted: Units per arm: 10, 900.
  - Ship fast of Pay waits for an answer since 2026-01-11: verdict approve 0002, or reject.
  - 5 messages have not reached slack; last tried 2026-01-12 07:00 UTC: post to slack: 500 Internal Server Error: rollup_error.
  Changed:
  - Roll back Banner. Everybody is to get control of flag banner; not applied yet: the platform is away. Each run tries again.
  - Ship short of Checkout. Everybody now gets short of flag checkout_flag.
  - Menu is blocked: its numbers cannot be trusted. The rollout stays as it is.
  - Ship fast of Pay. Proposed: give everybody short of flag checkout_flag. Nothing is changed until somebody approves decision 0002, in Slack or by verdict approve.
  Runs:
  - Slow is running: day 6 of 14.
  http://127.0.0.1:8080/
`
	if diff := cmp.Diff(want, r.console.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The next day repeats what needs somebody, and nothing that it told.
	r.console.Reset()
	r.now = r.now.AddDate(0, 0, 1)
	r.sent(t)
	if got := r.console.String(); !strings.Contains(got, "2026-01-13: 4 need attention, 0 changed, 1 run") || strings.Contains(got, "Changed:") {
		t.Errorf("the next day's: %s", got)
	}
}

func TestADayWithoutAnythingHasNoDigest(t *testing.T) {
	old := shipped()
	old.AsOf = "2025-11-01"
	r := newRig(t, old)
	r.notifier.Policies = policies(t, "console digest=only")
	r.notifier.Senders = r.notifier.Senders[2:]
	if got := r.sent(t); got != 0 || r.console.Len() > 0 {
		t.Errorf("%d messages: %s", got, r.console.String())
	}
}

func TestPoliciesThatCannotBeMeantAreRefused(t *testing.T) {
	for text, says := range map[string]string{
		"slack quiet=22": "policy of slack: quiet=22", "slack quiet=22-24": "quiet=22-24", "sns zone=Mars/Base": "zone=Mars/Base", "sns digest=maybe": "digest=maybe", "sns loud": "loud=", "sns at=x": "at=x",
	} {
		if _, err := notify.ParsePolicies(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
	got := policies(t, " ; slack quiet=22-7 digest=yes at=9;sns digest=only ")
	want := map[string]notify.Policy{"slack": {Quiet: notify.Hours{From: 22, To: 7}, Digest: true, DigestAt: 9}, "sns": {Digest: true, DigestOnly: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
