package stats

import "math"

// Mixture is the normal mixture behind the anytime-valid methods: asymptotic confidence sequences
// of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics 2024, arXiv
// 2103.06476) and their e-values. Every figure holds at any number of looks and at any stopping
// time, for any estimator that is asymptotically a mean; z is an estimate over its standard error
// and n the units it rests on.
type Mixture struct {
	Rho2 float64 // squared mixing scale per unit
}

// Tune gives the mixture whose two-sided sequence at level alpha is narrowest at the planned number
// of units: rho^2 = (-W(-alpha^2/e) - 1)/planned on the lower branch of Lambert's W, the exact
// optimum.
func Tune(alpha float64, planned int64) Mixture {
	// u = -W-1 solves u - ln(1+u) = -2 ln alpha; the left side is convex and rising, so Newton
	// converges from anywhere above 0.
	target := -2 * math.Log(alpha)
	u := target + math.Sqrt(2*target)
	for range 6 {
		u -= (u - math.Log1p(u) - target) * (1 + u) / u
	}
	return Mixture{Rho2: u / float64(max(planned, 1))}
}

// TuneOneSided is Tune for the one-sided figures at level alpha, which spend as two sides do at
// twice the level.
func TuneOneSided(alpha float64, planned int64) Mixture { return Tune(2*alpha, planned) }

// Critical is how many standard errors wide, to each side, the confidence sequence of level alpha
// is at n units: sqrt((q+1)/q (ln(q+1) - 2 ln alpha)) with q = n rho^2.
func (m Mixture) Critical(n int64, alpha float64) float64 {
	return mixtureCritical(m.Rho2*float64(n), alpha)
}

func mixtureCritical(q, alpha float64) float64 {
	return math.Sqrt((q + 1) / q * (math.Log1p(q) - 2*math.Log(alpha)))
}

// LogE is the natural logarithm of the e-value against no effect in either direction. It is also
// the Bayes factor of a normal prior with mean 0.
func (m Mixture) LogE(n int64, z float64) float64 {
	q := m.Rho2 * float64(n)
	return 0.5 * (q*z*z/(q+1) - math.Log1p(q))
}

// LogEGreater is the natural logarithm of the e-value against "the estimate's true value is at
// most 0": the exact one-sided normal mixture of Howard, Ramdas, McAuliffe and Sekhon (Annals of
// Statistics 49:1055, 2021).
func (m Mixture) LogEGreater(n int64, z float64) float64 {
	q := m.Rho2 * float64(n)
	c := q / (q + 1)
	return math.Ln2 + 0.5*(c*z*z-math.Log1p(q)) + logLowerTail(z*math.Sqrt(c))
}

// CriticalGreater is how many standard errors below the estimate the one-sided lower confidence
// sequence of level alpha lies: the z at which LogEGreater reaches -ln alpha.
func (m Mixture) CriticalGreater(n int64, alpha float64) float64 {
	z := m.Critical(n, alpha) // at or right of the root, from where Newton falls monotonically
	if math.IsInf(z, 1) {
		return z
	}
	q := m.Rho2 * float64(n)
	s := math.Sqrt(q / (q + 1))
	for range 50 {
		x := s * z
		slope := s * (x + math.Exp(-0.5*x*x-logSqrt2Pi-logLowerTail(x)))
		step := (m.LogEGreater(n, z) + math.Log(alpha)) / slope
		z -= step
		if math.Abs(step) < 1e-13*math.Abs(z) {
			break
		}
	}
	return z
}

// PValue is the anytime-valid p-value of an e-value: min(1, 1/e). A caller that stores the least
// one over the looks keeps it valid and never rising.
func PValue(logE float64) float64 { return math.Exp(min(0, -logE)) }
