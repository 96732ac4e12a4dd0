package evaluate

import (
	"fmt"
	"math"
	"strings"
	"time"

	"verdict/shared/stats"
)

// The outcomes of a check.
const (
	pass         = "pass"
	fail         = "fail"
	insufficient = "insufficient"
)

// checks tests whether the experiment's numbers can be believed.
func (in Input) checks() []Check {
	var counts []int64
	var weights []float64
	var units, crossed int64
	for _, v := range in.Experiment.Variants {
		var n int64
		for _, t := range in.Traffic {
			if t.Variant == v.Key {
				n += t.Units
				crossed += t.Crossed
			}
		}
		units += n
		counts, weights = append(counts, n), append(weights, v.Share)
	}
	out := []Check{in.sampleRatio(counts, weights), multipleExposure(units, crossed)}
	for i := range out {
		out[i].ExperimentID, out[i].AsOf = in.Experiment.ID, in.AsOf.Format(time.DateOnly)
	}
	return out
}

// sampleRatio looks for a sample ratio mismatch: units are lost or added in one arm, so the arms
// are not alike any more. Its test may be looked at every day (Lindon and Malek 2022); the
// chi-square's own p-value, shown beside it, may not.
func (in Input) sampleRatio(counts []int64, weights []float64) Check {
	check := Check{Name: "srm", Threshold: srmAlpha, Value: 1, Status: insufficient}
	split := stats.CheckSplit(counts, weights)
	names := make([]string, len(counts))
	for i, v := range in.Experiment.Variants {
		names[i] = fmt.Sprintf("%s %d", v.Key, counts[i])
	}
	if split.Status != stats.OK {
		check.Detail = "Not enough units to tell: " + strings.Join(names, ", ") + "."
		return check
	}
	check.Value = stats.PValue(stats.SplitLogE(counts, weights))
	check.Status = pass
	expected := "as planned"
	if check.Value <= srmAlpha {
		check.Status = fail
		expected = "not the planned split: units are being lost or added in one arm"
	}
	check.Detail = fmt.Sprintf("Units per arm: %s; %s (anytime-valid p %s; for one look chi-square %.3f, p %s).",
		strings.Join(names, ", "), expected, shortP(check.Value), split.Statistic, shortP(split.P))
	return check
}

func multipleExposure(units, crossed int64) Check {
	check := Check{Name: "multiple_exposure", Threshold: maxCrossed, Status: insufficient}
	if units+crossed == 0 {
		check.Detail = "No units yet."
		return check
	}
	check.Value = float64(crossed) / float64(units+crossed)
	check.Status = pass
	if check.Value > maxCrossed && crossed >= minCrossed {
		check.Status = fail
	}
	check.Detail = fmt.Sprintf("%d of %d units (%.2f %%) saw more than one variant and are left out.", crossed, units+crossed, 100*check.Value)
	return check
}

func shortP(p float64) string {
	if p < 0.0001 && !math.IsNaN(p) {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}
