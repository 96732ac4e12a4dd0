package stats

import "math"

// Spending is how a group sequential design spends its error: the share of alpha that is gone at a
// share t of the planned information.
type Spending struct {
	kind  spendingKind
	gamma float64
}

type spendingKind uint8

const (
	obrienFleming spendingKind = iota
	pocock
	power
	hwangShihDeCani
)

// OBrienFleming spends little early, 2-2 Phi(z_{alpha/2}/sqrt t): Lan and DeMets' approximation
// (Biometrika 70:659, 1983). The default where looks are planned.
func OBrienFleming() Spending { return Spending{kind: obrienFleming} }

// Pocock spends evenly, alpha ln(1+(e-1)t) (Lan and DeMets 1983).
func Pocock() Spending { return Spending{kind: pocock} }

// SpendPower spends alpha t^gamma (Kim and DeMets, Biometrika 74:149, 1987).
func SpendPower(gamma float64) Spending { return Spending{power, gamma} }

// HwangShihDeCani spends alpha (1-exp(-gamma t))/(1-exp(-gamma)) (Statistics in Medicine 9:1439,
// 1990); gamma 0 is even.
func HwangShihDeCani(gamma float64) Spending { return Spending{hwangShihDeCani, gamma} }

// Spent is the error of one side that is spent at a share t of the plan, all of it from 1 on.
func (s Spending) Spent(t, alpha float64) float64 {
	switch {
	case !(t > 0):
		return 0
	case t >= 1:
		return alpha
	}
	switch s.kind {
	case obrienFleming:
		return min(alpha, 2*upperTail(upperQuantile(alpha/2)/math.Sqrt(t)))
	case pocock:
		return alpha * math.Log1p((math.E-1)*t)
	case power:
		return alpha * math.Pow(t, s.gamma)
	default:
		if s.gamma == 0 {
			return alpha * t
		}
		return alpha * math.Expm1(-s.gamma*t) / math.Expm1(-s.gamma)
	}
}

// GroupSequential is a design with looks at information that is known when it comes (Lan and
// DeMets): the bound of a look needs only the looks so far, so looks may be unplanned, and more
// information than planned is spent at what is left of alpha.
type GroupSequential struct {
	Alpha    float64
	TwoSided bool // stops above and below, each with half of alpha
	Spend    Spending
}

// Bounds are the values of z to pass at looks at rising times, 1 being the planned information. final
// says that the last one is the last of all, which may spend what is left wherever it comes. They
// are solved to 1e-9; a look that spends nothing has an infinite bound. Times that do not rise give
// nil.
func (g GroupSequential) Bounds(times []float64, final bool) []float64 {
	if !ascendingTimes(times) || !(g.Alpha > 0 && g.Alpha < 1) {
		return nil
	}
	side := g.side()
	w := newWalk(0)
	bounds := make([]float64, len(times))
	spent := 0.0
	for i, t := range times {
		total := g.Spend.Spent(t, side)
		if final && i == len(times)-1 {
			total = side
		}
		b := w.bound(t, total-spent)
		spent = max(spent, total)
		bounds[i] = b / math.Sqrt(t)
		low := math.Inf(-1)
		if g.TwoSided {
			low = -b
		}
		w.keep(t, low, b)
	}
	return bounds
}

func (g GroupSequential) side() float64 {
	if g.TwoSided {
		return g.Alpha / 2
	}
	return g.Alpha
}

// bound is the b above which the motion lies at time t with the given probability: Newton's steps
// on the logarithm, which is concave, kept within a bracket.
func (w *walk) bound(t, p float64) float64 {
	if !(p > 1e-300) {
		return math.Inf(1)
	}
	low, high := -spanDown*math.Sqrt(t), 40*math.Sqrt(t)
	b := math.Sqrt(t) * upperQuantile(min(p, 0.5))
	for range 100 {
		tail := w.above(t, b)
		if tail > p {
			low = b
		} else {
			high = b
		}
		next := b + math.Log(tail/p)*tail/w.density(t, b)
		if !(next > low && next < high) {
			next = (low + high) / 2
		}
		if math.Abs(next-b) < 1e-13*(1+math.Abs(b)) {
			return next
		}
		b = next
	}
	return b
}

// Classic gives the bounds c t^(delta-1/2) of Wang and Tsiatis (Biometrics 43:193, 1987) whose whole
// error is alpha: delta 0 is O'Brien and Fleming's, 1/2 Pocock's.
func (g GroupSequential) Classic(times []float64, delta float64) []float64 {
	if !ascendingTimes(times) || !(g.Alpha > 0 && g.Alpha < 1) {
		return nil
	}
	last := times[len(times)-1]
	bounds := make([]float64, len(times))
	lower := func() []float64 {
		if !g.TwoSided {
			return nil
		}
		return negated(bounds)
	}
	set := func(c float64) {
		for i, t := range times {
			bounds[i] = c * math.Pow(t/last, delta-0.5)
		}
	}
	c := bisect(0, 40, func(c float64) float64 {
		set(c)
		return g.Alpha - Operate(times, lower(), bounds, 0).Rejects()
	})
	set(c)
	return bounds
}

func negated(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = -v
	}
	return out
}

// Inflation is how much larger than a single-look test a design must be at most for the same power,
// and how large it is on average, with the effect it was planned for and without any.
type Inflation struct{ Max, MeanEffect, MeanNone float64 }

// Inflate computes it for bounds at times up to 1.
func (g GroupSequential) Inflate(times, bounds []float64, wanted float64) Inflation {
	var lower []float64
	if g.TwoSided {
		lower = negated(bounds)
	}
	fixed := upperQuantile(g.side()) + upperQuantile(1-wanted)
	drift := bisect(0, 10*fixed, func(d float64) float64 { return Operate(times, lower, bounds, d).Power() - wanted })
	factor := drift * drift / (fixed * fixed)
	return Inflation{
		Max:        factor,
		MeanEffect: factor * Operate(times, lower, bounds, drift).Sample,
		MeanNone:   factor * Operate(times, lower, bounds, 0).Sample,
	}
}

// Stopped is inference after a design stopped, by stage-wise ordering: an outcome is more extreme
// the earlier it crossed, then the larger its z (Tsiatis, Rosner and Mehta, Biometrics 40:797,
// 1984). Effects are multiples of the standard error that the effect has at time 1.
type Stopped struct {
	P              float64 // one- or two-sided as the design is
	MedianUnbiased float64
	Interval       Interval // 1-alpha two-sided, or the lower bound with infinite high
	Repeated       Interval // z -/+ bound: valid also without stopping, wider
}

// After gives inference at the last of the looks so far, where z was found: bounds are those of
// these looks.
func (g GroupSequential) After(times, bounds []float64, z float64) (Stopped, Status) {
	if !ascendingTimes(times) || len(bounds) != len(times) || !finite(z) {
		return Stopped{P: 1, Interval: line(), Repeated: line()}, Undefined
	}
	k := len(times) - 1
	root := math.Sqrt(times[k])
	// P(at least as extreme upwards): crossed above earlier, or here with a larger z.
	upward := func(drift float64) float64 {
		w := newWalk(drift)
		sum := 0.0
		for i, t := range times[:k] {
			high, low := bounds[i]*math.Sqrt(t), math.Inf(-1)
			if g.TwoSided {
				low = -high
			}
			sum += w.above(t, high)
			w.keep(t, low, high)
		}
		return sum + w.above(times[k], z*root)
	}
	at := func(p float64) float64 {
		centre := z / root
		return bisect(centre-12/root, centre+12/root, func(d float64) float64 { return upward(d) - p })
	}
	up := upward(0)
	out := Stopped{P: up, MedianUnbiased: at(0.5), Interval: Interval{Low: at(g.side()), High: math.Inf(1)}}
	out.Repeated = Interval{Low: (z - bounds[k]) / root, High: math.Inf(1)}
	if g.TwoSided {
		out.P = min(1, 2*min(up, 1-up))
		out.Interval.High = at(1 - g.side())
		out.Repeated.High = (z + bounds[k]) / root
	}
	return out, OK
}
