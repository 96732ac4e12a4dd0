package stats

import "math"

// Selected is an estimate that is only reported because it was significant, freed of the winner's
// curse: given |z| > threshold, z is not normal about the truth but truncated.
type Selected struct {
	MLE            float64 // conditional maximum likelihood
	MedianUnbiased float64
	Interval       Interval // equal tails, of the conditional distribution
	Status         Status
	Reason         string
}

// Unselect computes estimates of the effect from its z, its standard error and the threshold that
// |z| had to pass (Zhong and Prentice, Biostatistics 9:621, 2008). The estimates shrink towards 0
// as z comes close to the threshold, and meet the plain one far beyond it.
func Unselect(z, se, threshold, alpha float64) Selected {
	switch {
	case !finite(z) || !(se > 0) || !finite(se) || !(threshold >= 0) || !(alpha > 0 && alpha < 1):
		return Selected{Interval: line(), Status: Undefined, Reason: "z, standard error or threshold is not usable"}
	case math.Abs(z) <= threshold:
		return Selected{Interval: line(), Status: Undefined, Reason: "the effect did not pass the threshold"}
	}
	sign := math.Copysign(1, z)
	x := math.Abs(z)
	// The conditional cdf at x falls from 1 to 0 as the truth rises.
	solve := func(p float64) float64 {
		low, high := x-width, x+width
		// Close to a threshold the limits lie far below: the cdf falls to p only there.
		for reach := float64(width); selectedCDF(x, low, threshold) < p && reach < farthest; reach *= 2 {
			low = x - 2*reach
		}
		return bisect(low, high, func(mu float64) float64 { return p - selectedCDF(x, mu, threshold) })
	}
	low, bias := -1.0, func(mu float64) float64 { return mu + selectedBias(mu, threshold) - x }
	for bias(low) > 0 && low > -farthest {
		low *= 2
	}
	mle := bisect(low, x, bias)
	from, to := solve(1-alpha/2), solve(alpha/2)
	out := Selected{MLE: sign * mle * se, MedianUnbiased: sign * solve(0.5) * se}
	if sign < 0 {
		from, to = -to, -from
	}
	out.Interval = Interval{Low: from * se, High: to * se}
	return out
}

// The conditional limits lie within width standard errors of z unless z is close to a large threshold;
// beyond farthest nothing is looked for.
const (
	width    = 60
	farthest = 1e9
)

// selectedCDF is P(Z <= x | |Z| > c) for Z normal about mu, x > c. The tail beyond x is computed on
// the side where it does not cancel.
func selectedCDF(x, mu, c float64) float64 {
	above, upper, lower := logUpper(x-mu), logUpper(c-mu), logUpper(c+mu)
	total := logSum(upper, lower)
	return -math.Expm1(min(0, above-total))
}

// selectedBias is E[Z | |Z| > c] - mu.
func selectedBias(mu, c float64) float64 {
	total := logSum(logUpper(c-mu), logUpper(c+mu))
	return math.Exp(-0.5*(c-mu)*(c-mu)-logSqrt2Pi-total) - math.Exp(-0.5*(c+mu)*(c+mu)-logSqrt2Pi-total)
}

func logUpper(x float64) float64 { return logLowerTail(-x) }

func logSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// bisect finds the root of a rising function between two points to the last digits.
func bisect(low, high float64, f func(float64) float64) float64 {
	for range 200 {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if f(mid) < 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return low + (high-low)/2
}
