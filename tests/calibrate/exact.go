package main

import (
	"math"

	"verdict/shared/stats"
)

// fixedDrift is the mean of z at the planned end of an effect that one look finds with power 0.8.
func fixedDrift() float64 { return stats.DetectableEffect(1, alpha, 0.8) }

func turned(bounds []float64) []float64 {
	out := make([]float64, len(bounds))
	for i, b := range bounds {
		out[i] = -b
	}
	return out
}

// exactPower is what rules at the looks of a schedule do in the limit of many units.
func exactPower(s schedule) map[string]stats.Operating {
	times := make([]float64, len(s))
	last := float64(s[len(s)-1])
	for i, n := range s {
		times[i] = float64(n) / last
	}
	out := map[string]stats.Operating{}
	for name, bounds := range map[string][]float64{
		"sequence":        stats.Tune(alpha, planned).Bounds(times, planned, alpha),
		"hybrid":          stats.NewHybrid(alpha, alphaSeq, planned).Bounds(times, planned),
		"half and half":   halfAndHalf(times),
		"O'Brien-Fleming": stats.GroupSequential{Alpha: alpha, TwoSided: true, Spend: stats.OBrienFleming()}.Bounds(times, true),
	} {
		out[name] = stats.Operate(times, turned(bounds), bounds, fixedDrift())
	}
	return out
}

// planned is any number: only shares of it matter.
const planned = 1000000

func halfAndHalf(times []float64) []float64 {
	out := stats.Tune(alpha/2, planned).Bounds(times, planned, alpha/2)
	out[len(out)-1] = min(out[len(out)-1], stats.UpperQuantile(alpha/4))
	return out
}

type tableRow struct {
	name          string
	times, bounds []float64
}

// table is the comparison of rules that planners ask for.
func table() []tableRow {
	var out []tableRow
	for _, k := range []int{14, 28, 100} {
		times := make([]float64, k)
		for i := range times {
			times[i] = float64(i+1) / float64(k)
		}
		same := func(z float64) []float64 {
			b := make([]float64, k)
			for i := range b {
				b[i] = z
			}
			return b
		}
		design := func(s stats.Spending) []float64 {
			return stats.GroupSequential{Alpha: alpha, TwoSided: true, Spend: s}.Bounds(times, true)
		}
		once := same(math.Inf(1))
		once[k-1] = stats.UpperQuantile(alpha / 2)
		out = append(out,
			tableRow{"one look at the end", times, once},
			tableRow{"naive peeking", times, same(stats.UpperQuantile(alpha / 2))},
			tableRow{"sequence, tuned for the end", times, stats.Tune(alpha, planned).Bounds(times, planned, alpha)},
			tableRow{"sequence, tuned for 10 times the end", times, stats.Tune(alpha, 10*planned).Bounds(times, planned, alpha)},
			tableRow{"constant 3.585 (documented by Statsig)", times, same(3.5845)},
			tableRow{"half and half (Eppo)", times, halfAndHalf(times)},
			tableRow{"hybrid, the default", times, stats.NewHybrid(alpha, alphaSeq, planned).Bounds(times, planned)},
			tableRow{"O'Brien-Fleming spending", times, design(stats.OBrienFleming())},
			tableRow{"Pocock spending", times, design(stats.Pocock())},
		)
	}
	return out
}
