package lineage_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/lineage"
	"verdict/shared/metric"
)

func revenue() metric.Term {
	return metric.Term{Table: metric.Events(), Aggregation: "sum", Expression: "e.value", Filter: "e.event_name in ('order_completed', 'order_refunded')"}
}

func TestTraceMetric(t *testing.T) {
	g, _ := graph(t)
	got := g.TraceMetric("net_revenue", revenue())
	var layers []string
	for _, n := range got.Nodes {
		for len(layers) <= n.Layer {
			layers = append(layers, "")
		}
		layers[n.Layer] += n.ID + " "
	}
	want := []string{
		"metric:net_revenue ",
		"column:fact_event.event_name column:fact_event.value ",
		"column:raw_event.event_name column:raw_event.properties.value ",
		"property:order_completed.value property:order_refunded.value ",
		"event:order_completed event:order_refunded ",
	}
	if diff := cmp.Diff(want, layers); diff != "" {
		t.Error(diff)
	}
	const wantText = `metric net_revenue
  fact_event.event_name
    raw_event.event_name
      event order_completed
      event order_refunded
  fact_event.value
    raw_event.properties.value
      property order_completed.value (none)
        event order_completed
      property order_refunded.value (none)
        event order_refunded
`
	if diff := cmp.Diff(wantText, got.Text()); diff != "" {
		t.Error(diff)
	}
}

// Every metric ends in events of the plan, and nothing stands in a layer before what it makes.
func TestEveryMetricIsMadeOfEvents(t *testing.T) {
	g, p := graph(t)
	for _, d := range p.Layer.Definitions {
		trace := g.TraceMetric(d.Name, d.Terms()...)
		layers, events := map[string]int{}, 0
		for _, n := range trace.Nodes {
			layers[n.ID] = n.Layer
			if n.Kind == lineage.EventNode {
				events++
			}
		}
		if events == 0 {
			t.Errorf("%s is made of no event: %s", d.Name, trace.Text())
		}
		for _, e := range trace.Edges {
			if layers[e.From] <= layers[e.To] {
				t.Errorf("%s: %s stands before %s", d.Name, e.From, e.To)
			}
		}
	}
}

func TestSVGDrawsAllOfIt(t *testing.T) {
	g, _ := graph(t)
	trace := g.TraceMetric("a <b> & c", revenue())
	svg := trace.SVG()
	boxes, paths := 0, 0
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			switch e.Name.Local {
			case "rect":
				boxes++
			case "path":
				paths++
			}
		}
	}
	if boxes != len(trace.Nodes) || paths != len(trace.Edges) {
		t.Errorf("%d boxes and %d paths for %d nodes and %d edges", boxes, paths, len(trace.Nodes), len(trace.Edges))
	}
}
