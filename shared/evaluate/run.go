package evaluate

import (
	"context"
	"fmt"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
	"verdict/shared/table"
)

// Evaluator publishes fact_experiment_results and fact_experiment_check.
type Evaluator struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string

	rules map[string]stats.Hybrid // by definition: planning one takes a while
}

// Run evaluates what was measured as of a day, for the experiments that have started by then.
// Running it again for the same day replaces that day's rows.
func (v *Evaluator) Run(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Result, []Check, error) {
	inputs, err := v.Inputs(ctx, experiments, metrics, asOf)
	if err != nil {
		return nil, nil, err
	}
	var results []Result
	var checks []Check
	for _, in := range inputs {
		r, c := Evaluate(in)
		results, checks = append(results, r...), append(checks, c...)
	}
	return results, checks, v.publish(ctx, asOf.UTC().Format(time.DateOnly), results, checks)
}

// Inputs reads what the evaluation of each experiment that has started by a day depends on, as it was measured
// as of that day.
func (v *Evaluator) Inputs(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Input, error) {
	day := asOf.UTC().Format(time.DateOnly)
	statistics, err := lake.Read[measure.Statistic](ctx, v.Engine, "select * from fact_experiment_statistic where as_of = "+lake.Quote(day)+" order by experiment_id, metric, variant, exposure_date")
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	traffic, err := lake.Read[measure.Exposure](ctx, v.Engine, "select * from fact_experiment_traffic where as_of = "+lake.Quote(day)+" order by experiment_id, variant, exposure_date")
	if err != nil {
		return nil, fmt.Errorf("read traffic: %w", err)
	}
	return v.Given(ctx, experiments, metrics, statistics, traffic, asOf)
}

// Given is Inputs for statistics at hand instead of the published ones.
func (v *Evaluator) Given(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, statistics []measure.Statistic, traffic []measure.Exposure, asOf time.Time) ([]Input, error) {
	day := asOf.UTC().Format(time.DateOnly)
	audits, err := v.audits(ctx, day)
	if err != nil {
		return nil, err
	}
	earlier, err := v.earlier(ctx, day)
	if err != nil {
		return nil, err
	}
	var out []Input
	for _, e := range experiments {
		if !asOf.After(e.Start.Time) {
			continue
		}
		used, err := measure.Select(e, metrics)
		if err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", e.ID, err)
		}
		in := Input{Experiment: e, Metrics: used, AsOf: asOf.UTC(), Rule: v.rule(e), LeastP: map[[2]string]float64{}}
		for _, s := range statistics {
			if s.ExperimentID == e.ID {
				in.Statistics = append(in.Statistics, s)
			}
		}
		for _, t := range traffic {
			if t.ExperimentID == e.ID {
				in.Traffic = append(in.Traffic, t)
			}
		}
		for _, a := range audits {
			if a.ExperimentID == e.ID {
				in.Audited, in.Mismatched, in.Mismatch = a.Audited, a.Mismatched, a.Example
			}
		}
		for _, p := range earlier {
			if p.ExperimentID == e.ID && p.Definition == e.Hash() {
				in.LeastP[[2]string{p.Metric, p.Variant}] = p.AnytimeP
			}
		}
		out = append(out, in)
	}
	return out, nil
}

func (v *Evaluator) rule(e *experiment.Experiment) stats.Hybrid {
	if v.rules == nil {
		v.rules = map[string]stats.Hybrid{}
	}
	rule, ok := v.rules[e.Hash()]
	if !ok {
		rule = Rule(e)
		v.rules[e.Hash()] = rule
	}
	return rule
}

type audit struct {
	ExperimentID string `lake:"experiment_id"`
	Audited      int64  `lake:"audited"`
	Mismatched   int64  `lake:"mismatched"`
	Example      string `lake:"example"`
}

// audits adds up what was recomputed of assignments so far; nothing where nothing is.
func (v *Evaluator) audits(ctx context.Context, day string) ([]audit, error) {
	if _, err := v.Catalog.Table(ctx, "fact_bucketing_audit"); fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look up audits: %w", err)
	}
	rows, err := lake.Read[audit](ctx, v.Engine, `select experiment_id, sum(audited) as audited, sum(mismatched) as mismatched, coalesce(max(example), '') as example
from fact_bucketing_audit
where as_of <= `+lake.Quote(day)+`
group by experiment_id`)
	if err != nil {
		return nil, fmt.Errorf("read audits: %w", err)
	}
	return rows, nil
}

type leastP struct {
	ExperimentID string  `lake:"experiment_id"`
	Definition   string  `lake:"definition"`
	Metric       string  `lake:"metric"`
	Variant      string  `lake:"variant"`
	AnytimeP     float64 `lake:"anytime_p"`
}

func (v *Evaluator) earlier(ctx context.Context, day string) ([]leastP, error) {
	if _, err := v.Catalog.Table(ctx, ResultTable); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	rows, err := lake.Read[leastP](ctx, v.Engine, `select experiment_id, definition, metric, variant, min(anytime_p) as anytime_p
from fact_experiment_results
where as_of < `+lake.Quote(day)+`
group by experiment_id, definition, metric, variant`)
	if err != nil {
		return nil, fmt.Errorf("read earlier results: %w", err)
	}
	return rows, nil
}

func (v *Evaluator) publish(ctx context.Context, day string, results []Result, checks []Check) error {
	run := v.NewRun()
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: run, PartitionBy: []string{"as_of"}, Values: []string{day}}
	}
	// Checks first: whoever finds results also finds whether to believe them.
	if err := table.Write(ctx, v.Objects, v.Catalog, place(CheckTable), checks); err != nil {
		return err
	}
	return table.Write(ctx, v.Objects, v.Catalog, place(ResultTable), results)
}
