package lineage_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/lineage"
	"verdict/shared/metric"
	"verdict/shared/plan"
	"verdict/shared/project"
)

func graph(t *testing.T) (*lineage.Graph, *project.Project) {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return lineage.New(p.Models, p.Plan), p
}

func TestColumns(t *testing.T) {
	g, _ := graph(t)
	raw := func(columns ...string) (out []lineage.Origin) {
		for _, c := range columns {
			out = append(out, lineage.Origin{Table: "raw_event", Column: c})
		}
		return out
	}
	for name, c := range map[string]struct {
		table, column string
		want          []lineage.Origin
	}{
		"through a star":         {"fact_event", "session_id", raw("session_id")},
		"of several columns":     {"fact_event", "entity_id", raw("anonymous_id", "namespace", "session_id", "user_id")},
		"a field of JSON":        {"fact_event", "value", []lineage.Origin{{Table: "raw_event", Column: "properties", Field: "value"}}},
		"through two queries":    {"dim_user", "first_seen", []lineage.Origin{{Table: "fact_event", Column: "event_ts"}}},
		"of a join, by alias":    {"fact_experiment_exposure", "allocation", []lineage.Origin{{Table: "dim_feature", Column: "included"}, {Table: "dim_feature", Column: "share"}}},
		"a field, through a sum": {"fact_experiment_exposure", "variants", []lineage.Origin{{Table: "fact_event", Column: "properties", Field: "variant"}}},
		"of both sides of union": {"ledger_session", "session_id", []lineage.Origin{
			{Table: "fact_event", Column: "session_id"}, {Table: "quarantine_event", Column: "event", Field: "session_id"},
		}},
		"of nothing": {"fact_event", "nothing", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, g.Column(c.table, c.column)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a model promises and what its SQL is read to give are the same columns, and each is made of something, but for
// those that are constants.
func TestEveryColumnOfEveryModelIsRead(t *testing.T) {
	g, p := graph(t)
	constants := []string{"dim_user.valid_to", "profile_property.bucket", "ledger_hour.area", "ledger_hour.lines", "ledger_hour.events", "profile_property.events", "identity_edge.events", "identity_signal.events", "dim_user.events", "fact_experiment_exposure.exposures"}
	for _, m := range p.Models.Models {
		for _, c := range p.Models.ColumnsOf(m.Name) {
			if name := m.Name + "." + c.Name; g.Column(m.Name, c.Name) == nil && !slices.Contains(constants, name) {
				t.Errorf("%s is made of nothing", name)
			}
		}
	}
}

func TestLandedGoesBackThroughModels(t *testing.T) {
	g, _ := graph(t)
	got := g.Landed(lineage.Origin{Table: "fact_experiment_exposure", Column: "variant"}, lineage.Origin{Table: "fact_experiment_exposure", Column: "unit_id"})
	want := []lineage.Origin{
		{Table: "identity_map", Column: "unit_id"},
		{Table: "raw_event", Column: "anonymous_id"},
		{Table: "raw_event", Column: "namespace"},
		{Table: "raw_event", Column: "properties", Field: "variant"},
		{Table: "raw_event", Column: "session_id"},
		{Table: "raw_event", Column: "user_id"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPropertiesOfMetrics(t *testing.T) {
	g, _ := graph(t)
	for name, c := range map[string]struct {
		term  metric.Term
		want  []lineage.Property
		class plan.Class
	}{
		"a sum of a column": {
			metric.Term{Aggregation: "sum", Expression: "value", Filter: "e.event_name = 'order_completed'"},
			[]lineage.Property{{Event: "order_completed", Name: "value", Class: plan.None}},
			plan.None,
		},
		"of two events": {
			metric.Term{Aggregation: "sum", Expression: "value", Filter: "e.event_name in ('order_completed', 'order_refunded')"},
			[]lineage.Property{{Event: "order_completed", Name: "value", Class: plan.None}, {Event: "order_refunded", Name: "value", Class: plan.None}},
			plan.None,
		},
		"a filter on a personal property": {
			metric.Term{Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_refunded' and json_extract_scalar(e.properties, '$.reason') = 'broken'"},
			[]lineage.Property{{Event: "order_refunded", Name: "reason", Class: plan.Personal}},
			plan.Personal,
		},
		"an identifier": {
			metric.Term{Aggregation: "count", Expression: "1", Filter: "e.event_name = 'checkout_started' and json_extract_scalar(e.properties, '$.cart_id') <> ''"},
			[]lineage.Property{{Event: "checkout_started", Name: "cart_id", Class: plan.Pseudonymous}},
			plan.Pseudonymous,
		},
		"all of the text": {
			metric.Term{Aggregation: "count", Expression: "properties", Filter: "e.event_name = 'user_signed_in'"},
			[]lineage.Property{{Event: "user_signed_in", Name: "method", Class: plan.None}},
			plan.None,
		},
		"no property":         {metric.Term{Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_refunded'"}, nil, plan.None},
		"a word in a literal": {metric.Term{Aggregation: "count", Expression: "1", Filter: "e.event_name = 'properties'"}, nil, plan.None},
	} {
		t.Run(name, func(t *testing.T) {
			got := g.Properties("fact_event", c.term)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if class := lineage.Class(got); class != c.class {
				t.Errorf("class %s, want %s", class, c.class)
			}
		})
	}
}

// A measure over every event is a measure over its most personal one.
func TestNoFilterMeansEveryEvent(t *testing.T) {
	g, p := graph(t)
	got := g.Properties("fact_event", metric.Term{Aggregation: "sum", Expression: "value"})
	var events []string
	for _, property := range got {
		events = append(events, property.Event)
	}
	var want []string
	for _, e := range p.Plan.Events {
		for _, fields := range e.PII {
			if slices.Contains(fields, "value") {
				want = append(want, e.Name)
			}
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
}
