package stats

import (
	"cmp"
	"math"
	"slices"
)

// The procedures below give p-values adjusted for their number, in input order: reject those at
// most alpha. Given anytime-valid p-values, what holds under any dependence (Bonferroni, Holm,
// Benjamini-Yekutieli) holds at any stopping time. Anything that is not a p-value counts as 1.

// Bonferroni multiplies by the number: the chance of any false rejection is at most alpha, under any
// dependence.
func Bonferroni(p []float64) []float64 {
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = min(1, proper(v)*float64(len(p)))
	}
	return out
}

// Sidak is 1-(1-p)^n: exact for independent p-values.
func Sidak(p []float64) []float64 {
	out := make([]float64, len(p))
	for i, v := range p {
		out[i] = -math.Expm1(float64(len(p)) * math.Log1p(-proper(v)))
	}
	return out
}

// Holm steps down, uniformly better than Bonferroni under the same lack of assumptions (Scandinavian
// Journal of Statistics 6:65, 1979).
func Holm(p []float64) []float64 { return WeightedHolm(p, nil) }

// WeightedHolm is Holm's procedure with weights of any scale (none are all alike): a hypothesis of
// twice the weight gets twice the share of alpha. One of weight 0 is never rejected.
func WeightedHolm(p, weights []float64) []float64 {
	w := shares(weights, len(p))
	order := ascending(len(p), func(i int) float64 { return over(proper(p[i]), w[i]) })
	out := make([]float64, len(p))
	least := 0.0
	for at, i := range order {
		left := 0.0 // the weight of what is not rejected yet, summed anew: subtraction loses digits
		for _, j := range order[at:] {
			left += w[j]
		}
		if w[i] == 0 {
			out[i] = 1
			continue
		}
		least = max(least, min(1, proper(p[i])/w[i]*left))
		out[i] = least
	}
	return out
}

// Hochberg steps up: better than Holm for p-values that are independent or positively dependent
// (Biometrika 75:800, 1988).
func Hochberg(p []float64) []float64 {
	return stepUp(p, func(_, rank int) float64 { return float64(len(p) - rank) })
}

// Hommel closes Simes' test, the most powerful of those that control any false rejection under
// positive dependence (Biometrika 75:383, 1988); in the form of Wright, Biometrics 48:1005, 1992.
func Hommel(p []float64) []float64 {
	n := len(p)
	if n == 0 {
		return nil
	}
	order := ascending(n, func(i int) float64 { return proper(p[i]) })
	sorted := make([]float64, n)
	simes := 1.0
	for rank, i := range order {
		sorted[rank] = proper(p[i])
		simes = min(simes, float64(n)*sorted[rank]/float64(rank+1))
	}
	q, adjusted := fill(n, simes), fill(n, simes)
	for m := n - 1; m > 1; m-- {
		first := n - m + 1 // those with rank from here on form the upper part
		upper := math.Inf(1)
		for j := first; j < n; j++ {
			upper = min(upper, float64(m)*sorted[j]/float64(2+j-first))
		}
		for j := range first {
			q[j] = min(float64(m)*sorted[j], upper)
		}
		for j := first; j < n; j++ {
			q[j] = q[first-1]
		}
		for j := range n {
			adjusted[j] = max(adjusted[j], q[j])
		}
	}
	out := make([]float64, n)
	for rank, i := range order {
		out[i] = min(1, max(adjusted[rank], sorted[rank]))
	}
	return out
}

// BenjaminiHochberg controls the expected share of false rejections, for p-values that are
// independent or positively dependent (JRSS B 57:289, 1995).
func BenjaminiHochberg(p []float64) []float64 {
	return stepUp(p, func(n, rank int) float64 { return float64(n) / float64(rank+1) })
}

// BenjaminiYekutieli controls it under any dependence (Annals of Statistics 29:1165, 2001).
func BenjaminiYekutieli(p []float64) []float64 {
	harmonic := 0.0
	for i := range p {
		harmonic += 1 / float64(i+1)
	}
	return stepUp(p, func(n, rank int) float64 { return harmonic * float64(n) / float64(rank+1) })
}

// stepUp multiplies the p-value of each rank, from 0, and takes the least from above.
func stepUp(p []float64, factor func(n, rank int) float64) []float64 {
	order := ascending(len(p), func(i int) float64 { return proper(p[i]) })
	out := make([]float64, len(p))
	least := 1.0
	for rank, i := range slices.Backward(order) {
		least = min(least, proper(p[i])*factor(len(p), rank))
		out[i] = least
	}
	return out
}

// ascending gives the order of n items by a key; equal ones keep theirs.
func ascending(n int, key func(i int) float64) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(key(a), key(b)) })
	return order
}

// shares scales weights to sum 1; none are all alike. Weights that are not one for each hypothesis give
// none of them a share, so that nothing is rejected by mistake.
func shares(weights []float64, n int) []float64 {
	if weights == nil {
		return fill(n, 1/float64(max(n, 1)))
	}
	out := make([]float64, n)
	largest := 0.0
	for _, w := range weights {
		if math.IsInf(w, 1) {
			return out
		}
		largest = max(largest, w)
	}
	if len(weights) != n || !(largest > 0) {
		return out
	}
	sum := 0.0
	for i, w := range weights {
		if w > 0 {
			out[i] = w / largest // before they are added: their sum may overflow
			sum += out[i]
		}
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func over(p, weight float64) float64 {
	if weight == 0 {
		return math.Inf(1)
	}
	return p / weight
}

func proper(p float64) float64 {
	if !(p >= 0 && p <= 1) {
		return 1
	}
	return p
}

func fill(n int, v float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}
