package export_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"verdict/shared/dialect"
	"verdict/shared/experiment"
	"verdict/shared/export"
	"verdict/shared/metric"
	"verdict/shared/project"
)

const head = `semantic_model:
  name: fact_event
  node_relation: {schema_name: verdict, alias: fact_event}
  defaults: {agg_time_dimension: event_ts}
  entities:
    - {name: entity, type: foreign, expr: entity_id}
  dimensions:
    - {name: event_ts, type: time, type_params: {time_granularity: second}}
    - {name: event_name, type: categorical}
  measures:
    - {name: events, agg: count, expr: "1"}
    - {name: valued, agg: count, expr: value}
    - {name: amount, description: Money., agg: sum, expr: value}
    - {name: largest, agg: max, expr: value}
    - {name: days, agg: count_distinct, expr: event_date}
---
metric: {name: orders, label: Orders, type: simple, type_params: {measure: events}, filter: "{{ Dimension('entity__event_name') }} = 'order'"}
---
metric: {name: views, label: Views, type: simple, type_params: {measure: events}, filter: "{{ Dimension('entity__event_name') }} in ('view', 'glance')"}
---
metric: {name: revenue, type: simple, type_params: {measure: amount}, filter: "{{ Dimension('entity__event_name') }} = 'order'"}
---
metric: {name: peak, type: simple, type_params: {measure: largest}}
---
`

// subject is one metric that experiments use, of a measure or (measure empty) of revenue over orders.
func subject(measure, experiment string) string {
	kind := "type: simple\n  type_params: {measure: " + measure + "}\n  filter: \"{{ Dimension('entity__event_name') }} = 'order'\""
	if measure == "" {
		kind = "type: ratio\n  type_params: {numerator: revenue, denominator: orders}"
	}
	if measure == "peak" {
		kind = "type: ratio\n  type_params: {numerator: revenue, denominator: peak}"
	}
	return head + "metric:\n  name: subject\n  label: Subject\n  " + kind + "\n  config: {meta: {owner: us, version: 2, experiment: {direction: increase, format: percent, " + experiment + "}}}\n"
}

func columns(string) []string {
	return []string{"event_id", "entity_id", "event_ts", "event_name", "event_date", "value", "properties", "is_bot"}
}

func layer(t *testing.T, source string) *metric.Layer {
	t.Helper()
	l, err := metric.LoadLayer(fstest.MapFS{"m/m.yaml": {Data: []byte(source)}}, "m", columns)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func builtIn(t *testing.T) *project.Project {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// exports are those of one layer, by format.
func exports(t *testing.T, l *metric.Layer, experiments []*experiment.Experiment) map[string]export.Export {
	t.Helper()
	out := map[string]export.Export{}
	add := func(name string, e export.Export, err error) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = e
	}
	e, err := export.MetricFlow(l)
	add("metricflow", e, err)
	e, err = export.Eppo(l, experiments, "User")
	add("eppo", e, err)
	e, err = export.GrowthBook(l, "ds_1")
	add("growthbook", e, err)
	return out
}

// leftOut says why a metric is not in an export; empty: it is.
func leftOut(e export.Export, name string) string {
	for _, n := range e.Notes {
		if n.Metric == name && n.Left {
			return n.Because
		}
	}
	return ""
}

// Every kind of metric is either said, with all that makes its number, or left out with the reason.
func TestEveryKindIsSaidOrLeftOut(t *testing.T) {
	const day3 = "window: {length: 3, unit: day}"
	for name, c := range map[string]struct {
		measure, experiment string
		eppo, growthbook    []string // what the metric says there; a word that starts with ! is why it is left out
	}{
		"conversion": {
			"events", "kind: conversion, " + day3,
			[]string{"fact_name: rows of fact_event where event_name = 'order'", "operation: distinct_entity", "start_value: 0", "end_value: 3", "unit: days", "enable_aging_subject_filter: true", "desired_change: increase"},
			[]string{`"metricType":"proportion"`, `"type":"conversion","windowValue":3,"windowUnit":"days"`, `"rowFilters":[{"operator":"sql_expr","values":["event_name = 'order'"]}]`, `"inverse":false`},
		},
		"incomplete units": {"events", "kind: conversion, incomplete: include, " + day3, []string{"enable_aging_subject_filter: false"}, []string{`"proportion"`}},
		"hours":            {"events", "kind: conversion, window: {length: 12, unit: hour}", []string{"end_value: 12", "unit: hours"}, []string{`"windowValue":12,"windowUnit":"hours"`}},
		"retention": {
			"events", "kind: retention, window: {delay: 1, length: 3, unit: day}",
			[]string{"operation: distinct_entity", "start_value: 1", "end_value: 4"},
			[]string{`"metricType":"retention"`, `"windowSettings":{"type":"conversion","delayValue":1,"delayUnit":"days","windowValue":3,"windowUnit":"days"}`},
		},
		"sum":            {"amount", "kind: mean, " + day3, []string{"fact_name: amount of fact_event where event_name = 'order'", "operation: sum"}, []string{`"metricType":"mean"`, `"column":"amount","aggregation":"sum"`}},
		"count":          {"events", "kind: mean, " + day3, []string{"operation: count\n"}, []string{`"column":"$$count"`}},
		"count of some":  {"valued", "kind: mean, " + day3, []string{"fact_name: rows of fact_event where (event_name = 'order') and valued is not null"}, []string{`{"operator":"not_null","column":"valued"}`}},
		"count distinct": {"days", "kind: mean, " + day3, []string{"operation: count_distinct"}, []string{`"aggregation":"count distinct"`}},
		"maximum":        {"largest", "kind: mean, " + day3, []string{"!maximum"}, []string{`"aggregation":"max"`}},
		"cap":            {"amount", "kind: mean, cap: 500, " + day3, []string{"winsor_upper_fixed_value: 500"}, []string{`"cappingSettings":{"type":"absolute","value":500}`}},
		"quantile cap":   {"amount", "kind: mean, cap_quantile: 0.99, " + day3, []string{"winsorization_upper_percentile: 0.99"}, []string{`"cappingSettings":{"type":"percentile","value":0.99}`}},
		"cuped":          {"amount", "kind: mean, cuped: {days: 14}, " + day3, []string{"operation: sum"}, []string{`"regressionAdjustmentSettings":{"override":true,"enabled":true,"days":14}`}},
		"first touch":    {"amount", "kind: mean, attribution: first_touch, " + day3, []string{"operation: first_value"}, []string{"!touch"}},
		"last touch":     {"amount", "kind: mean, attribution: last_touch, " + day3, []string{"operation: last_value"}, []string{"!touch"}},
		"touch, counted": {"events", "kind: mean, attribution: last_touch, " + day3, []string{"!of a column"}, []string{"!touch"}},
		"ratio": {
			"", "kind: ratio, " + day3,
			[]string{"type: ratio", "denominator:", "fact_name: rows of fact_event where event_name = 'order'"},
			[]string{`"metricType":"ratio"`, `"denominator":{"factTableId":"fact_event","column":"$$count"`, `"displayAsPercentage":true`},
		},
		"ratio to a maximum":  {"peak", "kind: ratio, " + day3, []string{"!maximum"}, []string{"!denominators"}},
		"funnel":              {"events", "kind: funnel, funnel: [{metric: views}, {metric: orders, within: {length: 1, unit: hour}}], " + day3, []string{"!funnels"}, []string{`"metricType":"funnel"`, `{"name":"Views","factTableId":"fact_event","rowFilters":[{"operator":"sql_expr","values":["event_name in ('view', 'glance')"]}]}`, `"conversionWindow":{"unit":"minutes","value":60}`}},
		"quantile of events":  {"amount", "kind: quantile, quantile: {level: 0.9, of: event}, " + day3, []string{"!window"}, []string{`"quantileSettings":{"type":"event","ignoreZeros":false,"quantile":0.9}`}},
		"quantile of units":   {"amount", "kind: quantile, quantile: {level: 0.5, of: unit}, " + day3, []string{"!of units"}, []string{`"type":"unit"`}},
		"a fine quantile":     {"amount", "kind: quantile, quantile: {level: 0.9999, of: unit}, " + day3, []string{"!of units"}, []string{"!thousandths"}},
		"time to an event":    {"events", "kind: time_to_event, " + day3, []string{"!time to an event"}, []string{"!time to an event"}},
		"lookback":            {"events", "kind: conversion, window: {lookback: 7, unit: day}", []string{"!ends at the look"}, []string{`"windowSettings":{"type":"lookback","windowValue":7,"windowUnit":"days"}`}},
		"days of a time zone": {"events", "kind: conversion, window: {length: 3, unit: day, time_zone: Europe/Berlin}", []string{"!Europe/Berlin"}, []string{"!calendar days"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := exports(t, layer(t, subject(c.measure, c.experiment)), nil)
			for format, wants := range map[string][]string{"eppo": c.eppo, "growthbook": c.growthbook} {
				text := string(all[format].Text)
				if format == "growthbook" {
					var compact bytes.Buffer
					if err := json.Compact(&compact, all[format].Text); err != nil {
						t.Fatal(err)
					}
					text = compact.String()
				}
				for _, want := range wants {
					if reason, ok := strings.CutPrefix(want, "!"); ok {
						if got := leftOut(all[format], "subject"); !strings.Contains(got, reason) {
							t.Errorf("%s: left out because %q, want %q", format, got, reason)
						}
						if strings.Contains(text, "Subject") {
							t.Errorf("%s says what it leaves out", format)
						}
					} else if !strings.Contains(text, want) || leftOut(all[format], "subject") != "" {
						t.Errorf("%s does not say %s:\n%s", format, want, text)
					}
				}
			}
		})
	}
}

// What MetricFlow computes is the measure; where that is not what the metric means, it is not there, or says so.
func TestMetricFlowKeepsItsWord(t *testing.T) {
	const day3 = "window: {length: 3, unit: day}"
	for name, c := range map[string]struct{ measure, experiment, want string }{
		"funnel":           {"events", "kind: funnel, funnel: [{metric: views}, {metric: orders}], " + day3, "!funnel is of units"},
		"quantile":         {"amount", "kind: quantile, quantile: {level: 0.5, of: unit}, " + day3, "!percentiles"},
		"time to an event": {"events", "kind: time_to_event, " + day3, "!time between events"},
		"conversion":       {"events", "kind: conversion, " + day3, "By calendar period, of everybody: the measure events. In experiments: share of units with a matching event, from 0 to 3 days after first exposure."},
		"ratio":            {"", "kind: ratio, " + day3, "By calendar period, of everybody: revenue over orders. In experiments: ratio of two totals over units, from 0 to 3 days after first exposure."},
	} {
		t.Run(name, func(t *testing.T) {
			e := exports(t, layer(t, subject(c.measure, c.experiment)), nil)["metricflow"]
			if reason, ok := strings.CutPrefix(c.want, "!"); ok {
				if got := leftOut(e, "subject"); !strings.Contains(got, reason) || strings.Contains(string(e.Text), "name: subject") {
					t.Errorf("left out because %q, want %q:\n%s", got, reason, e.Text)
				}
				return
			}
			if !strings.Contains(string(e.Text), c.want) {
				t.Errorf("it does not say %q:\n%s", c.want, e.Text)
			}
		})
	}
}

func TestMetricFlowNamesDimensionsAfterThePrimaryEntity(t *testing.T) {
	text := string(exports(t, layer(t, head[:len(head)-len("---\n")]), nil)["metricflow"].Text)
	for _, want := range []string{
		"primary_entity: fact_event",
		"filter: not {{ Dimension('fact_event__is_bot') }} and ({{ Dimension('fact_event__event_name') }} in ('view', 'glance'))",
		"- name: is_bot",
	} {
		if !strings.Contains(strings.ReplaceAll(text, `"`, ""), want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}

func TestGuardrailsInEppo(t *testing.T) {
	l := layer(t, subject("amount", "kind: mean, window: {length: 3, unit: day}"))
	use := func(role experiment.Role, margin float64) *experiment.Experiment {
		return &experiment.Experiment{Metrics: []experiment.Metric{{Name: "subject", Role: role, Margin: margin}}}
	}
	for name, c := range map[string]struct {
		experiments []*experiment.Experiment
		want, not   string
	}{
		"nowhere":          {nil, "name: Subject", "is_guardrail"},
		"everywhere":       {[]*experiment.Experiment{use(experiment.Guardrail, 0.1), use(experiment.Guardrail, 0.05)}, "guardrail_cutoff: -0.05", "says nothing"},
		"somewhere a goal": {[]*experiment.Experiment{use(experiment.Guardrail, 0.1), use(experiment.Goal, 0)}, "says nothing", "is_guardrail"},
	} {
		t.Run(name, func(t *testing.T) {
			text := string(exports(t, l, c.experiments)["eppo"].Text)
			if !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
				t.Errorf("want %q and no %q:\n%s", c.want, c.not, text)
			}
		})
	}
}

// Notes stand in the file, too, where the format has comments.
func TestNotesStandInTheFile(t *testing.T) {
	all := exports(t, builtIn(t).Layer, builtIn(t).Experiments)
	for _, format := range []string{"metricflow", "eppo"} {
		for _, n := range all[format].Notes {
			if !strings.Contains(string(all[format].Text), "#   "+n.String()+"\n") {
				t.Errorf("%s does not say: %s", format, n)
			}
		}
	}
	for format, e := range all {
		if again := exports(t, builtIn(t).Layer, builtIn(t).Experiments)[format]; !bytes.Equal(e.Text, again.Text) {
			t.Errorf("%s is not the same twice", format)
		}
	}
}

// The SQL in an export is read by Athena.
func TestSQLIsInTheDialect(t *testing.T) {
	var body struct {
		FactTables []struct{ Data struct{ SQL string } }
	}
	if err := json.Unmarshal(exports(t, builtIn(t).Layer, nil)["growthbook"].Text, &body); err != nil {
		t.Fatal(err)
	}
	for _, table := range body.FactTables {
		if found := dialect.Check(table.Data.SQL); found != nil || !strings.Contains(table.Data.SQL, "dim_user") {
			t.Errorf("%v in\n%s", found, table.Data.SQL)
		}
	}
}

func TestExportsPassTheirSchemas(t *testing.T) {
	folder := "../../../shared/data/semantic/schemas"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("skipped: the published schemas are not beside this checkout (../shared)")
	}
	p := builtIn(t)
	all := exports(t, p.Layer, p.Experiments)
	for format, name := range map[string]string{"metricflow": "metricflow_default_explicit_schema.json", "eppo": "eppo_metric_schema.json"} {
		t.Run(format, func(t *testing.T) {
			schema := compile(t, filepath.Join(folder, name))
			docs := documents(t, all[format].Text)
			if n := map[string]int{"metricflow": 11, "eppo": 1}[format]; len(docs) != n {
				t.Errorf("%d documents, want %d", len(docs), n)
			}
			for _, d := range docs {
				if err := schema.Validate(d); err != nil {
					t.Errorf("%v in %v", err, d)
				}
			}
			// A schema that takes anything would pass all of this.
			broken := bytes.Replace(all[format].Text, []byte("type: simple"), []byte("type: simpel"), 1)
			if !slices.ContainsFunc(documents(t, broken), func(d any) bool { return schema.Validate(d) != nil }) {
				t.Error("the schema takes what is broken")
			}
		})
	}
}

// documents are those of a YAML file as JSON would give them.
func documents(t *testing.T, text []byte) []any {
	t.Helper()
	var out []any
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		if strings.Trim(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(part, ""), "\n") == "" {
			continue
		}
		asJSON, err := yaml.YAMLToJSON([]byte(part))
		if err != nil {
			t.Fatal(err)
		}
		d, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// compile reads a schema. MetricFlow's has nested $ids, which rebase its references to nowhere, and looks ahead in its
// patterns, which Go's expressions do not.
func compile(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		rest, ahead := strings.CutPrefix(pattern, "(?!.*__)")
		plain, err := regexp.Compile(rest)
		return lookahead{plain, ahead}, err
	})
	if err := c.AddResource("schema.json", withoutID(doc)); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

type lookahead struct {
	*regexp.Regexp
	single bool // no two underscores
}

func (l lookahead) MatchString(s string) bool {
	return l.Regexp.MatchString(s) && (!l.single || !strings.Contains(s, "__"))
}

func withoutID(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["$id"].(string); ok {
			delete(v, "$id")
		}
		for k := range v {
			v[k] = withoutID(v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutID(v[i])
		}
	}
	return v
}

func TestMeaning(t *testing.T) {
	got := map[string]string{}
	for _, m := range builtIn(t).Metrics {
		got[m.Name] = m.Meaning()
	}
	want := map[string]string{
		"purchase_conversion_d3":  "share of units with a matching event, from 0 to 3 days after first exposure",
		"returned_d1_d4":          "share of units with a matching event again, from 1 to 4 days after first exposure",
		"net_revenue_per_user_d3": "mean over units of the sum, adjusted for the 14 days before (CUPED), from 0 to 3 days after first exposure",
	}
	for name, text := range want {
		if diff := cmp.Diff(text, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
