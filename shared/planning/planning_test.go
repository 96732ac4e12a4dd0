package planning_test

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"verdict/shared/dialect"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/measure/measuretest"
	"verdict/shared/metric"
	"verdict/shared/planning"
	"verdict/shared/register"
	"verdict/shared/table"
)

func day(n int) time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

const (
	daily = 200 // new people a day, of whom one in five buys once, the same day
	span  = 12  // days
)

// shop is a lake with such traffic. Half of the people are in the experiment "running", by turns in its arms.
func shop(t *testing.T) *planning.Planner {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	var users []measuretest.User
	var exposures []measuretest.Exposure
	for d := range span {
		var events []measuretest.Event
		for i := range daily {
			who := fmt.Sprintf("a:%d-%d", d, i)
			at := day(d).Add(time.Duration(i) * time.Minute)
			users = append(users, measuretest.User{Entity: who, Unit: who})
			events = append(events, measuretest.Event{Entity: who, Name: "page_viewed", At: at, Properties: "{}"})
			if i%5 == 0 {
				events = append(events, measuretest.Event{Entity: who, Name: "order_completed", At: at.Add(time.Minute), Value: 10, Properties: "{}"})
			}
			if i < daily/2 {
				arm := []string{"control", "treatment"}[i%2]
				exposures = append(exposures, measuretest.Exposure{Experiment: "running", Unit: who, Variant: arm, First: at, Day: at.Format(time.DateOnly)})
			}
		}
		events = append(events, measuretest.Event{Entity: fmt.Sprintf("a:bot%d", d), Name: "page_viewed", At: day(d), Bot: true, Properties: "{}"})
		publish(t, store, w, "fact_event", day(d).Format(time.DateOnly), events)
	}
	publish(t, store, w, "dim_user", "", users)
	publish(t, store, w, "fact_experiment_exposure", "", exposures)
	publish(t, store, w, "ledger_session", "", []measuretest.Session{})
	return &planning.Planner{Objects: store, Engine: w, Catalog: w, Evaluator: &evaluate.Evaluator{Engine: w, Catalog: w}}
}

func publish[T any](t *testing.T, store *directory.Store, catalog lake.Catalog, name, date string, rows []T) {
	t.Helper()
	place := table.Place{Table: name, Run: "run" + strconv.Itoa(len(rows)) + date}
	if date != "" {
		place.PartitionBy, place.Values = []string{"event_date"}, []string{date}
	}
	if err := table.Write(t.Context(), store, catalog, place, rows); err != nil {
		t.Fatal(err)
	}
}

func metrics() []metric.Metric {
	orders := metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_completed'"}
	return []metric.Metric{
		{Name: "bought", Label: "Bought", Kind: metric.Conversion, Numerator: orders, Window: metric.Window{Length: 2, Unit: "day"}, Increase: true, Format: "percent"},
		{Name: "orders", Label: "Orders", Kind: metric.Mean, Numerator: orders, Window: metric.Window{Length: 1, Unit: "day"}, Increase: true, Format: "number"},
	}
}

func planned(id string) *experiment.Experiment {
	return &experiment.Experiment{
		ID: id, Name: id, Flag: id, Control: "control", Variants: []experiment.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}},
		Traffic: 1, Start: experiment.Date{Time: day(0)}, PlannedDays: 21, PlannedUnits: 4000, Alpha: 0.05, MDE: 0.2, Mode: experiment.Auto,
		Metrics: []experiment.Metric{{Name: "bought", Role: experiment.Goal}, {Name: "orders", Role: experiment.Guardrail, Margin: 0.3}},
	}
}

func question(e *experiment.Experiment) planning.Question {
	return planning.Question{Experiment: e, Metrics: metrics(), Share: 1, Power: 0.8, Population: measure.Population{From: day(0), To: day(span)}}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Abs(want)) {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestPlanOfWhatHasNotStarted(t *testing.T) {
	p, e := shop(t), planned("new")
	got, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	if got.UnitsSeen != daily*span || got.ExpectedUnits != daily*21 {
		t.Errorf("%d units were seen and %d will come, want %d and %d", got.UnitsSeen, got.ExpectedUnits, daily*span, daily*21)
	}
	goal, guardrail := got.Metrics[0], got.Metrics[1]
	// Those of the last two days have not lived through the window.
	if goal.Units != daily*(span-2) || guardrail.Units != daily*(span-1) {
		t.Errorf("%d and %d units have complete windows", goal.Units, guardrail.Units)
	}
	near(t, "the mean", goal.Mean, 0.2, 1e-12)
	near(t, "the deviation", goal.Deviation, 0.4, 1e-12)
	// By hand: N = (z_final + z_.8)^2 s^2/m^2 (1.2^2/.5 + 1/.5) / .2^2, z_.8 = 0.8416212.
	z := evaluate.Rule(e).FinalZ
	want := (z + 0.8416212) * (z + 0.8416212) * 0.16 / 0.04 * (1.44/0.5 + 1/0.5) / 0.04
	near(t, "what it needs", *goal.Needed, want, 1e-3)
	near(t, "its days", *goal.Days, want/daily+2, 1e-3)
	if weeks := math.Ceil(*goal.Days / 7); *goal.Weeks != weeks {
		t.Errorf("%g weeks, want %g", *goal.Weeks, weeks)
	}
	// The effect that the planned end detects, put in place of the least of interest, has the wanted power there.
	e.MDE = *goal.Detectable
	if got, err = p.Plan(t.Context(), question(e)); err != nil {
		t.Fatal(err)
	}
	near(t, "the power for the detectable effect", got.Metrics[0].PowerAtEnd, 0.8, 1e-3)
	if goal.Expected == nil || *goal.Expected > 7**goal.Weeks+2 || *goal.Expected < 3 {
		t.Errorf("decided after %v days, planned are %g weeks", goal.Expected, *goal.Weeks)
	}
	if guardrail.Expected != nil || guardrail.Lift != 0.3 || guardrail.PowerAtEnd < 0.9 {
		t.Errorf("guardrail %+v", guardrail)
	}
}

func TestAPlanFollowsTraffic(t *testing.T) {
	p, e := shop(t), planned("new")
	whole, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	less := question(e)
	less.Share = 0.25
	quarter, err := p.Plan(t.Context(), less)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "what it needs", *quarter.Metrics[0].Needed, *whole.Metrics[0].Needed, 1e-9)
	near(t, "the days until they come", *quarter.Metrics[0].Days-2, 4*(*whole.Metrics[0].Days-2), 1e-6)
	if quarter.ExpectedUnits != whole.ExpectedUnits/4 || quarter.Metrics[0].PowerAtEnd >= whole.Metrics[0].PowerAtEnd {
		t.Errorf("a quarter of the traffic: %+v, of all %+v", quarter, whole)
	}
	like := question(e)
	like.Population.Like = "running"
	half, err := p.Plan(t.Context(), like)
	if err != nil || half.UnitsSeen != daily*span/2 {
		t.Errorf("%d units like those of the other, %v", half.UnitsSeen, err)
	}
	near(t, "their mean", half.Metrics[0].Mean, 0.2, 1e-12)
	like.Population.Like = "nowhere"
	if _, err := p.Plan(t.Context(), like); !fault.Is(err, fault.NotFound) {
		t.Errorf("without traffic: %v", err)
	}
}

// What is read here is read on Athena too.
func TestRehearsalsKeepToTheDialect(t *testing.T) {
	for _, like := range []string{"", "running"} {
		sql := measure.Population{Like: like, From: day(0), To: day(span)}.Query(planned("new"), metrics())
		if found := dialect.Check(sql); len(found) > 0 {
			t.Errorf("like %q: %+v", like, found)
		}
	}
}

func TestAPlanKnowsWhatItReads(t *testing.T) {
	p, e := shop(t), planned("new")
	got, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	size := func(prefix string) (sum int64) {
		files, err := p.Objects.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			sum += f.Size
		}
		return sum
	}
	events := size("warehouse/fact_event/")
	others := size("warehouse/dim_user/") + size("warehouse/fact_experiment_exposure/") + size("warehouse/ledger_session/")
	near(t, "a day of events", float64(got.Reading.Day), float64(events)/span, 0.01)
	near(t, "the last evaluation", float64(got.Reading.Last), float64(events)/span*21+float64(others), 0.01)
	near(t, "all of them", float64(got.Reading.Run), float64(events)/span*21*22/2+21*float64(others), 0.01)
}

func TestAChangeShowsBothReadouts(t *testing.T) {
	p, e := shop(t), planned("running")
	registered, err := register.New(e, metrics(), day(0))
	if err != nil {
		t.Fatal(err)
	}
	same, err := p.Change(t.Context(), registered, e, metrics(), day(span))
	if err != nil || len(same.Changes) != 0 || same.Before.Definition != same.After.Definition {
		t.Errorf("without a change: %+v, %v", same.Changes, err)
	}
	changed := *e
	changed.Metrics = []experiment.Metric{e.Metrics[0], {Name: "orders", Role: experiment.Guardrail, Margin: 0.9}}
	got, err := p.Change(t.Context(), registered, &changed, metrics(), day(span))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Changes) != 1 || got.Changes[0].Field != "metrics.orders.margin" {
		t.Errorf("changes %+v", got.Changes)
	}
	before, after := got.Before.Results, got.After.Results
	// In the arms are those with even and with odd numbers below 100: 10 of 50 buy in each, every day.
	if len(before) != 2 || before[0].Units != daily/2*(span-2) || before[0].Lift != 0 {
		t.Errorf("as registered %+v", before)
	}
	if before[1].Guardrail != "undetermined" || after[1].Guardrail != "non_inferior" || after[1].Lift != before[1].Lift {
		t.Errorf("the guardrail was %+v and is %+v", before[1], after[1])
	}
	if got.Before.Verdict == "" || got.After.Verdict == "" || len(got.After.Reasons) == 0 {
		t.Errorf("verdicts %q and %q", got.Before.Verdict, got.After.Verdict)
	}
	if kept, err := p.Objects.List(t.Context(), "warehouse/fact_experiment"); err != nil || len(kept) != 1 {
		t.Errorf("planning published %v, %v", kept, err)
	}
}
