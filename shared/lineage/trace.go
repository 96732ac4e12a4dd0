package lineage

import (
	"cmp"
	"slices"

	"verdict/shared/metric"
	"verdict/shared/plan"
)

// Trace is the part of the graph that one thing is made from, drawn from what people read to what browsers send.
type Trace struct {
	Nodes []Node `json:"nodes"` // in order of layer, then name
	Edges []Edge `json:"edges"`
}

// Node is a metric, a column, a property of an event or an event.
type Node struct {
	ID    string     `json:"id"`
	Kind  string     `json:"kind"` // metric, column, property, event
	Label string     `json:"label"`
	Table string     `json:"table,omitempty"` // of a column
	Class plan.Class `json:"pii_class,omitempty"`
	Layer int        `json:"layer"` // 0 is the metric; what a node is made of stands in later layers
}

// Edge says that one node is made of another.
type Edge struct {
	To   string `json:"to"`   // made
	From string `json:"from"` // of
}

// The kinds of nodes.
const (
	MetricNode   = "metric"
	ColumnNode   = "column"
	PropertyNode = "property"
	EventNode    = "event"
)

// landing is the table that events land in.
const landing = "raw_event"

// TraceMetric follows a metric back to the events of the tracking plan.
func (g *Graph) TraceMetric(name string, terms ...metric.Term) Trace {
	t := &tracer{graph: g, seen: map[string]int{}}
	root := t.node(Node{ID: MetricNode + ":" + name, Kind: MetricNode, Label: name})
	for _, term := range terms {
		read, of := g.Metric(term.Table.Name, term), events(term.Filter)
		for _, o := range read {
			t.column(root, o, of)
		}
		if len(read) == 0 { // it counts rows
			rows := t.node(Node{ID: ColumnNode + ":" + term.Table.Name + ".*", Kind: ColumnNode, Label: "*", Table: term.Table.Name})
			t.edge(root, rows)
			t.landed(rows, Origin{Table: landing}, of)
		}
	}
	return t.done()
}

// tracer gathers nodes and edges, each once.
type tracer struct {
	graph *Graph
	nodes []Node
	edges []Edge
	seen  map[string]int
}

func (t *tracer) node(n Node) string {
	if _, ok := t.seen[n.ID]; !ok {
		t.seen[n.ID] = len(t.nodes)
		t.nodes = append(t.nodes, n)
	}
	return n.ID
}

func (t *tracer) edge(to, from string) {
	if e := (Edge{to, from}); !slices.Contains(t.edges, e) {
		t.edges = append(t.edges, e)
	}
}

// column adds what a node is made of, when rows are of some events; nil: of any.
func (t *tracer) column(to string, o Origin, of []string) {
	label := o.Column
	if o.Field != "" {
		label += "." + o.Field
	}
	id := t.node(Node{ID: ColumnNode + ":" + o.Table + "." + label, Kind: ColumnNode, Label: label, Table: o.Table})
	t.edge(to, id)
	if before, ok := t.graph.made[o.Table]; ok {
		for _, b := range before[o.Column] {
			b.Field = cmp.Or(b.Field, o.Field)
			t.column(id, b, of)
		}
		return
	}
	if o.Table == landing {
		t.landed(id, o, of)
	}
}

// landed adds the events, and the properties of them, that a column of the landing table holds.
func (t *tracer) landed(to string, o Origin, of []string) {
	for _, e := range t.graph.plan.Events {
		if of != nil && !slices.Contains(of, e.Name) {
			continue
		}
		event := Node{ID: EventNode + ":" + e.Name, Kind: EventNode, Label: e.Name}
		if o.Column != "properties" {
			t.edge(to, t.node(event))
			continue
		}
		for _, p := range properties(e, o.Field) {
			id := t.node(Node{ID: PropertyNode + ":" + p.Event + "." + p.Name, Kind: PropertyNode, Label: p.Event + "." + p.Name, Class: p.Class})
			t.edge(to, id)
			t.edge(id, t.node(event))
		}
	}
}

// done puts each node in the layer after the last that is made of it.
func (t *tracer) done() Trace {
	for range t.nodes { // a path is no longer than there are nodes
		moved := false
		for _, e := range t.edges {
			if at := t.nodes[t.seen[e.To]].Layer + 1; at > t.nodes[t.seen[e.From]].Layer {
				t.nodes[t.seen[e.From]].Layer, moved = at, true
			}
		}
		if !moved {
			break
		}
	}
	slices.SortStableFunc(t.nodes, func(a, b Node) int { return cmp.Or(cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(t.edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.From, b.From)) })
	return Trace{t.nodes, t.edges}
}
