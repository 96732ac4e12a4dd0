// Package metric reads metric definitions in MetricFlow's YAML format with experiment semantics
// under config.meta.experiment, refuses broken ones with file, line and reason, and knows how a
// metric of one unit is computed from that unit's events.
package metric

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"verdict/shared/definition"
	"verdict/shared/dialect"
	"verdict/shared/fault"
)

// Kind says how a unit's events become its value.
type Kind string

// The kinds of metric.
const (
	Conversion Kind = "conversion" // 1 when the unit has a matching event in its window, else 0
	Retention  Kind = "retention"  // the same, over a window that starts some days after exposure
	Mean       Kind = "mean"       // the measure over the window, 0 for a unit without events
	Ratio      Kind = "ratio"      // two measures over the window; the unit of analysis stays the unit
)

// Metric is a metric that experiments can use.
type Metric struct {
	Name        string
	Label       string
	Description string
	Kind        Kind
	Window      Window
	Increase    bool    // more is better
	Format      string  // percent, currency, number
	Cap         float64 // of a Mean: a unit's value above it counts as it (winsorized); 0 is no cap
	Numerator   Term
	Denominator Term // of a Ratio
}

// Window is a span of whole days after a unit's first exposure: [Delay, Delay+Length).
type Window struct {
	Delay  int    `yaml:"delay"`
	Length int    `yaml:"length"`
	Unit   string `yaml:"unit"`
	Anchor string `yaml:"anchor"`
}

// End is the first day after exposure that no longer counts: the window is complete then.
func (w Window) End() int { return w.Delay + w.Length }

// Term is one measure over the events that pass a filter.
type Term struct {
	Aggregation string // sum or count
	Expression  string // column of fact_event
	Filter      string // SQL over columns of fact_event with the alias e, or empty
}

type semanticModel struct {
	Name         string            `yaml:"name"`
	NodeRelation map[string]string `yaml:"node_relation"`
	Defaults     map[string]string `yaml:"defaults"`
	Entities     []element         `yaml:"entities"`
	Dimensions   []element         `yaml:"dimensions"`
	Measures     []element         `yaml:"measures"`
}

type element struct {
	Name       string         `yaml:"name"`
	Type       string         `yaml:"type"`
	Agg        string         `yaml:"agg"`
	Expr       string         `yaml:"expr"`
	TypeParams map[string]any `yaml:"type_params"`
}

type declared struct {
	Name        string `yaml:"name"`
	Label       string `yaml:"label"`
	Description string `yaml:"description"`
	Type        string `yaml:"type"`
	TypeParams  struct {
		Measure     string `yaml:"measure"`
		Numerator   string `yaml:"numerator"`
		Denominator string `yaml:"denominator"`
	} `yaml:"type_params"`
	Filter string `yaml:"filter"`
	Config struct {
		Meta struct {
			Experiment *experiment `yaml:"experiment"`
		} `yaml:"meta"`
	} `yaml:"config"`
	doc definition.Document
}

type experiment struct {
	Kind      Kind   `yaml:"kind"`
	Window    Window `yaml:"window"`
	Direction string `yaml:"direction"`
	Format    string `yaml:"format"`
	// Cap is part of the definition, so that it is taken from the past and frozen while experiments run: a
	// cap computed from the data at hand would depend on the treatment.
	Cap *float64 `yaml:"cap"`
}

// Load reads every *.yaml under dir, in name order.
func Load(files fs.FS, dir string) ([]Metric, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list metrics: %w", err)
	}
	var model semanticModel
	metrics := map[string]*declared{}
	var order []string
	for _, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		docs, err := definition.Parse(name, source)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			var content struct {
				SemanticModel *semanticModel `yaml:"semantic_model"`
				Metric        *declared      `yaml:"metric"`
			}
			if err := doc.Decode(&content); err != nil {
				return nil, err
			}
			switch {
			case content.SemanticModel != nil && model.Name != "":
				return nil, doc.Errorf("$.semantic_model.name", "there is one semantic model, %s, already", model.Name)
			case content.SemanticModel != nil:
				model = *content.SemanticModel
				if model.Name != "fact_event" {
					return nil, doc.Errorf("$.semantic_model.name", "metrics are computed from fact_event, not %q", model.Name)
				}
			case content.Metric != nil:
				m := content.Metric
				m.doc = doc
				if m.Name == "" || metrics[m.Name] != nil {
					return nil, doc.Errorf("$.metric.name", "a metric needs a name of its own, not %q", m.Name)
				}
				metrics[m.Name] = m
				order = append(order, m.Name)
			default:
				return nil, doc.Errorf("$", "want a document with semantic_model or metric")
			}
		}
	}
	var out []Metric
	for _, name := range order {
		if metrics[name].Config.Meta.Experiment == nil {
			continue // a building block of others
		}
		m, err := metrics[name].resolve(model, metrics)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Find returns the metric of a name, or fault.NotFound.
func Find(metrics []Metric, name string) (Metric, error) {
	for _, m := range metrics {
		if m.Name == name {
			return m, nil
		}
	}
	return Metric{}, fault.New(fault.NotFound, "there is no metric %s", name)
}

// Known tells whether there is a metric of a name.
func Known(metrics []Metric) func(name string) bool {
	return func(name string) bool {
		return slices.ContainsFunc(metrics, func(m Metric) bool { return m.Name == name })
	}
}

func (d *declared) resolve(model semanticModel, metrics map[string]*declared) (Metric, error) {
	const at = "$.metric.config.meta.experiment"
	e := d.Config.Meta.Experiment
	m := Metric{Name: d.Name, Label: d.Label, Description: d.Description, Kind: e.Kind, Window: e.Window, Increase: e.Direction == "increase", Format: e.Format}
	switch {
	case !slices.Contains([]Kind{Conversion, Retention, Mean, Ratio}, e.Kind):
		return m, d.doc.Errorf(at+".kind", "kind must be conversion, retention, mean or ratio, not %q", e.Kind)
	case (e.Kind == Ratio) != (d.Type == "ratio"):
		return m, d.doc.Errorf(at+".kind", "a metric of type %s cannot be of kind %s", d.Type, e.Kind)
	case e.Direction != "increase" && e.Direction != "decrease":
		return m, d.doc.Errorf(at+".direction", "direction must be increase or decrease, not %q", e.Direction)
	case !slices.Contains([]string{"percent", "currency", "number"}, e.Format):
		return m, d.doc.Errorf(at+".format", "format must be percent, currency or number, not %q", e.Format)
	case e.Window.Length < 1 || e.Window.Delay < 0:
		return m, d.doc.Errorf(at+".window", "window needs a length of at least 1 and no negative delay")
	case e.Window.Unit != "day":
		return m, d.doc.Errorf(at+".window.unit", "the unit of a window is day, not %q", e.Window.Unit)
	case e.Window.Anchor != "" && e.Window.Anchor != "exposure":
		return m, d.doc.Errorf(at+".window.anchor", "windows start at exposure, not %q", e.Window.Anchor)
	case e.Cap != nil && (e.Kind != Mean || *e.Cap <= 0):
		return m, d.doc.Errorf(at+".cap", "a cap is a number above 0, for metrics of kind mean")
	case e.Kind == Retention && e.Window.Delay < 1:
		return m, d.doc.Errorf(at+".window", "a retention window starts at least a day after exposure: give it a delay")
	}
	if e.Cap != nil {
		m.Cap = *e.Cap
	}
	var err error
	if d.Type != "ratio" {
		m.Numerator, err = d.term(model)
		return m, err
	}
	for _, part := range []struct {
		field, name string
		into        *Term
	}{{"numerator", d.TypeParams.Numerator, &m.Numerator}, {"denominator", d.TypeParams.Denominator, &m.Denominator}} {
		p := metrics[part.name]
		if p == nil || p.Type != "simple" {
			return m, d.doc.Errorf("$.metric.type_params."+part.field, "%s must name a simple metric, not %q", part.field, part.name)
		}
		if *part.into, err = p.term(model); err != nil {
			return m, err
		}
	}
	return m, nil
}

var dimension = regexp.MustCompile(`\{\{\s*Dimension\('([a-z0-9_]+)__([a-z0-9_]+)'\)\s*\}\}`)

// column is what a measure or dimension may be over: its own expression stays in MetricFlow's hands.
var column = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (d *declared) term(model semanticModel) (Term, error) {
	if d.Type != "simple" {
		return Term{}, d.doc.Errorf("$.metric.type", "type must be simple or ratio, not %q", d.Type)
	}
	i := slices.IndexFunc(model.Measures, func(m element) bool { return m.Name == d.TypeParams.Measure })
	if i < 0 {
		return Term{}, d.doc.Errorf("$.metric.type_params.measure", "there is no measure %q", d.TypeParams.Measure)
	}
	measure := model.Measures[i]
	t := Term{Aggregation: measure.Agg, Expression: measure.Expr}
	switch {
	case t.Aggregation == "count" && (t.Expression == "1" || column.MatchString(t.Expression)):
	case t.Aggregation == "sum" && column.MatchString(t.Expression):
	default:
		return Term{}, d.doc.Errorf("$.metric.type_params.measure", "measure %s must be a count, or a sum of one column", measure.Name)
	}
	var unknown string
	t.Filter = dimension.ReplaceAllStringFunc(d.Filter, func(call string) string {
		name := dimension.FindStringSubmatch(call)[2]
		for _, known := range model.Dimensions {
			if known.Name == name {
				if known.Expr != "" {
					name = known.Expr
				}
				return "e." + name
			}
		}
		unknown = name
		return call
	})
	switch {
	case unknown != "":
		return Term{}, d.doc.Errorf("$.metric.filter", "there is no dimension %q", unknown)
	case strings.Contains(t.Filter, "{{") || strings.Contains(t.Filter, ";") || strings.Contains(t.Filter, "--"):
		return Term{}, d.doc.Errorf("$.metric.filter", "a filter compares dimensions, as in {{ Dimension('entity__event_name') }} = 'order_completed'")
	}
	if found := dialect.Check(t.Filter); found != nil {
		return Term{}, d.doc.Errorf("$.metric.filter", "%q is not in the dialect (athena-sql/README.md): write %s", found[0].Found, found[0].Instead)
	}
	return t, nil
}
