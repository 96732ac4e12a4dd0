// Package evaluate turns sufficient statistics into results: for each metric of each variant the
// effect with its intervals, p-values and posterior, and for each experiment the checks of whether
// its numbers can be believed at all. It reads cells and writes results; the mathematics is stats.
package evaluate

import (
	"math"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// Version is the engine's. It rises with every change by which the same statistics give other figures or other words:
// bundles (shared/bundle) say by which version they were made, and verify for ever. Figures of older versions have to
// come out as they did: what changes a figure keeps the old way beside the new one (docs/adr/0012).
const Version = 2

const (
	// sequentialShare is the part of alpha that the running rule may spend; the rest is kept for
	// the planned end. A fifth keeps 97 % of the power of one single look (stats.Hybrid).
	sequentialShare = 0.2
	// burnIn is the fewest units per arm with which an asymptotic sequence is looked at: from 100
	// its false positive rate stays below alpha for all distributions tried in Waudby-Smith et
	// al. 2024 and in our own simulations, zero-inflated and lognormal ones included.
	burnIn = 100
	// srmAlpha is the false alarm rate for a sample ratio mismatch over a whole experiment, however
	// often it is looked at. A false alarm blocks a sound experiment, so it is the p < 0.001 of
	// Fabijan et al. (KDD 2019), here as 1/e of an anytime-valid test.
	srmAlpha = 0.001
	// maxCrossed is the share of units that saw several variants from which on their removal may
	// bias what is left: 1 %, as GrowthBook and Statsig alarm.
	maxCrossed = 0.01
	// minCrossed is the fewest such units that are more than chance: GrowthBook's 10.
	minCrossed = 10
	// maxMismatched is the share of exposures whose variant may differ from what the platform gives: allow lists that
	// were changed in between and clients that poll late. Kept as strict as multiple exposure, which it causes.
	maxMismatched = 0.01
)

// Input is all that one evaluation of one experiment depends on.
type Input struct {
	Experiment *experiment.Experiment
	Metrics    []metric.Metric // definitions of the experiment's metrics, in its order
	Statistics []measure.Statistic
	Traffic    []measure.Exposure
	Audited    int64     // exposures whose assignment was recomputed
	Mismatched int64     // of them, that the platform would have assigned otherwise
	Mismatch   string    // one of them
	AsOf       time.Time // start of a day, UTC
	// LeastP is the least anytime-valid p-value that earlier looks at the same definition gave,
	// by metric and variant.
	LeastP map[[2]string]float64
	Engine int // the Version whose figures are wanted; 0: this one's
	// Rule is the decision rule for goal metrics: Rules makes it.
	Rule stats.Hybrid
}

// Rule returns the decision rule for the goal metrics of an experiment. Its error rate is shared
// among goals and variants by Bonferroni: decisions are few, and Bonferroni holds at every look.
// It takes a while (stats.FinalZ): keep it.
func Rule(e *experiment.Experiment) stats.Hybrid {
	goals := 0
	for _, m := range e.Metrics {
		if m.Role == experiment.Goal {
			goals++
		}
	}
	alpha := e.Alpha / float64(goals*(len(e.Variants)-1))
	return stats.NewHybrid(alpha, alpha*sequentialShare, e.PlannedUnits)
}

// Evaluate computes the results and checks of one experiment at one moment. The planned end is one
// look, whenever it is taken: at what was known then of the units that came in before.
func Evaluate(in Input) ([]Result, []Check) {
	day := in.AsOf.Format(time.DateOnly)
	if in.AsOf.After(in.Experiment.End()) {
		in.AsOf = in.Experiment.End()
	}
	var results []Result
	for i, used := range in.Experiment.Metrics {
		for _, v := range in.Experiment.Variants {
			if v.Key != in.Experiment.Control {
				r := in.result(used, in.Metrics[i], v.Key)
				r.AsOf = day
				results = append(results, r)
			}
		}
	}
	checks := in.checks()
	for i := range checks {
		checks[i].ExperimentID, checks[i].AsOf = in.Experiment.ID, day
	}
	return results, checks
}

// matured merges the cells of one variant whose units have all lived through the metric's window:
// a unit still in its window would count as less than it will be. Of a quantile it is the one cell there is. days
// counts the days of first exposure.
func (in Input) matured(m metric.Metric, variant string) (sum measure.Statistic, days int64) {
	for _, s := range in.Statistics {
		if s.Metric != m.Name || s.Variant != variant || !in.counts(m, s.ExposureDate) {
			continue
		}
		sum = sum.Merge(s)
		days++
	}
	if m.Kind == metric.Quantile {
		days = 0
		for _, x := range in.Traffic {
			if x.Variant == variant && x.Units > 0 && in.counts(m, x.ExposureDate) {
				days++
			}
		}
	}
	return sum, days
}

// counts tells whether the units of a day of first exposure take part.
func (in Input) counts(m metric.Metric, exposureDate string) bool {
	day, err := time.Parse(time.DateOnly, exposureDate)
	return err == nil && (m.Incomplete || !day.AddDate(0, 0, 1+m.Window.End()).After(in.AsOf))
}

// arm is what is known of one variant, without covariates.
func arm(m metric.Metric, s measure.Statistic) stats.Arm {
	if m.Kind != metric.Quantile {
		return s.Gram().Arm(family(m.Kind))
	}
	r := stats.Ranks{Nu: m.Level, N: s.Units, Value: s.Quantile, Low: s.QuantileLow, High: s.QuantileHigh}
	if m.OfEvents {
		g := s.Gram()
		r.N, r.Clusters = int64(math.Round(g.MeanD*float64(g.N))), &g
	}
	return r.Arm()
}

// contrast compares a variant with control, at the same covariates if the metric has any: everybody's, so that
// control is the same in each comparison. removed is the share of the variance that they took.
func (in Input) contrast(m metric.Metric, control, treatment measure.Statistic) (c stats.Contrast, removed float64) {
	if m.Covariate == 0 {
		return stats.Compare(arm(m, control), arm(m, treatment)), 0
	}
	covariates := 1
	if m.Kind == metric.Ratio {
		covariates = 2
	}
	everybody := stats.NewMoments(covariates)
	for _, v := range in.Experiment.Variants {
		arm, _ := in.matured(m, v.Key)
		everybody.Merge(arm.Moments(covariates))
	}
	adjusted := stats.AdjustLin(control.Moments(covariates), treatment.Moments(covariates), everybody, family(m.Kind))
	return adjusted.Contrast, adjusted.Removed
}

func family(k metric.Kind) stats.Family {
	switch k {
	case metric.Conversion, metric.Retention, metric.Funnel:
		return stats.Proportion
	case metric.Ratio:
		return stats.Ratio
	case metric.Quantile:
		return stats.Quantile
	case metric.Mean, metric.TimeToEvent:
		return stats.Mean
	}
	return stats.Mean
}

func (in Input) result(used experiment.Metric, m metric.Metric, variant string) Result {
	e := in.Experiment
	control, controlDays := in.matured(m, e.Control)
	treatment, treatedDays := in.matured(m, variant)
	c, removed := in.contrast(m, control, treatment)
	meanControl, meanTreatment := c.Control, c.Treatment
	if c.Status != stats.OK { // what there is stands, beside why it is not enough
		meanControl, meanTreatment = arm(m, control).Mean, arm(m, treatment).Mean
	}
	if c.Status == stats.OK && min(control.Units, treatment.Units) < burnIn {
		c.Status, c.Reason = stats.Insufficient, "fewer than 100 units with a complete window in an arm"
	}
	r := Result{
		ExperimentID: e.ID, Definition: e.Hash(), Metric: m.Name, Label: m.Label, Role: string(used.Role), Kind: string(m.Kind),
		Direction: "decrease", Format: m.Format, Variant: variant, Control: e.Control, Margin: used.Margin,
		UnitsControl: control.Units, UnitsTreatment: treatment.Units, Days: min(controlDays, treatedDays), VarianceRemoved: removed,
		MeanControl: known(meanControl), MeanTreatment: known(meanTreatment), Effect: known(c.Effect()), Lift: known(c.Lift()),
		Status: c.Status.String(), Reason: c.Reason, EvaluatedAt: in.AsOf,
	}
	if m.Increase {
		r.Direction = "increase"
	}
	in.infer(&r, c)
	return r
}

// infer fills in what the contrast tells, which for one that is not ok is nothing: intervals are
// the whole line and p-values 1.
func (in Input) infer(r *Result, c stats.Contrast) {
	e := in.Experiment
	n, better := c.N, 1.0
	if r.Direction == "decrease" {
		better = -1
	}
	atEnd := !in.AsOf.Before(e.End())
	running := stats.Tune(e.Alpha, e.PlannedUnits)
	critical := running.Critical(max(n, 1), e.Alpha)
	p := stats.PValue(running.LogE(n, c.Z()))
	// The interval shown is that of the rule in force, so that it leaves out 0, or a guardrail's
	// margin, exactly when the rule says so.
	switch r.Role {
	case string(experiment.Goal):
		critical = in.Rule.Critical(max(n, 1), atEnd)
		p = in.Rule.P(n, c.Z(), atEnd)
	case string(experiment.Guardrail):
		// two one-sided bounds, each at alpha
		critical = stats.TuneOneSided(e.Alpha, e.PlannedUnits).CriticalGreater(max(n, 1), e.Alpha)
	}
	r.EffectLow, r.EffectHigh = bounds(c.Absolute(critical))
	r.LiftLow, r.LiftHigh = bounds(c.Relative(critical))
	r.FixedLiftLow, r.FixedLiftHigh = bounds(c.Relative(c.WelchCritical(e.Alpha)))
	r.FixedP, r.AnytimeP = c.WelchP(), min(1, p)
	if least, ok := in.LeastP[[2]string{r.Metric, r.Variant}]; ok {
		r.AnytimeP = min(r.AnytimeP, least)
	}
	r.LogEValue = running.LogE(n, c.Z())
	posterior := stats.DefaultPrior().Update(known(c.Lift()), c.LiftSE())
	r.ChanceToBeat, r.ExpectedLoss = posterior.ChancePositive(), posterior.LossTreatment()
	if better < 0 {
		r.ChanceToBeat, r.ExpectedLoss = 1-r.ChanceToBeat, posterior.LossControl()
	}
	if c.Status == stats.OK {
		switch z := c.Z() * better; {
		case z > critical:
			r.Significance = "better"
		case z < -critical:
			r.Significance = "worse"
		}
	}
	if r.Role == string(experiment.Guardrail) {
		r.Guardrail = in.guardrail(r, c)
	}
}

// guardrail weighs both sides of the margin at the experiment's alpha. Guardrails need no share of
// it: shipping asks that all of them pass (Schultzberg et al. 2024, arXiv 2402.11609).
func (in Input) guardrail(r *Result, c stats.Contrast) string {
	alpha := in.Experiment.Alpha
	evidence := stats.Guardrail{Margin: r.Margin, IncreaseIsBad: r.Direction == "decrease"}.
		Test(c, stats.TuneOneSided(alpha, in.Experiment.PlannedUnits))
	switch enough := -math.Log(alpha); {
	case evidence.Status != stats.OK:
		return "undetermined"
	case evidence.LogEViolated >= enough:
		return "violated"
	case evidence.LogENonInferior >= enough:
		return "non_inferior"
	}
	return "undetermined"
}

// bounds gives the hull of a confidence set: a set that is no interval bounds nothing.
func bounds(i stats.Interval) (low, high float64) {
	if i.Shape != stats.Bounded {
		return math.Inf(-1), math.Inf(1)
	}
	return i.Low, i.High
}

// known replaces what does not exist by 0; the status tells the two apart.
func known(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
