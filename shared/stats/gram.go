// Package stats is the mathematics of Verdict: from mergeable moments of each arm to effects,
// intervals, p-values, e-values, posteriors and checks.
//
// It promises that every figure is a pure function of its arguments (no clock, no randomness, no
// I/O), that nothing panics on data, and that what cannot be known is said to be unknown: a
// [Contrast] whose [Status] is not [OK] has an infinite standard error, so its intervals are the
// whole line, its p-values 1, its e-values at most 1 and its posterior the prior.
package stats

import "math"

// Status says whether a figure could be computed from the data at hand.
type Status uint8

// From computed to hopeless.
const (
	OK           Status = iota // computed
	Insufficient               // more units will cure it
	Undefined                  // more of the same units will not: the quantity does not exist for this data
)

// String is the word stored with results: ok, insufficient or undefined.
func (s Status) String() string {
	switch s {
	case OK:
		return "ok"
	case Insufficient:
		return "insufficient"
	default:
		return "undefined"
	}
}

// Gram holds the centred moments of (value, denominator) over the units of one cell, as SQL
// returns them. Moments about the cell's own mean, unlike raw sums, keep the variance of a metric
// whose mean is 1e9 and whose standard deviation is 1. Means without a denominator leave D, YD and
// DD zero.
type Gram struct {
	N     int64   // units
	MeanY float64 // mean of the value or numerator
	MeanD float64 // mean of the denominator
	YY    float64 // sum of (y-MeanY)^2
	YD    float64 // sum of (y-MeanY)(d-MeanD)
	DD    float64 // sum of (d-MeanD)^2
}

// Merge gives the moments of the union of two disjoint cells: Chan, Golub and LeVeque, "Updating
// formulae and a pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773. An
// empty cell changes nothing.
func (g Gram) Merge(h Gram) Gram {
	if h.N == 0 {
		return g
	}
	if g.N == 0 {
		return h
	}
	n := g.N + h.N
	share := float64(h.N) / float64(n)
	weight := float64(g.N) * share
	dy, dd := h.MeanY-g.MeanY, h.MeanD-g.MeanD
	return Gram{
		N:     n,
		MeanY: g.MeanY + dy*share,
		MeanD: g.MeanD + dd*share,
		YY:    g.YY + h.YY + dy*dy*weight,
		YD:    g.YD + h.YD + dy*dd*weight,
		DD:    g.DD + h.DD + dd*dd*weight,
	}
}

// Family says what an arm's estimate and its variance are.
type Family uint8

// The families of metrics.
const (
	Mean       Family = iota // mean of a value per unit
	Proportion               // share of units whose value is 1, the others' being 0
	Ratio                    // sum of numerators over sum of denominators
	Quantile                 // a quantile of values: its Arm comes from QuantileArm
)

// Arm is the estimate of one arm: a mean per unit (or a ratio) and the variance of one unit, so
// that the variance of the estimate is Variance/N.
type Arm struct {
	Family   Family
	N        int64
	Mean     float64
	Variance float64
	Status   Status
	Reason   string // why Status is not OK
}

// roundingFloor is the relative size below which a difference of two sums of squares is rounding:
// about 50 ulp of a float64.
const roundingFloor = 1e-14

// Arm reads the estimate of a family from the moments.
//
// Mean: unbiased variance YY/(n-1). Proportion: p(1-p), as published (GrowthBook and the textbook
// Wald interval leave out n/(n-1)). Ratio R = mean(y)/mean(d): the delta method over units,
// [sYY - 2R sYD + R^2 sDD] / mean(d)^2 (Deng, Knoblich and Lu, KDD 2018, arXiv 1803.06336).
func (g Gram) Arm(f Family) Arm {
	a := Arm{Family: f, N: g.N, Mean: g.MeanY}
	if g.N < 2 {
		a.Status, a.Reason = Insufficient, "fewer than two units in an arm"
		return a
	}
	df := float64(g.N - 1)
	noise := 0.0
	switch f {
	case Mean:
		a.Variance = g.YY / df
		// A constant value's sum of squares is the rounding of its own mean.
		noise = roundingFloor * roundingFloor * g.MeanY * g.MeanY
	case Proportion:
		a.Variance = g.MeanY * (1 - g.MeanY)
		if a.Variance < 0 {
			a.Status, a.Reason = Undefined, "proportion outside 0 to 1"
			return a
		}
	case Ratio:
		if g.MeanD == 0 {
			a.Status, a.Reason = Undefined, "denominator is zero"
			return a
		}
		a.Mean = g.MeanY / g.MeanD
		scale := g.MeanD * g.MeanD * df
		a.Variance = (g.YY - 2*a.Mean*g.YD + a.Mean*a.Mean*g.DD) / scale
		noise = roundingFloor * (g.YY + a.Mean*a.Mean*g.DD) / scale
	case Quantile:
		a.Status, a.Reason = Undefined, "a quantile needs ranks, not moments"
		return a
	}
	if !finite(a.Mean) || !finite(a.Variance) {
		a.Status, a.Reason = Undefined, "moments are not finite numbers"
		return a
	}
	if a.Variance <= noise {
		a.Variance = 0
	}
	return a
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
