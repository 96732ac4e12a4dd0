package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
)

// Sensitivity is what one experiment says under each policy of identity.
type Sensitivity struct {
	ExperimentID string    `json:"experiment_id"`
	AsOf         string    `json:"as_of"`
	Depends      bool      `json:"verdict_depends_on_identity"`
	Readings     []Reading `json:"policies"` // the readout's first
	// Units of the readout that saw several variants, and those of them of which each id saw one.
	Multiple  int64 `json:"units_multiple"`
	Conflicts int64 `json:"units_identity_conflict"`
}

// Reading is the readout under one policy.
type Reading struct {
	Policy  measure.Policy  `json:"policy"`
	Says    string          `json:"says"`
	Units   int64           `json:"units"`          // that take part
	LeftOut int64           `json:"units_left_out"` // that saw several variants
	Verdict decide.Verdict  `json:"verdict"`
	Variant string          `json:"variant,omitempty"`
	Reasons []decide.Reason `json:"reasons"`
	Metrics []Estimate      `json:"metrics"`
}

// Estimate is one metric of one variant; a bound that does not exist is null.
type Estimate struct {
	Metric       string   `json:"metric"`
	Role         string   `json:"role"`
	Variant      string   `json:"variant"`
	Control      int64    `json:"units_control"`
	Treatment    int64    `json:"units_treatment"`
	Lift         float64  `json:"lift"`
	Low          *float64 `json:"lift_low"`
	High         *float64 `json:"lift_high"`
	Significance string   `json:"significance,omitempty"`
	Guardrail    string   `json:"guardrail,omitempty"`
	Status       string   `json:"status"`
}

// Sensitivity measures, evaluates and decides one experiment anew under each policy of identity, and publishes nothing.
// A ramp counts as through: what is asked is what the evidence says.
func (p *Pipeline) Sensitivity(ctx context.Context, id string, asOf time.Time) (Sensitivity, error) {
	out := Sensitivity{ExperimentID: id, AsOf: asOf.UTC().Format(time.DateOnly)}
	at := slices.IndexFunc(p.Project.Experiments, func(e *experiment.Experiment) bool { return e.ID == id })
	if at < 0 {
		return out, fault.New(fault.NotFound, "there is no experiment %q", id)
	}
	e := p.Project.Experiments[at]
	if !asOf.After(e.Start.Time) {
		return out, fault.New(fault.Invalid, "experiment %s starts on %s: there is nothing to measure before", id, e.Start.Format(time.DateOnly))
	}
	if _, err := p.Catalog.Table(ctx, "fact_experiment_exposure"); err != nil {
		return out, fmt.Errorf("read exposures: %w", err)
	}
	linked, err := p.conflicts(ctx, e, &out)
	if err != nil {
		return out, err
	}
	for _, policy := range measure.Policies() {
		if policy == measure.Certain && !linked {
			continue // it is the readout
		}
		r, err := p.reading(ctx, policy, e, asOf)
		if err != nil {
			return out, err
		}
		out.Readings = append(out.Readings, r)
		first := out.Readings[0]
		out.Depends = out.Depends || r.Verdict != first.Verdict || r.Variant != first.Variant
	}
	return out, nil
}

// conflicts counts the units that saw several variants, and tells whether any id was linked.
func (p *Pipeline) conflicts(ctx context.Context, e *experiment.Experiment, out *Sensitivity) (linked bool, err error) {
	type counts struct {
		Multiple  int64 `lake:"multiple"`
		Conflicts int64 `lake:"conflicts"`
		Linked    int64 `lake:"linked"`
	}
	rows, err := lake.Read[counts](ctx, p.Engine, `select
    count(case when is_multi_variant then 1 end) as multiple,
    count(case when is_identity_conflict then 1 end) as conflicts,
    (select count(*) from dim_user where method = 'linked' and valid_to is null) as linked
from fact_experiment_exposure
where experiment_id = `+lake.Quote(e.ID))
	if err != nil {
		return false, fmt.Errorf("count conflicts of identities: %w", err)
	}
	out.Multiple, out.Conflicts = rows[0].Multiple, rows[0].Conflicts
	return rows[0].Linked > 0, nil
}

func (p *Pipeline) reading(ctx context.Context, policy measure.Policy, e *experiment.Experiment, asOf time.Time) (Reading, error) {
	out := Reading{Policy: policy, Says: policy.Says()}
	measurer := &measure.Measurer{Engine: p.Engine}
	statistics, traffic, err := measurer.Under(ctx, policy, e, p.Project.Metrics, asOf)
	if err != nil {
		return out, err
	}
	for _, x := range traffic {
		out.Units += x.Units
		out.LeftOut += x.Crossed
	}
	inputs, err := p.evaluation().Given(ctx, []*experiment.Experiment{e}, p.Project.Metrics, statistics, traffic, asOf)
	if err != nil {
		return out, err
	}
	if policy != measure.Resolved {
		inputs[0].LeastP = nil // earlier looks were under another policy
	}
	results, checks := evaluate.Evaluate(inputs[0])
	evidence := decide.Gather(e, results, checks, asOf)
	evidence.Rollout = &decide.Rollout{Included: e.Traffic, Since: e.Start.Time}
	d := decide.Decide(evidence)
	out.Verdict, out.Variant, out.Reasons = d.Verdict, d.Variant, d.Reasons
	for _, r := range results {
		out.Metrics = append(out.Metrics, Estimate{
			r.Metric, r.Role, r.Variant, r.UnitsControl, r.UnitsTreatment, r.Lift, bound(r.LiftLow), bound(r.LiftHigh), r.Significance, r.Guardrail, r.Status,
		})
	}
	return out, nil
}

func bound(x float64) *float64 {
	if math.IsInf(x, 0) {
		return nil
	}
	return &x
}
