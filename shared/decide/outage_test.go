package decide_test

import (
	"math/rand/v2"
	"testing"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// None of many is rolled back, from cells to verdict: in arms of any size, beside other variants, as goal or guardrail,
// and also when so many units are missing that the split is not the planned one.
func TestNoneOfManyIsRolledBackWhateverElse(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 14))
	blocked := 0
	rules := map[int]stats.Hybrid{} // by arms: planning one takes a while
	for range 300 {
		treatments := []string{"short", "long", "wide"}[:1+random.IntN(3)]
		e := defined(treatments...)
		e.Metrics = []experiment.Metric{{Name: "purchase", Role: experiment.Goal}}
		if random.IntN(2) == 0 {
			e.Metrics = []experiment.Metric{{Name: "purchase", Role: experiment.Guardrail, Margin: 0.02}, {Name: "visits", Role: experiment.Goal}}
		}
		metrics := make([]metric.Metric, len(e.Metrics))
		for i, m := range e.Metrics {
			metrics[i] = metric.Metric{Name: m.Name, Label: m.Name, Kind: metric.Conversion, Increase: true, Window: metric.Window{Length: 1}}
		}
		if _, known := rules[len(treatments)]; !known {
			rules[len(treatments)] = evaluate.Rule(e)
		}
		rate := 0.02 + 0.9*random.Float64()
		const many = 100 // purchases that the dead arm would have had
		in := evaluate.Input{Experiment: e, Metrics: metrics, AsOf: day(2 + random.IntN(15)), Rule: rules[len(treatments)]}
		for _, v := range e.Variants {
			units := int64(many/rate) + random.Int64N(20_000)
			p := rate
			if v.Key == "short" {
				p = 0
			}
			for _, m := range e.Metrics {
				n := float64(units)
				in.Statistics = append(in.Statistics, measure.Statistic{Metric: m.Name, Variant: v.Key, ExposureDate: "2026-01-05", Units: units, MeanY: p, YY: n * p * (1 - p)})
			}
			in.Traffic = append(in.Traffic, measure.Exposure{Variant: v.Key, ExposureDate: "2026-01-05", Units: units})
		}
		results, validity := evaluate.Evaluate(in)
		got := decide.Decide(decide.Evidence{Experiment: e, Results: results, Checks: validity, AsOf: in.AsOf})
		for _, c := range validity {
			if c.Status == "fail" {
				blocked++
				break
			}
		}
		if got.Verdict != decide.RollBack || got.Action != decide.Rollback || got.Variant != "control" || got.Reasons[0].Code != "outage" {
			t.Fatalf("%s %+v of %+v", got.Verdict, got.Reasons, in.Traffic)
		}
	}
	if blocked < 100 {
		t.Errorf("a check failed in %d: too few to tell", blocked)
	}
}
