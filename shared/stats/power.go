package stats

import "math"

// Power is the chance that a fixed two-sided z test of level alpha finds a true effect, given the
// standard error it will have.
func Power(effect, se, alpha float64) float64 {
	z := upperQuantile(alpha / 2)
	d := math.Abs(effect) / se
	return upperTail(z-d) + upperTail(z+d)
}

// DetectableEffect is the smallest true effect that such a test finds with the given power:
// (z_alpha/2 + z_beta) standard errors.
func DetectableEffect(se, alpha, power float64) float64 {
	return (upperQuantile(alpha/2) + upperQuantile(1-power)) * se
}

// SampleSize is the units of control needed to find an effect with the given power, when treatment
// gets ratio times as many: (z_alpha/2 + z_beta)^2 (varC + varT/ratio) / effect^2, with the
// variances of one unit.
func SampleSize(effect, varControl, varTreatment, ratio, alpha, power float64) float64 {
	d := DetectableEffect(1, alpha, power) / effect
	return d * d * (varControl + varTreatment/ratio)
}
