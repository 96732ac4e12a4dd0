package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

const logSqrt2Pi = 0.918938533204672741780329736406 // ln sqrt(2 pi)

// UpperTail is P(Z > x) of a standard normal.
func UpperTail(x float64) float64 { return upperTail(x) }

// UpperQuantile is the x with P(Z > x) = p.
func UpperQuantile(p float64) float64 { return upperQuantile(p) }

// ChiSquareUpper is P(X > x) of a chi-square with df degrees of freedom, 1 when there are none.
func ChiSquareUpper(x, df float64) float64 {
	if !(df > 0) || !(x >= 0) {
		return 1
	}
	return mathext.GammaIncRegComp(df/2, x/2)
}

// upperTail is P(Z > x) of a standard normal, to 1e-13 relative up to x = 37. gonum's
// distuv.Normal.Survival is 1-cdf: 0 at x = 12.
func upperTail(x float64) float64 { return 0.5 * math.Erfc(x/math.Sqrt2) }

// upperQuantile is the x with P(Z > x) = p, infinite outside 0 to 1, where the library panics.
func upperQuantile(p float64) float64 {
	switch {
	case !(p > 0):
		return math.Inf(1)
	case p >= 1:
		return math.Inf(-1)
	}
	return -mathext.NormalQuantile(p)
}

func density(x float64) float64 { return math.Exp(-0.5*x*x - logSqrt2Pi) }

// farTail is where asymptotic series take over from erfc: their truncation error there is below
// 1e-15, and erfc is still far from underflow.
const farTail = 15

// logLowerTail is ln P(Z < x), also where the probability underflows (Abramowitz and Stegun
// 26.2.12).
func logLowerTail(x float64) float64 {
	if x > -farTail {
		return math.Log(upperTail(-x))
	}
	return -0.5*x*x - logSqrt2Pi - math.Log(-x) + math.Log(tailSeries(x, 1))
}

// tailSeries is sum over j of (-1)^j s(s+2)...(s+2j-2) / x^2j for odd s: s = 1 is Mills' ratio
// times x, s = 3 is the loss below.
func tailSeries(x, s float64) float64 {
	sum, term := 1.0, 1.0
	for j := range 12 {
		term *= -(s + 2*float64(j)) / (x * x)
		sum += term
	}
	return sum
}

// positivePart is E[max(X, 0)] of X normal with the given mean and sd: sd phi(k) + mean Phi(k)
// with k = mean/sd, rewritten where the two terms cancel.
func positivePart(mean, sd float64) float64 {
	if sd == 0 {
		return max(mean, 0)
	}
	k := mean / sd
	if k < -farTail {
		return sd * density(k) / (k * k) * tailSeries(k, 3)
	}
	return max(0, sd*density(k)+mean*upperTail(-k))
}
