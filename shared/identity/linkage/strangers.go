package linkage

import (
	"math"
	"slices"
)

// weigher turns the levels of a pair into bits.
type weigher struct {
	m, u   [][]float64
	prior  float64
	parent []int       // of each field: the one it depends on among strangers, or -1
	lift   [][]float64 // log2 of how much more often two levels meet than they would by chance

	checks []bool      // fields of which agreement counts nothing
	ratio  [][]float64 // log2 m/u
}

const (
	stride = 8 // levels of a field, "missing" among them, are fewer
	// Pairs that two levels must meet in beyond chance before that is believed.
	doubt = 1.0
	// Bits that one field tells about another, below which they are left alone: what half a million
	// random pairs of independent fields show by chance is a tenth of that.
	negligible = 1e-4
)

// strangers counts how two persons' records agree, on random pairs, each as far as it is probably two
// persons'. Suburb and postcode agree together among strangers too: to count both in full would take
// neighbours for one person. So each field depends on one other (the tree of Chow and Liu 1968, which
// loses the least of what fields tell about each other), and counts for what it adds.
func (w *weigher) strangers(fields []*field, sampled []uint64) {
	weight := make([]float64, len(sampled))
	for i := range weight {
		weight[i] = 1
	}
	if w.u == nil {
		w.u = marginal(fields, sampled, weight)
		w.ready()
	}
	for i, levels := range sampled {
		weight[i] = 1 - probability(w.bits(levels))
	}
	w.u = marginal(fields, sampled, weight)
	w.depend(fields, sampled, weight)
	w.ready()
}

// marginal is how often each level occurs.
func marginal(fields []*field, sampled []uint64, weight []float64) [][]float64 {
	counts := blank(fields)
	for i, levels := range sampled {
		for k := range fields {
			if level := levels >> (4 * k) & 15; level > 0 {
				counts[k][level-1] += weight[i]
			}
		}
	}
	return normalize(counts)
}

// depend grows the tree of most mutual information.
func (w *weigher) depend(fields []*field, sampled []uint64, weight []float64) {
	n := len(fields)
	counts := func(k, j int) bool { return !fields[k].checks && !fields[j].checks }
	tables := make([][]float64, n*n)
	for k := range n {
		for j := range k {
			tables[k*n+j] = make([]float64, stride*stride)
		}
	}
	for i, levels := range sampled {
		for k := range n {
			at := levels >> (4 * k) & 15
			for j := range k {
				tables[k*n+j][at*stride+(levels>>(4*j)&15)] += weight[i]
			}
		}
	}
	lifts, gain := make([][]float64, n*n), make([]float64, n*n)
	for k := range n {
		for j := range k {
			lifts[k*n+j], gain[k*n+j] = lift(tables[k*n+j])
			if !counts(k, j) {
				gain[k*n+j] = 0
			}
			lifts[j*n+k], gain[j*n+k] = transpose(lifts[k*n+j]), gain[k*n+j]
		}
	}
	w.parent, w.lift = make([]int, n), make([][]float64, n)
	inside := []int{0}
	w.parent[0] = -1
	for len(inside) < n {
		best, child, parent := -1.0, 0, 0
		for k := range n {
			for _, j := range inside {
				if !slices.Contains(inside, k) && gain[k*n+j] > best {
					best, child, parent = gain[k*n+j], k, j
				}
			}
		}
		inside = append(inside, child)
		if w.parent[child] = -1; best > negligible {
			w.parent[child], w.lift[child] = parent, lifts[child*n+parent]
		}
	}
}

// lift compares how often two levels meet with chance, and sums up what one tells about the other.
// Missing values tell nothing.
func lift(table []float64) (out []float64, information float64) {
	out = make([]float64, stride*stride)
	var rows, columns [stride]float64
	all := 0.0
	for at, n := range table {
		if i, j := at/stride, at%stride; i > 0 && j > 0 {
			rows[i] += n
			columns[j] += n
			all += n
		}
	}
	for at, n := range table {
		if i, j := at/stride, at%stride; i > 0 && j > 0 && rows[i] > 0 && columns[j] > 0 {
			out[at] = math.Log2((n + doubt) / (rows[i]*columns[j]/all + doubt))
			information += n / all * out[at]
		}
	}
	return out, information
}

func transpose(table []float64) []float64 {
	out := make([]float64, len(table))
	for at := range table {
		out[at%stride*stride+at/stride] = table[at]
	}
	return out
}

// ready keeps the logarithms.
func (w *weigher) ready() {
	w.ratio = make([][]float64, len(w.m))
	for k := range w.m {
		w.ratio[k] = make([]float64, len(w.m[k])+1)
		for i := range w.m[k] {
			w.ratio[k][i+1] = math.Log2(w.m[k][i] / w.u[k][i])
			if w.checks[k] {
				w.ratio[k][i+1] = min(w.ratio[k][i+1], 0)
			}
		}
	}
}

// bits is the evidence of levels that a pair is one person's, the prior included.
func (w *weigher) bits(levels uint64) float64 {
	out := logOdds(w.prior)
	for k := range w.ratio {
		level := levels >> (4 * k) & 15
		out += w.ratio[k][level]
		if w.parent != nil && w.parent[k] >= 0 {
			out -= w.lift[k][level*stride+(levels>>(4*w.parent[k])&15)]
		}
	}
	return out
}
