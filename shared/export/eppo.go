package export

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/experiment"
	"verdict/shared/metric"
)

type eppoDocument struct {
	FactSources []eppoSource `yaml:"fact_sources"`
	Metrics     []eppoMetric `yaml:"metrics"`
}

type eppoSource struct {
	Name      string       `yaml:"name"`
	SQL       string       `yaml:"sql"`
	Timestamp string       `yaml:"timestamp_column"`
	Entities  []eppoEntity `yaml:"entities"`
	Facts     []eppoFact   `yaml:"facts"`
}

type eppoEntity struct {
	Name   string `yaml:"entity_name"`
	Column string `yaml:"column"`
}

type eppoFact struct {
	Name        string `yaml:"name"`
	Description string `yaml:"description,omitempty"`
	Column      string `yaml:"column,omitempty"` // empty: every row is one
}

type eppoMetric struct {
	Name          string           `yaml:"name"`
	Description   string           `yaml:"description,omitempty"`
	Type          string           `yaml:"type"`
	Entity        string           `yaml:"entity"`
	DesiredChange string           `yaml:"desired_change"`
	IsGuardrail   bool             `yaml:"is_guardrail,omitempty"`
	Cutoff        *float64         `yaml:"guardrail_cutoff,omitempty"`
	Display       string           `yaml:"metric_display_style"`
	Numerator     *eppoAggregation `yaml:"numerator,omitempty"`
	Denominator   *eppoAggregation `yaml:"denominator,omitempty"`
}

type eppoAggregation struct {
	Fact       string   `yaml:"fact_name"`
	Operation  string   `yaml:"operation"`
	Aging      bool     `yaml:"enable_aging_subject_filter"`
	Start      int      `yaml:"aggregation_timeframe_start_value"`
	End        int      `yaml:"aggregation_timeframe_end_value"`
	Unit       string   `yaml:"aggregation_timeframe_unit"`
	UpperValue *float64 `yaml:"winsor_upper_fixed_value,omitempty"`
	Upper      *float64 `yaml:"winsorization_upper_percentile,omitempty"`
}

// Eppo writes the metrics that experiments use as a file of Eppo's metrics sync. A fact source is the rows of one table
// that pass one filter, so that every filter can be said; entity is what Eppo calls our unit. Margins of guardrails are
// those of the experiments, which in Eppo stand with the metric.
func Eppo(l *metric.Layer, experiments []*experiment.Experiment, entity string) (Export, error) {
	e := &eppo{layer: l, entity: entity, facts: map[string]string{}}
	e.out.Notes = []Note{
		{Because: "the SQL is Trino's, over the tables that Verdict publishes; unit_id is the person that an id belongs to"},
		{Because: "our windows take what happens at their start and not what happens at their end"},
	}
	for _, d := range l.Definitions {
		if d.Experiment == nil {
			continue
		}
		if because := beyondEppo(*d.Experiment); because != "" {
			e.left(d.Name, because)
			continue
		}
		m, err := e.metric(d)
		if err != nil {
			return Export{}, err
		}
		e.guard(&m, d, experiments)
		e.doc.Metrics = append(e.doc.Metrics, m)
	}
	text, err := document(e.doc)
	e.out.Text = []byte(comments("Made from our definitions by verdict metrics export; do not edit.", e.out.Notes) + text)
	return e.out, err
}

type eppo struct {
	layer  *metric.Layer
	entity string
	doc    eppoDocument
	facts  map[string]string // of a source and column: the fact's name
	out    Export
}

func (e *eppo) note(name, because string) {
	e.out.Notes = append(e.out.Notes, Note{Metric: name, Because: because})
}

func (e *eppo) left(name, because string) {
	e.out.Notes = append(e.out.Notes, Note{Metric: name, Left: true, Because: because})
}

// beyondEppo says why Eppo cannot compute a metric as we do.
func beyondEppo(m metric.Metric) string {
	for _, t := range m.Terms() {
		if t.Aggregation == "max" {
			return "Eppo has no maximum"
		}
		if m.Touch != metric.AllTouches && t.Aggregation != "sum" {
			return "Eppo's first and last value are of a column, not of a count"
		}
	}
	switch {
	case m.Kind == metric.Funnel:
		return "Eppo's metrics sync has no funnels"
	case m.Kind == metric.TimeToEvent:
		return "Eppo has no metric of the time to an event"
	case m.Kind == metric.Quantile && !m.OfEvents:
		return "Eppo's percentiles are of facts, not of units"
	case m.Kind == metric.Quantile:
		return "Eppo's percentiles have no window after assignment"
	case m.Window.Lookback > 0:
		return "Eppo has no window that ends at the look"
	case m.Window.TimeZone != "":
		return "Eppo's calendar days are those of its own time zone, not of " + m.Window.TimeZone
	default:
		return ""
	}
}

func (e *eppo) metric(d metric.Definition) (eppoMetric, error) {
	x := *d.Experiment
	m := eppoMetric{
		Name: cmp.Or(d.Label, d.Name), Description: strings.TrimSpace(d.Description + " (" + d.Name + ", version " + strconv.Itoa(d.Version) + ", " + d.Hash() + ")"),
		Type: "simple", Entity: e.entity, DesiredChange: map[bool]string{true: "increase", false: "decrease"}[x.Increase], Display: "decimal",
	}
	if x.Format == "percent" {
		m.Display = "percent"
	}
	if x.Covariate > 0 {
		e.note(d.Name, fmt.Sprintf("that it is adjusted for the %d days before (CUPED) is a setting of Eppo's, not of a metric", x.Covariate))
	}
	parts := []metric.Definition{d}
	if x.Kind == metric.Ratio {
		m.Type, parts = "ratio", nil
		for _, name := range d.Parts {
			part, err := e.layer.Find(name)
			if err != nil {
				return m, err
			}
			parts = append(parts, part)
		}
	}
	for i, part := range parts {
		a, err := e.aggregation(x, part)
		if err != nil {
			return m, err
		}
		if i == 0 {
			m.Numerator = &a
		} else {
			m.Denominator = &a
		}
	}
	return m, nil
}

func (e *eppo) aggregation(x metric.Metric, part metric.Definition) (eppoAggregation, error) {
	measure := e.layer.MeasureOf(part)
	a := eppoAggregation{Aging: !x.Incomplete, Start: x.Window.Delay, End: x.Window.Delay + x.Window.Length, Unit: x.Window.Unit + "s"}
	column, filter := measure.Name, condition(part.Filter)
	switch {
	case x.Kind == metric.Conversion || x.Kind == metric.Retention:
		a.Operation, column = "distinct_entity", ""
	case x.Touch == metric.FirstTouch:
		a.Operation = "first_value"
	case x.Touch == metric.LastTouch:
		a.Operation = "last_value"
	case measure.Aggregation == "count":
		a.Operation, column = "count", ""
		if measure.Expression != "1" {
			filter = both(filter, measure.Name+" is not null")
		}
	default:
		a.Operation = measure.Aggregation
	}
	if x.Cap > 0 {
		a.UpperValue = &x.Cap
	}
	if x.CapQuantile > 0 {
		a.Upper = &x.CapQuantile
	}
	var err error
	a.Fact, err = e.fact(part, filter, column)
	return a, err
}

// fact names the column of the rows that pass a filter, in a source that is made when there is none.
func (e *eppo) fact(d metric.Definition, filter, column string) (string, error) {
	model := e.layer.ModelOf(d.Measure)
	source := "Rows of " + model.Name
	if filter != unfiltered {
		source += " where " + filter
	}
	at := slices.IndexFunc(e.doc.FactSources, func(s eppoSource) bool { return s.Name == source })
	if at < 0 {
		sql, err := rows(model, "ts")
		if err != nil {
			return "", err
		}
		if filter != unfiltered {
			sql = "select * from (\n" + sql + "\n) as r\nwhere " + filter
		}
		e.doc.FactSources = append(e.doc.FactSources, eppoSource{Name: source, SQL: sql, Timestamp: "ts", Entities: []eppoEntity{{e.entity, "unit_id"}}})
		at = len(e.doc.FactSources) - 1
	}
	key := source + "\x00" + column
	if name, ok := e.facts[key]; ok {
		return name, nil
	}
	name := cmp.Or(column, "rows") + " of " + strings.TrimPrefix(source, "Rows of ")
	e.facts[key] = name
	e.doc.FactSources[at].Facts = append(e.doc.FactSources[at].Facts, eppoFact{Name: name, Column: column, Description: e.layer.MeasureOf(d).Description})
	return name, nil
}

// guard says of a metric that it guards, when that is all that experiments use it for.
func (e *eppo) guard(m *eppoMetric, d metric.Definition, experiments []*experiment.Experiment) {
	var margins []float64
	others := 0
	for _, x := range experiments {
		for _, used := range x.Metrics {
			switch {
			case used.Name != d.Name:
			case used.Role == experiment.Guardrail:
				margins = append(margins, used.Margin)
			default:
				others++
			}
		}
	}
	if len(margins) == 0 {
		return
	}
	if others > 0 {
		e.note(d.Name, "some experiments use it as a guardrail and others not; Eppo says that of a metric, once, so it says nothing")
		return
	}
	m.IsGuardrail = true
	strictest := slices.Min(margins)
	if strictest != slices.Max(margins) {
		e.note(d.Name, fmt.Sprintf("experiments give it margins from %g to %g; the cutoff is the strictest", strictest, slices.Max(margins)))
	}
	if d.Experiment.Increase {
		strictest = -strictest
	}
	m.Cutoff = &strictest
}

func both(filter, condition string) string {
	if filter == unfiltered {
		return condition
	}
	return "(" + filter + ") and " + condition
}
