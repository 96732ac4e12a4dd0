package stats

import "math"

// Accumulation is how many different units have come by the end of each day, from history. Units come
// back, so it is concave: twice the days never bring twice the units.
type Accumulation []float64

// exponent of growth at the end of the history: what the last doubling of days has brought,
// log2(N(D)/N(D/2)), between 0 (nobody new) and 1 (only new ones). Cumulative distinct counts follow
// such a power law closely (Heaps' law).
func (a Accumulation) exponent() float64 {
	last := a.Units(float64(len(a)))
	half := a.Units(float64(len(a)) / 2)
	if !(half > 0) || len(a) < 2 {
		return 1
	}
	return min(1, max(0, math.Log2(last/half)))
}

// Units is how many will have come after so many days: history, and beyond it the power law of its
// end.
func (a Accumulation) Units(days float64) float64 {
	n := float64(len(a))
	switch {
	case n == 0 || !(days > 0):
		return 0
	case days > n:
		return a[len(a)-1] * math.Pow(days/n, a.exponent())
	}
	before, i := 0.0, int(math.Ceil(days))-1
	if i > 0 {
		before = a[i-1]
	}
	return before + (a[i]-before)*(days-float64(i))
}

// Days is how many days it takes until so many have come; +Inf when they never will.
func (a Accumulation) Days(units float64) float64 {
	const century = 36500
	if a.Units(century) < units {
		return math.Inf(1)
	}
	high := 1.0
	for a.Units(high) < units {
		high *= 2
	}
	return bisect(0, high, func(d float64) float64 { return a.Units(d) - units })
}

// WholeWeeks rounds days up: behaviour has weekly cycles, and part of one is not representative.
func WholeWeeks(days float64) float64 { return 7 * math.Ceil(days/7-1e-9) }

// Runtime is how long an experiment takes.
type Runtime struct {
	Units    float64 // needed in all arms
	Days     float64 // until they have come
	Planned  float64 // in whole weeks
	Expected float64 // mean days to a decision when a sequential rule may stop it early
}

// PlanRuntime needs so many units of the traffic's share; rule gives the bounds of a sequential rule at
// looks at shares of the plan (nil: one look at the end), and drift the mean of z at the end. No look counts
// before the first day (1: all do).
func PlanRuntime(a Accumulation, first int, units, share, drift float64, rule func(times []float64) []float64) Runtime {
	out := Runtime{Units: units, Days: a.Days(units / share)}
	out.Planned, out.Expected = WholeWeeks(out.Days), out.Days
	if math.IsInf(out.Days, 1) || rule == nil {
		out.Expected = out.Planned
		return out
	}
	first = max(1, first)
	days := max(int(out.Planned), first)
	total := a.Units(float64(days))
	times := make([]float64, 0, days)
	left, mean := 1.0, 0.0
	var on []float64
	for d := first; d <= days; d++ {
		if t := a.Units(float64(d)) / total; len(times) == 0 && t > 0 || len(times) > 0 && t > times[len(times)-1] {
			times, on = append(times, t), append(on, float64(d))
		}
	}
	bounds := rule(times)
	o := Operate(times, negated(bounds), bounds, drift*math.Sqrt(total*share/units))
	for i := range o.Upper {
		p := o.Upper[i] + o.Lower[i]
		mean += p * on[i]
		left -= p
	}
	out.Expected = mean + max(0, left)*float64(days)
	return out
}
