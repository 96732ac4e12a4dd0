package metricsapi

import (
	"fmt"
	"slices"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lineage"
	"verdict/shared/metric"
	"verdict/shared/plan"
	"verdict/shared/semantic"
)

// describedMetric is a metric in a list.
type describedMetric struct {
	Name        string        `json:"name"`
	Label       string        `json:"label"`
	Description string        `json:"description"`
	Type        string        `json:"type"` // simple or ratio
	Owner       string        `json:"owner"`
	Status      metric.Status `json:"status"`
	Version     int           `json:"version"`
	Hash        string        `json:"definition_hash"`
	Class       plan.Class    `json:"pii_class"`
	Queryable   bool          `json:"queryable"` // by period, at …/values
	Why         string        `json:"not_queryable_because,omitempty"`
	Experiments []string      `json:"experiments"`
}

// wholeMetric is a metric by itself.
type wholeMetric struct {
	describedMetric
	Definition definition  `json:"definition"`
	Experiment *inTrial    `json:"in_experiments"` // null: only other metrics use it
	Dimensions []string    `json:"dimensions"`     // that it can be split and filtered by
	SQL        *string     `json:"sql"`            // of its values by day; null: it is not queryable
	Links      metricLinks `json:"links"`
}

type metricLinks struct {
	Values  string `json:"values,omitempty"`
	Lineage string `json:"lineage"`
}

// definition is what stands in the file, and the SQL that it means.
type definition struct {
	Measure     string `json:"measure,omitempty"`     // of a simple metric
	Filter      string `json:"filter,omitempty"`      // as written
	Parts       *parts `json:"parts,omitempty"`       // of a ratio: the metrics above and below the line
	Numerator   term   `json:"numerator"`             // of a simple metric: all of it
	Denominator *term  `json:"denominator,omitempty"` // of a ratio
}

type parts struct {
	Numerator   string `json:"numerator"`
	Denominator string `json:"denominator"`
}

type term struct {
	Table       string `json:"table"`
	Aggregation string `json:"aggregation"`
	Expression  string `json:"expression"`
	Filter      string `json:"filter,omitempty"`
}

// inTrial is how experiments use a metric.
type inTrial struct {
	Kind       metric.Kind `json:"kind"`
	Window     string      `json:"window"`
	Direction  string      `json:"direction"`
	Format     string      `json:"format"`
	Hash       string      `json:"definition_hash"`
	Incomplete bool        `json:"incomplete_windows"`
	CUPED      int         `json:"cuped_days"`
}

// describedDimension is something to split and filter by.
type describedDimension struct {
	Name        string             `json:"name"`
	Description string             `json:"description"`
	Table       string             `json:"table"`
	Expression  string             `json:"expression"`
	Class       plan.Class         `json:"pii_class"`
	Queryable   bool               `json:"queryable"`
	Reads       []lineage.Origin   `json:"reads"`
	Properties  []lineage.Property `json:"properties"`
}

func (m describedMetric) name() string    { return m.Name }
func (d describedDimension) name() string { return d.Name }

func find[T interface{ name() string }](all []T, name string) (T, bool) {
	i := slices.IndexFunc(all, func(x T) bool { return x.name() == name })
	if i < 0 {
		var none T
		return none, false
	}
	return all[i], true
}

// describe makes what does not change while the API runs: the project's definitions.
func (a *api) describe() {
	a.graph = lineage.New(a.Project.Models, a.Project.Plan)
	l, graph := a.Project.Layer, a.graph
	var names []string
	for _, d := range l.Dimensions {
		t := metric.Term{Table: l.Table, Expression: d.Expression}
		described := describedDimension{
			Name: d.Name, Description: d.Description, Table: l.Table.Name, Expression: d.Expression,
			Reads: empty(graph.Metric(l.Table.Name, t)), Properties: empty(graph.Properties(l.Table.Name, t)),
		}
		described.Class = lineage.Class(described.Properties)
		if described.Queryable = described.Class != plan.Personal; described.Queryable {
			names = append(names, d.Name)
		}
		a.dims = append(a.dims, described)
	}
	for _, d := range l.Definitions {
		a.metrics = append(a.metrics, a.described(d, names, graph))
	}
}

func (a *api) described(d metric.Definition, dimensions []string, graph *lineage.Graph) wholeMetric {
	m := describedMetric{
		Name: d.Name, Label: d.Label, Description: d.Description, Type: d.Type, Owner: d.Owner, Status: d.Status, Version: d.Version,
		Hash: d.Hash(), Experiments: []string{}, Class: lineage.Class(properties(graph, d)),
	}
	for _, e := range a.Project.Experiments {
		for _, used := range e.Metrics {
			if used.Name == d.Name {
				m.Experiments = append(m.Experiments, e.ID)
			}
		}
	}
	whole := wholeMetric{Definition: defined(d), Experiment: trial(d.Experiment), Dimensions: []string{}}
	whole.Links.Lineage = Base + "/metrics/" + d.Name + "/lineage"
	// Any two days will do: whether a metric can be asked for does not depend on them.
	sql, err := semantic.Compile(a.Project.Layer, semantic.Question{Metric: d.Name, From: time.Unix(0, 0), To: time.Unix(0, 0).AddDate(0, 0, 1), Grain: semantic.Day})
	switch {
	case err != nil:
		m.Why = err.Error()
	case m.Class == plan.Personal:
		m.Why = "it reads personal data, which this API does not serve"
	default:
		m.Queryable, whole.SQL, whole.Dimensions = true, &sql, dimensions
		whole.Links.Values = Base + "/metrics/" + d.Name + "/values"
	}
	whole.describedMetric = m
	return whole
}

// reads lists all terms that a metric depends on, those of its use in experiments included.
func reads(d metric.Definition) []metric.Term {
	out := d.Terms()
	if d.Experiment != nil {
		out = append(out, d.Experiment.Reads()...)
	}
	return out
}

func properties(graph *lineage.Graph, d metric.Definition) []lineage.Property {
	var out []lineage.Property
	for _, t := range reads(d) {
		for _, p := range graph.Properties(t.Table.Name, t) {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return empty(out)
}

func defined(d metric.Definition) definition {
	spell := func(t metric.Term) term { return term{t.Table.Name, t.Aggregation, t.Expression, t.Filter} }
	out := definition{Measure: d.Measure, Filter: d.Filter, Numerator: spell(d.Numerator)}
	if d.Type == "ratio" {
		below := spell(d.Denominator)
		out.Parts, out.Denominator = &parts{d.Parts[0], d.Parts[1]}, &below
	}
	return out
}

func trial(m *metric.Metric) *inTrial {
	if m == nil {
		return nil
	}
	out := inTrial{Kind: m.Kind, Window: window(m.Window), Direction: "decrease", Format: m.Format, Hash: m.Hash(), Incomplete: m.Incomplete, CUPED: m.Covariate}
	if m.Increase {
		out.Direction = "increase"
	}
	return &out
}

// window says when a unit's events count.
func window(w metric.Window) string {
	switch {
	case w.Lookback > 0:
		return fmt.Sprintf("the last %d days before the look", w.Lookback)
	case w.TimeZone != "":
		return fmt.Sprintf("calendar days %d to %d in %s, day 0 being that of first exposure", w.Delay, w.Delay+w.Length-1, w.TimeZone)
	default:
		return fmt.Sprintf("from %d to %d %ss after first exposure", w.Delay, w.Delay+w.Length, w.Unit)
	}
}

func (a *api) listMetrics(r request) (answer, error) {
	status, err := r.oneOf("status", string(metric.Certified), string(metric.Draft), string(metric.Deprecated))
	if err != nil {
		return answer{}, err
	}
	owner := r.query.Get("owner")
	var some []describedMetric
	for _, m := range a.metrics {
		if (status == "" || string(m.Status) == status) && (owner == "" || m.Owner == owner) {
			some = append(some, m.describedMetric)
		}
	}
	return paged(r, some, hash("metrics", fmt.Sprint(some)))
}

func (a *api) metric(r request) (wholeMetric, error) {
	m, ok := find(a.metrics, r.named)
	if !ok {
		return m, fault.New(fault.NotFound, "there is no metric %s", r.named)
	}
	return m, nil
}

func (a *api) oneMetric(r request) (answer, error) {
	m, err := a.metric(r)
	if err != nil {
		return answer{}, err
	}
	return fixed(m)
}

func (a *api) listDimensions(r request) (answer, error) {
	return paged(r, a.dims, hash("dimensions", fmt.Sprint(a.dims)))
}

func (a *api) oneDimension(r request) (answer, error) {
	d, ok := find(a.dims, r.named)
	if !ok {
		return answer{}, fault.New(fault.NotFound, "there is no dimension %s", r.named)
	}
	return fixed(d)
}

// origins is where a metric comes from.
type origins struct {
	Metric      string             `json:"metric"`
	Reads       []lineage.Origin   `json:"reads"`      // columns of published tables
	Steps       []step             `json:"steps"`      // how these are made, back to what landed
	Landed      []lineage.Origin   `json:"landed"`     // columns that no model makes
	Properties  []lineage.Property `json:"properties"` // of events, by the tracking plan in force
	Class       plan.Class         `json:"pii_class"`
	Metrics     []string           `json:"metrics"`     // that it is made of, or that are made of it
	Experiments []string           `json:"experiments"` // that use it
}

type step struct {
	Table  string           `json:"table"`
	Column string           `json:"column"`
	From   []lineage.Origin `json:"from"`
}

func (a *api) lineage(r request) (answer, error) {
	m, err := a.metric(r)
	if err != nil {
		return answer{}, err
	}
	d, err := a.Project.Layer.Find(r.named)
	if err != nil {
		return answer{}, err
	}
	graph := a.graph
	out := origins{Metric: d.Name, Class: m.Class, Experiments: m.Experiments, Properties: properties(graph, d), Reads: []lineage.Origin{}, Steps: []step{}, Metrics: []string{}}
	for _, t := range reads(d) {
		for _, o := range graph.Metric(t.Table.Name, t) {
			if !slices.Contains(out.Reads, o) {
				out.Reads = append(out.Reads, o)
			}
		}
	}
	out.Landed = empty(graph.Landed(out.Reads...))
	seen := map[string]bool{}
	for queue := slices.Clone(out.Reads); len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		from := graph.Column(at.Table, at.Column)
		if key := at.Table + "." + at.Column; len(from) > 0 && !seen[key] {
			seen[key] = true
			out.Steps = append(out.Steps, step{at.Table, at.Column, from})
			queue = append(queue, from...)
		}
	}
	for _, other := range a.Project.Layer.Definitions {
		if other.Name == d.Name {
			continue
		}
		if slices.Contains(other.Parts[:], d.Name) || slices.Contains(d.Parts[:], other.Name) {
			out.Metrics = append(out.Metrics, other.Name)
		}
	}
	return fixed(out)
}

func empty[T any](some []T) []T { return append([]T{}, some...) }
