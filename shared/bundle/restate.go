package bundle

import (
	"fmt"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

// Given is what an evaluation was about, and what came out of it.
type Given struct {
	Experiment *experiment.Experiment
	Metrics    []metric.Metric
	AsOf       time.Time
	Watermark  []Source
	Traffic    []measure.Exposure
	Results    []evaluate.Result
}

// Read takes out of a bundle what the same evaluation on other events needs.
func (b *Bundle) Read() (Given, error) {
	in, err := b.input()
	if err != nil {
		return Given{}, fault.New(fault.Invalid, "read bundle: %w", err)
	}
	out := Given{Experiment: in.Experiment, Metrics: in.Metrics, Traffic: in.Traffic}
	if out.AsOf, err = time.Parse(time.DateOnly, b.AsOf); err != nil {
		return Given{}, fault.New(fault.Invalid, "read bundle: %w", err)
	}
	if out.Watermark, err = valuesOf[Source](b.Watermark); err != nil {
		return Given{}, fmt.Errorf("read watermark: %w", err)
	}
	if out.Results, err = valuesOf[evaluate.Result](b.Results); err != nil {
		return Given{}, fmt.Errorf("read results: %w", err)
	}
	return out, nil
}

// Again evaluates and decides as the bundle did, but on these statistics: the definitions, the looks before, the audit
// and the rollout are the bundle's.
func (b *Bundle) Again(statistics []measure.Statistic, traffic []measure.Exposure) (decide.Evidence, decide.Decision, error) {
	in, err := b.input()
	if err != nil {
		return decide.Evidence{}, decide.Decision{}, fault.New(fault.Invalid, "read bundle: %w", err)
	}
	if in.AsOf, err = time.Parse(time.DateOnly, b.AsOf); err != nil {
		return decide.Evidence{}, decide.Decision{}, fault.New(fault.Invalid, "read bundle: %w", err)
	}
	in.Rule, in.Statistics, in.Traffic = evaluate.Rule(in.Experiment), statistics, traffic
	results, checks := evaluate.Evaluate(in)
	evidence := decide.Gather(in.Experiment, results, checks, in.AsOf)
	evidence.Rollout = b.Rollout
	return evidence, decide.Decide(evidence), nil
}
