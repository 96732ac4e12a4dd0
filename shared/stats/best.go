package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"
)

// Best is what independent posteriors say of which arm is best, by quadrature: the same figures every
// time, where drawing 10,000 samples gives two digits.
type Best struct {
	Chance []float64 // of each arm to be best
	Loss   []float64 // expected loss of choosing it
	Value  float64   // expected value of the best
	Status Status
	Reason string
}

// PickBest compares arms whose posterior means are known up to a normal error; smaller turns the
// metric round.
func PickBest(arms []Normal, smaller bool) Best {
	if len(arms) == 0 {
		return Best{Status: Insufficient, Reason: "no arms"}
	}
	sign := 1.0
	if smaller {
		sign = -1
	}
	turned := make([]Normal, len(arms))
	for i, a := range arms {
		if !finite(a.Mean) || !(a.SD > 0) || !finite(a.SD) {
			return Best{Status: Undefined, Reason: "an arm's mean or standard deviation is not a usable number"}
		}
		turned[i] = Normal{Mean: sign * a.Mean, SD: a.SD}
	}
	out := Best{Chance: make([]float64, len(arms)), Loss: make([]float64, len(arms))}
	// E[max] = anchor + the sum of E[X_i - anchor; i is best]: no digits are lost to a large mean.
	anchor := turned[0].Mean
	for _, a := range turned {
		anchor = max(anchor, a.Mean)
	}
	above := 0.0
	for i, a := range turned {
		chance, value := 0.0, 0.0
		others := func(x float64) float64 {
			p := 1.0
			for j, b := range turned {
				if j != i {
					p *= upperTail((b.Mean - x) / b.SD)
				}
			}
			return p
		}
		panels(a, turned, func(z, weight float64) {
			x := a.Mean + z*a.SD
			p := weight * density(z) * others(x)
			chance += p
			value += p * (x - anchor)
		})
		out.Chance[i] = chance
		above += value
	}
	total := 0.0
	for _, p := range out.Chance {
		total += p
	}
	for i := range out.Chance {
		out.Chance[i] /= total // 1 but for rounding
		out.Loss[i] = max(0, above+anchor-turned[i].Mean)
	}
	out.Value = sign * (anchor + above)
	return out
}

const (
	bestNodes = 16 // Gauss-Legendre nodes of a panel at most one standard deviation wide: 1e-14
	bestReach = 9  // standard deviations, beyond which lies 1e-19
)

// panels visits nodes over the standardised values of an arm, close where any other arm's
// distribution function rises: narrow arms are steps to wide ones.
func panels(a Normal, all []Normal, visit func(z, weight float64)) {
	edges := []float64{-bestReach, bestReach}
	for _, b := range all {
		for s := -bestReach; s <= bestReach; s++ {
			if z := (b.Mean + float64(s)*b.SD - a.Mean) / a.SD; z > -bestReach && z < bestReach {
				edges = append(edges, z)
			}
		}
	}
	slices.Sort(edges)
	var x, weight [bestNodes]float64
	for k := 1; k < len(edges); k++ {
		if edges[k] <= edges[k-1] {
			continue
		}
		quad.Legendre{}.FixedLocations(x[:], weight[:], edges[k-1], edges[k])
		for i := range x {
			visit(x[i], weight[i])
		}
	}
}

// Beta is the distribution of a proportion: a prior or a posterior.
type Beta struct{ A, B float64 }

// Update adds successes and failures.
func (p Beta) Update(successes, units int64) Beta {
	return Beta{A: p.A + float64(successes), B: p.B + float64(units-successes)}
}

func (p Beta) usable() bool { return p.A >= 0.5 && p.B >= 0.5 && finite(p.A) && finite(p.B) }

// Mean is the expected proportion.
func (p Beta) Mean() float64 { return p.A / (p.A + p.B) }

// Interval is the central credible interval of probability 1-alpha.
func (p Beta) Interval(alpha float64) Interval {
	if !p.usable() {
		return Interval{Low: 0, High: 1}
	}
	return Interval{Low: mathext.InvRegIncBeta(p.A, p.B, alpha/2), High: 1 - mathext.InvRegIncBeta(p.B, p.A, alpha/2)}
}

// BetaContrast compares two proportions exactly.
type BetaContrast struct {
	Chance        float64 // that treatment's is larger
	LossTreatment float64 // E max(control - treatment, 0)
	LossControl   float64
	Equivalent    float64 // that they differ by at most the region's half width
	Status        Status
	Reason        string
}

// CompareBetas integrates over the angle whose squared sine is the proportion, on which a beta
// density has no poles for parameters from 1/2 on.
func CompareBetas(control, treatment Beta, rope float64) BetaContrast {
	if !control.usable() || !treatment.usable() {
		return BetaContrast{Chance: 0.5, Status: Undefined, Reason: "beta parameters below 1/2"}
	}
	var out BetaContrast
	sweep(control, treatment, func(x, dx, densityControl, _, belowControl, belowTreatment float64) {
		// P(control < treatment) = E[P(treatment > x)] over control's x.
		out.Chance += densityControl * (1 - belowTreatment)
		out.LossTreatment += dx * belowTreatment * (1 - belowControl)
		out.LossControl += dx * belowControl * (1 - belowTreatment)
		if rope > 0 {
			out.Equivalent += densityControl * (treatment.below(x+rope) - treatment.below(x-rope))
		}
	})
	return out
}

func (p Beta) below(x float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	}
	return mathext.RegIncBeta(p.A, p.B, x)
}

// sweep visits nodes over both distributions.
func sweep(control, treatment Beta, visit func(x, dx, densityControl, densityTreatment, belowControl, belowTreatment float64)) {
	var edges []float64
	for _, p := range [...]Beta{control, treatment} {
		centre, sd := math.Asin(math.Sqrt(p.Mean())), 0.5/math.Sqrt(p.A+p.B)
		for s := -14; s <= 14; s++ {
			edges = append(edges, min(math.Pi/2, max(0, centre+float64(s)*sd)))
		}
	}
	slices.Sort(edges)
	logDensity := func(p Beta, norm, sin, cos float64) float64 {
		return math.Exp(math.Ln2 + (2*p.A-1)*math.Log(sin) + (2*p.B-1)*math.Log(cos) - norm)
	}
	normC, normT := lbeta(control.A, control.B), lbeta(treatment.A, treatment.B)
	var u, weight [bestNodes]float64
	for k := 1; k < len(edges); k++ {
		if edges[k] <= edges[k-1] {
			continue
		}
		quad.Legendre{}.FixedLocations(u[:], weight[:], edges[k-1], edges[k])
		for i := range u {
			sin, cos := math.Sincos(u[i])
			x := sin * sin
			visit(x, weight[i]*2*sin*cos, weight[i]*logDensity(control, normC, sin, cos), weight[i]*logDensity(treatment, normT, sin, cos),
				control.below(x), treatment.below(x))
		}
	}
}

// Allocate turns chances to be best into shares of traffic: top-two Thompson sampling (Russo,
// Operations Research 68:1625, 2020) gives a second chance to the runner-up, so that the comparison
// that matters is decided: share i = c_i (1/2 + 1/2 sum over j != i of c_j/(1-c_j)). A floor keeps
// every arm measurable: f + (1-Kf) share.
func Allocate(chance []float64, floor float64) []float64 {
	k := float64(len(chance))
	if len(chance) < 2 {
		return fill(len(chance), 1)
	}
	floor = min(max(floor, 0), 1/k)
	shares := make([]float64, len(chance))
	total := 0.0
	for i, c := range chance {
		second := 0.0
		for j, d := range chance {
			if j != i && d > 0 {
				rest := 0.0 // 1-d, without cancellation when d is nearly 1
				for l, e := range chance {
					if l != j {
						rest += e
					}
				}
				if rest > 0 {
					second += d * c / rest
				}
			}
		}
		shares[i] = 0.5*c + 0.5*second
		total += shares[i]
	}
	for i := range shares {
		w := 1 / k
		if total > 0 {
			w = shares[i] / total
		}
		shares[i] = floor + (1-k*floor)*w
	}
	return shares
}

// Stratify combines contrasts of epochs within each of which the allocation was constant, weighted by
// their units. When allocation changes while behaviour changes too (a sale, a weekend), the pooled
// difference is biased, Simpson's paradox; this one is not. Late epochs must not be weighed by what
// was seen in them, only by their units. With three or more arms whose
// shares follow the results, the units of two arms depend on what was seen as well, and the estimate is
// only nearly unbiased. A programme's holdout needs nothing of the kind: it is an
// arm like any other.
func Stratify(epochs []Contrast) Contrast {
	var n float64
	for _, c := range epochs {
		if c.Status == OK {
			n += float64(c.N)
		}
	}
	if n == 0 {
		return Contrast{Status: Insufficient, Reason: "no epoch has a contrast"}
	}
	var out Contrast
	df := 0.0
	for _, c := range epochs {
		if c.Status != OK {
			continue
		}
		w := float64(c.N) / n
		out.N += c.N
		out.Control += w * c.Control
		out.Treatment += w * c.Treatment
		out.VarControl += w * w * c.VarControl
		out.VarTreatment += w * w * c.VarTreatment
		out.Covariance += w * w * c.Covariance
		v := w * w * c.SE() * c.SE()
		df += v * v / c.DF
	}
	v := out.SE() * out.SE()
	out.DF = v * v / df
	return out.Checked()
}
