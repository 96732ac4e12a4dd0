package stats

import "math"

// TMixture is [Mixture] for small samples: an e-value of Student's t and of F, exact for normal
// values with unknown variance at any sample size, where the normal mixture is only asymptotic
// (Lindon, Ham, Tingley and Bojinov, arXiv 2210.08589, theorems 2.2 and 3.1; R package avlm). G is
// 1/Rho2 of the normal mixture that it approaches.
type TMixture struct{ G float64 }

// T gives the t-mixture that approaches this mixture as degrees of freedom grow.
func (m Mixture) T() TMixture { return TMixture{G: 1 / m.Rho2} }

// LogE is the natural logarithm of the e-value of t with df degrees of freedom at n units.
func (m TMixture) LogE(n int64, t, df float64) float64 { return m.LogEF(n, t*t, 1, df) }

// LogEF is that of F with d and df degrees of freedom: several effects at once.
func (m TMixture) LogEF(n int64, f float64, d int, df float64) float64 {
	r, k := m.G/(m.G+float64(n)), float64(d)
	if !(df > 0) || !(f >= 0) || !(r > 0) {
		return 0
	}
	x := min(k*f/df, math.MaxFloat64) // an infinite F is as good as the largest number
	return 0.5*k*math.Log(r) + 0.5*(df+k)*(math.Log1p(x)-math.Log1p(r*x))
}

// Critical is how many standard errors wide, to each side, the confidence sequence of level alpha
// is: infinite while the sample is too small for any.
func (m TMixture) Critical(n int64, alpha, df float64) float64 {
	r := m.G / (m.G + float64(n))
	w := math.Exp(math.Log(r*alpha*alpha) / (df + 1))
	if !(df > 0) || !(w > r) {
		return math.Inf(1)
	}
	// 1-w cancels for many degrees of freedom: -expm1 of the logarithm does not.
	return math.Sqrt(df * -math.Expm1(math.Log(r*alpha*alpha)/(df+1)) / (w - r))
}

// TuneT gives the t-mixture whose sequence at level alpha is narrowest at the planned number of units,
// k of them lost to estimated coefficients (2 for two means).
func TuneT(alpha float64, planned int64, k int) TMixture {
	df := float64(planned) - float64(k)
	if !(df > 1) {
		return Tune(alpha, planned).T()
	}
	// The width is unimodal in ln g: golden section.
	width := func(lg float64) float64 { return TMixture{math.Exp(lg)}.Critical(planned, alpha, df) }
	const ratio = 0.6180339887498949
	centre := math.Log(1 / Tune(alpha, planned).Rho2)
	low, high := centre-6, centre+6
	a, b := high-ratio*(high-low), low+ratio*(high-low)
	for range 80 {
		if wa, wb := width(a), width(b); wa < wb || math.IsInf(wb, 1) && math.IsInf(wa, 1) {
			high, b = b, a
			a = high - ratio*(high-low)
		} else {
			low, a = a, b
			b = low + ratio*(high-low)
		}
	}
	return TMixture{math.Exp((low + high) / 2)}
}
