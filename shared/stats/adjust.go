package stats

import "math"

// Adjusted is a contrast from which covariates have taken variance.
type Adjusted struct {
	Contrast
	Removed float64 // share of the unadjusted effect's variance that is gone
	Used    int     // covariates that took part; 0 means that the contrast is the plain one
	GivenX  float64 // standard error of AdjustLin given the covariates, as regression software prints
	Theta   float64 // slope of PooledCUPED
}

// AdjustLin contrasts two arms after regressing each on its own covariates, centred at the mean
// over all arms (Lin, Annals of Applied Statistics 7:295, 2013): never worse than the plain
// contrast in large samples, also with unequal splits. everybody is all arms merged, also those not
// compared: a pool of two of several arms would give control a different mean in each comparison.
//
// The estimate of arm a is m_a - b_a'(x_a - x); its variance RSS_a/(n_a-1-k)/n_a + b_a'S b_a/n, and
// the covariance of two arms b_0'S b_1/n, S being the covariance matrix of the covariates and n the
// units of all arms: the last two terms come from estimating x (inference about the population the
// units are drawn from, Negi and Wooldridge, Econometric Reviews 40:504, 2021). Ratios are
// linearised first.
//
// Where an arm is too small for its covariates or its family's variance needs care ([Compare]),
// the plain contrast is given.
func AdjustLin(control, treatment, everybody Moments, f Family) Adjusted {
	plain := Compare(control.Gram().Arm(f), treatment.Gram().Arm(f))
	if plain.Status != OK || control.Covariates() == 0 || !control.usable() || !treatment.usable() || !everybody.usable() {
		return Adjusted{Contrast: plain}
	}
	c, okC := regressed(control, everybody, f)
	t, okT := regressed(treatment, everybody, f)
	if !okC || !okT {
		return Adjusted{Contrast: plain}
	}
	shared := func(a, b []float64) float64 {
		sum := 0.0
		for i, x := range a {
			for j, y := range b {
				sum += x * everybody.at(2+i, 2+j) * y
			}
		}
		n := float64(everybody.N)
		return sum / (n * n)
	}
	residual := c.variance + t.variance
	adjusted := plain
	adjusted.Control, adjusted.Treatment = c.mean, t.mean
	adjusted.VarControl = c.variance + shared(c.slopes, c.slopes)
	adjusted.VarTreatment = t.variance + shared(t.slopes, t.slopes)
	adjusted.Covariance = shared(c.slopes, t.slopes)
	adjusted.DF = residual * residual / (c.variance*c.variance/c.df + t.variance*t.variance/t.df)
	if adjusted = adjusted.Checked(); adjusted.Status != OK {
		return Adjusted{Contrast: plain}
	}
	return Adjusted{Contrast: adjusted, Removed: removed(plain, adjusted), Used: max(c.used, t.used), GivenX: math.Sqrt(residual)}
}

// regression is an arm's mean at the covariates of all arms, and the variance of that mean given
// these covariates.
type regression struct {
	mean, variance, df float64
	slopes             []float64
	used               int
}

func regressed(m, everybody Moments, f Family) (regression, bool) {
	arm := m.Gram().Arm(f)
	if f == Proportion && sparse(arm) {
		return regression{}, false
	}
	r := regression{mean: arm.Mean}
	var explained float64
	r.slopes, explained, r.used = f.regress(m)
	r.df = float64(m.N - 1 - int64(r.used))
	if r.df < 1 {
		return regression{}, false
	}
	total := arm.Variance * float64(m.N-1)
	if f == Proportion {
		total = m.at(0, 0) // the regression's own sum of squares: n p (1-p)
	}
	left := total - explained
	if !(left > roundingFloor*total) {
		return regression{}, false // the covariates determine the value: one of them is the value
	}
	r.variance = left / r.df / float64(m.N)
	for i, b := range r.slopes {
		r.mean -= b * (m.Mean[2+i] - everybody.Mean[2+i])
	}
	return r, finite(r.mean)
}

func removed(plain, adjusted Contrast) float64 {
	s := adjusted.SE() / plain.SE()
	return 1 - s*s
}

// AdjustPooled is CUPED with one slope for both arms and the first covariate, or the first two as
// numerator and denominator of a ratio before the experiment, as most platforms compute it (Deng,
// Xu, Kohavi and Walker, WSDM 2013). It is here to reproduce their figures: [AdjustLin] is better
// when arms differ in size or slope. As in GrowthBook, control's mean stays unadjusted in the
// denominator of a lift, and its covariance with the adjusted effect is kept.
func AdjustPooled(control, treatment Moments, f Family) Adjusted {
	plain := Compare(control.Gram().Arm(f), treatment.Gram().Arm(f))
	if plain.Status != OK || control.Covariates() == 0 || !control.usable() || !treatment.usable() {
		return Adjusted{Contrast: plain}
	}
	c, t := linearise(control, f), linearise(treatment, f)
	if !finite(c.mean) || !finite(t.mean) {
		return Adjusted{Contrast: plain}
	}
	theta := pooledSlope(control, treatment, c, t, f)
	if !finite(theta) || theta == 0 {
		return Adjusted{Contrast: plain}
	}
	nc, nt := float64(control.N), float64(treatment.N)
	before := func(l linear, n float64) float64 { return theta * theta * l.xx / (n - 1) / n }
	both := func(l linear, n float64) float64 { return theta * l.xy / (n - 1) / n }
	adjusted := plain
	adjusted.Treatment -= theta * (t.mean - c.mean)
	adjusted.VarTreatment += before(t, nt) - 2*both(t, nt) + before(c, nc)
	adjusted.Covariance = both(c, nc)
	ownC := plain.VarControl + before(c, nc) - 2*both(c, nc)
	ownT := adjusted.VarTreatment - before(c, nc)
	sum := ownC + ownT
	if !(sum > 0) {
		return Adjusted{Contrast: plain}
	}
	adjusted.DF = sum * sum / (ownC*ownC/(nc-1) + ownT*ownT/(nt-1))
	if adjusted = adjusted.Checked(); adjusted.Status != OK {
		return Adjusted{Contrast: plain}
	}
	return Adjusted{Contrast: adjusted, Removed: removed(plain, adjusted), Used: 1, Theta: theta}
}

// linear is the estimate before the experiment, linearised: its mean, and sums of squares and
// products with the estimate during the experiment.
type linear struct{ mean, xx, xy float64 }

func linearise(m Moments, f Family) linear {
	if f != Ratio || m.Covariates() < 2 {
		return linear{mean: m.Mean[2], xx: m.at(2, 2), xy: f.withCovariate(m, 0)}
	}
	mean := m.Mean[2] / m.Mean[3]
	byValue, byDenominator := 1/m.Mean[3], -mean/m.Mean[3]
	return linear{
		mean: mean,
		xx:   byValue*byValue*m.at(2, 2) + 2*byValue*byDenominator*m.at(2, 3) + byDenominator*byDenominator*m.at(3, 3),
		xy:   byValue*f.withCovariate(m, 0) + byDenominator*f.withCovariate(m, 1),
	}
}

// pooledSlope is the covariance over the variance: of a mean over both arms joined, with the
// difference between the arms; of a ratio by adding both arms' variances of one unit.
func pooledSlope(control, treatment Moments, c, t linear, f Family) float64 {
	if f == Ratio {
		nc, nt := float64(control.N-1), float64(treatment.N-1)
		return (c.xy/nc + t.xy/nt) / (c.xx/nc + t.xx/nt)
	}
	both := NewMoments(control.Covariates())
	both.Merge(control)
	both.Merge(treatment)
	return both.at(0, 2) / both.at(2, 2)
}

// Stratum is one stratum of both arms.
type Stratum struct{ Control, Treatment Moments }

// PlainStratum contrasts the arms of a stratum as they are.
func PlainStratum(f Family) func(Stratum) Contrast {
	return func(s Stratum) Contrast { return Compare(s.Control.Gram().Arm(f), s.Treatment.Gram().Arm(f)) }
}

// LinStratum contrasts the arms of a stratum with [AdjustLin].
func LinStratum(f Family) func(Stratum) Contrast {
	return func(s Stratum) Contrast {
		everybody := s.Control.clone()
		everybody.Merge(s.Treatment)
		return AdjustLin(s.Control, s.Treatment, everybody, f).Contrast
	}
}

// PostStratify weighs the strata's contrasts by their share of all units (Miratrix, Sekhon and Yu,
// JRSS B 75:369, 2013). Shares are estimated, and their multinomial variance counts: the
// covariance terms below. Strata in which an arm has fewer than two units or no variance are merged
// into the largest.
func PostStratify(strata []Stratum, f Family, contrast func(Stratum) Contrast) Contrast {
	strata = mergeThin(strata, f)
	n := 0.0
	for _, s := range strata {
		n += float64(s.Control.N + s.Treatment.N)
	}
	var out Contrast
	var squareC, squareT, product, df float64
	for _, s := range strata {
		c := contrast(s)
		if c.Status != OK {
			return c
		}
		w := float64(s.Control.N+s.Treatment.N) / n
		out.N += c.N
		out.Control += w * c.Control
		out.Treatment += w * c.Treatment
		out.VarControl += w * w * c.VarControl
		out.VarTreatment += w * w * c.VarTreatment
		out.Covariance += w * w * c.Covariance
		squareC += w * c.Control * c.Control
		squareT += w * c.Treatment * c.Treatment
		product += w * c.Control * c.Treatment
		v := w * w * (c.VarControl + c.VarTreatment - 2*c.Covariance)
		df += v * v / c.DF
	}
	if len(strata) == 0 {
		return Contrast{Status: Insufficient, Reason: "no stratum has units"}
	}
	within := out.VarControl + out.VarTreatment - 2*out.Covariance
	out.DF = within * within / df
	out.VarControl += max(0, squareC-out.Control*out.Control) / n
	out.VarTreatment += max(0, squareT-out.Treatment*out.Treatment) / n
	out.Covariance += (product - out.Control*out.Treatment) / n
	return out.Checked()
}

// mergeThin merges strata whose arms cannot be judged alone into the largest.
func mergeThin(strata []Stratum, f Family) []Stratum {
	largest := -1
	for i, s := range strata {
		if largest < 0 || s.Control.N+s.Treatment.N > strata[largest].Control.N+strata[largest].Treatment.N {
			largest = i
		}
	}
	if largest < 0 {
		return nil
	}
	base := Stratum{Control: strata[largest].Control.clone(), Treatment: strata[largest].Treatment.clone()}
	out := []Stratum{base}
	for i, s := range strata {
		if i == largest || s.Control.N+s.Treatment.N == 0 {
			continue
		}
		if thin(s.Control, f) || thin(s.Treatment, f) {
			out[0].Control.Merge(s.Control)
			out[0].Treatment.Merge(s.Treatment)
			continue
		}
		out = append(out, s)
	}
	return out
}

func thin(m Moments, f Family) bool {
	a := m.Gram().Arm(f)
	return a.Status != OK || a.Variance == 0 || math.IsNaN(a.Variance)
}

func (m Moments) clone() Moments {
	out := NewMoments(m.Covariates())
	out.Merge(m)
	return out
}
