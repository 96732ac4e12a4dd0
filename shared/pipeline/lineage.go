package pipeline

import (
	"context"
	"time"

	"verdict/shared/lineage"
	"verdict/shared/model"
)

// told lists the steps with the tables that Go reads and writes in them.
func told() map[string]lineage.Step {
	return map[string]lineage.Step{
		"model": {
			Says: "Records the flags that are on, and makes events and identity edges of what has landed.", Outputs: []string{"dim_feature"},
		},
		"resolve": {
			Says:   "Finds out who is who, and who saw what.",
			Inputs: []string{"identity_edge"}, Outputs: []string{"identity_map", "identity_merge"},
		},
		"measure": {
			Says:    "Reduces events to sufficient statistics.",
			Inputs:  []string{"fact_event", "dim_user", "fact_experiment_exposure"},
			Outputs: []string{"fact_experiment_statistic", "fact_experiment_traffic", "fact_bucketing_audit"},
		},
		"evaluate": {
			Says:    "Turns statistics into results and validity checks.",
			Inputs:  []string{"fact_experiment_statistic", "fact_experiment_traffic", "fact_bucketing_audit", "ledger_session"},
			Outputs: []string{"fact_experiment_results", "fact_experiment_check", "fact_experiment_registration"},
		},
		"decide": {
			Says:   "Decides on the results and moves the rollouts.",
			Inputs: []string{"fact_experiment_results", "fact_experiment_check", "dim_feature"}, Outputs: []string{"fact_decision"},
		},
		"notify": {Says: "Tells people of decisions.", Inputs: []string{"fact_decision"}},
	}
}

// Model records the flags that are on, and makes events and identity edges of what has landed.
func (p *Pipeline) Model(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "model", asOf, p.model)
}

// Resolve finds out who is who, and who saw what.
func (p *Pipeline) Resolve(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "resolve", asOf, p.resolve)
}

// Measure reduces events to sufficient statistics.
func (p *Pipeline) Measure(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "measure", asOf, p.measure)
}

// Evaluate turns statistics into results and validity checks, and shows them as views.
func (p *Pipeline) Evaluate(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "evaluate", asOf, func(ctx context.Context, asOf time.Time) error {
		if err := p.evaluate(ctx, asOf); err != nil {
			return err
		}
		return p.showViews(ctx)
	})
}

// Decide decides on the results, keeps what each decision rests on, and moves the rollouts.
func (p *Pipeline) Decide(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "decide", asOf, p.decide)
}

// Notify tells people what they have not been told yet.
func (p *Pipeline) Notify(ctx context.Context, asOf time.Time) error {
	return p.tell(ctx, "notify", asOf, p.notify)
}

// tell runs a step, and tells that it began and how it ended.
func (p *Pipeline) tell(ctx context.Context, name string, asOf time.Time, run func(context.Context, time.Time) error) error {
	if p.Lineage == nil {
		return run(ctx, asOf)
	}
	step := told()[name]
	step.Name, step.AsOf = name, asOf
	ctx, ended := p.Lineage.Begin(ctx, step)
	err := run(ctx, asOf)
	ended(err)
	return err
}

// observe tells of models, when anybody is told.
func (p *Pipeline) observe() func(context.Context, model.Writing) func(model.Outcome) {
	if p.Lineage == nil {
		return nil
	}
	return p.Lineage.Observe
}
