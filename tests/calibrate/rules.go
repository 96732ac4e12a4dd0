package main

import (
	"math"

	"verdict/shared/stats"
)

const (
	alpha    = 0.05
	alphaSeq = 0.01
)

// rule rejects "no effect" at a look, or does not.
type rule struct {
	name   string
	about  string
	claims bool // that it holds its level under peeking
	counts bool // for counts only
	drawn  bool // in the chart, which has room for a few
	reject func(look) bool
}

// rules are all that are compared, for a schedule with its planned end.
func rules(s schedule) []rule {
	planned := int64(2 * s[len(s)-1])
	sequence, hybrid := stats.Tune(alpha, planned), stats.NewHybrid(alpha, alphaSeq, planned)
	half := stats.Tune(alpha/2, planned)
	times := make([]float64, len(s))
	for i, n := range s {
		times[i] = float64(n) / float64(s[len(s)-1])
	}
	spending := stats.GroupSequential{Alpha: alpha, TwoSided: true, Spend: stats.OBrienFleming()}.Bounds(times, true)
	// The mixture of the effect that the planned sample would find with power 0.8, in standard errors.
	likely := stats.DetectableEffect(1, alpha, 0.8) / math.Sqrt(float64(planned))
	return []rule{
		{name: "naive", drawn: true, about: "Welch's t at every look", reject: func(l look) bool { return l.WelchP() < alpha }},
		{
			name: "delta", drawn: true, about: "confidence sequence of the lift by the delta method, as other platforms do",
			reject: func(l look) bool { return math.Abs(l.Lift()) > sequence.Critical(l.N, alpha)*l.LiftSE() },
		},
		{
			name: "sequence", drawn: true, about: "confidence sequence of the effect", claims: true,
			reject: func(l look) bool { return l.Absolute(sequence.Critical(l.N, alpha)).Excludes(0) },
		},
		{
			name: "sequence, lift", about: "Fieller's set with the sequence's critical value", claims: true,
			reject: func(l look) bool { return l.Relative(sequence.Critical(l.N, alpha)).Excludes(0) },
		},
		{
			name: "hybrid", drawn: true, about: "the default: sequence while running, calibrated test at the planned end", claims: true,
			reject: func(l look) bool { return l.Absolute(hybrid.Critical(l.N, l.last)).Excludes(0) },
		},
		{
			name: "hybrid, lift", about: "the same on the lift", claims: true,
			reject: func(l look) bool { return l.Relative(hybrid.Critical(l.N, l.last)).Excludes(0) },
		},
		{
			name: "t-mixture", about: "the sequence for small samples", claims: true,
			reject: func(l look) bool { return sequence.T().LogE(l.N, l.Z(), l.DF) >= -math.Log(alpha) },
		},
		{
			name: "mSPRT", about: "with the mixture of a likely effect", claims: true,
			reject: func(l look) bool {
				m := stats.MSPRT{Tau2: likely * likely * l.SE() * l.SE() * float64(l.N)}
				return m.LogE(l.Contrast) >= -math.Log(alpha)
			},
		},
		{
			name: "O'Brien-Fleming", drawn: true, about: "group sequential at exactly these looks (Lan and DeMets)", claims: true,
			reject: func(l look) bool { return math.Abs(l.Z()) > spending[l.index] },
		},
		{
			name: "half and half", drawn: true, about: "half of alpha for the sequence, half for a test at the end, as Eppo does", claims: true,
			reject: func(l look) bool {
				return math.Abs(l.Z()) > half.Critical(l.N, alpha/2) || l.last && math.Abs(l.Z()) > stats.UpperQuantile(alpha/4)
			},
		},
		{
			name: "counts", about: "exact comparison of rare events", claims: true, counts: true,
			reject: func(l look) bool {
				c, t := l.control, l.treatment
				events := stats.NewCounts(int64(math.Round(c.MeanY*float64(c.N))), c.N, int64(math.Round(t.MeanY*float64(t.N))), t.N)
				return events.LogE(1) >= -math.Log(alpha)
			},
		},
	}
}
