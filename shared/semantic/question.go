// Package semantic answers what a metric came to: by period and dimension, over the events of some days. A question is
// checked against the definitions, compiled to one SELECT, and bounded in days, bytes and rows.
package semantic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Grain is the length of a period.
type Grain string

// The grains. Weeks start on Monday; all days are days in UTC.
const (
	Day   Grain = "day"
	Week  Grain = "week"
	Month Grain = "month"
	Total Grain = "total" // one period: all of it
)

// Grains lists them.
func Grains() []Grain { return []Grain{Day, Week, Month, Total} }

// Question is what somebody wants to know.
type Question struct {
	Metric  string
	From    time.Time // the first day
	To      time.Time // the day after the last
	Grain   Grain
	By      []string // dimensions
	Filters []Filter // one dimension named twice may be either; different ones must all hold
}

// Filter keeps the events whose dimension has a value.
type Filter struct{ Dimension, Value string }

const (
	maxBy      = 5
	maxFilters = 20
	maxValue   = 256 // characters of a filter's value
)

// Compile is the question's SELECT: period (with a grain), d0, d1, … for the dimensions, then value, and of a ratio
// what it is made of: numerator and denominator. Rows stand in one order. What cannot be asked is fault.Invalid; a
// metric or dimension that does not exist is fault.NotFound.
func Compile(l *metric.Layer, q Question) (string, error) {
	m, err := l.Find(q.Metric)
	if err != nil {
		return "", err
	}
	if !m.ByPeriod() {
		return "", fault.New(fault.Invalid, "%s", beyondPeriods(l, m))
	}
	if err := q.check(); err != nil {
		return "", err
	}
	var columns []string
	if q.Grain != Total {
		columns = append(columns, fmt.Sprintf("cast(date_trunc('%s', e.%s) as date) as period", q.Grain, l.Table.Time))
	}
	for i, name := range q.By {
		d, err := l.Dimension(name)
		if err != nil {
			return "", err
		}
		columns = append(columns, fmt.Sprintf("cast(%s as varchar) as d%d", d.Expression, i))
	}
	keys := len(columns)
	measures, kept, err := values(m)
	if err != nil {
		return "", err
	}
	for _, t := range m.Terms() {
		if t.Table != l.Table {
			return "", fault.New(fault.Invalid, "%s is computed from %s, not %s: see its experiments", m.Name, t.Table.Name, l.Table.Name)
		}
	}
	where := []string{"e.event_date >= " + day(q.From), "e.event_date < " + day(q.To), "not e.is_bot"}
	if kept != "" {
		where = append(where, kept)
	}
	filters, err := q.conditions(l)
	if err != nil {
		return "", err
	}
	sql := "select\n    " + strings.Join(append(columns, measures...), ",\n    ") +
		"\nfrom " + l.Table.Name + " as e\nwhere " + strings.Join(append(where, filters...), "\n    and ")
	if keys == 0 {
		return sql + "\nhaving count(*) > 0", nil // no events are no row, as with a grain
	}
	numbers, order := make([]string, keys), make([]string, keys)
	for i := range numbers {
		numbers[i] = strconv.Itoa(i + 1)
		order[i] = numbers[i] + " nulls last"
	}
	return sql + "\ngroup by " + strings.Join(numbers, ", ") + "\norder by " + strings.Join(order, ", "), nil
}

// beyondPeriods says why a metric has no values by period, and what to ask for instead.
func beyondPeriods(l *metric.Layer, m metric.Definition) string {
	kind := map[metric.Kind]string{metric.Funnel: "a funnel", metric.Quantile: "a quantile", metric.TimeToEvent: "a time to an event"}[m.Experiment.Kind]
	says := m.Name + " is " + kind + ": it means something of units after their first exposure, not of the events of a period. Ask for the results of its experiments instead"
	if others := Instead(l, m); len(others) > 0 {
		says += ", or by period for " + strings.Join(others, ", ")
	}
	return says
}

// Instead lists the metrics that can be asked for by period where one cannot: the steps of a funnel, else what is made
// of the same measure for no experiment.
func Instead(l *metric.Layer, m metric.Definition) []string {
	if m.ByPeriod() || len(m.Steps) > 0 {
		return m.Steps
	}
	var out []string
	for _, d := range l.Definitions {
		if d.Experiment == nil && d.Type == m.Type && d.Numerator == m.Numerator && d.Denominator == m.Denominator {
			out = append(out, d.Name)
		}
	}
	return out
}

func (q Question) check() error {
	if !slices.Contains(Grains(), q.Grain) {
		return fault.New(fault.Invalid, "grain must be day, week, month or total, not %q", q.Grain)
	}
	if !q.From.Before(q.To) {
		return fault.New(fault.Invalid, "from (%s) must lie before to (%s), which is the day after the last", q.From.Format(time.DateOnly), q.To.Format(time.DateOnly))
	}
	if len(q.By) > maxBy || len(q.Filters) > maxFilters {
		return fault.New(fault.Invalid, "at most %d dimensions and %d filters", maxBy, maxFilters)
	}
	for i, name := range q.By {
		if slices.Contains(q.By[:i], name) {
			return fault.New(fault.Invalid, "dimension %s stands twice", name)
		}
	}
	for _, f := range q.Filters {
		if !utf8.ValidString(f.Value) || strings.ContainsFunc(f.Value, unicode.IsControl) || utf8.RuneCountInString(f.Value) > maxValue {
			return fault.New(fault.Invalid, "the value for %s must be text of at most %d characters without control characters", f.Dimension, maxValue)
		}
	}
	return nil
}

// conditions are the filters in SQL: one for each dimension, in the order in which they are first named.
func (q Question) conditions(l *metric.Layer) ([]string, error) {
	var names []string
	values := map[string][]string{}
	for _, f := range q.Filters {
		if !slices.Contains(names, f.Dimension) {
			names = append(names, f.Dimension)
		}
		values[f.Dimension] = append(values[f.Dimension], f.Value)
	}
	out := make([]string, len(names))
	for i, name := range names {
		d, err := l.Dimension(name)
		if err != nil {
			return nil, err
		}
		out[i] = "cast(" + d.Expression + " as varchar) in (" + lake.QuoteList(values[name]) + ")"
	}
	return out, nil
}

// values are a metric's columns, and the condition that an event must meet to count in any of them; empty: none.
func values(m metric.Definition) (columns []string, kept string, err error) {
	above, err := aggregate(m.Numerator)
	if err != nil {
		return nil, "", fmt.Errorf("metric %s: %w", m.Name, err)
	}
	if m.Type != "ratio" {
		return []string{above + " as value"}, bracketed(m.Numerator.Filter), nil
	}
	below, err := aggregate(m.Denominator)
	if err != nil {
		return nil, "", fmt.Errorf("metric %s: %w", m.Name, err)
	}
	if m.Numerator.Filter != "" && m.Denominator.Filter != "" {
		kept = "(" + bracketed(m.Numerator.Filter) + " or " + bracketed(m.Denominator.Filter) + ")"
	}
	return []string{above + " / nullif(" + below + ", 0e0) as value", above + " as numerator", below + " as denominator"}, kept, nil
}

func bracketed(condition string) string {
	if condition == "" {
		return ""
	}
	return "(" + condition + ")"
}

// aggregate is a measure over the events that pass its filter, as a double; NULL without any.
func aggregate(t metric.Term) (string, error) {
	within := func(value string) string {
		if t.Filter == "" {
			return value
		}
		return "case when " + t.Filter + " then " + value + " end"
	}
	switch {
	case t.Aggregation == "count" && t.Expression == "1":
		return "cast(sum(" + within("1e0") + ") as double)", nil
	case t.Aggregation == "count":
		return "cast(count(" + within(t.Expression) + ") as double)", nil
	case t.Aggregation == "sum":
		return "sum(" + within("cast("+t.Expression+" as double)") + ")", nil
	default:
		return "", fault.New(fault.Invalid, "a measure aggregated by %s is not served by period: see its experiments", t.Aggregation)
	}
}

func day(t time.Time) string { return lake.Quote(t.UTC().Format(time.DateOnly)) }
