package planning

import (
	"context"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/register"
)

// Change is what a new definition of a running experiment makes of its readout: both on the same events, as of the
// same day.
type Change struct {
	AsOf    string            `json:"as_of"`
	Changes []register.Change `json:"changes"`
	Before  Readout           `json:"as_registered"`
	After   Readout           `json:"as_changed"`
}

// Readout is what one definition says.
type Readout struct {
	Definition string           `json:"definition"`
	Verdict    decide.Verdict   `json:"verdict"`
	Variant    string           `json:"variant,omitempty"`
	Headline   string           `json:"headline"`
	Reasons    []decide.Reason  `json:"reasons"`
	Results    []Result         `json:"results"`
	Checks     []evaluate.Check `json:"checks"`
}

// Result is a metric of a variant, by the rule in force.
type Result struct {
	Metric       string   `json:"metric"`
	Variant      string   `json:"variant"`
	Role         string   `json:"role"`
	Units        int64    `json:"units"`
	Lift         float64  `json:"lift"`
	Low          *float64 `json:"lift_low"` // null: it has no bound
	High         *float64 `json:"lift_high"`
	Significance string   `json:"significance,omitempty"`
	Guardrail    string   `json:"guardrail,omitempty"`
	Status       string   `json:"status"`
}

// Change compares the definition that was registered last with another one. Earlier looks at the other one do not
// exist, so its p-values are those of this look alone; a ramp is taken to stand where its days put it.
func (p *Planner) Change(ctx context.Context, registered register.Registration, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) (Change, error) {
	out := Change{AsOf: asOf.UTC().Format(time.DateOnly)}
	now, err := register.New(e, metrics, asOf)
	if err != nil {
		return out, err
	}
	if out.Changes, err = register.Diff(registered, now); err != nil {
		return out, err
	}
	if out.Before, err = p.Readout(ctx, registered.Experiment, registered.Metrics, asOf); err != nil {
		return out, err
	}
	out.After, err = p.Readout(ctx, e, metrics, asOf)
	return out, err
}

// Readout measures, evaluates and decides on one definition, and publishes nothing.
func (p *Planner) Readout(ctx context.Context, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) (Readout, error) {
	measurer := &measure.Measurer{Engine: p.Engine}
	statistics, traffic, err := measurer.Under(ctx, measure.Resolved, e, metrics, asOf)
	if err != nil {
		return Readout{}, err
	}
	inputs, err := p.Evaluator.Given(ctx, []*experiment.Experiment{e}, metrics, statistics, traffic, asOf)
	if err != nil || len(inputs) == 0 {
		return Readout{Definition: e.Hash()}, err
	}
	results, checks := evaluate.Evaluate(inputs[0])
	evidence := decide.Gather(e, results, checks, asOf)
	for _, s := range e.Stages() {
		if since := e.Start.AddDate(0, 0, s.Day); evidence.Rollout == nil || since.Before(asOf) {
			evidence.Rollout = &decide.Rollout{Included: s.Traffic, Since: since}
		}
	}
	d := decide.Decide(evidence)
	out := Readout{Definition: e.Hash(), Verdict: d.Verdict, Variant: d.Variant, Headline: d.Headline, Reasons: d.Reasons, Checks: evidence.Checks}
	for _, r := range evidence.Results {
		out.Results = append(out.Results, Result{
			r.Metric, r.Variant, r.Role, r.UnitsControl + r.UnitsTreatment, r.Lift, finite(r.LiftLow), finite(r.LiftHigh), r.Significance, r.Guardrail, r.Status,
		})
	}
	return out, nil
}
