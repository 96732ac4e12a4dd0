package register_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
	"verdict/shared/register"
)

func on(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }

func defined() (*experiment.Experiment, []metric.Metric) {
	e := &experiment.Experiment{
		ID: "checkout", Name: "Checkout", Flag: "f", Unit: "user", Control: "a", Variants: []experiment.Variant{{Key: "a", Share: 0.5}, {Key: "b", Share: 0.5}},
		Traffic: 1, Start: experiment.Date{Time: on(5)}, PlannedDays: 14, MaximumDays: 28, PlannedUnits: 1000, Alpha: 0.05, MDE: 0.1, Mode: experiment.Auto,
		Metrics: []experiment.Metric{{Name: "sales", Role: experiment.Goal}, {Name: "returns", Role: experiment.Guardrail, Margin: 0.1}},
	}
	return e, []metric.Metric{
		{Name: "sales", Kind: metric.Conversion, Window: metric.Window{Length: 3, Unit: "day"}, Increase: true},
		{Name: "returns", Kind: metric.Retention, Window: metric.Window{Delay: 1, Length: 3, Unit: "day"}, Increase: true},
		{Name: "unused", Kind: metric.Mean},
	}
}

type rig struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	registrar *register.Registrar
	runs      int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{store: &directory.Store{Root: t.TempDir()}}
	var err error
	if r.warehouse, err = duck.Open(t.Context(), r.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.warehouse.Close() })
	r.registrar = &register.Registrar{Objects: r.store, Catalog: r.warehouse, NewRun: func() string { r.runs++; return strconv.Itoa(r.runs) }}
	return r
}

// run registers and reads what SQL then knows.
func (r *rig) run(t *testing.T, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) []register.Entry {
	t.Helper()
	if err := r.registrar.Run(t.Context(), []*experiment.Experiment{e}, metrics, asOf); err != nil {
		t.Fatal(err)
	}
	rows, err := lake.Read[register.Entry](t.Context(), r.warehouse, "select * from fact_experiment_registration order by as_of")
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestTheDefinitionAtTheStartIsRegisteredOnce(t *testing.T) {
	r := newRig(t)
	e, metrics := defined()
	if rows := r.run(t, e, metrics, on(4)); len(rows) != 0 {
		t.Errorf("registered before the start: %+v", rows)
	}
	e.Alpha = 0.01 // until the start it is a draft
	first := r.run(t, e, metrics, on(5))
	if len(first) != 1 || first[0].AsOf != "2026-01-05" || first[0].Definition != e.Hash() || first[0].DaysLate != 0 || len(first[0].Changes) != 0 {
		t.Fatalf("registered %+v", first)
	}
	runs := r.runs
	e.Notes = "the site was down on Friday"
	metrics[2].Kind = metric.Conversion // of a metric that it does not use
	e.Metrics[0], e.Metrics[1] = e.Metrics[1], e.Metrics[0]
	for _, asOf := range []time.Time{on(5), on(6), on(5)} {
		if diff := cmp.Diff(first, r.run(t, e, metrics, asOf)); diff != "" {
			t.Errorf("a repeated run changed it:\n%s", diff)
		}
	}
	if r.runs != runs {
		t.Error("an unchanged table was published again")
	}
	kept, err := register.History(t.Context(), r.store, "checkout")
	if err != nil || len(kept) != 1 || kept[0].Experiment.Alpha != 0.01 || !kept[0].Experiment.Start.Equal(on(5)) || len(kept[0].Metrics) != 2 || kept[0].Metrics[1].Window.Delay != 1 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func TestEveryLaterChangeIsListed(t *testing.T) {
	r := newRig(t)
	e, metrics := defined()
	r.run(t, e, metrics, on(5))
	e.Metrics[1].Margin, e.PlannedDays, e.Segments = 0.2, 21, []string{"country"}
	r.run(t, e, metrics, on(9))
	e.PlannedDays, metrics[0].Window.Length = 35, 7
	e.Metrics = append(e.Metrics, experiment.Metric{Name: "unused", Role: experiment.Secondary})
	rows := r.run(t, e, metrics, on(11))
	if len(rows) != 3 {
		t.Fatalf("rows %+v", rows)
	}
	got := map[string][]register.Change{}
	for _, row := range rows {
		got[row.AsOf] = row.Changes
	}
	want := map[string][]register.Change{
		"2026-01-05": {},
		"2026-01-09": {
			{Field: "metrics.returns.margin", From: "0.1", To: "0.2"},
			{Field: "planned_days", From: "14", To: "21", Foreseen: true},
			{Field: "segments.country", To: "country"},
		},
		"2026-01-11": {
			{Field: "definition of sales.window.length", From: "3", To: "7"},
			{Field: "definition of unused.kind", To: "mean"},
			{Field: "definition of unused.name", To: "unused"},
			{Field: "metrics.unused.metric", To: "unused"},
			{Field: "metrics.unused.role", To: "secondary"},
			{Field: "planned_days", From: "21", To: "35"}, // beyond the maximum of 28
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestALateRegistrationSaysSo(t *testing.T) {
	e, metrics := defined()
	if rows := newRig(t).run(t, e, metrics, on(15)); len(rows) != 1 || rows[0].DaysLate != 10 {
		t.Errorf("rows %+v, want one that is 10 days late", rows)
	}
}

// Two runs at once: who comes second takes what the first has registered.
func TestASecondWriterTakesTheFirstsWord(t *testing.T) {
	r := newRig(t)
	e, metrics := defined()
	other := *e
	other.Alpha = 0.01
	r.registrar.Objects = overtaken{r.store, func() {
		quiet := &register.Registrar{Objects: r.store, Catalog: r.warehouse, NewRun: r.registrar.NewRun}
		if err := quiet.Run(t.Context(), []*experiment.Experiment{&other}, metrics, on(5)); err != nil {
			t.Error(err)
		}
	}}
	if rows := r.run(t, e, metrics, on(5)); len(rows) != 1 || rows[0].Definition != other.Hash() {
		t.Errorf("rows %+v, want the first writer's", rows)
	}
}

func TestAnUnknownMetricIsNoRegistration(t *testing.T) {
	e, metrics := defined()
	if _, err := register.New(e, metrics[:1], on(5)); !fault.Is(err, fault.NotFound) {
		t.Errorf("error %v", err)
	}
}

// overtaken is a store in which somebody else writes just before.
type overtaken struct {
	*directory.Store
	first func()
}

func (o overtaken) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if mode == lake.Create {
		o.first()
	}
	return o.Store.Put(ctx, key, body, mode)
}
