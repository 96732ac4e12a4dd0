// Package metric reads metric definitions in MetricFlow's YAML format with experiment semantics
// under config.meta.experiment, refuses broken ones with file, line and reason, and knows how a
// metric of one unit is computed from that unit's events.
package metric

import (
	"slices"

	"verdict/shared/fault"
)

// Kind says how a unit's events become its value.
type Kind string

// The kinds of metric.
const (
	Conversion  Kind = "conversion"    // 1 when the unit has a matching event in its window, else 0
	Retention   Kind = "retention"     // the same, over a window that starts some days after exposure
	Mean        Kind = "mean"          // the measure over the window, 0 for a unit without events
	Ratio       Kind = "ratio"         // two measures over the window; the unit of analysis stays the unit
	Funnel      Kind = "funnel"        // 1 when the unit went through all steps in order, else 0
	Quantile    Kind = "quantile"      // a quantile of the units' values, or of their events' values
	TimeToEvent Kind = "time_to_event" // time to the first matching event, the whole window for a unit without one
)

// Kinds lists them all.
func Kinds() []Kind {
	return []Kind{Conversion, Retention, Mean, Ratio, Funnel, Quantile, TimeToEvent}
}

// Metric is a metric that experiments can use.
type Metric struct {
	Name        string
	Label       string
	Description string
	Kind        Kind
	Window      Window
	Incomplete  bool    // units count before their window is complete, too
	Increase    bool    // more is better
	Format      string  // percent, currency, number
	Touch       Touch   // which of a unit's matching events count
	Cap         float64 // of a Mean: a unit's value above it counts as it (winsorized); 0 is no cap
	CapQuantile float64 // of a Mean: the cap is this quantile of the values of all units; 0 is no cap
	Covariate   int     // days before exposure over which the same value is a covariate (CUPED); 0 is none
	Numerator   Term
	Denominator Term    // of a Ratio
	Steps       []Step  // of a Funnel
	Level       float64 // of a Quantile: 0.5 is the median
	OfEvents    bool    // a Quantile over events, clustered by unit, instead of over units
	Governance
}

// Touch says which of the matching events in a unit's window count.
type Touch string

// The touches. The zero value counts all events.
const (
	AllTouches Touch = ""
	FirstTouch Touch = "first_touch"
	LastTouch  Touch = "last_touch"
)

// Window is the span after a unit's first exposure in which its events count: [Delay, Delay+Length), in hours or days
// of 24 hours; or, with a time zone, in calendar days there, day 0 being the day of the exposure. With a Lookback it
// is the last days before the look instead.
type Window struct {
	Delay    int    `yaml:"delay"`
	Length   int    `yaml:"length"`
	Lookback int    `yaml:"lookback"`
	Unit     string `yaml:"unit"` // day or hour
	Anchor   string `yaml:"anchor"`
	TimeZone string `yaml:"time_zone"` // IANA name
}

// Hours is the length of the window's unit.
func (w Window) Hours() int {
	if w.Unit == "hour" {
		return 1
	}
	return 24
}

// End is how many days after the end of the day of exposure the window is complete.
func (w Window) End() int {
	if w.Lookback > 0 {
		return w.Lookback
	}
	return ((w.Delay+w.Length)*w.Hours() + 23) / 24
}

// Term is one measure over the rows of a table that pass a filter.
type Term struct {
	Table       Table
	Aggregation string // sum, count, count_distinct or max
	Expression  string // SQL over the table with the alias e; "1" counts rows
	Filter      string // SQL over the table with the alias e, or empty
}

// Table is a table of facts that are somebody's, at a time. Fields but the first name columns.
type Table struct {
	Name   string
	Entity string // whose
	Time   string // when
	Date   string // the partition: the day of the time as text; empty when the table has none
	Bot    string // whether a bot did it; empty when the table does not say
}

// Events is fact_event.
func Events() Table {
	return Table{Name: "fact_event", Entity: "entity_id", Time: "event_ts", Date: "event_date", Bot: "is_bot"}
}

// Step is one step of a funnel.
type Step struct {
	Filter string // as in a Term
	Within int    // milliseconds after the step before; 0 is any time in the window
}

// Terms lists what the metric is made of.
func (m Metric) Terms() []Term {
	if m.Kind == Ratio {
		return []Term{m.Numerator, m.Denominator}
	}
	return []Term{m.Numerator}
}

// Reads lists all terms whose columns a metric depends on, a funnel's steps included.
func (m Metric) Reads() []Term {
	out := m.Terms()
	for _, s := range m.Steps {
		out = append(out, Term{Table: m.Numerator.Table, Aggregation: "count", Expression: "1", Filter: s.Filter})
	}
	return out
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
