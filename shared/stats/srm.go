package stats

import "math"

// Split is Pearson's chi-square test of counts against the planned split, valid for one look.
type Split struct {
	Statistic float64 // +Inf when units stand in an arm that should have none
	DF        int
	P         float64
	Status    Status
	Reason    string
}

// leastExpected is the smallest expected count at which the chi-square distribution is trusted
// (Cochran, Biometrics 10:417, 1954).
const leastExpected = 5

// CheckSplit compares the units of each arm with the weights of the plan, on any scale. Arms of
// weight 0 take no degree of freedom, but units in one are proof of a broken split.
func CheckSplit(counts []int64, weights []float64) Split {
	total, sum, arms, leak := splitTotals(counts, weights)
	switch {
	case leak:
		return Split{Statistic: math.Inf(1), DF: arms - 1}
	case arms < 2:
		return Split{P: 1, Status: Undefined, Reason: "fewer than two arms have weight"}
	}
	s := Split{DF: arms - 1}
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		expected := total * w / sum
		if expected < leastExpected {
			return Split{DF: arms - 1, P: 1, Status: Insufficient, Reason: "fewer than 5 units expected in an arm"}
		}
		d := float64(counts[i]) - expected
		s.Statistic += d * d / expected
	}
	s.P = ChiSquareUpper(s.Statistic, float64(s.DF))
	return s
}

// splitTotals counts the units, the weights and the arms that have weight; leak says that units
// stand in an arm that has none.
func splitTotals(counts []int64, weights []float64) (total, sum float64, arms int, leak bool) {
	for i, w := range weights {
		if w > 0 {
			arms++
			sum += w
			total += float64(counts[i])
		} else if counts[i] > 0 {
			leak = true
		}
	}
	return total, sum, arms, leak
}

// SplitLogE is the natural logarithm of the anytime-valid e-value against the planned split:
// Dirichlet mixtures of the multinomial (Lindon and Malek, NeurIPS 2022, arXiv 2011.03567) with
// concentration 1e2, 1e3, 1e4 and 1e5, averaged, so that both a gross and a slight mismatch are
// found soon. It depends on the cumulative counts only, not on their order. It is +Inf when units
// stand in an arm of weight 0.
func SplitLogE(counts []int64, weights []float64) float64 {
	_, sum, arms, leak := splitTotals(counts, weights)
	if leak {
		return math.Inf(1)
	}
	if arms < 2 {
		return 0
	}
	concentrations := [...]float64{1e2, 1e3, 1e4, 1e5}
	var logs [len(concentrations)]float64
	null, top := splitNull(counts, weights, sum), math.Inf(-1)
	for i, k := range concentrations {
		logs[i] = dirichletLog(counts, weights, sum, k) - null
		top = max(top, logs[i])
	}
	mean := 0.0
	for _, l := range logs {
		mean += math.Exp(l-top) / float64(len(logs))
	}
	return top + math.Log(mean)
}

// SplitLogEAt is SplitLogE with one concentration instead of four: the test of Optimizely's ssrm.
func SplitLogEAt(counts []int64, weights []float64, concentration float64) float64 {
	_, sum, arms, leak := splitTotals(counts, weights)
	if leak {
		return math.Inf(1)
	}
	if arms < 2 || !(concentration > 0) {
		return 0
	}
	return dirichletLog(counts, weights, sum, concentration) - splitNull(counts, weights, sum)
}

// splitNull is the log likelihood of the planned split, sum x ln w, for weights scaled to sum 1.
func splitNull(counts []int64, weights []float64, sum float64) float64 {
	l := 0.0
	for i, w := range weights {
		if w > 0 {
			l += float64(counts[i]) * math.Log(w/sum)
		}
	}
	return l
}

// dirichletLog is that of the mixture: ln B(k w + x) - ln B(k w).
func dirichletLog(counts []int64, weights []float64, sum, concentration float64) float64 {
	e, n := 0.0, 0.0
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		x, a := float64(counts[i]), concentration*w/sum
		e += lgamma(a+x) - lgamma(a)
		n += x
	}
	return e - lgamma(concentration+n) + lgamma(concentration)
}
