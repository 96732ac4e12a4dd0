package stats

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
	Mixture  Mixture
}

// NewHybrid plans the rule for a number of units in both arms. It solves FinalZ, which takes
// milliseconds: keep it for all metrics of an experiment that share a plan.
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

// FinalZ is the critical value of the test at the planned end.
func FinalZ(alpha, alphaSeq float64) float64 {
	return upperQuantile((alpha - alphaSeq) / 2)
}
