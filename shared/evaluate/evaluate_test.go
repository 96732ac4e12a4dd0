package evaluate_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

func start() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

func day(n int) time.Time { return start().AddDate(0, 0, n) }

// defined is an experiment of 14 days and two equal arms.
func defined(metrics ...experiment.Metric) *experiment.Experiment {
	return &experiment.Experiment{
		ID: "checkout", Name: "Checkout", Flag: "checkout", Control: "control", Start: experiment.Date{Time: start()},
		Variants:    []experiment.Variant{{Key: "control", Share: 0.5}, {Key: "short", Share: 0.5}},
		PlannedDays: 14, MinimumDays: 7, PlannedUnits: 2000, Alpha: 0.05, MDE: 0.05, Mode: experiment.Auto, Metrics: metrics,
	}
}

func goal(name string) experiment.Metric {
	return experiment.Metric{Name: name, Role: experiment.Goal}
}

func guardrail(name string, margin float64) experiment.Metric {
	return experiment.Metric{Name: name, Role: experiment.Guardrail, Margin: margin}
}

// purchase is a metric whose window is complete on the third day after the day of exposure.
func purchase(kind metric.Kind) metric.Metric {
	return metric.Metric{Name: "purchase", Label: "Purchases", Kind: kind, Window: metric.Window{Length: 2}, Increase: true, Format: "percent"}
}

// converted is a cell in which so many of so many units converted.
func converted(variant string, exposed time.Time, units, conversions int64) measure.Statistic {
	n, k := float64(units), float64(conversions)
	return measure.Statistic{
		ExperimentID: "checkout", Metric: "purchase", Variant: variant, ExposureDate: exposed.Format(time.DateOnly),
		Units: units, Nonzero: conversions, MeanY: k / n, YY: k - k*k/n,
	}
}

// valued is a cell by its moments.
func valued(variant string, moments measure.Statistic) measure.Statistic {
	moments.ExperimentID, moments.Metric, moments.Variant, moments.ExposureDate = "checkout", "purchase", variant, start().Format(time.DateOnly)
	return moments
}

func traffic(variant string, units, crossed int64) measure.Exposure {
	return measure.Exposure{ExperimentID: "checkout", Variant: variant, ExposureDate: start().Format(time.DateOnly), Units: units, Crossed: crossed}
}

// evaluated is the result of one metric of the experiment; of the others nothing is known.
func evaluated(t *testing.T, e *experiment.Experiment, m metric.Metric, asOf time.Time, cells ...measure.Statistic) evaluate.Result {
	t.Helper()
	in := evaluate.Input{Experiment: e, Statistics: cells, AsOf: asOf, Rule: evaluate.Rule(e)}
	for _, used := range e.Metrics {
		if used.Name == m.Name {
			in.Metrics = append(in.Metrics, m)
		} else {
			in.Metrics = append(in.Metrics, metric.Metric{Name: used.Name})
		}
	}
	results, _ := evaluate.Evaluate(in)
	for _, r := range results {
		if r.Metric == m.Name {
			return r
		}
	}
	t.Fatalf("no result of %s", m.Name)
	return evaluate.Result{}
}

func TestACohortCountsWhenItsWindowIsComplete(t *testing.T) {
	e := defined(goal("purchase"))
	m := purchase(metric.Conversion)
	m.Window = metric.Window{Delay: 3, Length: 4}
	cells := []measure.Statistic{
		converted("control", day(0), 1000, 100), converted("short", day(0), 1000, 120),
		converted("control", day(1), 500, 50), converted("short", day(1), 700, 90),
	}
	// Exposed on day 0, at its end at the latest, so the window of days 3 to 6 is over with day 7.
	for _, c := range []struct {
		look               int
		control, treatment int64
	}{{1, 0, 0}, {7, 0, 0}, {8, 1000, 1000}, {9, 1500, 1700}, {14, 1500, 1700}} {
		got := evaluated(t, e, m, day(c.look), cells...)
		if got.UnitsControl != c.control || got.UnitsTreatment != c.treatment {
			t.Errorf("on day %d: %d and %d units, want %d and %d", c.look, got.UnitsControl, got.UnitsTreatment, c.control, c.treatment)
		}
	}
	got := evaluated(t, e, m, day(14), cells...)
	if want := 210.0 / 1700; math.Abs(got.MeanTreatment-want) > 1e-15 {
		t.Errorf("mean of the merged cohorts %v, want %v", got.MeanTreatment, want)
	}
}

// The figures are worked out with paper and a calculator from the formulas: the standard errors as
// sqrt(p(1-p)/n), sqrt(s²/n) and the delta method, Fieller's interval as the roots of its quadratic, Welch's
// p-value by integrating Student's density, all with the critical value 2.0345 that the hybrid rule
// has at the planned end for alpha .05 (golden peeking_properties).
func TestFamiliesByHand(t *testing.T) {
	binary := evaluate.Result{
		UnitsControl: 1000, UnitsTreatment: 1000, MeanControl: 0.1, MeanTreatment: 0.13, Effect: 0.03, EffectLow: 0.0010057, EffectHigh: 0.0589943,
		Lift: 0.3, LiftLow: 0.0089094, LiftHigh: 0.6916954, FixedP: 0.0354115, Significance: "better",
	}
	for kind, c := range map[metric.Kind]struct {
		control, treatment measure.Statistic
		want               evaluate.Result
	}{
		metric.Conversion: {converted("control", start(), 1000, 100), converted("short", start(), 1000, 130), binary},
		metric.Retention:  {converted("control", start(), 1000, 100), converted("short", start(), 1000, 130), binary},
		// Half of the units have 1 and half 3, against 2 and 4.
		metric.Mean: {
			valued("control", measure.Statistic{Units: 200, MeanY: 2, YY: 200}),
			valued("short", measure.Statistic{Units: 200, MeanY: 3, YY: 200}),
			evaluate.Result{
				UnitsControl: 200, UnitsTreatment: 200, MeanControl: 2, MeanTreatment: 3, Effect: 1, EffectLow: 0.7960395, EffectHigh: 1.2039605,
				Lift: 0.5, LiftLow: 0.3772660, LiftHigh: 0.6384155, Significance: "better",
			},
		},
		// Numerators are 1, and 2; half of the units have denominator 1 and half 3.
		metric.Ratio: {
			valued("control", measure.Statistic{Units: 200, MeanY: 1, MeanD: 2, DD: 200}),
			valued("short", measure.Statistic{Units: 200, MeanY: 2, MeanD: 2, DD: 200}),
			evaluate.Result{
				UnitsControl: 200, UnitsTreatment: 200, MeanControl: 0.5, MeanTreatment: 1, Effect: 0.5, EffectLow: 0.4193775, EffectHigh: 0.5806225,
				Lift: 1, LiftLow: 0.8056944, LiftHigh: 1.2152143, Significance: "better",
			},
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			got := evaluated(t, defined(goal("purchase")), purchase(kind), day(14), c.control, c.treatment)
			figures := evaluate.Result{
				UnitsControl: got.UnitsControl, UnitsTreatment: got.UnitsTreatment, MeanControl: got.MeanControl, MeanTreatment: got.MeanTreatment,
				Effect: got.Effect, EffectLow: got.EffectLow, EffectHigh: got.EffectHigh, Lift: got.Lift, LiftLow: got.LiftLow, LiftHigh: got.LiftHigh,
				FixedP: got.FixedP, Significance: got.Significance,
			}
			if diff := cmp.Diff(c.want, figures, cmpopts.EquateApprox(2e-5, 2e-5)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Status != "ok" || got.Kind != string(kind) || got.Definition != defined(goal("purchase")).Hash() {
				t.Errorf("status %q, kind %q, definition %q", got.Status, got.Kind, got.Definition)
			}
		})
	}
}

// The same evidence, z = 2.11, is enough in the one look at the end and not while running.
func TestTheRunningRuleIsStricterThanTheEnd(t *testing.T) {
	e := defined(goal("purchase"))
	cells := []measure.Statistic{converted("control", start(), 1000, 100), converted("short", start(), 1000, 130)}
	running := evaluated(t, e, purchase(metric.Conversion), day(13), cells...)
	if running.Significance != "" || running.EffectLow > 0 || running.AnytimeP <= e.Alpha {
		t.Errorf("running: %q from %v, p %v, want nothing decided", running.Significance, running.EffectLow, running.AnytimeP)
	}
	end := evaluated(t, e, purchase(metric.Conversion), day(14), cells...)
	if end.Significance != "better" || end.AnytimeP > e.Alpha {
		t.Errorf("at the end: %q, p %v, want better", end.Significance, end.AnytimeP)
	}
}

func TestTheIntervalLeavesOutZeroExactlyWhenSignificant(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	significant := 0
	for _, role := range []experiment.Role{experiment.Goal, experiment.Guardrail, experiment.Secondary} {
		e := defined(goal("other"), experiment.Metric{Name: "purchase", Role: role, Margin: 0.02})
		in := evaluate.Input{Experiment: e, Rule: evaluate.Rule(e), Metrics: make([]metric.Metric, 2)}
		for range 2000 {
			m := purchase([]metric.Kind{metric.Conversion, metric.Mean}[random.IntN(2)])
			m.Increase = random.IntN(2) == 0
			rate := 0.5 * random.Float64()
			cell := func(variant string, rate float64) measure.Statistic {
				units := 1 + random.Int64N(5000)
				return converted(variant, start(), units, min(units, int64(float64(units)*rate)))
			}
			in.Metrics = []metric.Metric{{Name: "other"}, m}
			in.AsOf = day(3 + random.IntN(14))
			in.Statistics = []measure.Statistic{cell("control", rate), cell("short", min(1, rate*(0.7+0.6*random.Float64())))}
			results, _ := evaluate.Evaluate(in)
			got := results[1]
			better, worse := got.EffectLow > 0, got.EffectHigh < 0
			if !m.Increase {
				better, worse = worse, better
			}
			want := ""
			switch {
			case better:
				want = "better"
			case worse:
				want = "worse"
			}
			if got.Significance != want {
				t.Fatalf("significance %q with the interval [%v, %v], want %q: %+v", got.Significance, got.EffectLow, got.EffectHigh, want, got)
			}
			if bounded := !math.IsInf(got.LiftLow, 0); bounded && (got.LiftLow > 0 || got.LiftHigh < 0) != (want != "") {
				t.Fatalf("lift interval [%v, %v] does not agree with %q", got.LiftLow, got.LiftHigh, want)
			}
			if role == experiment.Goal && (got.AnytimeP <= in.Rule.Alpha) != (want != "") {
				t.Fatalf("p %v does not agree with %q", got.AnytimeP, want)
			}
			if want != "" {
				significant++
			}
		}
	}
	if significant < 1000 || significant > 5000 {
		t.Errorf("%d of 6000 are significant: the cells do not try both sides", significant)
	}
}

func TestTooFewUnitsAreInsufficient(t *testing.T) {
	e := defined(goal("purchase"))
	few := evaluated(t, e, purchase(metric.Conversion), day(5), converted("control", start(), 5000, 50), converted("short", start(), 99, 90))
	if few.Status != "insufficient" || few.Reason == "" || few.Significance != "" || few.AnytimeP != 1 || !math.IsInf(few.EffectHigh, 1) {
		t.Errorf("99 units: %+v, want nothing to be concluded", few)
	}
	enough := evaluated(t, e, purchase(metric.Conversion), day(5), converted("control", start(), 5000, 50), converted("short", start(), 100, 90))
	if enough.Status != "ok" || enough.Significance != "better" {
		t.Errorf("100 units: status %q, significance %q, want better", enough.Status, enough.Significance)
	}
}

func TestAnArmWithoutUnits(t *testing.T) {
	for name, cells := range map[string][]measure.Statistic{
		"none at all":  nil,
		"no treatment": {converted("control", start(), 1000, 100)},
		"no control":   {converted("short", start(), 1000, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			got := evaluated(t, defined(guardrail("purchase", 0.02), goal("other")), purchase(metric.Conversion), day(14), cells...)
			if got.Status != "insufficient" || got.Significance != "" || got.Guardrail != "undetermined" || got.AnytimeP != 1 || got.FixedP != 1 {
				t.Errorf("%+v, want nothing to be concluded", got)
			}
			if !math.IsInf(got.EffectLow, -1) || !math.IsInf(got.LiftHigh, 1) || got.ChanceToBeat != 0.5 {
				t.Errorf("%+v, want intervals without bounds and even odds", got)
			}
			for f, v := range reflect.ValueOf(got).Fields() {
				if v.Kind() == reflect.Float64 && math.IsNaN(v.Float()) {
					t.Errorf("%s is not a number", f.Name)
				}
			}
		})
	}
}

func TestALosingDirectionMirrors(t *testing.T) {
	m := purchase(metric.Conversion)
	cells := []measure.Statistic{converted("control", start(), 5000, 1000), converted("short", start(), 5000, 700)}
	fewer := m
	fewer.Increase = false
	for _, role := range []experiment.Metric{goal("purchase"), guardrail("purchase", 0.02)} {
		e := defined(role)
		if role.Role == experiment.Guardrail {
			e = defined(role, goal("other"))
		}
		bad, good := evaluated(t, e, m, day(7), cells...), evaluated(t, e, fewer, day(7), cells...)
		if bad.Direction != "increase" || good.Direction != "decrease" {
			t.Errorf("directions %q and %q", bad.Direction, good.Direction)
		}
		if bad.Significance != "worse" || good.Significance != "better" {
			t.Errorf("%s: %q and %q, want worse and better", role.Role, bad.Significance, good.Significance)
		}
		if role.Role == experiment.Guardrail && (bad.Guardrail != "violated" || good.Guardrail != "non_inferior") {
			t.Errorf("guardrails %q and %q, want violated and non_inferior", bad.Guardrail, good.Guardrail)
		}
		if sum := bad.ChanceToBeat + good.ChanceToBeat; math.Abs(sum-1) > 1e-12 || good.ChanceToBeat < 0.99 {
			t.Errorf("chances %v and %v", bad.ChanceToBeat, good.ChanceToBeat)
		}
		if good.ExpectedLoss > 1e-6 || bad.ExpectedLoss < 0.1 {
			t.Errorf("losses %v and %v, want none where it is better", bad.ExpectedLoss, good.ExpectedLoss)
		}
		// What was measured does not depend on what is wished for.
		same := cmpopts.IgnoreFields(evaluate.Result{}, "Direction", "Significance", "Guardrail", "ChanceToBeat", "ExpectedLoss")
		if diff := cmp.Diff(bad, good, same); diff != "" {
			t.Errorf("%s: (-increase +decrease):\n%s", role.Role, diff)
		}
	}
}

// GrowthBook gives p = 1 for both of these (growthbook gbstats 0.8.0, ZERO_NEGATIVE_VARIANCE).
func TestAnArmOfZerosIsEvidence(t *testing.T) {
	e := defined(guardrail("purchase", 0.02), goal("other"))
	failures := purchase(metric.Conversion)
	failures.Increase = false
	none, some := int64(0), int64(300)
	outage := evaluated(t, e, purchase(metric.Conversion), day(5), converted("control", start(), 10000, some), converted("short", start(), 10000, none))
	if outage.Guardrail != "violated" {
		t.Errorf("no conversion of 10,000 against 300: %q, want violated", outage.Guardrail)
	}
	failing := evaluated(t, e, failures, day(5), converted("control", start(), 10000, none), converted("short", start(), 10000, some))
	if failing.Guardrail != "violated" {
		t.Errorf("300 errors of 10,000 against none: %q, want violated", failing.Guardrail)
	}
	calm := evaluated(t, e, failures, day(5), converted("control", start(), 10000, none), converted("short", start(), 10000, 1))
	if calm.Guardrail == "violated" {
		t.Error("one error of 10,000 against none is taken for harm")
	}
}

// More goals and more variants share the error rate.
func TestGoalsShareTheErrorRate(t *testing.T) {
	two := defined(goal("purchase"), goal("other"))
	two.Variants = []experiment.Variant{{Key: "control", Share: 0.4}, {Key: "short", Share: 0.3}, {Key: "long", Share: 0.3}}
	if got, want := evaluate.Rule(two).Alpha, 0.05/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("alpha %v, want %v", got, want)
	}
	if got, want := evaluate.Rule(two).AlphaSeq, 0.01/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("alpha while running %v, want %v", got, want)
	}
}

func TestEventLoss(t *testing.T) {
	arm := func(variant string, tracked, lossy int64) measure.Exposure {
		return measure.Exposure{Variant: variant, Units: tracked, Tracked: tracked, Lossy: lossy}
	}
	for name, c := range map[string]struct {
		traffic []measure.Exposure
		want    string
	}{
		"nobody is tracked":        {nil, "insufficient"},
		"too few":                  {[]measure.Exposure{arm("control", 99, 0), arm("short", 5000, 900)}, "insufficient"},
		"nothing is lost":          {[]measure.Exposure{arm("control", 5000, 0), arm("short", 5000, 0)}, "pass"},
		"both lose alike":          {[]measure.Exposure{arm("control", 5000, 100), arm("short", 5000, 110)}, "pass"},
		"one arm loses, over days": {[]measure.Exposure{arm("control", 5000, 100), arm("short", 2500, 100), arm("short", 2500, 100)}, "fail"},
		"the control loses":        {[]measure.Exposure{arm("control", 5000, 200), arm("short", 5000, 100)}, "fail"},
	} {
		t.Run(name, func(t *testing.T) {
			e := defined(goal("purchase"))
			_, checks := evaluate.Evaluate(evaluate.Input{
				Experiment: e, Metrics: []metric.Metric{purchase(metric.Conversion)}, Traffic: c.traffic, AsOf: day(5), Rule: evaluate.Rule(e),
			})
			if got := checks[2]; got.Name != "event_loss" || got.Status != c.want {
				t.Errorf("check %+v, want it to %s", got, c.want)
			}
		})
	}
}

func TestChecks(t *testing.T) {
	type status struct{ srm, crossed string }
	for name, c := range map[string]struct {
		traffic []measure.Exposure
		want    status
	}{
		"nobody":          {nil, status{"insufficient", "insufficient"}},
		"a handful":       {[]measure.Exposure{traffic("control", 4, 0), traffic("short", 5, 0)}, status{"insufficient", "pass"}},
		"as planned":      {[]measure.Exposure{traffic("control", 5000, 0), traffic("short", 5050, 0)}, status{"pass", "pass"}},
		"over days":       {[]measure.Exposure{traffic("control", 9000, 0), traffic("short", 3000, 0), traffic("short", 6000, 0)}, status{"pass", "pass"}},
		"one arm lost":    {[]measure.Exposure{traffic("control", 5000, 0)}, status{"fail", "pass"}},
		"lost units":      {[]measure.Exposure{traffic("control", 10000, 0), traffic("short", 9000, 0)}, status{"fail", "pass"}},
		"few crossed":     {[]measure.Exposure{traffic("control", 500, 9), traffic("short", 500, 0)}, status{"pass", "pass"}},
		"a share crossed": {[]measure.Exposure{traffic("control", 5000, 90), traffic("short", 5000, 20)}, status{"pass", "fail"}},
		"at most one in hundred": {
			[]measure.Exposure{traffic("control", 4950, 50), traffic("short", 4950, 50)}, status{"pass", "pass"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := defined(goal("purchase"))
			_, checks := evaluate.Evaluate(evaluate.Input{
				Experiment: e, Metrics: []metric.Metric{purchase(metric.Conversion)}, Traffic: c.traffic, AsOf: day(5), Rule: evaluate.Rule(e),
			})
			if len(checks) != 4 || checks[0].Name != "srm" || checks[1].Name != "multiple_exposure" {
				t.Fatalf("checks %+v", checks)
			}
			if got := (status{checks[0].Status, checks[1].Status}); got != c.want {
				t.Errorf("got %v, want %v: %s %s", got, c.want, checks[0].Detail, checks[1].Detail)
			}
			for _, check := range checks {
				if check.ExperimentID != e.ID || check.AsOf != "2026-01-10" || check.Detail == "" {
					t.Errorf("check %+v", check)
				}
			}
		})
	}
}

func TestTheSplitMayBeUneven(t *testing.T) {
	e := defined(goal("purchase"))
	e.Variants[0].Share, e.Variants[1].Share = 0.9, 0.1
	in := evaluate.Input{
		Experiment: e, Metrics: []metric.Metric{purchase(metric.Conversion)}, AsOf: day(5), Rule: evaluate.Rule(e),
		Traffic: []measure.Exposure{traffic("control", 9000, 0), traffic("short", 1000, 0)},
	}
	if _, checks := evaluate.Evaluate(in); checks[0].Status != "pass" {
		t.Errorf("as planned: %+v", checks[0])
	}
	in.Traffic = []measure.Exposure{traffic("control", 5000, 0), traffic("short", 5000, 0)}
	if _, checks := evaluate.Evaluate(in); checks[0].Status != "fail" {
		t.Errorf("half and half: %+v", checks[0])
	}
}
