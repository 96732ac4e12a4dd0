package view

import (
	"cmp"
	"fmt"
	"strings"

	"verdict/shared/metric"
	"verdict/shared/semantic"
)

// Daily is the view of all metrics by day; metric_<name> is one metric by day and dimension.
const Daily = "metric_daily"

// ofMetrics are the views of metrics that mean something by period.
func ofMetrics(l *metric.Layer) ([]Source, error) {
	var out []Source
	var all []metric.Definition
	for _, d := range l.Definitions {
		if !d.ByPeriod() || !of(l.Table, d) {
			continue
		}
		all = append(all, d)
		sql, columns, err := semantic.Cube(l, d)
		additive := len(columns) > 3
		if err != nil {
			return nil, fmt.Errorf("view of %s: %w", d.Name, err)
		}
		v := Source{View: View{Name: "metric_" + d.Name, SQL: typed(sql, columns), Columns: columns}, Refs: []string{l.Table.Name}, Says: says(l, d)}
		v.Description = described(l, d, additive)
		out = append(out, v)
	}
	if len(all) == 0 {
		return nil, nil
	}
	sql, columns := semantic.AllDaily(l, all)
	return append(out, Source{
		View: View{Name: Daily, Description: "Every metric by day (UTC), without bots, of everybody: a row for each day and metric, in one scan.", SQL: typed(sql, columns), Columns: columns},
		Refs: []string{l.Table.Name}, Says: map[string]string{
			"event_date": "The partition: filter by it to scan less.", "value": "Of a ratio: NULL on a day with nothing below the line.",
			"numerator": "Of a ratio: above the line.", "denominator": "Of a ratio: below the line. Over several days, divide the sums.",
		},
	}), nil
}

// described says what the rows of a metric's view are: by period, which is not always what experiments make of it.
func described(l *metric.Layer, d metric.Definition, additive bool) string {
	measure := l.MeasureOf(d)
	what := strings.TrimSuffix(cmp.Or(measure.Description, measure.Name), ".")
	if d.Type == "ratio" {
		what = d.Parts[0] + " over " + d.Parts[1]
	}
	what += ", by day (UTC)"
	if additive {
		what += " and dimension: add up over rows"
	}
	what += ". Of everybody, without bots."
	if d.Filter != "" {
		what += " Rows where " + metric.Rename(d.Filter, func(name string) string { return name }) + "."
	}
	if d.Experiment != nil {
		what += " In experiments the metric is something else: " + d.Experiment.Meaning() + "."
	}
	return what + fmt.Sprintf(" (%s, version %d, %s)", cmp.Or(d.Label, d.Name), d.Version, d.Hash())
}

func of(table metric.Table, d metric.Definition) bool {
	for _, t := range d.Terms() {
		if t.Table != table {
			return false
		}
	}
	return true
}

func says(l *metric.Layer, d metric.Definition) map[string]string {
	out := map[string]string{"event_date": "The partition: filter by it to scan less."}
	if d.Type == "ratio" {
		out["value"] = "Numerator over denominator of the row; over several rows, divide the sums."
	}
	for _, x := range l.Dimensions {
		out[x.Name] = x.Description
	}
	return out
}
