package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
)

// walk is a Brownian motion with drift, looked at now and then, of which what left the continuation
// region is gone: the recursion of Armitage, McPherson and Rowe (JRSS A 132:235, 1969), to 1e-9 on
// the bounds of a design. mass is the density of what is left times the quadrature weight at each
// node. The nodes of a look are laid when the next is known, since both steps decide how close they
// must lie.
type walk struct {
	t, drift  float64
	at, mass  []float64
	half      float64 // half the width of a panel of nodes
	low, high float64 // region of the look at next, to be entered by settle
	next      float64 // 0: none pending
	spare     [2][]float64
}

// newWalk starts at 0 at time 0.
func newWalk(drift float64) *walk { return &walk{drift: drift, at: []float64{0}, mass: []float64{1}} }

const (
	stepNodes = 12  // Gauss-Legendre nodes of a panel
	stepPanel = 2.5 // width of a panel in standard deviations of the shorter step: 1e-10 with 12 nodes
	// Standard deviations to which the motion is followed. Upwards far enough for the first looks of
	// O'Brien-Fleming designs, which spend 1e-20; downwards 1e-18.
	spanUp   = 11
	spanDown = 8.8
)

// keep says that at time t the motion goes on between low and high, either of which may be infinite.
func (w *walk) keep(t, low, high float64) { w.next, w.low, w.high = t, low, high }

// settle moves to the pending look, t being the time of the one after.
func (w *walk) settle(t float64) {
	if w.next == 0 {
		return
	}
	here := w.next
	w.next = 0
	root, mean := math.Sqrt(here), w.drift*here
	low := max(w.low, mean-spanDown*root)
	high := min(w.high, mean+spanUp*root)
	sd, shift := math.Sqrt(here-w.t), w.drift*(here-w.t)
	if !(high > low) {
		w.t, w.at, w.mass = here, nil, nil
		return
	}
	panels := int(math.Ceil((high - low) / (stepPanel * min(sd, math.Sqrt(t-here)))))
	at, mass := w.room(panels * stepNodes)
	half := (high - low) / float64(panels) / 2
	var x, weight [stepNodes]float64
	quad.Legendre{}.FixedLocations(x[:], weight[:], -1, 1)
	for p := range panels {
		for i := range x {
			at[p*stepNodes+i] = low + half*(float64(2*p+1)+x[i])
			mass[p*stepNodes+i] = 0
		}
	}
	w.spread(at, mass, half, sd, shift)
	scale := half * math.Exp(-logSqrt2Pi) / sd
	for i := range mass {
		mass[i] *= scale * weight[i%stepNodes]
	}
	w.spare = [2][]float64{w.at, w.mass}
	w.t, w.at, w.mass, w.half = here, at, mass, half
}

// spread adds to sum at each node of the new grid what arrives there, but for the constant of the
// normal density. For nodes at a and b about the centres of two panels that are d apart, in steps,
// exp(-(d+a-b)^2/2) = exp(-d^2/2) exp(-d a) exp(d b) exp(-(a-b)^2/2): the last factor is the same for
// all pairs of panels, which leaves 24 exponentials of 144.
func (w *walk) spread(at, sum []float64, half, sd, shift float64) {
	if len(w.at) == 1 { // the start
		for i, s := range at {
			z := (s - w.at[0] - shift) / sd
			sum[i] = w.mass[0] * math.Exp(-0.5*z*z)
		}
		return
	}
	var x, weight [stepNodes]float64
	quad.Legendre{}.FixedLocations(x[:], weight[:], -1, 1)
	var a, b [stepNodes]float64
	var between [stepNodes][stepNodes]float64
	for i := range x {
		a[i], b[i] = x[i]*half/sd, x[i]*w.half/sd
	}
	for i := range a {
		for j := range b {
			between[i][j] = math.Exp(-0.5 * (a[i] - b[j]) * (a[i] - b[j]))
		}
	}
	reach := (half + w.half) / sd
	for p := 0; p < len(at); p += stepNodes {
		centre := (at[p] + at[p+stepNodes-1]) / 2
		for q := 0; q < len(w.at); q += stepNodes {
			d := (centre - (w.at[q]+w.at[q+stepNodes-1])/2 - shift) / sd
			if d > spanUp+reach || d < -spanDown-reach {
				continue
			}
			var from [stepNodes]float64
			for j := range from {
				from[j] = w.mass[q+j] * math.Exp(d*b[j]-0.5*d*d)
			}
			for i := range a {
				arriving := 0.0
				for j := range from {
					arriving += between[i][j] * from[j]
				}
				sum[p+i] += arriving * math.Exp(-d*a[i])
			}
		}
	}
}

// room is space for nodes that the walk does not stand on.
func (w *walk) room(nodes int) (at, mass []float64) {
	at, mass = w.spare[0], w.spare[1]
	if cap(at) < nodes || cap(mass) < nodes {
		return make([]float64, nodes, 2*nodes), make([]float64, nodes, 2*nodes)
	}
	return at[:nodes], mass[:nodes]
}

// above is the probability that the motion is still there and lies above b at time t.
func (w *walk) above(t, b float64) float64 {
	w.settle(t)
	sd, shift := math.Sqrt(t-w.t), w.drift*(t-w.t)
	sum := 0.0
	for i, u := range slices.Backward(w.at) { // nodes ascend: those too far below come last
		z := (b - u - shift) / sd
		if z > spanUp+1 && sum > 0 {
			break
		}
		sum += w.mass[i] * upperTail(z)
	}
	return sum
}

// below is the same below b.
func (w *walk) below(t, b float64) float64 {
	w.settle(t)
	sd, shift := math.Sqrt(t-w.t), w.drift*(t-w.t)
	sum := 0.0
	for i, u := range w.at {
		z := (u + shift - b) / sd
		if z > spanUp+1 && sum > 0 {
			break
		}
		sum += w.mass[i] * upperTail(z)
	}
	return sum
}

// density is that of what is still there at s at time t.
func (w *walk) density(t, s float64) float64 {
	w.settle(t)
	sd, shift := math.Sqrt(t-w.t), w.drift*(t-w.t)
	sum := 0.0
	for i, u := range slices.Backward(w.at) {
		z := (s - u - shift) / sd
		if z > spanUp+1 && sum > 0 {
			break
		}
		sum += w.mass[i] * math.Exp(-0.5*z*z)
	}
	return sum * math.Exp(-logSqrt2Pi) / sd
}

// Operating is what a rule of repeated looks does, in the limit of many units: exactly, not by
// simulation.
type Operating struct {
	Upper, Lower []float64 // probability to stop at each look above and below
	Sample       float64   // mean information at stopping, in the unit of the times
}

// Power is the probability to have stopped above by the last look.
func (o Operating) Power() float64 {
	sum := 0.0
	for _, p := range o.Upper {
		sum += p
	}
	return sum
}

// Rejects is the probability to have stopped at all.
func (o Operating) Rejects() float64 {
	sum := o.Power()
	for _, p := range o.Lower {
		sum += p
	}
	return sum
}

// Operate computes the probabilities of stopping at looks at rising information times when z passes
// the bound of that look, upper or lower (nil for none), and drift is the mean of z at time 1. For
// any rule: peeking, sequences, hybrids, group sequential designs.
func Operate(times, lower, upper []float64, drift float64) Operating {
	o := Operating{Upper: make([]float64, len(times)), Lower: make([]float64, len(times))}
	if !ascendingTimes(times) || len(upper) != len(times) || lower != nil && len(lower) != len(times) || !finite(drift) {
		return Operating{Sample: math.NaN()}
	}
	w := newWalk(drift)
	left := 1.0
	for i, t := range times {
		root := math.Sqrt(t)
		high, low := upper[i]*root, math.Inf(-1)
		o.Upper[i] = w.above(t, high)
		if lower != nil {
			low = lower[i] * root
			o.Lower[i] = w.below(t, low)
		}
		stopped := o.Upper[i] + o.Lower[i]
		o.Sample += t * stopped
		left -= stopped
		w.keep(t, low, high)
	}
	o.Sample += times[len(times)-1] * max(0, left)
	return o
}

func ascendingTimes(times []float64) bool {
	prev := 0.0
	for _, t := range times {
		if !(t > prev) || !finite(t) {
			return false
		}
		prev = t
	}
	return len(times) > 0
}
