package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

// Hybrid is the horizon-calibrated rule: a confidence sequence of level AlphaSeq while the
// experiment runs, and at its planned end also a fixed test with critical value FinalZ. Together
// they err with probability at most Alpha at any number of looks, also after the planned end,
// because the sequence is charged its whole AlphaSeq for ever. At alpha .05 and AlphaSeq .01 it
// has power .78 where the fixed test has .80 and a pure confidence sequence .50. The plan must not
// change while the experiment runs: if it does, use the sequence alone at Alpha.
type Hybrid struct {
	Alpha    float64
	AlphaSeq float64
	FinalZ   float64
	Mixture  Mixture // tuned for AlphaSeq at the planned number of units
}

// NewHybrid plans the rule for a number of units in both arms. It solves [FinalZ]: keep the rule
// for all metrics that share a plan.
func NewHybrid(alpha, alphaSeq float64, planned int64) Hybrid {
	return Hybrid{Alpha: alpha, AlphaSeq: alphaSeq, FinalZ: FinalZ(alpha, alphaSeq), Mixture: Tune(alphaSeq, planned)}
}

// Critical is the critical value in force at n units, for Absolute and Relative; end says that
// this is the one look at the planned end.
func (h Hybrid) Critical(n int64, end bool) float64 {
	running := h.Mixture.Critical(n, h.AlphaSeq)
	if end {
		return min(running, h.FinalZ)
	}
	return running
}

// P is a p-value of the rule at one look, for [Holm]: at most Alpha exactly when |z| reaches
// Critical. Elsewhere it is the weighted Bonferroni combination of the sequence's and the final
// test's p-values, which holds at every level. The least over the looks is anytime-valid.
func (h Hybrid) P(n int64, z float64, end bool) float64 {
	p := PValue(h.Mixture.LogE(n, z)) * h.Alpha / h.AlphaSeq
	if !end {
		return min(1, p)
	}
	p = min(1, p, 2*upperTail(math.Abs(z))*h.Alpha/(h.Alpha-h.AlphaSeq))
	if math.Abs(z) >= h.FinalZ {
		p = min(p, h.Alpha)
	}
	return p
}

// The looks on which FinalZ counts the sequence's own rejections before the planned end: from 0.001
// of the plan, evenly spaced in logarithm. Fewer only make the rule stricter; four times as many would
// lower FinalZ(.05, .01) by .003.
const (
	firstLook = 1e-3
	looks     = 346
)

// FinalZ is the critical value z at the planned end for which
//
//	P(|B(1)| > z and the sequence of level alphaSeq has not rejected before) = alpha - alphaSeq
//
// for a Brownian motion B: errors of the final test that the sequence made already are not charged
// twice. It is the density recursion of Armitage, McPherson and Rowe (JRSS A 132:235, 1969) over
// the looks, by Gauss-Legendre quadrature, and takes some 60 ms.
func FinalZ(alpha, alphaSeq float64) float64 {
	switch {
	case alphaSeq <= 0:
		return upperQuantile(alpha / 2)
	case alphaSeq >= alpha:
		return math.Inf(1)
	}
	var here, next subdensity
	step := math.Pow(firstLook, -1.0/looks) // ratio of one look's time to the one before
	q := Tune(alphaSeq, 1).Rho2             // rho^2 n at the planned end
	t := firstLook
	here.cover(continuation(q, t, alphaSeq), math.Sqrt(t))
	for i, s := range here.at {
		here.mass[i] *= density(s/math.Sqrt(t)) / math.Sqrt(t)
	}
	for range looks - 1 {
		sd := math.Sqrt(t * (step - 1))
		t *= step
		next.cover(continuation(q, t, alphaSeq), sd)
		for i, s := range next.at {
			next.mass[i] *= here.arrive(s, sd)
		}
		here, next = next, here
	}
	sd := math.Sqrt(1 - t)
	// The tail falls monotonically in z, between the uncharged and the Bonferroni value.
	low, high := upperQuantile(alpha/2), upperQuantile((alpha-alphaSeq)/2)
	for range 40 {
		mid := (low + high) / 2
		if here.beyond(mid, sd) > alpha-alphaSeq {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// continuation is the largest |B(t)| at which the sequence has not rejected, cut at 9 standard
// deviations, beyond which B is with probability 2e-19.
func continuation(q, t, alphaSeq float64) float64 {
	return math.Sqrt(t) * min(9, mixtureCritical(q*t, alphaSeq))
}

// subdensity is the density of a Brownian motion that has not been stopped, on the positive half
// line (it is symmetric): mass is density times quadrature weight at each node.
type subdensity struct {
	at, mass []float64
	width    float64 // of a panel of panelNodes nodes
}

const (
	panelNodes = 8   // Gauss-Legendre nodes per panel
	panelWidth = 2.5 // standard deviations of a step: with 8 nodes, 1e-10 on FinalZ
	reach      = 7   // standard deviations beyond which a step's density counts as 0 (1e-11)
)

// cover lays nodes over [0, edge] with their weights as mass.
func (d *subdensity) cover(edge, sd float64) {
	panels := int(math.Ceil(edge / (panelWidth * sd)))
	nodes := panels * panelNodes
	if cap(d.at) < nodes {
		d.at, d.mass = make([]float64, nodes), make([]float64, nodes)
	}
	d.at, d.mass, d.width = d.at[:nodes], d.mass[:nodes], edge/float64(panels)
	for i := 0; i < nodes; i += panelNodes {
		left := float64(i/panelNodes) * d.width
		quad.Legendre{}.FixedLocations(d.at[i:i+panelNodes], d.mass[i:i+panelNodes], left, left+d.width)
	}
}

// arrive is the density at s after a step of standard deviation sd.
func (d *subdensity) arrive(s, sd float64) float64 {
	first := max(0, int((s-reach*sd)/d.width)) * panelNodes
	last := min(len(d.at), int((s+reach*sd)/d.width+1)*panelNodes)
	sum := 0.0
	for i := first; i < last; i++ {
		near, far := (s-d.at[i])/sd, (s+d.at[i])/sd
		k := math.Exp(-0.5 * near * near)
		if far < reach {
			k += math.Exp(-0.5 * far * far)
		}
		sum += d.mass[i] * k
	}
	return sum * math.Exp(-logSqrt2Pi) / sd
}

// beyond is the probability that the motion ends above z or below -z.
func (d *subdensity) beyond(z, sd float64) float64 {
	sum := 0.0
	for i, u := range d.at {
		sum += d.mass[i] * (upperTail((z-u)/sd) + upperTail((z+u)/sd))
	}
	return 2 * sum
}
