package decide

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/table"
)

// Decider decides, writes down, and acts, in this order. A decision is an object that is created
// once; what it asked of the flag platform is done by repeatable means and then noted in it. So a
// run that died anywhere is completed by the next one, and a repeated run changes nothing.
type Decider struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	Flags   Flags
	Archive Archive // may be nil: nothing is kept
	NewRun  func() string
	Now     func() time.Time
}

// Run decides on the results as of a day. It returns the decisions that are new, also together
// with an error: one experiment whose flag cannot be moved does not hold up the others.
func (d *Decider) Run(ctx context.Context, experiments []*experiment.Experiment, asOf time.Time) ([]Decision, error) {
	day := asOf.UTC().Format(time.DateOnly)
	results, err := lake.Read[evaluate.Result](ctx, d.Engine, "select * from fact_experiment_results where as_of = "+lake.Quote(day)+" order by experiment_id, metric, variant")
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	checks, err := lake.Read[evaluate.Check](ctx, d.Engine, "select * from fact_experiment_check where as_of = "+lake.Quote(day)+" order by experiment_id, name")
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	recorded, err := d.rollouts(ctx)
	if err != nil {
		return nil, err
	}
	var fresh []Decision
	var problems []error
	for _, e := range experiments {
		in := Gather(e, results, checks, asOf)
		decision, err := d.one(ctx, in, recorded)
		if err != nil {
			problems = append(problems, fmt.Errorf("decide %s: %w", e.ID, err))
		}
		if decision != nil {
			fresh = append(fresh, *decision)
		}
	}
	if err := d.publish(ctx); err != nil {
		problems = append(problems, err)
	}
	return fresh, errors.Join(problems...)
}

// one decides on one experiment and completes what earlier decisions left undone.
func (d *Decider) one(ctx context.Context, in Evidence, recorded []feature.Row) (fresh *Decision, err error) {
	history, err := History(ctx, d.Objects, in.Experiment.ID)
	if err != nil {
		return nil, err
	}
	if len(in.Results) > 0 {
		in.Rollout = in.rollout(recorded, history)
		decision, err := d.conclude(ctx, in)
		if err != nil {
			return nil, err
		}
		switch {
		case !open(history, in):
		case !changes(history, decision):
			if err := d.refresh(ctx, history, decision); err != nil {
				return nil, err
			}
		default:
			err := d.write(ctx, len(history), decision, lake.Create)
			if fault.Is(err, fault.Conflict) {
				return nil, nil // another run was first: it acts, and the next run completes what it leaves undone
			}
			if err != nil {
				return nil, err
			}
			history = append(history, decision)
			fresh = &decision
		}
	}
	for i := range history {
		if !waits(history, i, in.Experiment) {
			continue
		}
		if history[i].Mode == string(experiment.Propose) && history[i].Answer == "" {
			if err := d.heed(ctx, history, i); err != nil {
				return fresh, err
			}
		}
		decision := history[i]
		if !due(decision) {
			continue
		}
		why, err := d.withheld(ctx, decision, in)
		if err != nil {
			return fresh, err
		}
		if why != "" {
			if decision.Change != why {
				decision.Change = why
				if err := d.note(ctx, i, decision); err != nil {
					return fresh, err
				}
			}
			continue
		}
		applied, err := d.act(ctx, decision)
		if fresh != nil && decision.ID == fresh.ID {
			*fresh = applied
		}
		if err := errors.Join(err, d.note(ctx, i, applied)); err != nil {
			return fresh, err
		}
	}
	return fresh, nil
}

// conclude decides, and keeps what on.
func (d *Decider) conclude(ctx context.Context, in Evidence) (Decision, error) {
	decision := Decide(in)
	if d.Archive == nil {
		return decision, nil
	}
	key, err := d.Archive.Keep(ctx, in, decision)
	if err != nil {
		return decision, fmt.Errorf("keep evidence: %w", err)
	}
	decision.Bundle = key
	return decision, nil
}

// waits tells whether a decision asks for something that has not been done. One on a definition that people have
// replaced since is theirs to withdraw, and a step of a ramp is not made up for once another decision stands.
func waits(history []Decision, i int, e *experiment.Experiment) bool {
	h := history[i]
	overtaken := h.Action == Ramp && i < len(history)-1
	return h.Definition == e.Hash() && h.Action != "" && h.AppliedAt.IsZero() && !overtaken
}

// due tells whether what a decision asks for is to be done now.
func due(h Decision) bool {
	return h.Mode == string(experiment.Auto) || h.Mode == string(experiment.Propose) && h.Answer == Approved
}

// refresh lets the word on a running experiment say what is known today: how far it is and what it
// waits for. Since when it runs, and by which id, stays. Every other decision stands as it was taken.
func (d *Decider) refresh(ctx context.Context, history []Decision, now Decision) error {
	last := len(history) - 1
	if now.Verdict != Running || now.Action != "" {
		return nil
	}
	now.ID, now.AsOf, now.DecidedAt = history[last].ID, history[last].AsOf, history[last].DecidedAt
	if reflect.DeepEqual(now, history[last]) {
		return nil
	}
	history[last] = now
	return d.write(ctx, last, now, lake.Overwrite)
}

// act moves the rollout as a decision asks, and notes what came of it.
func (d *Decider) act(ctx context.Context, decision Decision) (Decision, error) {
	applied, err := d.Flags.Apply(ctx, Change{
		DecisionID: decision.ID, Flag: decision.Flag, Rule: decision.ExperimentID, Action: decision.Action, Variant: decision.Variant, Included: decision.Included,
	})
	if err != nil {
		decision.Change = "not applied yet: " + err.Error()
		return decision, fmt.Errorf("move flag %s: %w", decision.Flag, err)
	}
	decision.AppliedAt, decision.Revision, decision.Change = d.Now().UTC(), applied.Revision, applied.Detail
	return decision, nil
}

// open tells whether there is anything left to decide: a shipped, rolled back, stopped or extended
// experiment needs a new definition to be decided on again.
func open(history []Decision, in Evidence) bool {
	for _, h := range history {
		if h.Definition != in.Experiment.Hash() {
			continue
		}
		switch h.Verdict {
		case Ship, RollBack, Stop, Extend:
			return false
		case Running, Blocked:
		}
	}
	return len(history) == 0 || history[len(history)-1].AsOf <= in.AsOf.Format(time.DateOnly)
}

// changes tells whether a decision says something else than the one before.
func changes(history []Decision, now Decision) bool {
	if len(history) == 0 {
		return true
	}
	last := history[len(history)-1]
	return last.Definition != now.Definition || last.Verdict != now.Verdict || last.Variant != now.Variant ||
		last.Action != now.Action || last.Included != now.Included
}

func key(experimentID string, position int) string {
	return fmt.Sprintf("decisions/%s/%04d.json", experimentID, position)
}

// write stores a decision at its place in the experiment's history; in mode Create a second writer
// gets fault.Conflict.
func (d *Decider) write(ctx context.Context, position int, decision Decision, mode lake.Mode) error {
	body, err := json.MarshalIndent(decision, "", "  ")
	if err != nil {
		return fmt.Errorf("write decision: %w", err)
	}
	if err := d.Objects.Put(ctx, key(decision.ExperimentID, position), body, mode); err != nil {
		return fmt.Errorf("write decision: %w", err)
	}
	return nil
}

// note stores what came of a decision, unless another run has noted already that it is done: that one
// knows what was sent.
func (d *Decider) note(ctx context.Context, position int, decision Decision) error {
	noted, err := read(ctx, d.Objects, key(decision.ExperimentID, position))
	if err != nil || !noted.AppliedAt.IsZero() {
		return err
	}
	return d.write(ctx, position, decision, lake.Overwrite)
}

func read(ctx context.Context, objects lake.Objects, key string) (Decision, error) {
	var decision Decision
	body, err := objects.Get(ctx, key)
	if err != nil {
		return decision, fmt.Errorf("read decision: %w", err)
	}
	if err := json.Unmarshal(body, &decision); err != nil {
		return decision, fmt.Errorf("read decision %s: %w", key, err)
	}
	return decision, nil
}

// History returns the decisions on an experiment, oldest first; on all experiments for an empty id.
func History(ctx context.Context, objects lake.Objects, experimentID string) ([]Decision, error) {
	prefix := "decisions/"
	if experimentID != "" {
		prefix += experimentID + "/"
	}
	list, err := objects.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list decisions: %w", err)
	}
	var out []Decision
	for _, o := range list {
		decision, err := read(ctx, objects, o.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, decision)
	}
	return out, nil
}

// publish makes fact_decision say what the decisions say.
func (d *Decider) publish(ctx context.Context) error {
	all, err := History(ctx, d.Objects, "")
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b Decision) int { return a.DecidedAt.Compare(b.DecidedAt) })
	if err := table.Write(ctx, d.Objects, d.Catalog, table.Place{Table: Table, Run: d.NewRun()}, all); err != nil {
		return fmt.Errorf("publish decisions: %w", err)
	}
	return nil
}
