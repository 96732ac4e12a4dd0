package metric_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/fault"
	"verdict/shared/metric"
	"verdict/shared/model"
)

func TestShippedMetrics(t *testing.T) {
	models, err := model.Load(athenasql.Files)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := metric.Load(athenasql.Files, "metrics", func(table string) (names []string) {
		for _, c := range models.ColumnsOf(table) {
			names = append(names, c.Name)
		}
		return names
	})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[metric.Kind]int{}
	for _, m := range metrics {
		kinds[m.Kind]++
	}
	for _, kind := range metric.Kinds() {
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
		Numerator:   metric.Term{Table: metric.Events(), Aggregation: "sum", Expression: "e.value", Filter: "e.event_name = 'order_completed'"},
		Denominator: metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_completed'"},
		Governance:  metric.Governance{Owner: "checkout", Status: metric.Certified, Version: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const valid = `semantic_model:
  name: fact_event
  defaults: {agg_time_dimension: event_ts}
  entities:
    - {name: entity, type: foreign, expr: entity_id}
  dimensions:
    - {name: event_ts, type: time}
    - {name: event_name, type: categorical}
    - {name: day, type: categorical, expr: "substr(event_date, 9)"}
  measures:
    - {name: events, agg: count, expr: "1"}
    - {name: net, agg: sum, expr: "case when event_name = 'order''s value' then -value else value * 1e0 end"}
---
metric:
  name: other
  type: simple
  type_params: {measure: net}
  filter: "{{ Dimension('entity__day') }} = '01' and {{ Dimension('entity__event_name') }} in ('x', 'value')"
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

func columns(table string) []string {
	if table != "fact_event" {
		return nil
	}
	return []string{"entity_id", "event_ts", "event_name", "event_date", "value", "seq", "context", "is_bot"}
}

func load(source string) ([]metric.Metric, error) {
	return metric.Load(fstest.MapFS{"m/m.yaml": {Data: []byte(source)}}, "m", columns)
}

// All that a definition can say, as Go has it.
func TestLoad(t *testing.T) {
	isX := metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'x'"}
	net := metric.Term{
		Table: metric.Events(), Aggregation: "sum", Expression: "case when e.event_name = 'order''s value' then -e.value else e.value * 1e0 end",
		Filter: "substr(e.event_date, 9) = '01' and e.event_name in ('x', 'value')",
	}
	three := metric.Window{Length: 3, Unit: "day"}
	for name, c := range map[string]struct {
		replace []string
		want    metric.Metric
	}{
		"conversion":    {nil, metric.Metric{Kind: metric.Conversion, Window: three, Numerator: isX}},
		"hours":         {[]string{"{length: 3, unit: day}", "{delay: 2, length: 30, unit: hour}"}, metric.Metric{Kind: metric.Conversion, Window: metric.Window{Delay: 2, Length: 30, Unit: "hour"}, Numerator: isX}},
		"calendar days": {[]string{"{length: 3, unit: day}", "{length: 3, unit: day, time_zone: Europe/Berlin}"}, metric.Metric{Kind: metric.Conversion, Window: metric.Window{Length: 3, Unit: "day", TimeZone: "Europe/Berlin"}, Numerator: isX}},
		"lookback":      {[]string{"{length: 3, unit: day}", "{lookback: 7, unit: day}"}, metric.Metric{Kind: metric.Conversion, Window: metric.Window{Lookback: 7, Unit: "day"}, Numerator: isX}},
		"incomplete":    {[]string{"direction:", "incomplete: include\n        direction:"}, metric.Metric{Kind: metric.Conversion, Window: three, Numerator: isX, Incomplete: true}},
		"covariate":     {[]string{"direction:", "cuped: {days: 14}\n        direction:"}, metric.Metric{Kind: metric.Conversion, Window: three, Numerator: isX, Covariate: 14}},
		"mean with all": {[]string{"kind: conversion", "kind: mean\n        cap: 9.5\n        attribution: last_touch"}, metric.Metric{Kind: metric.Mean, Window: three, Numerator: isX, Cap: 9.5, Touch: metric.LastTouch}},
		"cap quantile":  {[]string{"kind: conversion", "kind: mean\n        cap_quantile: 0.99\n        attribution: all"}, metric.Metric{Kind: metric.Mean, Window: three, Numerator: isX, CapQuantile: 0.99}},
		"quantile":      {[]string{"kind: conversion", "kind: quantile\n        quantile: {level: 0.9, of: unit}"}, metric.Metric{Kind: metric.Quantile, Window: three, Numerator: isX, Level: 0.9}},
		"of events": {
			[]string{"kind: conversion", "kind: quantile\n        quantile: {level: 0.9, of: event}", "{measure: events}\n  filter: \"{{ Dimension('entity__event_name') }} = 'x'\"", "{measure: net}"},
			metric.Metric{Kind: metric.Quantile, Window: three, Numerator: metric.Term{Table: net.Table, Aggregation: net.Aggregation, Expression: net.Expression}, Level: 0.9, OfEvents: true},
		},
		"time to event": {[]string{"kind: conversion", "kind: time_to_event"}, metric.Metric{Kind: metric.TimeToEvent, Window: three, Numerator: isX}},
		"ratio": {
			[]string{"kind: conversion", "kind: ratio", "name: m\n  type: simple\n  type_params: {measure: events}", "name: m\n  type: ratio\n  type_params: {numerator: other, denominator: other}"},
			metric.Metric{Kind: metric.Ratio, Window: three, Numerator: net, Denominator: net},
		},
		"funnel": {
			[]string{"kind: conversion", "kind: funnel\n        funnel:\n          - {metric: other}\n          - {metric: m, within: {length: 2, unit: minute}}"},
			metric.Metric{Kind: metric.Funnel, Window: three, Numerator: metric.Term{Table: metric.Events()}, Steps: []metric.Step{{Filter: net.Filter}, {Filter: isX.Filter, Within: 120_000}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Name, c.want.Increase, c.want.Format = "m", true, "percent"
			c.want.Governance = metric.Governance{Status: metric.Certified, Version: 1}
			got, err := load(strings.NewReplacer(c.replace...).Replace(valid))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]metric.Metric{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadRefusesWithFileAndLine(t *testing.T) {
	const metricFilter = "a filter compares dimensions, as in {{ Dimension('entity__event_name') }} = 'order_completed'"
	add := func(line string) (old, replacement string) {
		return "direction: increase", line + "\n        direction: increase"
	}
	type change struct{ old, replacement, want string }
	with := func(line, want string) change {
		old, replacement := add(line)
		return change{old, replacement, "m/m.yaml:30: " + want}
	}
	cases := map[string]change{
		"unknown key":        {"format:", "fromat:", `m/m.yaml:31: unknown field "fromat"`},
		"unknown measure":    {"measure: events", "measure: orders", `m/m.yaml:23: there is no measure "orders"`},
		"unknown dimension":  {"_name') }} = 'x'", "_color') }} = 'x'", `m/m.yaml:24: there is no dimension "event_color": ` + metricFilter},
		"status":             {"experiment:", "status: approved\n      experiment:", `m/m.yaml:27: status must be certified, draft or deprecated, not "approved"`},
		"version":            {"experiment:", "version: 0\n      experiment:", "m/m.yaml:27: a version is a whole number from 1"},
		"name of dimension":  {"name: event_name,", "name: event-name,", `m/m.yaml:8: a dimension is named by small letters, digits and _, not "event-name"`},
		"kind":               {"kind: conversion", "kind: share", `m/m.yaml:28: kind must be conversion, retention, mean, ratio, funnel, quantile or time_to_event, not "share"`},
		"ratio":              {"kind: conversion", "kind: ratio", `m/m.yaml:28: a metric of type simple cannot be of kind ratio`},
		"window":             {"length: 3", "length: 0", "m/m.yaml:29: window needs a length of at least 1 and no negative delay"},
		"unit of a window":   {"unit: day", "unit: week", `m/m.yaml:29: the unit of a window is day or hour, not "week"`},
		"zone of hours":      {"unit: day", "unit: hour, time_zone: Europe/Berlin", "m/m.yaml:29: a time zone makes the days of a window calendar days; its unit must be day"},
		"zone":               {"unit: day", "unit: day, time_zone: Berlin", `m/m.yaml:29: there is no time zone "Berlin"; want a name such as Europe/Berlin`},
		"lookback":           {"length: 3", "length: 3, lookback: 3", "m/m.yaml:29: a lookback is a number of days, and stands without delay, length and time zone"},
		"retention":          {"kind: conversion", "kind: retention", "m/m.yaml:29: a retention window starts at least a day after exposure: give it a delay"},
		"direction":          {"direction: increase", "direction: up", `m/m.yaml:30: direction must be increase or decrease, not "up"`},
		"cap of a share":     with("cap: 3", "a cap is a number above 0, for metrics of kind mean"),
		"quantile of cap":    with("cap_quantile: 99.9", "cap_quantile lies between 0 and 1 (0.999), for metrics of kind mean that have no cap"),
		"attribution":        with("attribution: first", `attribution must be all, first_touch or last_touch, not "first"`),
		"touch of a share":   with("attribution: first_touch", "the first or last touch is of metrics of kind mean or ratio"),
		"cuped":              with("cuped: {days: 0}", "cuped needs a number of days, and a metric of kind conversion, retention, mean or ratio without cap_quantile"),
		"quantile of a mean": with("quantile: {level: 0.5, of: unit}", "a metric of kind quantile has a quantile, and no other has"),
		"funnel of a mean":   with("funnel: [{metric: other}]", "a metric of kind funnel has a funnel, and no other has"),
		"incomplete":         with("incomplete: maybe", `units whose window is not complete yet are left out (exclude) or in (include), not "maybe"`),
		"statement":          {"= 'x'\"", "= 'x'; drop table y\"", `m/m.yaml:24: " = 'x'; drop table y" is no expression: ` + metricFilter},
		"column in filter":   {"= 'x'\"", "= value\"", `m/m.yaml:24: there is no column "value": ` + metricFilter},
		"subquery":           {"= 'x'\"", "in (select(1))\"", `m/m.yaml:24: there is no column "select": ` + metricFilter},
		"dialect":            {"value * 1e0", "value::double", `m/m.yaml:12: measure net: "::" is not in the dialect (athena-sql/README.md): write cast(x as type): Trino has no ::`},
		"column":             {"value * 1e0", "amount", `m/m.yaml:12: measure net: there is no column "amount"`},
		"aggregation":        {"agg: sum", "agg: median", `m/m.yaml:12: measure net: agg must be sum, count, count_distinct or max, not "median"`},
		"table":              {"name: fact_event", "name: fact_order", `m/m.yaml:2: there is no table "fact_order"`},
		"time":               {"- {name: event_ts, type: time}", "- {name: event_ts, type: time, expr: ts}", `m/m.yaml:3: want an agg_time_dimension that is one of the dimensions, and a column`},
		"entity":             {"expr: entity_id", "expr: user", `m/m.yaml:5: want an entity with the name entity whose expr is the column of the id (u:... or a:...)`},
		"one step":           {"kind: conversion", "kind: funnel\n        funnel: [{metric: other}]", "m/m.yaml:29: a funnel has at least two steps"},
		"same step":          {"kind: conversion", "kind: funnel\n        funnel: [{metric: other}, {metric: other}]", "m/m.yaml:29: each step of a funnel needs a filter of its own, so that no event is two steps"},
		"first within":       {"kind: conversion", "kind: funnel\n        funnel: [{metric: m, within: {length: 1, unit: day}}, {metric: other}]", "m/m.yaml:29: within is a length in minute, hour or day after the step before; the first step has none"},
		"unknown step":       {"kind: conversion", "kind: funnel\n        funnel: [{metric: m}, {metric: none}]", `m/m.yaml:29: want the name of a simple metric, not "none"`},
		"level":              {"kind: conversion", "kind: quantile\n        quantile: {level: 90, of: unit}", "m/m.yaml:29: the level of a quantile lies between 0 and 1: 0.5 is the median"},
		"of what":            {"kind: conversion", "kind: quantile\n        quantile: {level: 0.9, of: session}", `m/m.yaml:29: a quantile is of unit or event, not "session"`},
		"quantile of counts": {"kind: conversion", "kind: quantile\n        quantile: {level: 0.9, of: event}", "m/m.yaml:23: a quantile of events is of the column of a sum"},
		"delay of a time":    {"kind: conversion\n        window: {", "kind: time_to_event\n        window: {delay: 1, ", "m/m.yaml:29: time to an event starts at exposure and ends with a length: no delay, lookback or time zone"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(valid, c.old) {
				t.Fatalf("the definition has no %q", c.old)
			}
			_, err := load(strings.Replace(valid, c.old, c.replacement, 1))
			if !fault.Is(err, fault.Invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
