package evaluate_test

import (
	"strings"
	"testing"
	"time"

	"verdict/shared/evaluate"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

// What was broken on one day stays broken when later days are sound; the first engine asked of the last day only.
func TestLaterUnitsMendNoCheck(t *testing.T) {
	e := defined(goal("purchase"))
	var traffic []measure.Exposure
	add := func(n int, variant string, units, lossy int64) {
		traffic = append(traffic, measure.Exposure{Variant: variant, ExposureDate: day(n).Format(time.DateOnly), Units: units, Tracked: units, Lossy: lossy})
	}
	checks := func(engine, days int) map[string]evaluate.Check {
		_, all := evaluate.Evaluate(evaluate.Input{
			Experiment: e, Metrics: []metric.Metric{purchase(metric.Conversion)}, Traffic: traffic, AsOf: day(days), Rule: evaluate.Rule(e), Engine: engine,
		})
		out := map[string]evaluate.Check{}
		for _, c := range all {
			out[c.Name] = c
		}
		return out
	}
	for n := 3; n > 0; n-- { // in any order
		add(n, "control", 4000, 40)
		add(n, "short", 4000, 40)
	}
	add(0, "control", 1150, 10)
	add(0, "short", 900, 60)
	for name, words := range map[string]string{"srm": "not the planned split on 2026-01-05", "event_loss": "an arm had lost more on 2026-01-05"} {
		was, is := checks(1, 4)[name], checks(0, 4)[name]
		if was.Status != "pass" || is.Status != "fail" || is.Value > is.Threshold || was.Value < is.Value || !strings.Contains(is.Detail, words) {
			t.Errorf("engine 1 %+v\nnow %+v", was, is)
		}
	}
}
