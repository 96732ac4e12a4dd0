package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Counts are events of two arms, of which only their numbers matter: crashes, errors, rare
// purchases. Given their sum, those of treatment are binomial with a share that depends on the
// ratio of the two rates alone, whatever the rates are (Lindon and Malek, NeurIPS 2022, arXiv
// 2011.03567, time-inhomogeneous Poisson processes). What follows is exact for Poisson counts at any
// size and at any number of looks while the split of exposure stays the same, and slightly cautious for
// events that happen at most once per unit. After a change of allocation, start anew or use [Stratify].
type Counts struct {
	Control, Treatment int64   // events
	Exposure           float64 // treatment's share of all exposure (units, or unit time), from 0 to 1
}

// NewCounts reads events and units of both arms. It takes the split that was realised, which scatters about
// the planned one: set Exposure to the planned share for the exact guarantee.
func NewCounts(control, unitsControl, treatment, unitsTreatment int64) Counts {
	return Counts{Control: control, Treatment: treatment, Exposure: float64(unitsTreatment) / float64(unitsControl+unitsTreatment)}
}

// concentrations of the beta priors about "alike" that are averaged: from ratios of any size to
// ratios within a few percent.
var countConcentrations = [...]float64{1, 10, 100, 1000} //nolint:gochecknoglobals // a constant: Go has no constant arrays

func (c Counts) usable() bool {
	return c.Control >= 0 && c.Treatment >= 0 && c.Exposure > 0 && c.Exposure < 1
}

// LogE is the natural logarithm of the e-value against "the rate of treatment is ratio times that of
// control".
func (c Counts) LogE(ratio float64) float64 {
	if !c.usable() || !(ratio > 0) || !finite(ratio) {
		return 0
	}
	return c.logEShare(c.share(ratio))
}

// share of treatment in all events when its rate is ratio times control's.
func (c Counts) share(ratio float64) float64 {
	return c.Exposure * ratio / (c.Exposure*ratio + 1 - c.Exposure)
}

func (c Counts) logEShare(theta float64) float64 {
	x, y := float64(c.Treatment), float64(c.Control)
	return c.mixture(func(a, b float64) float64 {
		return lbeta(a+x, b+y) - lbeta(a, b)
	}) - weigh(x, math.Log(theta)) - weigh(y, math.Log1p(-theta))
}

// mixture is ln of the mean over the priors of exp of what f gives for each.
func (c Counts) mixture(f func(a, b float64) float64) float64 {
	var logs [len(countConcentrations)]float64
	top := math.Inf(-1)
	for i, k := range countConcentrations {
		logs[i] = f(k*c.Exposure, k*(1-c.Exposure))
		top = max(top, logs[i])
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - top)
	}
	return top + math.Log(sum/float64(len(logs)))
}

// LogEGreater is that against "the rate of treatment is at most ratio times control's": the priors
// are cut to larger shares, which gives one-sided tests and guardrails.
func (c Counts) LogEGreater(ratio float64) float64 {
	if !c.usable() || !(ratio > 0) || !finite(ratio) {
		return 0
	}
	theta := c.share(ratio)
	x, y := float64(c.Treatment), float64(c.Control)
	null := weigh(x, math.Log(theta)) + weigh(y, math.Log1p(-theta))
	return c.mixture(func(a, b float64) float64 {
		// P(share > theta) is the lower tail of the complement.
		prior := mathext.RegIncBeta(b, a, 1-theta)
		if prior < 1e-280 {
			return null // all that is left of this prior lies at theta itself
		}
		return lbeta(a+x, b+y) - lbeta(a, b) + math.Log(mathext.RegIncBeta(b+y, a+x, 1-theta)) - math.Log(prior)
	}) - null
}

// LogELess is that against "at least ratio times control's".
func (c Counts) LogELess(ratio float64) float64 {
	swapped := Counts{Control: c.Treatment, Treatment: c.Control, Exposure: 1 - c.Exposure}
	return swapped.LogEGreater(1 / ratio)
}

// Ratio is the confidence sequence of the ratio of rates; High is infinite while control has too few
// events.
func (c Counts) Ratio(alpha float64) Interval {
	if !c.usable() || c.Control+c.Treatment == 0 {
		return Interval{Low: 0, High: math.Inf(1)}
	}
	limit := -math.Log(alpha)
	centre := float64(c.Treatment) / float64(c.Treatment+c.Control)
	odds := func(theta float64) float64 { return theta / (1 - theta) * (1 - c.Exposure) / c.Exposure }
	out := Interval{Low: 0, High: math.Inf(1)}
	if c.Treatment > 0 {
		out.Low = odds(bisect(0, centre, func(p float64) float64 { return limit - c.logEShare(max(p, math.SmallestNonzeroFloat64)) }))
	}
	if c.Control > 0 {
		q := bisect(0, 1-centre, func(q float64) float64 { // 1-theta keeps its digits near 1
			flipped := Counts{Control: c.Treatment, Treatment: c.Control, Exposure: 1 - c.Exposure}
			return limit - flipped.logEShare(max(q, math.SmallestNonzeroFloat64))
		})
		out.High = (1 - q) / q * (1 - c.Exposure) / c.Exposure
	}
	return out
}

// Bernoulli is the confidence sequence of one proportion, exact at any sample size: the beta-binomial
// mixture of Howard, Ramdas, McAuliffe and Sekhon (Annals of Statistics 49:1055, 2021, proposition 7),
// narrowest near the planned number of units.
func Bernoulli(successes, n, planned int64, alpha float64) Interval {
	return bernoulli(successes, n, planned, alpha, 1/Tune(alpha, 1).Rho2)
}

// bernoulli takes the mixture's scale for one unit of variance.
func bernoulli(successes, n, planned int64, alpha, scale float64) Interval {
	if n < 1 || successes < 0 || successes > n || planned < 1 {
		return Interval{Low: 0, High: 1}
	}
	x, total, limit := float64(successes), float64(n), -math.Log(alpha)
	logE := func(p float64) float64 {
		variance := p * (1 - p)
		r := max(float64(planned)*variance*scale-variance, 1e-3*variance)
		a, b := r/(1-p), r/p
		return lbeta(a+x, b+total-x) - lbeta(a, b) - weigh(x, math.Log(p)) - weigh(total-x, math.Log1p(-p))
	}
	out := Interval{Low: 0, High: 1}
	const tiny = 1e-300
	if successes > 0 {
		out.Low = bisect(tiny, x/total*(1-1e-15), func(p float64) float64 { return limit - logE(p) })
	}
	if successes < n {
		out.High = bisect(x/total+tiny, 1-1e-16, func(p float64) float64 { return logE(p) - limit })
	}
	return out
}

// Multinomial gives a confidence interval for each share of a split, all valid at once and at any
// number of looks: shares at which no completion of the others leaves less evidence than 1/alpha,
// with a Dirichlet mixture about the planned weights (Lindon and Malek 2022).
func Multinomial(counts []int64, weights []float64, concentration, alpha float64) []Interval {
	_, sum, arms, leak := splitTotals(counts, weights)
	if leak || arms < 2 || !(concentration > 0) || !(alpha > 0) {
		return nil
	}
	n, best := 0.0, 0.0 // best is the largest log likelihood
	for _, x := range counts {
		n += float64(x)
	}
	marginal := lgamma(concentration) - lgamma(concentration+n)
	for i, x := range counts {
		if weights[i] > 0 {
			a := concentration * weights[i] / sum
			marginal += lgamma(a+float64(x)) - lgamma(a)
			best += weigh(float64(x), math.Log(float64(x)/n))
		}
	}
	out := make([]Interval, len(counts))
	for i, c := range counts {
		x := float64(c)
		out[i] = Interval{Low: 0, High: 1}
		if n == 0 || weights[i] <= 0 {
			continue
		}
		// The others share what is left as they are; given that, only x of n matters.
		rest := best - weigh(x, math.Log(x/n)) - weigh(n-x, math.Log1p(-x/n))
		excess := func(p float64) float64 {
			return marginal - rest - weigh(x, math.Log(p)) - weigh(n-x, math.Log1p(-p)) + math.Log(alpha)
		}
		if x > 0 {
			out[i].Low = bisect(1e-300, x/n, func(p float64) float64 { return -excess(p) })
		}
		if x < n {
			out[i].High = bisect(x/n, 1-1e-16, excess)
		}
	}
	return out
}

// weigh is x y with 0 for no events, whatever their probability.
func weigh(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return x * y
}

func lbeta(a, b float64) float64 { return lgamma(a) + lgamma(b) - lgamma(a+b) }
