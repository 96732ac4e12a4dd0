package stats

import "math"

// Ranks is what SQL returns of one arm for a quantile: the quantile itself and the values at the
// two ranks of [QuantileRanks], computed over N values (or, of a very large arm, over a sample of
// Ranked of them).
type Ranks struct {
	Nu        float64 // 0.5 is the median
	N         int64   // values of the arm
	Ranked    int64   // values that were ranked; 0 means all
	Value     float64 // the quantile
	Low, High float64 // values at the two ranks
	Clusters  *Gram   // of (values at or below the quantile, values) per unit, when a unit has several values
}

// rankZ spans the ranks: 95%, as usual. The variance hardly depends on it.
const rankZ = 1.959963984540054

// QuantileRanks gives the ranks, from 0 to 1, whose values make the order-statistic interval of a
// quantile: nu -/+ z sqrt(nu(1-nu)/n).
func QuantileRanks(nu float64, n int64) (low, high float64) {
	r := RankWidth(nu) / math.Sqrt(float64(max(n, 1)))
	return max(0, nu-r), min(1, nu+r)
}

// RankWidth is half the width of that interval times the root of n.
func RankWidth(nu float64) float64 { return rankZ * math.Sqrt(nu*(1-nu)) }

// Arm is the quantile's estimate. The variance is that of the order-statistic interval,
// ((high-low)/2z)^2; where a unit has several values it grows by the variance of the share of values
// at or below the quantile, by units, over nu(1-nu)/n (Deng, Knoblich and Lu, KDD 2018, section 5;
// Yao, Li and Lu, arXiv 2401.14549). The factor (n-1)/n is published practice.
func (r Ranks) Arm() Arm {
	a := Arm{Family: Quantile, N: r.N, Mean: r.Value}
	ranked := r.Ranked
	if ranked == 0 {
		ranked = r.N
	}
	switch {
	case !(r.Nu > 0 && r.Nu < 1):
		a.Status, a.Reason = Undefined, "a quantile lies between 0 and 1"
	case !finite(r.Value) || !finite(r.Low) || !finite(r.High) || r.Low > r.High:
		a.Status, a.Reason = Undefined, "values at the ranks are not finite numbers in order"
	case ranked < 2 || float64(ranked)*min(r.Nu, 1-r.Nu) < 1:
		a.Status, a.Reason = Insufficient, "too few values for this quantile"
	}
	if a.Status != OK {
		return a
	}
	half := (r.High - r.Low) / (2 * rankZ)
	a.Variance = half * half * float64(ranked-1)
	if r.Clusters != nil {
		share := r.Clusters.Arm(Ratio)
		if share.Status != OK {
			a.Status, a.Reason = share.Status, share.Reason
			return a
		}
		a.Variance *= share.Variance / float64(share.N) / (r.Nu * (1 - r.Nu) / float64(r.N))
	}
	return a
}
