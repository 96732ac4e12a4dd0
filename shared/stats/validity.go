package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Finding is a check of whether an experiment's numbers can be believed.
type Finding struct {
	Statistic float64
	DF        int
	P         float64 // for one look
	LogE      float64 // anytime-valid
	Status    Status
	Reason    string
}

// CheckBalance asks whether two arms were alike before the experiment, in all covariates at once: Wald's
// chi-square of the differences of their means. Randomisation makes them so; bots, carry-over and a
// broken assignment do not. It needs the covariates of [Moments] only.
func CheckBalance(control, treatment Moments, m Mixture) Finding {
	k := control.Covariates()
	if k == 0 || treatment.Covariates() != k || control.N < 2 || treatment.N < 2 || !control.usable() || !treatment.usable() {
		return Finding{P: 1, Status: Insufficient, Reason: "no covariates, or fewer than two units in an arm"}
	}
	// D' S^-1 D is what a regression of D on S explains.
	d := NewMoments(k)
	for i := range k {
		d.Cross[d.index(0, 2+i)] = treatment.Mean[2+i] - control.Mean[2+i]
		for j := i; j < k; j++ {
			d.Cross[d.index(2+i, 2+j)] = variance(control, i, j) + variance(treatment, i, j)
		}
	}
	_, wald, used := Mean.regress(d)
	if used == 0 {
		return Finding{P: 1, Status: Undefined, Reason: "no covariate differs between units"}
	}
	return Finding{
		Statistic: wald, DF: used, P: ChiSquareUpper(wald, float64(used)),
		LogE: m.LogEChiSquare(control.N+treatment.N, wald, used),
	}
}

// variance is the covariance of the means of covariates i and j.
func variance(m Moments, i, j int) float64 {
	n := float64(m.N)
	return m.at(2+i, 2+j) / (n - 1) / n
}

// CheckLoss asks whether one arm loses a larger share of its events than the other: a slower page loses
// more of what it should have sent, and every metric with it. Lost events are known by the gaps in
// their sequence numbers. Its e-value is exact ([Counts]).
func CheckLoss(lostControl, sentControl, lostTreatment, sentTreatment int64) Finding {
	rate := func(x, n int64) Arm {
		return Gram{N: n, MeanY: float64(x) / float64(max(n, 1))}.Arm(Proportion)
	}
	c := Compare(rate(lostControl, sentControl), rate(lostTreatment, sentTreatment))
	if c.Status != OK || sentControl <= 0 || sentTreatment <= 0 {
		return Finding{P: 1, Status: Insufficient, Reason: "fewer than two events of an arm"}
	}
	return Finding{
		Statistic: c.Z(), DF: 1, P: 2 * upperTail(math.Abs(c.Z())),
		LogE: NewCounts(lostControl, sentControl, lostTreatment, sentTreatment).LogE(1),
	}
}

// CheckRate asks whether something that should hardly happen happens in more than a tolerated share of
// units: units seen in several variants, units in another variant than their bucket says. Statistic
// is the rate. Both figures are exact.
func CheckRate(hits, units int64, tolerated float64) Finding {
	if hits < 0 || hits > units || units == 0 || !(tolerated > 0 && tolerated < 1) {
		return Finding{P: 1, Status: Insufficient, Reason: "no units, or a tolerated rate outside 0 to 1"}
	}
	out := Finding{
		Statistic: float64(hits) / float64(units), DF: 1, P: 1,
		LogE: Counts{Treatment: hits, Control: units - hits, Exposure: tolerated}.LogEGreater(1),
	}
	if hits > 0 { // P(X >= hits) of a binomial
		out.P = mathext.RegIncBeta(float64(hits), float64(units-hits)+1, tolerated)
	}
	return out
}

// CheckSplits finds the segments whose split is not the planned one, by e-BH at level alpha over the
// sequential checks of all: one browser that drops a variant hides in the total.
func CheckSplits(segments [][]int64, weights []float64, alpha float64) (logE []float64, broken []bool) {
	for _, counts := range segments {
		logE = append(logE, SplitLogE(counts, weights))
	}
	return logE, EBH(logE, alpha)
}
