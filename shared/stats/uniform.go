package stats

import (
	"math"
	"slices"
)

// Uniformity is whether the p-values of A/A experiments are uniform, as those of a sound metric are.
type Uniformity struct {
	D        float64 // Kolmogorov-Smirnov distance
	P        float64
	Rate     float64  // share of p-values at most alpha
	Interval Interval // Wilson's 95%, of Rate
	Status   Status
	Reason   string
}

// leastReplays is how many A/A experiments say something about a false positive rate of 5%: below
// it Wilson's interval of a rate of .05 is wider than 0 to .12.
const leastReplays = 100

// CheckUniform tests p-values of A/A experiments: whether they are uniform, and whether alpha of
// them are at most alpha.
func CheckUniform(p []float64, alpha float64) Uniformity {
	sorted := slices.Clone(p)
	slices.Sort(sorted)
	n := float64(len(sorted))
	out := Uniformity{P: 1, Interval: Interval{High: 1}}
	rejected := 0.0
	for i, v := range sorted {
		if !(v >= 0 && v <= 1) {
			return Uniformity{P: 1, Interval: Interval{High: 1}, Status: Undefined, Reason: "a p-value outside 0 to 1"}
		}
		out.D = max(out.D, float64(i+1)/n-v, v-float64(i)/n)
		if v <= alpha {
			rejected++
		}
	}
	if len(p) < leastReplays {
		out.Status, out.Reason = Insufficient, "fewer than 100 A/A experiments"
	}
	if len(p) == 0 {
		return out
	}
	out.P = kolmogorovUpper(out.D, n)
	out.Rate = rejected / n
	out.Interval = wilson(rejected, n)
	return out
}

// kolmogorovUpper is P(D > d): the limit with Stephens' correction sqrt(n) + .12 + .11/sqrt(n) (JRSS B
// 32:115, 1970), from n = 100 on within .012 of the exact figure and within .001 where it matters, below
// .1.
func kolmogorovUpper(d, n float64) float64 {
	x := d * (math.Sqrt(n) + 0.12 + 0.11/math.Sqrt(n))
	if x < 0.2 {
		return 1
	}
	sum, sign := 0.0, 1.0
	for k := 1.0; k <= 100; k++ {
		term := sign * math.Exp(-2*k*k*x*x)
		sum += term
		if math.Abs(term) < 1e-17 {
			break
		}
		sign = -sign
	}
	return min(1, max(0, 2*sum))
}

// wilson is the 95% score interval of a proportion (Wilson, JASA 22:209, 1927).
func wilson(successes, n float64) Interval {
	z := rankZ
	p := successes / n
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Interval{Low: max(0, centre-half), High: min(1, centre+half)}
}
