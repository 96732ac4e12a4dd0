package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Strict is the strict mode: a confidence sequence of a mean that assumes nothing but that values lie
// between two known bounds, and holds at every sample size. It is the empirical-Bernstein sequence of
// Howard, Ramdas, McAuliffe and Sekhon (Annals of Statistics 49:1055, 2021, theorem 4) with the
// gamma-exponential mixture as boundary: about twice as wide as the asymptotic one.
//
// It needs the batches in the order they came, since it measures each batch's scatter about the mean
// of the ones before: [Strict.Add].
type Strict struct {
	Low, High float64 // bounds of the values
	n         int64
	mean      float64
	scatter   float64 // sum of squared distances from the mean before the batch
}

// Add takes the next batch in: its sums of squares are about its own mean.
func (b *Strict) Add(g Gram) {
	if g.N == 0 {
		return
	}
	before := b.mean
	if b.n == 0 {
		before = (b.Low + b.High) / 2
	}
	d := g.MeanY - before
	b.scatter += g.YY + float64(g.N)*d*d
	b.n += g.N
	b.mean += (g.MeanY - b.mean) * float64(g.N) / float64(b.n)
}

// Interval is the confidence sequence of level alpha, tuned for a planned number of units whose values
// have a typical variance.
func (b *Strict) Interval(alpha float64, planned int64, typical float64) Interval {
	all := Interval{Low: b.Low, High: b.High}
	width := b.High - b.Low
	if b.n == 0 || !(width > 0) || !finite(b.scatter) {
		return all
	}
	v := float64(max(planned, 1)) * max(typical, 1e-6*width*width)
	m := newGammaExponential(v/TuneOneSided(alpha/2, 1).Rho2, width)
	r := m.bound(b.scatter, alpha/2) / float64(b.n)
	return Interval{Low: max(b.Low, b.mean-r), High: min(b.High, b.mean+r)}
}

// Difference is the interval of treatment minus control, each arm with half of alpha.
func (b *Strict) Difference(control *Strict, alpha float64, planned int64, typical float64) Interval {
	t, c := b.Interval(alpha/2, planned, typical), control.Interval(alpha/2, planned, typical)
	return Interval{Low: t.Low - c.High, High: t.High - c.Low}
}

// gammaExponential is the mixture of proposition 9 of Howard et al.: a boundary for sums whose
// increments are sub-exponential with scale c, in intrinsic time v.
type gammaExponential struct{ rho, c, constant float64 }

func newGammaExponential(rho, c float64) gammaExponential {
	k := rho / (c * c)
	return gammaExponential{rho: rho, c: c, constant: k*math.Log(k) - lgamma(k) - math.Log(mathext.GammaIncReg(k, k))}
}

// logE is the natural logarithm of the mixture at a sum s and intrinsic time v.
func (m gammaExponential) logE(s, v float64) float64 {
	c2 := m.c * m.c
	k, x := (v+m.rho)/c2, (m.c*s+v+m.rho)/c2
	if !(x > 0) {
		return math.Inf(-1)
	}
	return m.constant + lgamma(k) + math.Log(mathext.GammaIncReg(k, x)) - k*math.Log(x) + (m.c*s+v)/c2
}

// bound is the s at which logE reaches -ln alpha.
func (m gammaExponential) bound(v, alpha float64) float64 {
	limit, high := -math.Log(alpha), math.Sqrt(v+m.rho)+m.c
	for range 200 {
		if m.logE(high, v) >= limit {
			break
		}
		high *= 2
	}
	return bisect(0, high, func(s float64) float64 { return m.logE(s, v) - limit })
}
