package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/outbox"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

func shipped() decide.Decision {
	return decide.Decision{
		ID: "5b1b", ExperimentID: "checkout", Verdict: decide.Ship, Variant: "short", Headline: "Ship short of Checkout",
		Reasons: []decide.Reason{{Code: "goal_better", Text: "Purchases of short is better: +8.0 %."}, {Code: "guardrail_safe", Text: "Returns of short is not worse."}},
		Action:  decide.Conclude, Flag: "checkout_flag", Mode: "auto", AppliedAt: time.Date(2026, 1, 12, 6, 0, 0, 0, time.UTC),
	}
}

func rolledBack() decide.Decision {
	return decide.Decision{
		ID: "7bac", ExperimentID: "banner", Verdict: decide.RollBack, Variant: "control", Headline: "Roll back Banner",
		Reasons: []decide.Reason{{Code: "guardrail_violated", Text: "Errors of loud is worse."}}, Action: decide.Rollback, Flag: "banner", Mode: "auto",
	}
}

func blocked() decide.Decision {
	return decide.Decision{
		ID: "b10c", ExperimentID: "menu", Verdict: decide.Blocked, Headline: "Menu is blocked: its numbers cannot be trusted",
		Reasons: []decide.Reason{{Code: "srm", Text: "Units per arm: 10, 900."}}, Flag: "menu", Mode: "auto",
	}
}

// lost is a store that forgets nothing but what was sent.
type lost struct{ lake.Objects }

func (l lost) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if strings.HasPrefix(key, "notifications/") {
		return fault.New(fault.Transient, "no room for %s", key)
	}
	return l.Objects.Put(ctx, key, body, mode)
}

// rig is a notifier with the three channels of one machine.
type rig struct {
	store    *directory.Store
	notifier *notify.Notifier
	console  bytes.Buffer
	now      time.Time
	away     atomic.Bool // the Slack stand-in's state
}

func newRig(t *testing.T, decisions ...decide.Decision) *rig {
	t.Helper()
	r := &rig{store: &directory.Store{Root: t.TempDir()}, now: time.Date(2026, 1, 12, 8, 0, 0, 0, time.UTC)}
	webhook := &outbox.Webhook{Objects: r.store}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.away.Load() {
			http.Error(w, "rollup_error", http.StatusInternalServerError)
			return
		}
		webhook.ServeHTTP(w, request)
	}))
	t.Cleanup(host.Close)
	r.notifier = &notify.Notifier{Objects: r.store, Now: func() time.Time { return r.now }, DashboardURL: "http://127.0.0.1:8080/", Senders: []notify.Sender{
		slack.New(host.URL, &http.Client{Timeout: 5 * time.Second}), &outbox.SNS{Objects: r.store}, &outbox.Console{W: &r.console},
	}}
	r.decided(t, decisions...)
	return r
}

func (r *rig) decided(t *testing.T, decisions ...decide.Decision) {
	t.Helper()
	for _, d := range decisions {
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.store.Put(t.Context(), "decisions/"+d.ExperimentID+"/0000.json", body, lake.Overwrite); err != nil {
			t.Fatal(err)
		}
	}
}

// sent runs the notifier, which has to succeed.
func (r *rig) sent(t *testing.T) int {
	t.Helper()
	n, err := r.notifier.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (r *rig) kept(t *testing.T, channel string) int {
	t.Helper()
	list, err := r.store.List(t.Context(), "outbox/"+channel+"/")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func (r *rig) printed() int { return strings.Count(r.console.String(), "[") }

func TestEachDecisionIsToldOncePerChannel(t *testing.T) {
	running := decide.Decision{ID: "0000", ExperimentID: "slow", Verdict: decide.Running, Headline: "Slow is running: day 1 of 14"}
	r := newRig(t, shipped(), running)
	for round, want := range []int{3, 0, 0} {
		if got := r.sent(t); got != want {
			t.Errorf("round %d: %d messages, want %d", round, got, want)
		}
	}
	r.decided(t, blocked())
	if got := r.sent(t); got != 3 {
		t.Errorf("%d messages of the new decision, want 3", got)
	}
	if s, q, c := r.kept(t, "slack"), r.kept(t, "sns"), r.printed(); s != 2 || q != 2 || c != 2 {
		t.Errorf("slack got %d, sns %d, the console %d, want 2 each", s, q, c)
	}
	if strings.Contains(r.console.String(), "Slow") {
		t.Error("that nothing is decided yet was told")
	}
}

func TestAChannelThatFailsHoldsUpNoOther(t *testing.T) {
	r := newRig(t, shipped(), blocked())
	r.away.Store(true)
	got, err := r.notifier.Run(t.Context())
	if got != 4 || !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "slack of checkout") || !strings.Contains(err.Error(), "slack of menu") {
		t.Errorf("%d messages, %v, want 4 and what failed", got, err)
	}
	if s, q, c := r.kept(t, "slack"), r.kept(t, "sns"), r.printed(); s != 0 || q != 2 || c != 2 {
		t.Errorf("slack got %d, sns %d, the console %d, want none, 2 and 2", s, q, c)
	}
	r.now = r.now.Add(time.Minute)
	r.away.Store(false)
	if got := r.sent(t); got != 2 || r.kept(t, "slack") != 2 || r.printed() != 2 {
		t.Errorf("%d messages, slack has %d, the console %d, want 2 each", got, r.kept(t, "slack"), r.printed())
	}
}

// Each wait is twice as long as the one before, up to a quarter of a day, and what happened can be looked up.
func TestAFailedMessageIsTriedAgainAfterLongerAndLongerWaits(t *testing.T) {
	r := newRig(t, shipped())
	r.away.Store(true)
	var waits []time.Duration
	begin := r.now
	last := begin
	for r.now.Before(begin.Add(48 * time.Hour)) {
		if _, err := r.notifier.Run(t.Context()); err != nil {
			waits = append(waits, r.now.Sub(last))
			last = r.now
		}
		r.now = r.now.Add(10 * time.Second)
	}
	want := []time.Duration{0, 50 * time.Second, 100 * time.Second, 200 * time.Second, 400 * time.Second, 800 * time.Second}
	if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if longest := slices.Max(waits); longest != 6*time.Hour {
		t.Errorf("the longest wait is %s", longest)
	}
	all, err := notify.Deliveries(t.Context(), r.store)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(d notify.Delivery) bool { return d.Channel == "slack" })
	if i < 0 || all[i].Sent() || all[i].Attempts != len(waits) || !strings.Contains(all[i].LastError, "rollup_error") || !all[i].NextAttempt.After(last) {
		t.Errorf("deliveries %+v, want %d attempts and the error", all, len(waits))
	}
	r.away.Store(false)
	r.now = all[i].NextAttempt
	if got := r.sent(t); got != 1 {
		t.Errorf("%d messages once slack is back", got)
	}
}

// An earlier version of Verdict left empty marks.
func TestWhatAnEarlierVersionSentIsNotSentAgain(t *testing.T) {
	r := newRig(t, shipped())
	for _, channel := range []string{"slack", "sns", "console"} {
		if err := r.store.Put(t.Context(), "notifications/5b1b/"+channel, nil, lake.Create); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.sent(t); got != 0 {
		t.Errorf("%d messages again", got)
	}
}

// A message that could not be noted as sent is sent again, with the same id.
func TestToldAtLeastOnce(t *testing.T) {
	r := newRig(t, shipped())
	r.notifier.Objects = lost{r.store}
	if got, err := r.notifier.Run(t.Context()); got != 3 || !fault.Is(err, fault.Transient) {
		t.Errorf("%d messages, %v, want 3 and that there is no room", got, err)
	}
	r.notifier.Objects = r.store
	if got := r.sent(t); got != 3 || r.kept(t, "slack") != 2 || r.kept(t, "sns") != 1 {
		t.Errorf("%d messages, slack has %d, sns %d, want 3, 2 and 1", got, r.kept(t, "slack"), r.kept(t, "sns"))
	}
}

func TestMessagesSayWhatAndWhyAndWhatNow(t *testing.T) {
	pending, explained, proposed, approved, ramp, observed := rolledBack(), rolledBack(), shipped(), shipped(), shipped(), rolledBack()
	approved.Mode, approved.Answer, approved.AnsweredBy = "propose", decide.Approved, "U1"
	ramp.Verdict, ramp.Action, ramp.Included, ramp.Variant, ramp.Headline, ramp.Reasons = decide.Running, decide.Ramp, 0.25, "", "Raise the traffic of Checkout to 25 %", nil
	observed.Mode = "observe"
	explained.Change = "not applied yet: the platform is away"
	proposed.Mode, proposed.AppliedAt = "propose", time.Time{}
	for name, c := range map[string]struct {
		decision decide.Decision
		severity string
		text     string
	}{
		"shipped": {shipped(), "info", `Ship short of Checkout.

Why:
- Purchases of short is better: +8.0 %.
- Returns of short is not worse.

Everybody now gets short of flag checkout_flag.

Readout: http://127.0.0.1:8080/experiments/checkout
`},
		"proposed": {proposed, "info", `Ship short of Checkout.

Why:
- Purchases of short is better: +8.0 %.
- Returns of short is not worse.

Proposed: give everybody short of flag checkout_flag. Nothing is changed until somebody approves decision 5b1b, in Slack or by verdict approve.

Readout: http://127.0.0.1:8080/experiments/checkout
`},
		"approved": {approved, "info", `Ship short of Checkout.

Why:
- Purchases of short is better: +8.0 %.
- Returns of short is not worse.

Everybody now gets short of flag checkout_flag, as U1 approved.

Readout: http://127.0.0.1:8080/experiments/checkout
`},
		"ramp": {ramp, "info", `Raise the traffic of Checkout to 25 %.

Why:

25 % of users now take part, by flag checkout_flag.

Readout: http://127.0.0.1:8080/experiments/checkout
`},
		"observed": {observed, "critical", `Roll back Banner.

Why:
- Errors of loud is worse.

Proposed: give everybody control of flag banner. The experiment's mode is observe, so nothing was changed.

Readout: http://127.0.0.1:8080/experiments/banner
`},
		"pending": {pending, "critical", `Roll back Banner.

Why:
- Errors of loud is worse.

Everybody is to get control of flag banner; the change has not gone through yet.

Readout: http://127.0.0.1:8080/experiments/banner
`},
		"held up": {explained, "critical", `Roll back Banner.

Why:
- Errors of loud is worse.

Everybody is to get control of flag banner; not applied yet: the platform is away. Each run tries again.

Readout: http://127.0.0.1:8080/experiments/banner
`},
		"blocked": {blocked(), "warning", `Menu is blocked: its numbers cannot be trusted.

Why:
- Units per arm: 10, 900.

The rollout stays as it is.

Readout: http://127.0.0.1:8080/experiments/menu
`},
	} {
		t.Run(name, func(t *testing.T) {
			got := notify.Compose(c.decision, "http://127.0.0.1:8080/")
			if diff := cmp.Diff(c.text, got.Text); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			if got.ID != c.decision.ID || got.Subject != c.decision.Headline || got.Severity != c.severity || !strings.Contains(got.Text, got.Consequence) {
				t.Errorf("message %+v", got)
			}
		})
	}
	if got := notify.Compose(shipped(), ""); got.Link != "" || strings.Contains(got.Text, "Readout") {
		t.Errorf("a link without a dashboard: %+v", got)
	}
}
