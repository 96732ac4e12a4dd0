package bundle

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// Keeper stores a bundle for each evaluation on which the decider decides. It implements decide.Archive.
type Keeper struct {
	Objects     lake.Objects
	Engine      lake.Engine
	Catalog     lake.Catalog
	Evaluator   *evaluate.Evaluator
	Experiments []*experiment.Experiment
	Metrics     []metric.Metric

	asOf       time.Time // of what follows: many experiments ask for one day
	inputs     []evaluate.Input
	watermark  []Source
	allocation []feature.Row
}

var _ decide.Archive = (*Keeper)(nil)

// Keep stores the bundle of an evaluation under its hash and returns its key. It recomputes it first: what does not
// follow from the statistics in the lake, because they were measured anew since, is fault.Conflict.
func (k *Keeper) Keep(ctx context.Context, evidence decide.Evidence, concluded decide.Decision) (string, error) {
	e := evidence.Experiment
	if err := k.read(ctx, evidence.AsOf); err != nil {
		return "", err
	}
	input, watermark := evidence.Input, k.watermark
	if input == nil {
		at := slices.IndexFunc(k.inputs, func(in evaluate.Input) bool { return in.Experiment.ID == e.ID })
		if at < 0 {
			return "", fault.New(fault.NotFound, "keep bundle of %s: nothing was measured as of %s", e.ID, concluded.AsOf)
		}
		input = &k.inputs[at]
	} else {
		var err error
		if watermark, err = k.Watermark(ctx, e, evidence.AsOf); err != nil { // it was measured now
			return "", err
		}
	}
	from := Context{Watermark: of(watermark, e, evidence.AsOf), Allocation: slices.DeleteFunc(slices.Clone(k.allocation), func(r feature.Row) bool {
		return r.FlagKey != e.Flag || r.RuleKey != e.ID
	})}
	b, err := New(from, *input, evidence, concluded)
	if err != nil {
		return "", fmt.Errorf("keep bundle of %s: %w", e.ID, err)
	}
	content, hash, err := b.Encode()
	if err != nil {
		return "", err
	}
	read, err := Decode(content) // as a stranger will
	if err != nil {
		return "", fmt.Errorf("keep bundle of %s: %w", e.ID, err)
	}
	report, err := read.verify(content, func(*experiment.Experiment) stats.Hybrid { return input.Rule })
	if err != nil {
		return "", fmt.Errorf("keep bundle of %s: %w", e.ID, err)
	}
	if !report.OK() {
		d := report.Differences[0]
		return "", fault.New(fault.Conflict, "keep bundle of %s: its results do not follow from its statistics (%s is %s, recomputed %s; %d in all): evaluate again",
			e.ID, d.Field, d.Stated, d.Recomputed, len(report.Differences))
	}
	key := fmt.Sprintf("bundles/%s/%s/%s.json.gz", e.ID, concluded.AsOf, hash)
	file, err := Compress(content)
	if err != nil {
		return "", err
	}
	if err := k.Objects.Put(ctx, key, file, lake.Create); err != nil && !fault.Is(err, fault.Conflict) {
		return "", fmt.Errorf("keep bundle: %w", err)
	}
	return key, nil
}

// read reads what the lake knows of a day.
func (k *Keeper) read(ctx context.Context, asOf time.Time) (err error) {
	if k.asOf.Equal(asOf) {
		return nil
	}
	if k.inputs, err = k.Evaluator.Inputs(ctx, k.Experiments, k.Metrics, asOf); err != nil {
		return err
	}
	if k.watermark, err = k.marked(ctx, asOf); err != nil {
		return err
	}
	k.allocation = nil
	if _, err := k.Catalog.Table(ctx, "dim_feature"); err == nil {
		if k.allocation, err = lake.Read[feature.Row](ctx, k.Engine, "select * from dim_feature order by flag_key, rule_key, variant, valid_from"); err != nil {
			return fmt.Errorf("read allocation: %w", err)
		}
	} else if !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("look up allocation: %w", err)
	}
	k.asOf = asOf
	return nil
}

// sources are the tables that statistics are measured from.
func sources() []string { return []string{"dim_user", "fact_event", "fact_experiment_exposure"} }

// Watermark reads the state of what the evaluation of an experiment as of a day is measured from.
func (k *Keeper) Watermark(ctx context.Context, e *experiment.Experiment, asOf time.Time) ([]Source, error) {
	all, err := k.state(ctx)
	return of(all, e, asOf), err
}

func (k *Keeper) state(ctx context.Context) ([]Source, error) {
	var out []Source
	for _, name := range sources() {
		table, err := k.Catalog.Table(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read watermark: %w", err)
		}
		for _, p := range table.Partitions {
			out = append(out, Source{name, strings.Join(p.Values, "/"), p.Source})
		}
	}
	slices.SortFunc(out, func(a, b Source) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Partition, b.Partition))
	})
	return out, nil
}

// Mark notes the watermark for the statistics of a day. It goes before measuring: data that arrive while it measures
// then look newer than what it measured, never older.
func (k *Keeper) Mark(ctx context.Context, asOf time.Time) error {
	watermark, err := k.state(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(watermark)
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if err := k.Objects.Put(ctx, markKey(asOf), body, lake.Overwrite); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	return nil
}

func markKey(asOf time.Time) string {
	return "bundles/_watermark/" + asOf.UTC().Format(time.DateOnly) + ".json"
}

// marked reads what Mark noted; nothing where statistics were measured by a version that did not.
func (k *Keeper) marked(ctx context.Context, asOf time.Time) ([]Source, error) {
	body, err := k.Objects.Get(ctx, markKey(asOf))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read watermark: %w", err)
	}
	var out []Source
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("read watermark: %w", err)
	}
	return out, nil
}

// of picks the sources that bear on the evaluation of an experiment as of a day: events of other days do not.
func of(all []Source, e *experiment.Experiment, asOf time.Time) []Source {
	from, to := e.Start.Format(time.DateOnly), asOf.UTC().Format(time.DateOnly)
	return slices.DeleteFunc(slices.Clone(all), func(s Source) bool {
		return s.Table == "fact_event" && (s.Partition < from || s.Partition >= to)
	})
}
