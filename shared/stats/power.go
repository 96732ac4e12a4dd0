package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

// Power is the chance that a fixed two-sided z test of level alpha finds a true effect, given the
// standard error it will have. One-sided tests are two-sided ones of twice the level, but for the
// wrong side's nothing.
func Power(effect, se, alpha float64) float64 {
	z := upperQuantile(alpha / 2)
	d := math.Abs(effect) / se
	return upperTail(z-d) + upperTail(z+d)
}

// DetectableEffect is the smallest true effect that such a test finds with the given power:
// (z_alpha/2 + z_beta) standard errors. Of a non-inferiority test it is the smallest margin, at twice
// its level.
func DetectableEffect(se, alpha, power float64) float64 {
	return (upperQuantile(alpha/2) + upperQuantile(1-power)) * se
}

// SampleSize is the units of control needed to find an effect with the given power, when treatment
// gets ratio times as many: (z_alpha/2 + z_beta)^2 (varC + varT/ratio) / effect^2, with the
// variances of one unit: p(1-p) of a proportion, the delta method's of a ratio ([Gram.Arm]),
// (1-R^2) times the metric's when covariates explain R^2 of it.
func SampleSize(effect, varControl, varTreatment, ratio, alpha, power float64) float64 {
	d := DetectableEffect(1, alpha, power) / effect
	return d * d * (varControl + varTreatment/ratio)
}

// SampleSizePooled is SampleSize of two proportions for the score test, whose error is that of both
// arms alike (power.prop.test of R; Fleiss, Levin and Paik 2003, equation 4.14), arms of one size.
func SampleSizePooled(p1, p2, alpha, power float64) float64 {
	p := (p1 + p2) / 2
	root := upperQuantile(alpha/2)*math.Sqrt(2*p*(1-p)) + upperQuantile(1-power)*math.Sqrt(p1*(1-p1)+p2*(1-p2))
	return root * root / ((p1 - p2) * (p1 - p2))
}

// DetectableLift is DetectableEffect relative to control's mean, whose own error counts more the
// larger the lift: the root of r^2 = z^2 (vC (1+r)^2 + vT), v being the squared relative standard
// errors of the means. It is +Inf when no lift can be found with so few units, since its error grows
// as fast as it does.
func DetectableLift(relativeVarControl, relativeVarTreatment, alpha, power float64) float64 {
	z := DetectableEffect(1, alpha, power)
	kc, kt := z*z*relativeVarControl, z*z*relativeVarTreatment
	if !(kc < 1) {
		return math.Inf(1)
	}
	return (kc + math.Sqrt(kc*kc+(1-kc)*(kc+kt))) / (1 - kc)
}

// PowerShare is the power that each metric needs so that, when all are judged together, goals
// corrected elsewhere, power holds for the decision: 1-(1-power)/(guardrails+1) (Schultzberg,
// Ankargren and Frånberg, arXiv 2402.11609).
func PowerShare(power float64, guardrails int) float64 {
	return 1 - (1-power)/float64(max(guardrails, 0)+1)
}

// TPower is the power of Student's t test of two samples of one variance, exactly: effect is in
// standard deviations.
func TPower(effect, n1, n2, alpha float64, oneSided bool) float64 {
	df := n1 + n2 - 2
	if !(df > 0) || !finite(effect) {
		return math.NaN()
	}
	shift := math.Abs(effect) / math.Sqrt(1/n1+1/n2)
	if oneSided {
		return noncentralUpper(studentCritical(2*alpha, df), df, shift)
	}
	t := studentCritical(alpha, df)
	return noncentralUpper(t, df, shift) + noncentralUpper(t, df, -shift)
}

// TSampleSize is the units of control for that test, treatment getting ratio times as many.
func TSampleSize(effect, ratio, alpha, power float64, oneSided bool) float64 {
	low, high := 2/(1+ratio)+1e-9, 10.0
	for high < 1e15 && !(TPower(effect, high, ratio*high, alpha, oneSided) > power) {
		low, high = high, 10*high
	}
	return bisect(max(low, 2/(1+ratio)+1e-9), high, func(n float64) float64 { return TPower(effect, n, ratio*n, alpha, oneSided) - power })
}

// TDetectable is the effect, in standard deviations, for that test.
func TDetectable(n1, n2, alpha, power float64, oneSided bool) float64 {
	high := 20 * math.Sqrt(1/n1+1/n2)
	for TPower(high, n1, n2, alpha, oneSided) < power {
		high *= 2
	}
	return bisect(0, high, func(d float64) float64 { return TPower(d, n1, n2, alpha, oneSided) - power })
}

// noncentralUpper is P(T > t) of Student's t with a noncentrality: the normal tail averaged over the
// distribution of the estimated standard deviation.
func noncentralUpper(t, df, shift float64) float64 {
	const reach, nodes, normal = 11, 200, 1e7
	if df > normal { // the density's constant loses its digits; Johnson and Welch (Biometrika 31:362, 1940) is then exact
		return upperTail((t*(1-1/(4*df)) - shift) / math.Sqrt(1+t*t/(2*df)))
	}
	sd := 1 / math.Sqrt(2*df)
	norm := math.Ln2 + df/2*math.Log(df/2) - lgamma(df/2)
	return quad.Fixed(func(s float64) float64 {
		return upperTail(t*s-shift) * math.Exp(norm+(df-1)*math.Log(s)-df*s*s/2)
	}, math.Max(1e-12, 1-reach*sd), 1+reach*sd, nodes, quad.Legendre{}, 0)
}

// Projection is what a running experiment has measured so far, from which its future is told.
type Projection struct {
	N      int64
	SE     float64                 // of the estimate now; it shrinks with the root of the units
	Effect float64                 // true effect one wants to find, on the estimate's scale
	Needs  func(n float64) float64 // critical value in standard errors at n units
}

// Power is the chance of a significant result when there will be scale times as many units as now, in
// one look: repeated looks find more ([Operate]).
func (p Projection) Power(scale float64) float64 {
	if !(p.SE > 0) || !(scale > 0) {
		return 0
	}
	d, z := math.Abs(p.Effect)*math.Sqrt(scale)/p.SE, p.Needs(scale*float64(p.N))
	return upperTail(z-d) + upperTail(z+d)
}

// More is how many times the units of now are still needed for a power: 0 when there are enough, +Inf
// when no sample will do.
func (p Projection) More(power float64) float64 {
	if p.Power(1) >= power {
		return 0
	}
	high := 2.0
	for p.Power(high) < power {
		high *= 2
		if high > 1e12 {
			return math.Inf(1)
		}
	}
	return bisect(1, high, func(s float64) float64 { return p.Power(s) - power }) - 1
}

// CredibleCritical is the number of standard errors at which a posterior's central interval of
// probability 1-alpha leaves out 0: what Needs is for Bayesian decisions.
func CredibleCritical(prior Normal, se, alpha float64) float64 {
	if math.IsInf(prior.SD, 1) {
		return upperQuantile(alpha / 2)
	}
	k := se * se / (prior.SD * prior.SD)
	return upperQuantile(alpha/2)*math.Sqrt(1+k) - k*prior.Mean/se
}

// Bounds are the critical values of the sequence of level alpha at looks at shares of the planned
// units, for [Operate]: what tells its power and its mean sample before it runs.
func (m Mixture) Bounds(times []float64, planned int64, alpha float64) []float64 {
	out := make([]float64, len(times))
	for i, t := range times {
		out[i] = mixtureCritical(m.Rho2*t*float64(planned), alpha)
	}
	return out
}

// Bounds are those of the rule, whose last time is the planned end.
func (h Hybrid) Bounds(times []float64, planned int64) []float64 {
	out := h.Mixture.Bounds(times, planned, h.AlphaSeq)
	if len(out) > 0 {
		out[len(out)-1] = min(out[len(out)-1], h.FinalZ)
	}
	return out
}
