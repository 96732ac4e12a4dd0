package metric

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"verdict/shared/definition"
	"verdict/shared/fault"
)

// Layer is all that the files define, those metrics included that no experiment can use: what the metrics API serves
// and what is exported to other systems.
type Layer struct {
	Table       string // that everything is computed from
	Time        string // its time column
	Entity      string // name of what an event belongs to
	EntityID    string // its column
	Dimensions  []Dimension
	Measures    []Measure
	Definitions []Definition // as they stand in the files
}

// Dimension is something that metrics can be split and filtered by.
type Dimension struct {
	Name        string
	Description string
	Expression  string // SQL over columns of the table with the alias e
}

// Measure is something that events are aggregated to.
type Measure struct{ Name, Description, Aggregation, Expression string }

// Definition is a metric as MetricFlow means it: a measure, or a ratio of two, over the events of a period.
type Definition struct {
	Name        string
	Label       string
	Description string
	Type        string    // simple or ratio
	Parts       [2]string // of a ratio: the metrics above and below the line
	Measure     string    // of a simple metric
	Filter      string    // as written, in MetricFlow's words
	Numerator   Term
	Denominator Term // of a ratio
	Governance
	Experiment *Metric // how experiments use it; nil: only other metrics do
}

// Hash identifies what the metric computes, for experiments too.
func (d Definition) Hash() string {
	meaning := struct {
		Numerator, Denominator Term
		Experiment             string
	}{d.Numerator, d.Denominator, ""}
	if d.Experiment != nil {
		meaning.Experiment = d.Experiment.Hash()
	}
	return hash(meaning)
}

// LoadLayer reads every *.yaml under dir, in name order. What is broken is fault.Invalid with file, line and reason.
func LoadLayer(files fs.FS, dir string) (*Layer, error) {
	s, err := read(files, dir)
	if err != nil {
		return nil, err
	}
	l := &Layer{Table: s.model.NodeRelation["alias"], Time: s.model.Defaults["agg_time_dimension"]}
	if len(s.model.Entities) > 0 {
		l.Entity, l.EntityID = s.model.Entities[0].Name, s.model.Entities[0].Expr
	}
	for _, d := range s.model.Dimensions {
		if d.Type == "categorical" {
			l.Dimensions = append(l.Dimensions, Dimension{d.Name, d.Description, d.expression()})
		}
	}
	for _, m := range s.model.Measures {
		l.Measures = append(l.Measures, Measure{m.Name, m.Description, m.Agg, m.Expr})
	}
	for _, name := range s.order {
		d, err := s.define(s.metrics[name])
		if err != nil {
			return nil, err
		}
		l.Definitions = append(l.Definitions, d)
	}
	return l, nil
}

func (s *declarations) define(d *declared) (Definition, error) {
	out := Definition{Name: d.Name, Label: d.Label, Description: d.Description, Type: d.Type, Filter: d.Filter, Measure: d.TypeParams.Measure}
	var err error
	if out.Governance, err = d.governance(); err != nil {
		return out, err
	}
	if d.Type == "ratio" {
		out.Parts = [2]string{d.TypeParams.Numerator, d.TypeParams.Denominator}
		out.Numerator, out.Denominator, err = d.ratio(s.model, s.metrics)
	} else {
		out.Numerator, err = d.term(s.model)
	}
	if err != nil || d.Config.Meta.Experiment == nil {
		return out, err
	}
	m, err := d.resolve(s.model, s.metrics)
	out.Experiment = &m
	return out, err
}

// Find returns the definition of a name, or fault.NotFound.
func (l *Layer) Find(name string) (Definition, error) {
	i := slices.IndexFunc(l.Definitions, func(d Definition) bool { return d.Name == name })
	if i < 0 {
		return Definition{}, fault.New(fault.NotFound, "there is no metric %s", name)
	}
	return l.Definitions[i], nil
}

// Dimension returns the dimension of a name, or fault.NotFound.
func (l *Layer) Dimension(name string) (Dimension, error) {
	i := slices.IndexFunc(l.Dimensions, func(d Dimension) bool { return d.Name == name })
	if i < 0 {
		return Dimension{}, fault.New(fault.NotFound, "there is no dimension %s", name)
	}
	return l.Dimensions[i], nil
}

// property is a field of a column of JSON text.
var property = regexp.MustCompile(`^json_extract_scalar\(([a-z][a-z0-9_]*), '\$((?:\.[a-z][a-z0-9_]*)+)'\)$`)

// checkDimensions refuses what is neither a column nor a field of one: an expression is put into queries as it stands.
func checkDimensions(doc definition.Document, dimensions []element) error {
	for i, d := range dimensions {
		at := fmt.Sprintf("$.semantic_model.dimensions[%d]", i)
		switch {
		case !column.MatchString(d.Name):
			return doc.Errorf(at+".name", "a dimension is named by small letters, digits and _, not %q", d.Name)
		case d.Expr != "" && !column.MatchString(d.Expr) && !property.MatchString(d.Expr):
			return doc.Errorf(at+".expr", "a dimension is a column, or json_extract_scalar(column, '$.field'), not %q", d.Expr)
		}
	}
	return nil
}

// expression is a checked dimension's SQL.
func (e element) expression() string {
	if e.Expr == "" {
		return "e." + e.Name
	}
	if field := property.FindStringSubmatch(e.Expr); field != nil {
		return "json_extract_scalar(e." + field[1] + ", '$" + field[2] + "')"
	}
	return "e." + e.Expr
}
