package restate_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/bundle"
	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/measure/measuretest"
	"verdict/shared/metric"
	"verdict/shared/restate"
	"verdict/shared/table"
)

func day(n int) time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

type audit struct {
	Experiment string `lake:"experiment_id"`
	AsOf       string `lake:"as_of"`
	Audited    int64  `lake:"audited"`
	Mismatched int64  `lake:"mismatched"`
	Example    string `lake:"example"`
}

// home is a lake in which people of an experiment buy, 400 a day for ten days.
type home struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	evaluator *evaluate.Evaluator
	keeper    *bundle.Keeper
	runs      int
}

const (
	span  = 10
	daily = 400
)

func definition() (*experiment.Experiment, []metric.Metric) {
	e := &experiment.Experiment{
		ID: "checkout", Name: "Checkout", Flag: "checkout", Control: "control", Variants: []experiment.Variant{{Key: "control", Share: 0.5}, {Key: "short", Share: 0.5}},
		Traffic: 1, Start: experiment.Date{Time: day(0)}, PlannedDays: 14, PlannedUnits: 4000, Alpha: 0.05, MDE: 0.05, Mode: experiment.Observe,
		Metrics: []experiment.Metric{{Name: "bought", Role: experiment.Goal}},
	}
	orders := metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_completed'"}
	return e, []metric.Metric{{Name: "bought", Label: "Bought", Kind: metric.Conversion, Numerator: orders, Window: metric.Window{Length: 1, Unit: "day"}, Increase: true, Format: "percent"}}
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{store: &directory.Store{Root: t.TempDir()}}
	var err error
	if h.warehouse, err = duck.Open(t.Context(), h.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.warehouse.Close() })
	e, metrics := definition()
	h.evaluator = &evaluate.Evaluator{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: h.newRun}
	h.keeper = &bundle.Keeper{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Evaluator: h.evaluator, Experiments: []*experiment.Experiment{e}, Metrics: metrics}
	var users []measuretest.User
	var exposures []measuretest.Exposure
	var sessions []measuretest.Session
	for d := range span {
		for i := range daily {
			who := name(d, i)
			users = append(users, measuretest.User{Entity: who, Unit: who})
			sessions = append(sessions, measuretest.Session{Entity: who, Day: day(d).Format(time.DateOnly)})
			exposures = append(exposures, measuretest.Exposure{Experiment: e.ID, Unit: who, Variant: e.Variants[i%2].Key, First: day(d), Day: day(d).Format(time.DateOnly)})
		}
	}
	publish(t, h, "dim_user", "", "", users)
	publish(t, h, "fact_experiment_exposure", "", "", exposures)
	publish(t, h, "ledger_session", "", "", sessions)
	publish(t, h, "fact_bucketing_audit", "", "", []audit{{e.ID, day(0).Format(time.DateOnly), span * daily, 0, ""}})
	for d := range span {
		h.bought(t, d, 0.2, 0.3)
	}
	return h
}

func (h *home) newRun() string {
	h.runs++
	return strconv.Itoa(h.runs)
}

func name(day, i int) string { return fmt.Sprintf("a:%d-%d", day, i) }

// bought publishes a day's orders, in place of what stood there: of each arm this share buys.
func (h *home) bought(t *testing.T, d int, control, short float64) {
	t.Helper()
	var events []measuretest.Event
	for i := range daily {
		share := []float64{control, short}[i%2]
		if float64(i/2) < share*daily/2 {
			events = append(events, measuretest.Event{Entity: name(d, i), Name: "order_completed", At: day(d).Add(time.Hour)})
		}
	}
	publish(t, h, "fact_event", day(d).Format(time.DateOnly), fmt.Sprint(control, short), events)
}

func publish[T any](t *testing.T, h *home, name, date, source string, rows []T) {
	t.Helper()
	place := table.Place{Table: name, Run: h.newRun(), Source: source}
	if date != "" {
		place.PartitionBy, place.Values = []string{"event_date"}, []string{date}
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, place, rows); err != nil {
		t.Fatal(err)
	}
}

// decide runs the pipeline's steps from facts to the decision.
func (h *home) decide(t *testing.T, asOf time.Time) []decide.Decision {
	t.Helper()
	e, metrics := definition()
	all := []*experiment.Experiment{e}
	if err := h.keeper.Mark(t.Context(), asOf); err != nil {
		t.Fatal(err)
	}
	if err := (&measure.Measurer{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: h.newRun, Young: measure.Young}).Run(t.Context(), all, metrics, asOf); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.evaluator.Run(t.Context(), all, metrics, asOf); err != nil {
		t.Fatal(err)
	}
	decider := &decide.Decider{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Archive: h.keeper, NewRun: h.newRun, Now: func() time.Time { return asOf }}
	fresh, err := decider.Run(t.Context(), all, asOf)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func (h *home) restate(t *testing.T, asOf time.Time) []restate.Restatement {
	t.Helper()
	e, _ := definition()
	r := &restate.Restater{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Keeper: h.keeper, NewRun: h.newRun, Now: func() time.Time { return asOf }}
	fresh, err := r.Run(t.Context(), []*experiment.Experiment{e}, asOf)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lake.Read[restate.Restatement](t.Context(), h.warehouse, "select * from fact_decision_restatement order by as_of")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := restate.All(t.Context(), h.store, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(objects) || len(rows) > 0 && !cmp.Equal(rows, objects) {
		t.Errorf("fact_decision_restatement (-objects +rows):\n%s", cmp.Diff(objects, rows))
	}
	return fresh
}

func TestLateEventsThatFlipADecisionAreSaid(t *testing.T) {
	h := newHome(t)
	if fresh := h.decide(t, day(span)); len(fresh) != 1 || fresh[0].Verdict != decide.Ship || fresh[0].Bundle == "" {
		t.Fatalf("decides %+v, want to ship, and a bundle", fresh)
	}
	if fresh := h.restate(t, day(span+1)); len(fresh) != 0 {
		t.Fatalf("restates %+v without late events", fresh)
	}
	// What the app of control's users had kept comes in: they bought as much.
	for _, d := range []int{2, 3, 4, 5, 6, 7, 8, 9} {
		h.bought(t, d, 0.3, 0.3)
	}
	fresh := h.restate(t, day(span+1))
	if len(fresh) != 1 {
		t.Fatalf("restates %+v, want one", fresh)
	}
	got := fresh[0]
	if !got.Flipped || got.Verdict != decide.Ship || got.Would != decide.Running || len(got.Days) != 8 || got.Days[0] != "2026-01-07" ||
		!strings.Contains(got.Headline, "the decision of 2026-01-15 would have been: Checkout is running") {
		t.Errorf("restated %+v", got)
	}
	if len(got.Estimates) != 1 || !strings.HasPrefix(got.Estimates[0].Was, "+50.0 %") || !strings.HasPrefix(got.Estimates[0].Is, "+8.0 %") {
		t.Errorf("estimates %+v", got.Estimates)
	}
	for range 2 {
		if again := h.restate(t, day(span+2)); len(again) != 0 {
			t.Errorf("restates %+v on the same events", again)
		}
	}
	// And then those of the others, and the decision is what it was.
	for _, d := range []int{2, 3, 4, 5, 6, 7, 8, 9} {
		h.bought(t, d, 0.3, 0.45)
	}
	if fresh := h.restate(t, day(span+3)); len(fresh) != 1 || fresh[0].Flipped || fresh[0].Would != decide.Ship {
		t.Errorf("restates %+v, want what was decided", fresh)
	}
	// The decision itself is what was decided then.
	history, err := decide.History(t.Context(), h.store, "checkout")
	if err != nil || len(history) != 1 || history[0].Verdict != decide.Ship {
		t.Errorf("history %+v, %v", history, err)
	}
}

func TestEventsAfterADecisionRestateNothing(t *testing.T) {
	h := newHome(t)
	h.decide(t, day(span-1))
	h.bought(t, span-1, 0.9, 0.1) // the day after
	if fresh := h.restate(t, day(span)); len(fresh) != 0 {
		t.Errorf("restates %+v", fresh)
	}
	h.bought(t, 1, 0.9, 0.1)
	if fresh := h.restate(t, day(span+60)); len(fresh) != 0 {
		t.Errorf("restates after two months: %+v", fresh)
	}
}
