package metric

import "strings"

// Model is a semantic model in its author's words, for those who say it again in another system's.
type Model struct {
	Name       string
	Schema     string // that the table is in
	Table      Table
	Entities   []Element
	Dimensions []Element
	Measures   []Element
}

// Element is an entity, a dimension or a measure. Its expression is SQL over the columns of the model's table.
type Element struct {
	Name        string
	Description string
	Type        string // of an entity or dimension: foreign, categorical, time
	Aggregation string // of a measure
	Expression  string
	SQL         string // the same with the alias e before columns; not of entities
	Grain       string // of a time dimension
}

func (m *semanticModel) source() Model {
	of := func(elements []element, sql func(name string) string) []Element {
		var out []Element
		for _, e := range elements {
			grain, _ := e.TypeParams["time_granularity"].(string)
			out = append(out, Element{e.Name, e.Description, e.Type, e.Agg, e.expression(), sql(e.Name), grain})
		}
		return out
	}
	return Model{
		m.Name, m.NodeRelation["schema_name"], m.table,
		of(m.Entities, func(string) string { return "" }),
		of(m.Dimensions, func(name string) string { return m.dimensions[name] }),
		of(m.Measures, func(name string) string { return m.measures[name].Expression }),
	}
}

// ModelOf is the semantic model that a measure stands in.
func (l *Layer) ModelOf(measure string) Model {
	for _, m := range l.Models {
		for _, e := range m.Measures {
			if e.Name == measure {
				return m
			}
		}
	}
	return Model{}
}

// MeasureOf is the measure of a simple metric.
func (l *Layer) MeasureOf(d Definition) Element {
	for _, e := range l.ModelOf(d.Measure).Measures {
		if e.Name == d.Measure {
			return e
		}
	}
	return Element{}
}

// Rename gives a filter, as written, with other words for its dimensions.
func Rename(filter string, dimension func(name string) string) string {
	return dimensionCall.ReplaceAllStringFunc(strings.TrimSpace(filter), func(call string) string {
		return dimension(dimensionCall.FindStringSubmatch(call)[2])
	})
}

// steps names the metrics of a funnel.
func (d *declared) steps() []string {
	var out []string
	if e := d.Config.Meta.Experiment; e != nil {
		for _, s := range e.Funnel {
			out = append(out, s.Metric)
		}
	}
	return out
}

// meta is what the file says that MetricFlow passes on unread.
func (d *declared) meta() (any, error) {
	var content struct {
		Metric map[string]any `yaml:"metric"`
	}
	if err := d.doc.Decode(&content); err != nil {
		return nil, err
	}
	config, _ := content.Metric["config"].(map[string]any)
	return config["meta"], nil
}
