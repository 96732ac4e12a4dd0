package metric

import (
	"fmt"
	"strings"
)

// Meaning says in one sentence what experiments make of a
func (m Metric) Meaning() string {
	var what string
	switch m.Kind {
	case Conversion:
		what = "share of units with a matching event"
	case Retention:
		what = "share of units with a matching event again"
	case Mean:
		what = "mean over units of the " + m.Numerator.Aggregation + touched(m) + capped(m)
	case Ratio:
		what = "ratio of two totals over units" + touched(m)
	case Funnel:
		what = fmt.Sprintf("share of units that went through %d steps in order", len(m.Steps))
	case Quantile:
		what = fmt.Sprintf("quantile %g of the units' values", m.Level)
		if m.OfEvents {
			what = fmt.Sprintf("quantile %g of the events' values, clustered by unit", m.Level)
		}
	case TimeToEvent:
		what = fmt.Sprintf("mean time in %ss to the first matching event, the whole window for a unit without one", m.Window.Unit)
	}
	if m.Covariate > 0 {
		what += fmt.Sprintf(", adjusted for the %d days before (CUPED)", m.Covariate)
	}
	what += ", " + span(m.Window)
	if m.Incomplete {
		what += "; units count before their window is complete"
	}
	return what
}

func touched(m Metric) string {
	if m.Touch == AllTouches {
		return ""
	}
	return " of the " + strings.ReplaceAll(string(m.Touch), "_", " ")
}

func capped(m Metric) string {
	switch {
	case m.Cap > 0:
		return fmt.Sprintf(", a unit's value capped at %g", m.Cap)
	case m.CapQuantile > 0:
		return fmt.Sprintf(", a unit's value capped at the quantile %g", m.CapQuantile)
	default:
		return ""
	}
}

func span(w Window) string {
	switch {
	case w.Lookback > 0:
		return fmt.Sprintf("in the last %d days", w.Lookback)
	case w.TimeZone != "":
		return fmt.Sprintf("on the calendar days %d to %d (%s) from first exposure", w.Delay, w.Delay+w.Length-1, w.TimeZone)
	default:
		return fmt.Sprintf("from %d to %d %ss after first exposure", w.Delay, w.Delay+w.Length, w.Unit)
	}
}
