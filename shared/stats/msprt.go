package stats

import "math"

// MSPRT is the mixture sequential probability ratio test of Johari, Koomen, Pekelis and Walsh
// (Operations Research 70:1806, 2022) with a normal mixture of variance Tau2 about no effect, in the
// metric's squared unit. It is [Mixture] with the scale fixed in advance by the effect one looks for
// instead of by the planned sample.
type MSPRT struct{ Tau2 float64 }

// LogE is the natural logarithm of the likelihood ratio: sqrt(V/(V+tau2)) exp(tau2 d^2 / (2V(V+tau2)))
// for an effect d with squared standard error V.
func (m MSPRT) LogE(c Contrast) float64 {
	if c.Status != OK {
		return 0
	}
	q := m.Tau2 / (c.SE() * c.SE())
	return 0.5 * (q*c.Z()*c.Z()/(q+1) - math.Log1p(q))
}

// Critical is how many standard errors wide, to each side, its interval is.
func (m MSPRT) Critical(c Contrast, alpha float64) float64 {
	if c.Status != OK {
		return math.Inf(1)
	}
	return mixtureCritical(m.Tau2/(c.SE()*c.SE()), alpha)
}
