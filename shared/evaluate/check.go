package evaluate

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"verdict/shared/measure"
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
	in.Traffic = slices.SortedStableFunc(slices.Values(in.Traffic), func(a, b measure.Exposure) int {
		return strings.Compare(a.ExposureDate, b.ExposureDate)
	})
	var units, crossed int64
	for _, t := range in.Traffic {
		units += t.Units
		crossed += t.Crossed
	}
	return []Check{in.sampleRatio(), multipleExposure(units, crossed), in.eventLoss(), in.bucketing()}
}

// everyDay hands over the units that came in until the end of each day. Of a test that may be looked at every day the
// least p-value holds: what came in later does not mend what was broken, and a verdict does not come and go.
func (in Input) everyDay(look func(until []measure.Exposure)) {
	if in.Engine == 1 { // asked as of today only
		look(in.Traffic)
		return
	}
	for i := range in.Traffic {
		if i+1 == len(in.Traffic) || in.Traffic[i+1].ExposureDate != in.Traffic[i].ExposureDate {
			look(in.Traffic[:i+1])
		}
	}
}

// sampleRatio looks for a sample ratio mismatch: units are lost or added in one arm, so the arms
// are not alike any more. Its test may be looked at every day (Lindon and Malek 2022); the
// chi-square's own p-value, shown beside it, may not.
func (in Input) sampleRatio() Check {
	check := Check{Name: "srm", Threshold: srmAlpha, Value: 1, Status: insufficient}
	variants := in.Experiment.Variants
	counts, weights, names := make([]int64, len(variants)), make([]float64, len(variants)), make([]string, len(variants))
	for i, v := range variants {
		weights[i] = v.Share
	}
	day, now := "", 1.0
	in.everyDay(func(until []measure.Exposure) {
		clear(counts)
		for i, v := range variants {
			for _, t := range until {
				if t.Variant == v.Key {
					counts[i] += t.Units
				}
			}
		}
		if now = stats.PValue(stats.SplitLogE(counts, weights)); now < check.Value {
			check.Value, day = now, until[len(until)-1].ExposureDate
		}
	})
	for i, v := range variants {
		names[i] = fmt.Sprintf("%s %d", v.Key, counts[i])
	}
	split := stats.CheckSplit(counts, weights)
	if split.Status != stats.OK {
		check.Value = 1
		check.Detail = "Not enough units to tell: " + strings.Join(names, ", ") + "."
		return check
	}
	check.Status = pass
	expected := "as planned"
	if check.Value <= srmAlpha {
		check.Status = fail
		expected = "not the planned split: units are being lost or added in one arm"
		if now > srmAlpha {
			expected = "not the planned split on " + day + ": units were lost or added in one arm"
		}
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

// eventLoss looks for an arm that loses more than the control on the way to the collector: a slower page, or one that
// people leave sooner, loses more of what it should have sent, and every metric with it. It counts units, which are
// independent, not events, of which a lost batch takes many at once.
func (in Input) eventLoss() Check {
	check := Check{Name: "event_loss", Threshold: srmAlpha, Value: 1, Status: insufficient}
	control := in.Experiment.Control
	tracked, lossy := map[string]int64{}, map[string]int64{}
	tests, day, now := 0, "", 1.0
	in.everyDay(func(until []measure.Exposure) {
		clear(tracked)
		clear(lossy)
		for _, t := range until {
			tracked[t.Variant] += t.Tracked
			lossy[t.Variant] += t.Lossy
		}
		least := 1.0
		tests = 0
		for _, v := range in.Experiment.Variants {
			if v.Key != control && min(tracked[control], tracked[v.Key]) >= burnIn {
				tests++
				least = min(least, stats.PValue(stats.CheckLoss(lossy[control], tracked[control], lossy[v.Key], tracked[v.Key]).LogE))
			}
		}
		if now = min(1, least*float64(max(tests, 1))); now < check.Value { // Bonferroni over the variants
			check.Value, day = now, until[len(until)-1].ExposureDate
		}
	})
	var arms []string
	for _, v := range in.Experiment.Variants {
		rate := 100 * float64(lossy[v.Key]) / float64(max(tracked[v.Key], 1))
		arms = append(arms, fmt.Sprintf("%s %d of %d (%.2f %%)", v.Key, lossy[v.Key], tracked[v.Key], rate))
	}
	check.Detail = "Units that lost an event on the way: " + strings.Join(arms, ", ")
	if tests == 0 {
		check.Detail += "; too few to compare."
		return check
	}
	check.Status = pass
	says := "no arm loses more than another"
	if check.Value <= srmAlpha {
		check.Status = fail
		says = "an arm loses more, and its metrics with it"
		if now > srmAlpha {
			says = "an arm had lost more on " + day + ", and its metrics with it"
		}
	}
	check.Detail += fmt.Sprintf("; %s (anytime-valid p %s).", says, shortP(check.Value))
	return check
}

// bucketing asks whether exposures say what the flag platform decides: a client that assigns by itself, or by an id that
// changes, has arms that are no random halves. Its evidence against the tolerated rate is exact, and anytime-valid.
func (in Input) bucketing() Check {
	check := Check{Name: "bucketing", Threshold: maxMismatched, Status: insufficient, Detail: "No assignment was recomputed yet."}
	if in.Audited == 0 {
		return check
	}
	check.Value = float64(in.Mismatched) / float64(in.Audited)
	check.Status = pass
	check.Detail = fmt.Sprintf("%d of %d exposures (%.2f %%) differ from what the flag platform gives their user.", in.Mismatched, in.Audited, 100*check.Value)
	if found := stats.CheckRate(in.Mismatched, in.Audited, maxMismatched); found.Status == stats.OK && stats.PValue(found.LogE) <= srmAlpha {
		check.Status = fail
		check.Detail += " For example " + in.Mismatch + "."
	}
	return check
}

func shortP(p float64) string {
	if p < 0.0001 && !math.IsNaN(p) {
		return "< 0.0001"
	}
	return fmt.Sprintf("%.4f", p)
}
