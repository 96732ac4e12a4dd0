package export

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"verdict/shared/metric"
)

// The body of GrowthBook's POST /v1/bulk-import/facts.
type growthBook struct {
	FactTables  []growthTable  `json:"factTables"`
	FactMetrics []growthMetric `json:"factMetrics"`
}

type growthTable struct {
	ID   string `json:"id"`
	Data struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Datasource  string   `json:"datasource"`
		UserIDTypes []string `json:"userIdTypes"`
		SQL         string   `json:"sql"`
	} `json:"data"`
}

type growthMetric struct {
	ID   string     `json:"id"`
	Data growthData `json:"data"`
}

type growthData struct {
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Owner       string           `json:"owner,omitempty"`
	Tags        []string         `json:"tags,omitempty"`
	Type        string           `json:"metricType"`
	Numerator   *growthColumn    `json:"numerator,omitempty"`
	Denominator *growthColumn    `json:"denominator,omitempty"`
	Inverse     bool             `json:"inverse"`
	Percent     bool             `json:"displayAsPercentage,omitempty"` // of a ratio
	Quantile    *growthQuantile  `json:"quantileSettings,omitempty"`
	Funnel      *growthFunnel    `json:"funnelSettings,omitempty"`
	Capping     growthCapping    `json:"cappingSettings"`
	Window      growthWindow     `json:"windowSettings"`
	CUPED       growthRegression `json:"regressionAdjustmentSettings"`
}

type growthColumn struct {
	Table       string         `json:"factTableId"`
	Column      string         `json:"column,omitempty"`
	Aggregation string         `json:"aggregation,omitempty"`
	Filters     []growthFilter `json:"rowFilters,omitempty"`
}

type growthFilter struct {
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
	Column   string   `json:"column,omitempty"`
}

type growthQuantile struct {
	Type        string  `json:"type"`
	IgnoreZeros bool    `json:"ignoreZeros"`
	Quantile    float64 `json:"quantile"`
}

type growthFunnel struct {
	Steps    []growthStep `json:"steps"`
	Ordering string       `json:"ordering"`
}

type growthStep struct {
	Name    string         `json:"name"`
	Table   string         `json:"factTableId"`
	Filters []growthFilter `json:"rowFilters"`
	Within  *growthLength  `json:"conversionWindow,omitempty"`
}

type growthLength struct {
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

type growthCapping struct {
	Type        string  `json:"type"`
	Value       float64 `json:"value,omitempty"`
	IgnoreZeros bool    `json:"ignoreZeros,omitempty"`
}

type growthWindow struct {
	Type        string `json:"type"`
	DelayValue  int    `json:"delayValue,omitempty"`
	DelayUnit   string `json:"delayUnit,omitempty"`
	WindowValue int    `json:"windowValue,omitempty"`
	WindowUnit  string `json:"windowUnit,omitempty"`
}

type growthRegression struct {
	Override bool `json:"override"`
	Enabled  bool `json:"enabled"`
	Days     int  `json:"days,omitempty"`
}

// GrowthBook writes the metrics that experiments use as fact tables and fact metrics, in one body for GrowthBook's bulk
// import. datasource is the id that GrowthBook gave to the warehouse.
func GrowthBook(l *metric.Layer, datasource string) (Export, error) {
	out := Export{Notes: []Note{
		{Because: "retention, quantile and funnel metrics need a paid plan of GrowthBook"},
		{Because: "whether units whose window is not complete yet count is a setting of GrowthBook's experiments, not of its metrics"},
	}}
	body := growthBook{FactTables: []growthTable{}, FactMetrics: []growthMetric{}}
	for _, m := range l.Models {
		sql, err := rows(m, "timestamp")
		if err != nil {
			return Export{}, err
		}
		t := growthTable{ID: m.Name}
		t.Data.Name, t.Data.Datasource, t.Data.UserIDTypes, t.Data.SQL = m.Name, datasource, []string{"unit_id"}, sql
		t.Data.Description = "Rows of " + m.Table.Name + " without bots, by unit. Made by verdict metrics export."
		body.FactTables = append(body.FactTables, t)
	}
	for _, d := range l.Definitions {
		if d.Experiment == nil {
			continue
		}
		if because := beyondGrowthBook(*d.Experiment); because != "" {
			out.Notes = append(out.Notes, Note{Metric: d.Name, Left: true, Because: because})
			continue
		}
		data, err := growth(l, d)
		if err != nil {
			return Export{}, err
		}
		if d.Experiment.Kind == metric.Funnel {
			out.Notes = append(out.Notes, Note{Metric: d.Name, Because: "among several ways through the steps we take the latest to each step; GrowthBook chooses its own"})
		}
		body.FactMetrics = append(body.FactMetrics, growthMetric{"fact__" + d.Name, data})
	}
	var err error
	out.Text, err = json.MarshalIndent(body, "", "  ")
	out.Text = append(out.Text, '\n')
	return out, err
}

// beyondGrowthBook says why GrowthBook cannot compute a metric as we do.
func beyondGrowthBook(m metric.Metric) string {
	switch {
	case m.Kind == metric.TimeToEvent:
		return "GrowthBook has no metric of the time to an event"
	case m.Touch != metric.AllTouches:
		return "GrowthBook has no first or last touch"
	case m.Window.TimeZone != "":
		return "GrowthBook has no windows of calendar days"
	case m.Kind == metric.Quantile && math.Abs(m.Level*1000-math.Round(m.Level*1000)) > 1e-9:
		return "GrowthBook's quantiles are of whole thousandths"
	case m.Kind == metric.Ratio && m.Denominator.Aggregation != "sum" && m.Denominator.Aggregation != "count":
		return "GrowthBook's denominators are sums and counts"
	default:
		return ""
	}
}

func growth(l *metric.Layer, d metric.Definition) (growthData, error) {
	x := *d.Experiment
	out := growthData{
		Name: cmp.Or(d.Label, d.Name), Owner: d.Owner, Tags: []string{"verdict", string(d.Status)}, Inverse: !x.Increase,
		Description: strings.TrimSpace(fmt.Sprintf("%s, version %d (%s): %s. %s", d.Name, d.Version, d.Hash(), x.Meaning(), d.Description)),
		Type:        map[metric.Kind]string{metric.Conversion: "proportion", metric.Retention: "retention", metric.Mean: "mean", metric.Ratio: "ratio", metric.Funnel: "funnel", metric.Quantile: "quantile"}[x.Kind],
		Capping:     growthCapping{Type: "none"}, CUPED: growthRegression{Override: true, Enabled: x.Covariate > 0, Days: x.Covariate},
		Window: growthWindow{Type: "conversion", WindowValue: x.Window.Length, WindowUnit: x.Window.Unit + "s"},
	}
	if x.Window.Delay > 0 {
		out.Window.DelayValue, out.Window.DelayUnit = x.Window.Delay, x.Window.Unit+"s"
	}
	if x.Window.Lookback > 0 {
		out.Window = growthWindow{Type: "lookback", WindowValue: x.Window.Lookback, WindowUnit: "days"}
	}
	switch {
	case x.Cap > 0:
		out.Capping = growthCapping{Type: "absolute", Value: x.Cap}
	case x.CapQuantile > 0:
		out.Capping = growthCapping{Type: "percentile", Value: x.CapQuantile}
	}
	switch x.Kind { //nolint:exhaustive // the others need no more
	case metric.Funnel:
		var err error
		out.Funnel, err = funnel(l, d)
		return out, err
	case metric.Ratio:
		out.Percent = x.Format == "percent"
		above, err := l.Find(d.Parts[0])
		if err != nil {
			return out, err
		}
		below, err := l.Find(d.Parts[1])
		out.Numerator, out.Denominator = column(l, above), column(l, below)
		out.Denominator.Aggregation = "" // a sum
		return out, err
	case metric.Quantile:
		out.Quantile = &growthQuantile{Type: "unit", Quantile: x.Level}
		if x.OfEvents {
			out.Quantile.Type = "event"
		}
	}
	out.Numerator = column(l, d)
	if x.Kind == metric.Conversion || x.Kind == metric.Retention {
		out.Numerator = &growthColumn{Table: out.Numerator.Table, Filters: filters(d.Filter)} // who has any row
	}
	if x.OfEvents {
		out.Numerator.Aggregation = ""
	}
	return out, nil
}

// column is a measure over the rows that pass a filter.
func column(l *metric.Layer, d metric.Definition) *growthColumn {
	measure := l.MeasureOf(d)
	c := &growthColumn{Table: l.ModelOf(d.Measure).Name, Column: measure.Name, Filters: filters(d.Filter)}
	switch measure.Aggregation {
	case "count":
		c.Column = "$$count"
		if measure.Expression != "1" {
			c.Filters = append(c.Filters, growthFilter{Operator: "not_null", Column: measure.Name})
		}
	case "count_distinct":
		c.Aggregation = "count distinct"
	default:
		c.Aggregation = measure.Aggregation
	}
	return c
}

func filters(filter string) []growthFilter {
	sql := condition(filter)
	if sql == unfiltered {
		return nil
	}
	return []growthFilter{{Operator: "sql_expr", Values: []string{sql}}}
}

func funnel(l *metric.Layer, d metric.Definition) (*growthFunnel, error) {
	out := &growthFunnel{Ordering: "sequential"}
	for i, name := range d.Steps {
		step, err := l.Find(name)
		if err != nil {
			return nil, err
		}
		s := growthStep{Name: cmp.Or(step.Label, step.Name), Table: l.ModelOf(step.Measure).Name, Filters: filters(step.Filter)}
		if ms := d.Experiment.Steps[i].Within; ms > 0 {
			s.Within = &growthLength{Unit: "minutes", Value: float64(ms) / 60_000}
		}
		out.Steps = append(out.Steps, s)
	}
	return out, nil
}
