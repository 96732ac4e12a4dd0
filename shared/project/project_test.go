package project_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"verdict/shared/fault"
	"verdict/shared/project"
)

const metrics = `semantic_model:
  name: fact_event
  node_relation: {schema_name: verdict, alias: fact_event}
  defaults: {agg_time_dimension: event_ts}
  entities:
    - {name: entity, type: foreign, expr: entity_id}
  measures:
    - {name: events, agg: count, expr: "1"}
---
metric:
  name: any_event
  label: Any event
  type: simple
  type_params: {measure: events}
  config:
    meta:
      experiment: {kind: conversion, window: {length: 1, unit: day}, direction: increase, format: percent}
`

const trial = `id: trial
name: Trial
hypothesis: It helps.
owner: us
flag: trial
unit: user
control: a
variants: [{key: a, share: 0.5}, {key: b, share: 0.5}]
traffic: 1
start: 2026-01-05
planned_days: 7
minimum_days: 7
planned_units: 100
alpha: 0.05
minimum_detectable_effect: 0.1
mode: observe
metrics: [{metric: any_event, role: goal}]
`

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestAFolderReplacesTheParts(t *testing.T) {
	builtIn, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if len(builtIn.Experiments) == 0 || len(builtIn.Metrics) == 0 || len(builtIn.Models.Models) == 0 || len(builtIn.Plan.Events) == 0 {
		t.Fatalf("the built-in project is not whole: %+v", builtIn)
	}
	p, err := project.Load(fstest.MapFS{"athena-sql/metrics/m.yaml": file(metrics), "events/experiments/trial.yaml": file(trial)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Experiments) != 1 || p.Experiments[0].ID != "trial" || len(p.Metrics) != 1 {
		t.Errorf("experiments %v, metrics %v: want those of the folder alone", p.Experiments, p.Metrics)
	}
	if len(p.Models.Models) != len(builtIn.Models.Models) || len(p.Plan.Events) != len(builtIn.Plan.Events) {
		t.Error("the parts that the folder does not have are not the built-in ones")
	}
}

func TestABrokenPartIsNamedByItsPath(t *testing.T) {
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"experiment on a metric of the built-in project that was replaced": {
			fstest.MapFS{"athena-sql/metrics/m.yaml": file(metrics)}, "events/experiments/",
		},
		"experiment": {
			fstest.MapFS{"athena-sql/metrics/m.yaml": file(metrics), "events/experiments/trial.yaml": file(strings.Replace(trial, "control: a", "control: c", 1))},
			`events/experiments/trial.yaml:7: control "c" is none of the variants`,
		},
		"metric":        {fstest.MapFS{"athena-sql/metrics/m.yaml": file(strings.Replace(metrics, "kind: conversion", "kind: magic", 1))}, "athena-sql/metrics/m.yaml:"},
		"tracking plan": {fstest.MapFS{"events/plan.yaml": file("events:\n  - {name: x}\n"), "events/schemas/event-1-0-0.json": file("{}")}, "events/plan.yaml:2: "},
		"model":         {fstest.MapFS{"athena-sql/models/m.sql": file("select 1 as one")}, "athena-sql/models/m"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := project.Load(c.files)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v (%s), want %s…", err, fault.Of(err), c.want)
			}
		})
	}
}

// What may not decide an experiment may still be reported by it.
func TestUnfitMetricsDecideNothing(t *testing.T) {
	draft := strings.Replace(metrics, "    meta:\n", "    meta:\n      status: draft\n", 1)
	deprecated := strings.Replace(metrics, "    meta:\n", "    meta:\n      status: deprecated\n", 1)
	personal := strings.Replace(metrics, "  measures:", `  dimensions:
    - {name: event_name, type: categorical}
    - {name: reason, type: categorical, expr: "json_extract_scalar(properties, '$.reason')"}
  measures:`, 1)
	personal = strings.Replace(personal, "  config:", `  filter: "{{ Dimension('entity__event_name') }} = 'order_refunded' and {{ Dimension('entity__reason') }} = 'broken'"
  config:`, 1)
	const at = "events/experiments/trial.yaml:17: any_event cannot be a "
	_, second, _ := strings.Cut(metrics, "---")
	other := "---" + strings.ReplaceAll(second, "any_event", "other")
	for name, c := range map[string]struct{ metrics, roles, want string }{
		"draft goal":       {draft, "{metric: any_event, role: goal}", at + "goal: its status is draft"},
		"draft guardrail":  {draft, "{metric: other, role: goal}, {metric: any_event, role: guardrail, margin: 0.1}", at + "guardrail: its status is draft"},
		"draft, reported":  {draft, "{metric: other, role: goal}, {metric: any_event, role: secondary}", ""},
		"deprecated goal":  {deprecated, "{metric: any_event, role: goal}", ""},
		"personal goal":    {personal, "{metric: any_event, role: goal}", at + "goal: it reads reason of order_refunded, which the tracking plan calls personal"},
		"personal, shown":  {personal, "{metric: other, role: goal}, {metric: any_event, role: secondary}", ""},
		"neither of these": {metrics, "{metric: any_event, role: goal}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := project.Load(fstest.MapFS{
				"athena-sql/metrics/m.yaml":     file(c.metrics + other),
				"events/experiments/trial.yaml": file(strings.Replace(trial, "{metric: any_event, role: goal}", c.roles, 1)),
			})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (!fault.Is(err, fault.Invalid) || err.Error() != c.want):
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
