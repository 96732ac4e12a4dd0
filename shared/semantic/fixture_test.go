package semantic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/metric"
	"verdict/shared/semantic"
	"verdict/shared/table"
)

const definitions = `semantic_model:
  name: fact_event
  node_relation: {schema_name: verdict, alias: fact_event}
  defaults: {agg_time_dimension: event_ts}
  entities:
    - {name: entity, type: foreign, expr: entity_id}
  dimensions:
    - {name: event_name, type: categorical}
    - {name: city, type: categorical, expr: "json_extract_scalar(properties, '$.city')"}
    - {name: order, type: categorical, expr: "json_extract_scalar(properties, '$.order.kind')"}
  measures:
    - {name: events, agg: count, expr: "1"}
    - {name: valued, agg: count, expr: value}
    - {name: amount, agg: sum, expr: value}
---
metric: {name: everything, type: simple, type_params: {measure: events}}
---
metric: {name: orders, type: simple, type_params: {measure: events}, filter: "{{ Dimension('entity__event_name') }} = 'order' or {{ Dimension('entity__event_name') }} = 'reorder'"}
---
metric: {name: revenue, type: simple, type_params: {measure: amount}, filter: "{{ Dimension('entity__event_name') }} = 'order'"}
---
metric: {name: with_value, type: simple, type_params: {measure: valued}}
---
metric: {name: visits, type: simple, type_params: {measure: events}, filter: "{{ Dimension('entity__event_name') }} = 'visit'"}
---
metric: {name: order_value, type: ratio, type_params: {numerator: revenue, denominator: orders}}
---
metric: {name: revenue_per_event, type: ratio, type_params: {numerator: revenue, denominator: everything}}
---
metric: {name: revenue_per_visit, type: ratio, type_params: {numerator: revenue, denominator: visits}}
`

func columns(string) []string {
	return []string{"event_id", "entity_id", "event_ts", "event_name", "event_date", "value", "properties", "is_bot"}
}

func layer(tb testing.TB) *metric.Layer {
	tb.Helper()
	l, err := metric.LoadLayer(fstest.MapFS{"m/m.yaml": {Data: []byte(definitions)}}, "m", columns)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// event is a row of fact_event, as far as it is asked for here.
type event struct {
	Name       string    `lake:"event_name"`
	Value      float64   `lake:"value"`
	Bot        bool      `lake:"is_bot"`
	Properties string    `lake:"properties"`
	Context    string    `lake:"context"`
	At         time.Time `lake:"event_ts"`
	Day        string    `lake:"event_date"`
	city, kind string
}

func january(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// shop makes events of forty days: cities have names that must be quoted, and some events have none.
func shop(seed uint64, n int) []event {
	rng := rand.New(rand.NewPCG(seed, 1))
	cities := []string{"Aix", `O'Fallon "North"`, "Zürich", "'; drop table fact_event; --", ""}
	out := make([]event, n)
	for i := range out {
		at := january(1).Add(time.Duration(rng.Int64N(int64(40 * 24 * time.Hour)))).Truncate(time.Millisecond)
		e := event{
			Name: []string{"order", "reorder", "visit", "other"}[rng.IntN(4)], Value: float64(rng.IntN(1000)) / 4, Bot: rng.IntN(8) == 0,
			At: at, Day: at.Format(time.DateOnly), city: cities[rng.IntN(len(cities))], kind: []string{"gift", "own"}[rng.IntN(2)],
		}
		e.Properties = fmt.Sprintf(`{"city":%q,"order":{"kind":%q}}`, e.city, e.kind)
		if e.city == "" {
			e.Properties = fmt.Sprintf(`{"order":{"kind":%q}}`, e.kind)
		}
		out[i] = e
	}
	slices.SortFunc(out, func(a, b event) int { return a.At.Compare(b.At) })
	return out
}

// lakeOf publishes events as fact_event.
func lakeOf(tb testing.TB, events []event) *semantic.Source {
	tb.Helper()
	store := &directory.Store{Root: tb.TempDir()}
	w, err := duck.Open(tb.Context(), store)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	s := &semantic.Source{Layer: layer(tb), Objects: store, Engine: w, Catalog: w, MaxBytes: 1 << 30}
	publish(tb, s, "1", events)
	return s
}

func publish(tb testing.TB, s *semantic.Source, run string, events []event) {
	tb.Helper()
	for chunk := range slices.Values(days(events)) {
		place := table.Place{Table: "fact_event", Run: run, PartitionBy: []string{"event_date"}, Values: []string{chunk[0].Day}}
		if err := table.Write(tb.Context(), s.Objects, s.Catalog, place, chunk); err != nil {
			tb.Fatal(err)
		}
	}
}

func days(events []event) [][]event {
	var out [][]event
	for i, e := range events {
		if i == 0 || events[i-1].Day != e.Day {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], e)
	}
	return out
}
