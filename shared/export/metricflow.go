package export

import (
	"slices"
	"strings"

	"verdict/shared/metric"
)

type semanticModel struct {
	Name          string            `yaml:"name"`
	NodeRelation  map[string]string `yaml:"node_relation"`
	Defaults      map[string]string `yaml:"defaults"`
	PrimaryEntity string            `yaml:"primary_entity,omitempty"`
	Entities      []element         `yaml:"entities,omitempty"`
	Dimensions    []element         `yaml:"dimensions"`
	Measures      []element         `yaml:"measures"`
}

type element struct {
	Name        string            `yaml:"name"`
	Description string            `yaml:"description,omitempty"`
	Type        string            `yaml:"type,omitempty"`
	Agg         string            `yaml:"agg,omitempty"`
	Expr        string            `yaml:"expr,omitempty"`
	TypeParams  map[string]string `yaml:"type_params,omitempty"`
}

type flowMetric struct {
	Name        string         `yaml:"name"`
	Label       string         `yaml:"label,omitempty"`
	Description string         `yaml:"description,omitempty"`
	Type        string         `yaml:"type"`
	TypeParams  map[string]any `yaml:"type_params"`
	Filter      string         `yaml:"filter,omitempty"`
	Config      map[string]any `yaml:"config,omitempty"`
}

// MetricFlow writes the definitions as MetricFlow's documents. They say what the metrics API answers: measures and
// ratios by calendar period, without bots. Our own files say the same shorter, and with two words of their own that
// MetricFlow has not: filters name dimensions after the entity that a row belongs to, not after the model's primary
// entity, and a table's bots count for nothing without being filtered.
func MetricFlow(l *metric.Layer) (Export, error) {
	out := Export{Notes: []Note{
		{Because: "a day is a day in UTC, and bots are filtered from every metric"},
		{Because: "expressions are Trino's SQL, as on Athena; a project needs a time spine of its own"},
	}}
	var metrics []flowMetric
	for _, d := range l.Definitions {
		because := beyondMetricFlow(d)
		for _, name := range d.Parts {
			if part, err := l.Find(name); err == nil && beyondMetricFlow(part) != "" {
				because = "so is " + name
			}
		}
		if because != "" {
			out.Notes = append(out.Notes, Note{Metric: d.Name, Left: true, Because: because})
			continue
		}
		m := flowMetric{Name: d.Name, Label: d.Label, Description: d.Description, Type: d.Type, Config: map[string]any{"meta": d.Meta}}
		if d.Meta == nil {
			m.Config = nil
		}
		if d.Type == "ratio" {
			m.TypeParams = map[string]any{"numerator": map[string]string{"name": d.Parts[0]}, "denominator": map[string]string{"name": d.Parts[1]}}
		} else {
			m.TypeParams = map[string]any{"measure": d.Measure}
			m.Filter = flowFilter(l.ModelOf(d.Measure), d.Filter)
		}
		if d.Experiment != nil {
			here := "By calendar period, of everybody: " + strings.Join(slices.DeleteFunc(d.Parts[:], func(s string) bool { return s == "" }), " over ")
			if d.Type != "ratio" {
				here = "By calendar period, of everybody: the measure " + d.Measure
			}
			m.Description = strings.TrimSpace(here + ". In experiments: " + d.Experiment.Meaning() + ". " + d.Description)
			out.Notes = append(out.Notes, Note{Metric: d.Name, Because: "by calendar period here; what experiments make of it stands under config.meta.experiment, which MetricFlow does not read"})
		}
		metrics = append(metrics, m)
	}
	var documents []any
	for _, m := range l.Models {
		documents = append(documents, map[string]semanticModel{"semantic_model": flowModel(m)})
	}
	for _, m := range metrics {
		documents = append(documents, map[string]flowMetric{"metric": m})
	}
	out.Text = []byte(comments("Made from our definitions by verdict metrics export; do not edit.", out.Notes))
	for _, d := range documents {
		part, err := document(d)
		if err != nil {
			return Export{}, err
		}
		out.Text = append(out.Text, "---\n"+part...)
	}
	return out, nil
}

// beyondMetricFlow says why a metric's measure would be something else than the metric.
func beyondMetricFlow(d metric.Definition) string {
	if d.ByPeriod() {
		return ""
	}
	switch d.Experiment.Kind {
	case metric.Funnel:
		return "MetricFlow's conversion metrics have two steps, of one entity's own rows; this funnel is of units"
	case metric.Quantile:
		return "MetricFlow's percentiles are of rows of a period, not of units or of what came after an exposure"
	default:
		return "MetricFlow has no metric of the time between events"
	}
}

// primary names the entity that rows of a model are: dimensions are named after it.
func primary(m metric.Model) (name string, declared bool) {
	for _, e := range m.Entities {
		if e.Type == "primary" {
			return e.Name, true
		}
	}
	return m.Name, false
}

const botDimension = "is_bot"

func flowModel(m metric.Model) semanticModel {
	name, declared := primary(m)
	out := semanticModel{
		Name: m.Name, NodeRelation: map[string]string{"schema_name": m.Schema, "alias": m.Table.Name}, Defaults: map[string]string{},
	}
	if !declared {
		out.PrimaryEntity = name
	}
	for _, e := range m.Entities {
		out.Entities = append(out.Entities, element{Name: e.Name, Description: e.Description, Type: e.Type, Expr: e.Expression})
	}
	for _, d := range m.Dimensions {
		x := element{Name: d.Name, Description: d.Description, Type: d.Type, Expr: d.Expression}
		if d.Type == "time" {
			x.TypeParams = map[string]string{"time_granularity": d.Grain}
			if d.Expression == m.Table.Time {
				out.Defaults["agg_time_dimension"] = d.Name
			}
		}
		out.Dimensions = append(out.Dimensions, x)
	}
	if m.Table.Bot != "" && !slices.ContainsFunc(m.Dimensions, func(d metric.Element) bool { return d.Name == botDimension }) {
		out.Dimensions = append(out.Dimensions, element{Name: botDimension, Description: "Whether a bot did it.", Type: "categorical", Expr: m.Table.Bot})
	}
	for _, e := range m.Measures {
		out.Measures = append(out.Measures, element{Name: e.Name, Description: e.Description, Agg: e.Aggregation, Expr: e.Expression})
	}
	return out
}

func flowFilter(m metric.Model, filter string) string {
	entity, _ := primary(m)
	dimension := func(name string) string { return "{{ Dimension('" + entity + "__" + name + "') }}" }
	var all []string
	if m.Table.Bot != "" {
		all = append(all, "not "+dimension(botDimension))
	}
	if filter != "" {
		all = append(all, "("+metric.Rename(filter, dimension)+")")
	}
	return strings.Join(all, " and ")
}
