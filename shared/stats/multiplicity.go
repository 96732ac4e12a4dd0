package stats

import "slices"

// Holm gives p-values adjusted for their number, in input order: reject those at most alpha, and
// the chance of any false rejection is at most alpha, whatever their dependence (Holm,
// Scandinavian Journal of Statistics 6:65, 1979). Given anytime-valid p-values it holds at any
// stopping time.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		default:
			return 0
		}
	})
	adjusted := make([]float64, len(p))
	least := 0.0
	for rank, i := range order {
		least = max(least, min(1, p[i]*float64(len(p)-rank)))
		adjusted[i] = least
	}
	return adjusted
}
