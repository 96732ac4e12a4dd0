package metric

import (
	"io/fs"
	"slices"

	"verdict/shared/fault"
)

// Layer is all that the files define, those metrics included that no experiment can use: what the metrics API serves
// and what is exported to other systems.
type Layer struct {
	Table       Table  // of the first semantic model: dimensions and measures are its
	Entity      string // name of what a row belongs to
	Dimensions  []Dimension
	Measures    []Measure
	Definitions []Definition // as they stand in the files
	Models      []Model      // all semantic models
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
	Steps       []string  // of a funnel: its metrics
	Meta        any       // config.meta as it stands in the file
	Numerator   Term
	Denominator Term // of a ratio
	Governance
	Experiment *Metric // how experiments use it; nil: only other metrics do
}

// Terms lists what the metric is made of.
func (d Definition) Terms() []Term {
	if d.Type == "ratio" {
		return []Term{d.Numerator, d.Denominator}
	}
	return []Term{d.Numerator}
}

// ByPeriod tells whether the metric's measure, over the events of a period, is what the metric means. A funnel, a
// quantile and a time to an event mean something only of units.
func (d Definition) ByPeriod() bool {
	return d.Experiment == nil || !slices.Contains([]Kind{Funnel, Quantile, TimeToEvent}, d.Experiment.Kind)
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
func LoadLayer(files fs.FS, dir string, columns func(table string) []string) (*Layer, error) {
	s, err := read(files, dir, columns)
	if err != nil {
		return nil, err
	}
	l := &Layer{}
	if len(s.models) > 0 {
		l.describe(s.models[0])
	}
	for _, m := range s.models {
		l.Models = append(l.Models, m.source())
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

func (l *Layer) describe(m *semanticModel) {
	l.Table, l.Entity = m.table, "entity"
	for _, d := range m.Dimensions {
		if d.Type == "categorical" {
			l.Dimensions = append(l.Dimensions, Dimension{d.Name, d.Description, m.dimensions[d.Name]})
		}
	}
	for _, e := range m.Measures {
		l.Measures = append(l.Measures, Measure{e.Name, e.Description, e.Agg, e.expression()})
	}
}

func (l *library) define(d *declared) (Definition, error) {
	out := Definition{Name: d.Name, Label: d.Label, Description: d.Description, Type: d.Type, Filter: d.Filter, Measure: d.TypeParams.Measure, Steps: d.steps()}
	var err error
	if out.Meta, err = d.meta(); err != nil {
		return out, err
	}
	if out.Governance, err = d.governance(); err != nil {
		return out, err
	}
	if d.Type == "ratio" {
		out.Parts = [2]string{d.TypeParams.Numerator, d.TypeParams.Denominator}
		out.Numerator, out.Denominator, err = l.ratio(d)
	} else {
		out.Numerator, err = l.term(d)
	}
	if err != nil || d.Config.Meta.Experiment == nil {
		return out, err
	}
	m, err := l.resolve(d)
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
