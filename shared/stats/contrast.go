package stats

import "math"

// Contrast is one treatment arm against the control: all that absolute and relative inference
// needs. Effects are treatment minus control, in the metric's unit; lifts are relative to the
// absolute value of control's mean.
type Contrast struct {
	N            int64   // units in both arms: the information clock of sequential methods
	Control      float64 // mean of control
	Treatment    float64 // mean of treatment
	VarControl   float64 // variance of Control, the mean
	VarTreatment float64 // variance of Treatment, the mean
	Covariance   float64 // of the two means; 0 when units are in one arm only
	DF           float64 // Welch-Satterthwaite degrees of freedom
	Status       Status
	Reason       string // why Status is not OK
}

// sparseCount is how many successes, and how many failures, a proportion needs before its own
// p(1-p) is trusted: the usual rule n*p >= 10 and n*(1-p) >= 10 for the normal approximation. Without
// it a 1% ramp of a rare event raises false alarms in 10% of runs (the simulation of the tests).
const sparseCount = 10

// Compare contrasts a treatment with its control.
//
// Each mean has its own arm's variance, except where that variance is known to mislead: an arm in
// which nothing varies (0 of 10,000 converted) would claim certainty, and one with fewer than
// sparseCount successes or failures claims too much of it. There the variance of one unit is at
// least the pooled variance of both arms, that is the variance under the hypothesis that both
// arms are alike, as in the score test (Farrington and Manning, Statistics in Medicine 9:1447,
// 1990; Agresti, Categorical Data Analysis, section 3.2). So 0 against 300 of 10,000 is strong
// evidence, 0 against 1 is not, and a small arm with one success where four were expected (a 1%
// ramp) raises no alarm. Proportions pool as (x+1/2)/(n+1), which keeps even 0 against 0 finite.
func Compare(control, treatment Arm) Contrast {
	c := Contrast{N: control.N + treatment.N, Control: control.Mean, Treatment: treatment.Mean}
	for _, arm := range [...]Arm{control, treatment} {
		if arm.Status > c.Status {
			c.Status, c.Reason = arm.Status, arm.Reason
		}
	}
	if c.Status != OK {
		return c
	}
	least := pooledVariance(control, treatment)
	c.VarControl = trusted(control, least) / float64(control.N)
	c.VarTreatment = trusted(treatment, least) / float64(treatment.N)
	total := c.VarControl + c.VarTreatment
	if total == 0 {
		c.Status, c.Reason = Undefined, "no unit differs from another"
		return c
	}
	c.DF = total * total / (c.VarControl*c.VarControl/float64(control.N-1) + c.VarTreatment*c.VarTreatment/float64(treatment.N-1))
	return c.Checked()
}

// Figures between these can be multiplied four times over, as Fieller's theorem does, without leaving
// what a float64 holds.
const (
	largest  = 1e70
	smallest = 1e-140 // of a variance
)

// Checked gives the contrast, undefined if its figures are not numbers that one can calculate with. A
// contrast that was not made by this package goes through it first.
func (c Contrast) Checked() Contrast {
	if c.Status != OK {
		return c
	}
	v := c.VarControl + c.VarTreatment - 2*c.Covariance
	for _, x := range [...]float64{c.Control, c.Treatment, c.VarControl, c.VarTreatment, c.Covariance, v} {
		if !(math.Abs(x) <= largest) {
			c.Status, c.Reason = Undefined, "a mean or a variance is not a number below 1e70"
			return c
		}
	}
	if !(v >= smallest) || c.VarControl < 0 || c.VarTreatment < 0 || !(c.DF > 0) || c.N < 1 {
		c.Status, c.Reason = Undefined, "the effect has no variance"
	}
	return c
}

// pooledVariance is the variance of one unit about the mean of both arms together.
func pooledVariance(control, treatment Arm) float64 {
	nc, nt := float64(control.N), float64(treatment.N)
	n := nc + nt
	if control.Family == Proportion {
		p := (nc*control.Mean + nt*treatment.Mean + 0.5) / (n + 1)
		return p * (1 - p)
	}
	d := treatment.Mean - control.Mean
	return (nc*control.Variance+nt*treatment.Variance)/n + nc*nt/(n*n)*d*d
}

// trusted is the variance of one unit of an arm, at least the pooled one where the arm alone
// cannot tell.
func trusted(a Arm, pooled float64) float64 {
	if a.Variance == 0 || sparse(a) {
		return max(a.Variance, pooled)
	}
	return a.Variance
}

// sparse says that a proportion has too few successes or failures for its own p(1-p).
func sparse(a Arm) bool {
	successes := float64(a.N) * a.Mean
	return a.Family == Proportion && min(successes, float64(a.N)-successes) < sparseCount
}

// Effect is treatment minus control.
func (c Contrast) Effect() float64 { return c.Treatment - c.Control }

// SE is the standard error of the effect, infinite when the contrast is not OK.
func (c Contrast) SE() float64 {
	if c.Status != OK {
		return math.Inf(1)
	}
	return math.Sqrt(c.VarControl + c.VarTreatment - 2*c.Covariance)
}

// Z is the effect in standard errors, 0 when the contrast is not OK.
func (c Contrast) Z() float64 {
	if c.Status != OK {
		return 0
	}
	return c.Effect() / c.SE()
}

// Lift is the effect over the absolute value of control's mean; infinite or NaN when that is 0.
func (c Contrast) Lift() float64 { return c.Effect() / math.Abs(c.Control) }

// LiftSE is the standard error of the lift by the delta method: Vt/mc^2 + mt^2 Vc/mc^4 -
// 2 mt Cov/mc^3. It is for posteriors, which need a normal likelihood; intervals use Fieller,
// because this one misses its coverage when control's mean is small against its error.
func (c Contrast) LiftSE() float64 {
	if c.Status != OK || c.Control == 0 {
		return math.Inf(1)
	}
	r := c.Treatment / c.Control
	return math.Sqrt(c.VarTreatment+r*r*c.VarControl-2*r*c.Covariance) / math.Abs(c.Control)
}

// Shape is the form of a confidence set on the line.
type Shape uint8

// The shapes a Fieller set takes.
const (
	Bounded    Shape = iota // [Low, High]
	Complement              // everything but the open interval (Low, High)
	Line                    // everything: control's mean cannot be told from 0
)

// Interval is a confidence set. The set of a relative effect may be unbounded.
type Interval struct {
	Low, High float64 // of a Line, -Inf and +Inf
	Shape     Shape
}

// Excludes says whether the set leaves out x.
func (i Interval) Excludes(x float64) bool {
	switch i.Shape {
	case Bounded:
		return x < i.Low || x > i.High
	case Complement:
		return x > i.Low && x < i.High
	default:
		return false
	}
}

// Absolute is the interval of the effect: effect -/+ critical standard errors.
func (c Contrast) Absolute(critical float64) Interval {
	r := critical * c.SE()
	if math.IsInf(r, 1) || math.IsNaN(r) {
		return line()
	}
	return Interval{Low: c.Effect() - r, High: c.Effect() + r}
}

// Relative is the set of the lift by Fieller's theorem for any critical value, also a sequential
// one: every lift l for which effect - l*|control| lies within critical standard errors of 0
// (Fieller, JRSS B 16:175, 1954). For each l that is a plain mean, so the set is as valid as the
// absolute interval, and it excludes 0 exactly when that does.
func (c Contrast) Relative(critical float64) Interval {
	q2 := critical * critical
	if c.Status != OK || math.IsInf(q2, 1) || c.Control == 0 && c.VarControl == 0 {
		return line()
	}
	sign := 1.0
	if c.Control < 0 {
		sign = -1
	}
	effect := c.Effect()
	// The set is a l^2 - 2 b l + k <= 0, in l rather than in the ratio 1+l, so that the sign of k
	// is the absolute decision itself.
	a := c.Control*c.Control - q2*c.VarControl
	b := sign * (effect*c.Control - q2*(c.Covariance-c.VarControl))
	k := effect*effect - q2*(c.VarControl+c.VarTreatment-2*c.Covariance)
	disc := b*b - a*k
	if disc < 0 {
		if a < 0 {
			return line()
		}
		disc = 0 // the estimate itself is always in the set: this is rounding
	}
	s := b + math.Copysign(math.Sqrt(disc), b) // no cancellation in s, so both roots are accurate
	if s == 0 {
		if a < 0 {
			return line()
		}
		return Interval{}
	}
	low, high := k/s, s/a
	if low > high {
		low, high = high, low
	}
	if a < 0 {
		return Interval{Low: low, High: high, Shape: Complement}
	}
	return Interval{Low: low, High: high}
}

func line() Interval {
	return Interval{Low: math.Inf(-1), High: math.Inf(1), Shape: Line}
}
