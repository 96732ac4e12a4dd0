package measure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

type assigned struct {
	Unit        string  `lake:"unit_id"`
	Variant     string  `lake:"variant"`
	Metric      string  `lake:"metric"`
	Value       float64 `lake:"value"`
	Denominator float64 `lake:"denominator"`
	Complete    bool    `lake:"is_complete"`
}

func TestGuardrailsPerAssignment(t *testing.T) {
	h := newHome(t)
	at := func(day, hour int) time.Time { return start().AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour) }
	exposed := func(entity, variant string, day int) event {
		return event{entity: entity, name: "experiment_exposed", at: at(day, 10), experiment: "x", variant: variant}
	}
	twelve, five := 12.0, 5.0
	events := []event{
		exposed("u:1", "control", 0), {entity: "a:1", name: "order_completed", at: at(0, 11), value: &twelve}, {entity: "u:1", name: "order_completed", at: at(1, 9), value: &five},
		{entity: "u:1", name: "order_completed", at: at(2, 11), value: &five}, // after the window
		exposed("u:2", "treatment", 1),
		exposed("u:3", "treatment", 2), {entity: "u:3", name: "order_completed", at: at(2, 11), value: &five}, // its window is open
		exposed("u:4", "control", 0), exposed("u:4", "treatment", 0),
	}
	h.land(t, events, map[string]string{"a:1": "u:1"})
	mean := metric.Metric{Name: "revenue", Kind: metric.Mean, Window: days(0, 1), Numerator: revenue()}
	ratio := metric.Metric{Name: "order_value", Kind: metric.Ratio, Window: days(0, 1), Numerator: revenue(), Denominator: orders()}
	goal := metric.Metric{Name: "orders", Kind: metric.Mean, Window: days(0, 1), Numerator: orders()}
	e := running("x", 7, goal, mean, ratio)
	e.Metrics[1].Role, e.Metrics[2].Role = experiment.Guardrail, experiment.Guardrail
	all := []metric.Metric{goal, mean, ratio}
	read := func() []assigned {
		got, err := lake.Read[assigned](t.Context(), h.warehouse, "select * from fact_experiment_guardrail where experiment_id = 'x' order by metric desc, unit_id")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	h.run(t, []*experiment.Experiment{e}, all, start().AddDate(0, 0, 3))
	want := []assigned{
		{"u:1", "control", "revenue", 17, 0, true}, {"u:2", "treatment", "revenue", 0, 0, true}, {"u:3", "treatment", "revenue", 5, 0, false},
		{"u:1", "control", "order_value", 17, 2, true}, {"u:2", "treatment", "order_value", 0, 0, true}, {"u:3", "treatment", "order_value", 5, 1, false},
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Error(diff)
	}
	if sql := measure.GuardrailQuery(e, all, start().AddDate(0, 0, 3)); strings.Count(sql, "fact_event") != 1 {
		t.Errorf("more than one scan:\n%s", sql)
	}

	locations := func() string {
		table, err := h.warehouse.Table(t.Context(), "fact_experiment_guardrail")
		if err != nil || len(table.Partitions) != 1 {
			t.Fatalf("%+v, %v", table, err)
		}
		return table.Partitions[0].Location
	}
	// An experiment that is over is not measured again, until a late event comes.
	h.run(t, []*experiment.Experiment{e}, all, start().AddDate(0, 0, 20))
	over := locations()
	h.run(t, []*experiment.Experiment{e}, all, start().AddDate(0, 0, 21))
	if again := locations(); again != over {
		t.Errorf("%s was made anew: %s", over, again)
	}
	h.land(t, append(events, event{entity: "u:2", name: "order_completed", at: at(1, 12), value: &five}), map[string]string{"a:1": "u:1"})
	h.run(t, []*experiment.Experiment{e}, all, start().AddDate(0, 0, 22))
	want[1].Value, want[2].Complete, want[4].Value, want[4].Denominator, want[5].Complete = 5, true, 5, 1, true
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("after a late event:\n%s", diff)
	}
}
