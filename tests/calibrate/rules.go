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
	reject func(look) bool
}

// rules are all that are compared, for a schedule with its planned end.
func rules(s schedule) []rule {
	planned := int64(2 * s[len(s)-1])
	sequence, hybrid := stats.Tune(alpha, planned), stats.NewHybrid(alpha, alphaSeq, planned)
	return []rule{
		{name: "naive", about: "Welch's t at every look", reject: func(l look) bool { return l.WelchP() < alpha }},
		{
			name: "delta", about: "confidence sequence of the lift by the delta method, as other platforms do",
			reject: func(l look) bool { return math.Abs(l.Lift()) > sequence.Critical(l.N, alpha)*l.LiftSE() },
		},
		{
			name: "sequence", about: "confidence sequence of the effect", claims: true,
			reject: func(l look) bool { return l.Absolute(sequence.Critical(l.N, alpha)).Excludes(0) },
		},
		{
			name: "sequence, lift", about: "Fieller's set with the sequence's critical value", claims: true,
			reject: func(l look) bool { return l.Relative(sequence.Critical(l.N, alpha)).Excludes(0) },
		},
		{
			name: "hybrid", about: "the default: sequence while running, calibrated test at the planned end", claims: true,
			reject: func(l look) bool { return l.Absolute(hybrid.Critical(l.N, l.last)).Excludes(0) },
		},
		{
			name: "hybrid, lift", about: "the same on the lift", claims: true,
			reject: func(l look) bool { return l.Relative(hybrid.Critical(l.N, l.last)).Excludes(0) },
		},
	}
}
