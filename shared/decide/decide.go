package decide

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"verdict/shared/evaluate"
	"verdict/shared/experiment"
)

// Evidence is all that a decision depends on.
type Evidence struct {
	Experiment *experiment.Experiment
	Results    []evaluate.Result // of this experiment, as of one moment
	Checks     []evaluate.Check
	AsOf       time.Time       // start of a day, UTC
	Rollout    *Rollout        // nil: not known, or none runs
	Input      *evaluate.Input // what the results were computed from, where it is not what stands in the lake; decides nothing
}

// Gather picks an experiment's evidence, in one order, out of that of many.
func Gather(e *experiment.Experiment, results []evaluate.Result, checks []evaluate.Check, asOf time.Time) Evidence {
	in := Evidence{Experiment: e, AsOf: asOf.UTC()}
	for _, r := range results {
		if r.ExperimentID == e.ID && r.Definition == e.Hash() {
			in.Results = append(in.Results, r)
		}
	}
	for _, c := range checks {
		if c.ExperimentID == e.ID {
			in.Checks = append(in.Checks, c)
		}
	}
	slices.SortFunc(in.Results, func(a, b evaluate.Result) int {
		return cmp.Or(strings.Compare(a.Metric, b.Metric), strings.Compare(a.Variant, b.Variant))
	})
	slices.SortFunc(in.Checks, func(a, b evaluate.Check) int { return strings.Compare(a.Name, b.Name) })
	return in
}

// Decide concludes from the evidence at one moment. It is a pure function: no clock, no history.
//
// In this order: an experiment whose validity is in doubt is blocked, whatever its effects, unless a variant is dead: no
// doubt about who was counted makes none of many. A
// variant ships after the minimum run, a week's cycle and the ramp when a goal is better, none is worse, every
// guardrail is shown not to be worse by its margin, and every check has passed. The experiment is rolled back,
// any day, when a variant violates a guardrail (of several variants none can be taken out without
// moving the users of the others) or when each variant makes a goal worse. At the planned end what
// is left is stopped when an effect as large as the experiment looks for is ruled out, and extended
// when it is not.
func Decide(in Evidence) Decision {
	e := in.Experiment
	d := Decision{
		ExperimentID: e.ID, Definition: e.Hash(), AsOf: in.AsOf.Format(time.DateOnly), Flag: e.Flag, Mode: string(e.Mode), DecidedAt: in.AsOf,
	}
	in.conclude(&d)
	d.ID = identify(d)
	return d
}

// identify derives the id from what was decided on what, so that deciding again gives the same id.
func identify(d Decision) string {
	parts := []string{d.ExperimentID, d.Definition, d.AsOf, string(d.Verdict), d.Variant}
	if d.Action == Ramp {
		parts = append(parts, share(d.Included))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func (in Evidence) conclude(d *Decision) {
	e := in.Experiment
	outage := in.outage()
	if reasons := in.failedChecks(); reasons != nil && outage == nil {
		d.Verdict, d.Reasons = Blocked, reasons
		d.Headline = e.Name + " is blocked: its numbers cannot be trusted"
		return
	}
	var harmed []string
	var harm []Reason
	for _, v := range in.treatments() {
		if reasons := in.harm(v); reasons != nil {
			harmed, harm = append(harmed, v), append(harm, reasons...)
		}
	}
	if outage != nil {
		d.Verdict, d.Variant, d.Action, d.Reasons = RollBack, e.Control, Rollback, slices.Concat(outage, harm, in.failedChecks())
		d.Headline = "Roll back " + e.Name + ": an outage"
		return
	}
	violated := slices.ContainsFunc(harm, func(r Reason) bool { return r.Code == guardrailViolated })
	day := int(in.AsOf.Sub(e.Start.Time).Hours() / 24)
	winner, why := in.winner(harmed)
	tooEarly, unchecked := in.tooEarly(winner, day), in.unchecked()
	switch {
	case winner != "" && tooEarly == nil && unchecked == nil:
		d.Verdict, d.Variant, d.Action, d.Reasons = Ship, winner, Conclude, why
		d.Headline = fmt.Sprintf("Ship %s of %s", winner, e.Name)
	case violated || len(harmed) == len(in.treatments()):
		d.Verdict, d.Variant, d.Action, d.Reasons = RollBack, e.Control, Rollback, harm
		d.Headline = "Roll back " + e.Name
	case in.AsOf.Before(e.End()):
		waiting := tooEarly
		if waiting == nil {
			waiting = in.undecided()
		}
		d.Verdict, d.Reasons = Running, slices.Concat(waiting, harm, unchecked)
		d.Headline = fmt.Sprintf("%s is running: day %d of %d", e.Name, day, e.PlannedDays)
		in.ramp(d, harm, unchecked)
	default:
		in.end(d)
		d.Reasons = slices.Concat(d.Reasons, tooEarly, unchecked)
	}
}

// end concludes what has come to its planned end without a decision.
func (in Evidence) end(d *Decision) {
	e := in.Experiment
	var reasons []Reason
	goals, excluded := 0, 0
	for _, r := range in.Results {
		if r.Role != string(experiment.Goal) {
			continue
		}
		goals++
		switch {
		case r.Significance == "better":
			reasons = append(reasons, goalBetter(r))
		case bestCase(r) < e.MDE:
			excluded++
			reasons = append(reasons, Reason{"no_effect", fmt.Sprintf(
				"%s of %s: an improvement of %s, the least of interest, is ruled out: %s.", r.Label, r.Variant, share(e.MDE), Estimate(r))})
		default:
			reasons = append(reasons, Reason{"undecided", fmt.Sprintf(
				"%s of %s: an improvement of %s, the least of interest, is neither shown nor ruled out with %d units: %s.",
				r.Label, r.Variant, share(e.MDE), r.UnitsControl+r.UnitsTreatment, Estimate(r))})
		}
	}
	d.Reasons = slices.Concat(reasons, in.openGuardrails())
	if goals > 0 && excluded == goals {
		d.Verdict, d.Headline = Stop, fmt.Sprintf("Stop %s: no effect worth having", e.Name)
		return
	}
	d.Verdict, d.Headline = Extend, fmt.Sprintf("Extend %s: its planned end came before an answer", e.Name)
}

func (in Evidence) treatments() []string {
	var out []string
	for _, v := range in.Experiment.Variants {
		if v.Key != in.Experiment.Control {
			out = append(out, v.Key)
		}
	}
	return out
}

func (in Evidence) failedChecks() []Reason {
	var out []Reason
	for _, c := range in.Checks {
		if c.Status == "fail" {
			out = append(out, Reason{c.Name, c.Detail})
		}
	}
	return out
}

// unchecked lists what stands in the way of shipping although no check failed: insufficient is not
// passed, and neither is a check that never ran.
func (in Evidence) unchecked() []Reason {
	if len(in.Checks) == 0 {
		return []Reason{{"unchecked", "The validity checks have not run."}}
	}
	var out []Reason
	for _, c := range in.Checks {
		if c.Status != "pass" {
			out = append(out, Reason{c.Name, c.Detail})
		}
	}
	return out
}

// guardrailViolated is the code of the reason that rolls back by itself.
const guardrailViolated = "guardrail_violated"

// outage lists what is dead in a variant: a goal or guardrail that is 0 of its units, significantly, and not in
// control. Its users are given back what works although a check failed, and although other variants do well.
func (in Evidence) outage() []Reason {
	var out []Reason
	for _, r := range in.Results {
		harmful := r.Guardrail == "violated" || r.Role == string(experiment.Goal) && r.Significance == "worse"
		if harmful && r.Direction == "increase" && r.MeanTreatment == 0 && r.MeanControl > 0 {
			out = append(out, Reason{"outage", fmt.Sprintf(
				"%s of %s is 0 with %d units, against %.4g of %s.", r.Label, r.Variant, r.UnitsTreatment, r.MeanControl, r.Control)})
		}
	}
	return out
}

// harm lists why a variant must not go on.
func (in Evidence) harm(variant string) []Reason {
	var out []Reason
	for _, r := range in.Results {
		switch {
		case r.Variant != variant:
		case r.Guardrail == "violated":
			out = append(out, Reason{guardrailViolated, fmt.Sprintf(
				"%s of %s is worse by more than the %s that is tolerated: %s.", r.Label, variant, share(r.Margin), Estimate(r))})
		case r.Role == string(experiment.Goal) && r.Significance == "worse":
			out = append(out, Reason{"goal_worse", fmt.Sprintf("%s of %s got worse: %s.", r.Label, variant, Estimate(r))})
		}
	}
	return out
}

// winner is the variant with the best significant goal among those that pass every guardrail.
func (in Evidence) winner(harmed []string) (winner string, why []Reason) {
	guardrails := 0
	for _, m := range in.Experiment.Metrics {
		if m.Role == experiment.Guardrail {
			guardrails++
		}
	}
	best := math.Inf(-1)
	for _, v := range in.treatments() {
		if slices.Contains(harmed, v) {
			continue
		}
		better, reasons, safe := math.Inf(-1), []Reason(nil), 0
		for _, r := range in.Results {
			if r.Variant != v {
				continue
			}
			switch {
			case goalIsBetter(r):
				better = max(better, improvement(r))
				reasons = append(reasons, goalBetter(r))
			case r.Guardrail == "non_inferior":
				safe++
				reasons = append(reasons, Reason{"guardrail_safe", fmt.Sprintf(
					"%s of %s is not worse by %s or more: %s.", r.Label, v, share(r.Margin), Estimate(r))})
			}
		}
		if safe == guardrails && better > best {
			winner, why, best = v, reasons, better
		}
	}
	return winner, why
}

// cycle is how many days of cohorts a shipped goal needs to have seen: people behave otherwise on other weekdays.
const cycle = 7

// tooEarly says why a winner may not ship yet. A plan that ends within its first week is its owner's decision.
func (in Evidence) tooEarly(winner string, day int) []Reason {
	e := in.Experiment
	if winner == "" {
		return nil
	}
	var out []Reason
	if day < e.MinimumDays {
		out = append(out, Reason{"minimum_run", fmt.Sprintf(
			"%s could ship, but day %d comes before the minimum run of %d days.", winner, day, e.MinimumDays)})
	}
	for _, r := range in.Results {
		if in.AsOf.Before(e.End()) && r.Variant == winner && goalIsBetter(r) && r.Days < cycle {
			out = append(out, Reason{"weekly_cycle", fmt.Sprintf(
				"%s of %s rests on %d days of new users: it takes the %d of a week.", r.Label, winner, r.Days, cycle)})
		}
	}
	return append(out, in.rampUnfinished()...)
}

// undecided says what evidence a running experiment is waiting for.
func (in Evidence) undecided() []Reason {
	out := []Reason{{"undecided", "No goal metric is significantly better yet."}}
	if slices.ContainsFunc(in.Results, goalIsBetter) {
		out = nil
	}
	return append(out, in.openGuardrails()...)
}

func goalIsBetter(r evaluate.Result) bool {
	return r.Role == string(experiment.Goal) && r.Significance == "better"
}

func (in Evidence) openGuardrails() []Reason {
	var out []Reason
	for _, r := range in.Results {
		if r.Guardrail == "undetermined" {
			out = append(out, Reason{"guardrail_open", fmt.Sprintf(
				"%s of %s is not shown to be within %s yet.", r.Label, r.Variant, share(r.Margin))})
		}
	}
	return out
}

// improvement is the lift in the direction that is good.
func improvement(r evaluate.Result) float64 {
	if r.Direction == "decrease" {
		return -r.Lift
	}
	return r.Lift
}

// bestCase is the largest improvement that the interval leaves open.
func bestCase(r evaluate.Result) float64 {
	if r.Direction == "decrease" {
		return -r.LiftLow
	}
	return r.LiftHigh
}

func goalBetter(r evaluate.Result) Reason {
	return Reason{"goal_better", fmt.Sprintf("%s of %s is better: %s.", r.Label, r.Variant, Estimate(r))}
}

// Estimate says how much a metric changed: relatively where that has bounds, which it has not against
// next to nothing, and else from what to what.
func Estimate(r evaluate.Result) string {
	if math.IsInf(r.LiftLow, 0) || math.IsInf(r.LiftHigh, 0) {
		return fmt.Sprintf("%.4g against %.4g of %s", r.MeanTreatment, r.MeanControl, r.Control)
	}
	return fmt.Sprintf("%s, between %s and %s", percent(r.Lift), percent(r.LiftLow), percent(r.LiftHigh))
}

func percent(x float64) string { return fmt.Sprintf("%+.1f %%", 100*x) }

func share(x float64) string { return fmt.Sprintf("%g %%", math.Round(1000*x)/10) }
