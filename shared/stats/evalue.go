package stats

import "math"

// EBH rejects the hypotheses whose e-values, given as natural logarithms, are among the k largest
// with k e_(k) >= K/alpha, k as large as can be: e-BH. The expected share of false rejections is at
// most alpha under any dependence (Wang and Ramdas, JRSS B 84:822, 2022), at any stopping time. It
// wants e-values of one moment: a running maximum is none, see [AdjustRunningMaximum].
func EBH(logE []float64, alpha float64) []bool { return WeightedEBH(logE, nil, alpha) }

// WeightedEBH is e-BH after multiplying each e-value by its weight, scaled to mean 1.
func WeightedEBH(logE, weights []float64, alpha float64) []bool {
	n := len(logE)
	w := shares(weights, n)
	weighted := make([]float64, n)
	for i, e := range logE {
		weighted[i] = math.Inf(-1)
		if !math.IsNaN(e) {
			weighted[i] = e + math.Log(w[i]*float64(n))
		}
	}
	order := ascending(n, func(i int) float64 { return -weighted[i] })
	rejected := 0
	for rank, i := range order {
		if weighted[i] >= math.Log(float64(n)/(alpha*float64(rank+1)))-logRounding {
			rejected = rank + 1
		}
	}
	out := make([]bool, n)
	for _, i := range order[:rejected] {
		out[i] = true
	}
	return out
}

// logRounding lets an e-value that equals its threshold pass in spite of two logarithms' rounding.
const logRounding = 1e-12

// SelectedLevel is the level of the confidence sequences to show for the hypotheses that were
// selected out of all, so that the expected share of those that miss their truth is at most alpha:
// e-BY, alpha |S|/K, under any dependence and at any stopping time (Xu, Wang and Ramdas, arXiv
// 2203.12572).
func SelectedLevel(alpha float64, selected, all int) float64 {
	if all <= 0 || selected <= 0 {
		return alpha
	}
	return alpha * float64(min(selected, all)) / float64(all)
}

// AdjustRunningMaximum turns the largest value that an e-process has reached, as natural logarithm,
// into the logarithm of an e-value: (e-1-ln e)/(ln e)^2, the mixture of k e^(1-k) over k. e-BH on
// running maxima does not control false discoveries; on these it does, so that a badge once given
// may stick (Tavyrikov, Goeman and de Heide, arXiv 2501.19360).
func AdjustRunningMaximum(logMax float64) float64 {
	l := max(logMax, 0)
	if math.IsNaN(logMax) {
		l = 0
	}
	if math.IsInf(l, 1) {
		return l
	}
	if l < 1e-3 {
		return math.Log(0.5 + l/6 + l*l/24) // the series of (exp(l)-1-l)/l^2
	}
	if l > 700 {
		return l - 2*math.Log(l) // 1 + ln e is nothing beside e
	}
	return math.Log(math.Expm1(l)-l) - 2*math.Log(l)
}
