package metric_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/fault"
	"verdict/shared/metric"
)

func TestShippedMetrics(t *testing.T) {
	metrics, err := metric.Load(athenasql.Files, "metrics")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[metric.Kind]int{}
	for _, m := range metrics {
		kinds[m.Kind]++
	}
	for _, kind := range []metric.Kind{metric.Conversion, metric.Retention, metric.Mean, metric.Ratio} {
		if kinds[kind] == 0 {
			t.Errorf("no %s metric is shipped", kind)
		}
	}
	got, err := metric.Find(metrics, "average_order_value_d3")
	if err != nil {
		t.Fatal(err)
	}
	want := metric.Metric{
		Name: "average_order_value_d3", Label: "Average order value, 3 days", Kind: metric.Ratio, Increase: true, Format: "currency",
		Description: "Revenue per order among orders within three days of first exposure; the unit stays the user.",
		Window:      metric.Window{Length: 3, Unit: "day"},
		Numerator:   metric.Term{Aggregation: "sum", Expression: "value", Filter: "e.event_name = 'order_completed'"},
		Denominator: metric.Term{Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_completed'"},
		Governance:  metric.Governance{Owner: "checkout", Status: metric.Certified, Version: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const valid = `semantic_model:
  name: fact_event
  dimensions:
    - {name: event_name, type: categorical}
  measures:
    - {name: events, agg: count, expr: "1"}
---
metric:
  name: m
  type: simple
  type_params: {measure: events}
  filter: "{{ Dimension('entity__event_name') }} = 'x'"
  config:
    meta:
      experiment:
        kind: conversion
        window: {length: 3, unit: day}
        direction: increase
        format: percent
`

func TestLoadRefusesWithFileAndLine(t *testing.T) {
	cases := map[string]struct{ old, replacement, want string }{
		"unknown key":       {"format:", "fromat:", `m/m.yaml:19: unknown field "fromat"`},
		"unknown measure":   {"measure: events", "measure: orders", `m/m.yaml:11: there is no measure "orders"`},
		"unknown dimension": {"entity__event_name", "entity__color", `m/m.yaml:12: there is no dimension "color"`},
		"kind":              {"kind: conversion", "kind: funnel", `m/m.yaml:16: kind must be conversion, retention, mean or ratio, not "funnel"`},
		"ratio":             {"kind: conversion", "kind: ratio", `m/m.yaml:16: a metric of type simple cannot be of kind ratio`},
		"window":            {"length: 3", "length: 0", "m/m.yaml:17: window needs a length of at least 1 and no negative delay"},
		"retention":         {"kind: conversion", "kind: retention", "m/m.yaml:17: a retention window starts at least a day after exposure: give it a delay"},
		"direction":         {"direction: increase", "direction: up", `m/m.yaml:18: direction must be increase or decrease, not "up"`},
		"cap of a share":    {"direction: increase", "direction: increase\n        cap: 3", "m/m.yaml:19: a cap is a number above 0, for metrics of kind mean"},
		"status":            {"experiment:", "status: approved\n      experiment:", `m/m.yaml:15: status must be certified, draft or deprecated, not "approved"`},
		"version":           {"experiment:", "version: 0\n      experiment:", "m/m.yaml:15: a version is a whole number from 1"},
		"dimension":         {"type: categorical}", "type: categorical, expr: lower(event_name)}", `m/m.yaml:4: a dimension is a column, or json_extract_scalar(column, '$.field'), not "lower(event_name)"`},
		"name of dimension": {"name: event_name,", "name: event-name,", `m/m.yaml:4: a dimension is named by small letters, digits and _, not "event-name"`},
		"statement":         {"= 'x'", "= 'x'; drop table y", "m/m.yaml:12: a filter compares dimensions, as in {{ Dimension('entity__event_name') }} = 'order_completed'"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			source := strings.Replace(valid, c.old, c.replacement, 1)
			_, err := metric.Load(fstest.MapFS{"m/m.yaml": {Data: []byte(source)}}, "m")
			if !fault.Is(err, fault.Invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
