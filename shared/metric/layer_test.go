package metric_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/metric"
)

func layer(t *testing.T, source string) (*metric.Layer, error) {
	t.Helper()
	return metric.LoadLayer(fstest.MapFS{"m/m.yaml": {Data: []byte(source)}}, "m", columns)
}

const shop = `semantic_model:
  name: fact_event
  node_relation: {schema_name: verdict, alias: fact_event}
  defaults: {agg_time_dimension: event_ts}
  entities:
    - {name: entity, type: foreign, expr: entity_id}
  dimensions:
    - {name: event_ts, type: time, type_params: {time_granularity: second}}
    - {name: event_name, type: categorical}
    - {name: device, type: categorical, description: "Kind of device.", expr: "json_extract_scalar(context, '$.device.type')"}
  measures:
    - {name: events, agg: count, expr: "1"}
    - {name: amount, agg: sum, expr: value}
---
metric: {name: orders, type: simple, type_params: {measure: events}, filter: "{{ Dimension('entity__event_name') }} = 'order' and {{ Dimension('entity__device') }} = 'mobile'"}
---
metric: {name: revenue, type: simple, type_params: {measure: amount}, config: {meta: {owner: us, status: draft, version: 3}}}
---
metric:
  name: basket
  type: ratio
  type_params: {numerator: revenue, denominator: orders}
  config: {meta: {experiment: {kind: ratio, window: {length: 2, unit: day}, direction: increase, format: number}}}
`

func TestLayer(t *testing.T) {
	got, err := layer(t, shop)
	if err != nil {
		t.Fatal(err)
	}
	if got.Table != metric.Events() || got.Entity != "entity" {
		t.Errorf("layer %+v", got)
	}
	wantDimensions := []metric.Dimension{
		{Name: "event_name", Expression: "e.event_name"},
		{Name: "device", Description: "Kind of device.", Expression: "json_extract_scalar(e.context, '$.device.type')"},
	}
	if diff := cmp.Diff(wantDimensions, got.Dimensions); diff != "" {
		t.Error(diff)
	}
	basket, err := got.Find("basket")
	if err != nil {
		t.Fatal(err)
	}
	mobile := metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order' and json_extract_scalar(e.context, '$.device.type') = 'mobile'"}
	if basket.Parts != [2]string{"revenue", "orders"} || basket.Denominator != mobile || basket.Experiment == nil || basket.Experiment.Denominator != mobile {
		t.Errorf("basket %+v", basket)
	}
	revenue, err := got.Find("revenue")
	if want := (metric.Governance{Owner: "us", Status: metric.Draft, Version: 3}); err != nil || revenue.Governance != want || revenue.Experiment != nil {
		t.Errorf("revenue %+v, %v", revenue, err)
	}
	if _, err := got.Find("profit"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown metric: %v", err)
	}
	if _, err := got.Dimension("event_ts"); !fault.Is(err, fault.NotFound) {
		t.Errorf("time is asked for as the grain, not as a dimension: %v", err)
	}
}

// Building blocks that no experiment uses are checked too.
func TestLayerRefusesWithFileAndLine(t *testing.T) {
	_, err := layer(t, strings.Replace(shop, "measure: amount", "measure: weight", 1))
	if want := `m/m.yaml:17: there is no measure "weight"`; !fault.Is(err, fault.Invalid) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestHashesFollowTheMeaning(t *testing.T) {
	hashes := func(old, replacement string) (orders, basket, experiment string) {
		l, err := layer(t, strings.Replace(shop, old, replacement, 1))
		if err != nil {
			t.Fatal(err)
		}
		return l.Definitions[0].Hash(), l.Definitions[2].Hash(), l.Definitions[2].Experiment.Hash()
	}
	orders, basket, experiment := hashes("", "")
	for name, c := range map[string]struct {
		old, replacement            string
		orders, basket, experiments bool // change
	}{
		"owner":     {"owner: us", "owner: them", false, false, false},
		"version":   {"version: 3", "version: 4", false, false, false},
		"format":    {"format: number", "format: currency", false, false, false},
		"filter":    {"= 'mobile'", "= 'tablet'", true, true, true},
		"window":    {"length: 2", "length: 3", false, true, true},
		"direction": {"direction: increase", "direction: decrease", false, true, true},
		"measure":   {"expr: value", "expr: seq", false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			o, b, x := hashes(c.old, c.replacement)
			if (o != orders) != c.orders || (b != basket) != c.basket || (x != experiment) != c.experiments {
				t.Errorf("changed: orders %v, basket %v, basket in experiments %v", o != orders, b != basket, x != experiment)
			}
		})
	}
}
