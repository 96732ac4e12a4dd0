package pipeline_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/pipeline"
	"verdict/shared/spend"
)

// nobody has counted anything.
type nobody struct{}

func (nobody) Collected(context.Context, time.Time, time.Time) ([]ledger.Count, error) {
	return nil, nil
}

func reading(t *testing.T, p *pipeline.Pipeline, asOf time.Time, name string) monitor.Reading {
	t.Helper()
	all, err := p.Monitor(t.Context(), nobody{}, asOf)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r monitor.Reading) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("there is no reading %s", name)
	}
	return all[i]
}

func facts(t *testing.T, p *pipeline.Pipeline) int64 {
	t.Helper()
	type count struct {
		N int64 `lake:"n"`
	}
	n, err := lake.Read[count](t.Context(), p.Engine, "select count(*) as n from fact_event")
	if err != nil {
		t.Fatal(err)
	}
	return n[0].N
}

// Events for a day that is long over wait, counted, until somebody asks for the day.
func TestEventsForAnOldDayWait(t *testing.T) {
	p, store := open(t)
	muchLater := start().AddDate(0, 0, 60)
	model := func() {
		t.Helper()
		if err := p.Model(t.Context(), muchLater); err != nil {
			t.Fatal(err)
		}
	}
	late := func() []pipeline.LateDay {
		t.Helper()
		days, err := lake.Read[pipeline.LateDay](t.Context(), p.Engine, "select * from late_day")
		if err != nil {
			t.Fatal(err)
		}
		return days
	}
	land(t, p, store, 3)
	model()
	land(t, p, store, 5) // of whom three send again what they sent
	model()
	if days := late(); facts(t, p) != 6 || len(days) != 1 || days[0].Waiting != 4 || days[0].Day != "2026-01-05" {
		t.Fatalf("%d facts, late days %+v; want 6, and 4 waiting", facts(t, p), days)
	}
	if err := p.Resolve(t.Context(), muchLater); err != nil {
		t.Fatal(err)
	}
	if r := reading(t, p, muchLater, "late_waiting"); r.Value != 4 || !r.High() {
		t.Errorf("reading %+v, want 4, too high", r)
	}
	p.Select.Since = "2026-01-05"
	model()
	if days := late(); facts(t, p) != 10 || len(days) != 0 {
		t.Errorf("asked for: %d facts, late days %+v; want 10 and none", facts(t, p), days)
	}
}

// A budget that is used up ends the measuring of its experiment from the next day on; the last readout stands.
func TestABudgetBlocks(t *testing.T) {
	p, store := open(t)
	land(t, p, store, 10)
	i := slices.IndexFunc(p.Project.Experiments, func(e *experiment.Experiment) bool { return e.ID == "one_page_checkout" })
	limited := *p.Project.Experiments[i]
	limited.Segments, limited.Notes = []string{"country"}, "a bundle must do without these"
	limited.Budget = experiment.Budget{Gigabytes: 1e-9, Over: experiment.Block}
	p.Project.Experiments[i] = &limited
	var warned []string
	p.Warn = func(says string) { warned = append(warned, says) }
	runAll(t, p)
	if err := p.Measure(t.Context(), start().AddDate(0, 0, 8)); err != nil {
		t.Fatal(err)
	}
	if err := p.Evaluate(t.Context(), start().AddDate(0, 0, 8)); err != nil {
		t.Fatal(err)
	}
	type day struct {
		ID   string `lake:"experiment_id"`
		AsOf string `lake:"last"`
	}
	last, err := lake.Read[day](t.Context(), p.Engine, "select experiment_id, max(as_of) as last from fact_experiment_results where experiment_id in ('one_page_checkout', 'gift_wrap') group by experiment_id order by 1")
	if err != nil {
		t.Fatal(err)
	}
	if want := []day{{"gift_wrap", "2026-01-13"}, {"one_page_checkout", "2026-01-12"}}; !slices.Equal(last, want) {
		t.Errorf("last readouts %v, want %v", last, want)
	}
	if len(warned) == 0 {
		t.Error("nobody was warned")
	}
	if r := reading(t, p, start().AddDate(0, 0, 8), "budget_spent_share"); !r.High() || r.Of != "one_page_checkout" {
		t.Errorf("reading %+v, want it too high", r)
	}
	read, err := p.Book().Rows(t.Context())
	if err != nil || !slices.ContainsFunc(read, func(s spend.Scan) bool { return s.Name == "gift_wrap" && s.Read > 0 && !s.Billed }) {
		t.Errorf("book %+v, %v; want what gift_wrap read", read, err)
	}
}
