// Package restate looks back at decisions when events arrive late: it takes each again on what is known today of the
// time before it, with everything else as it was (its bundle), and says when it would have come out otherwise. It
// undoes nothing: whether to is for people to decide.
package restate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/bundle"
	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/table"
)

// watched is for how many days after a decision late events are looked at: what a phone sends a month later is a
// curiosity, and each look reads the experiment's events again.
const watched = 30

// Restatement is one row of fact_decision_restatement: a decision, taken again as of its day on the events that have
// arrived by now. There is one per decision whose events have changed since it was taken.
type Restatement struct {
	DecisionID    string          `lake:"decision_id" json:"decision_id"`
	ExperimentID  string          `lake:"experiment_id" json:"experiment_id"`
	AsOf          string          `lake:"as_of" json:"as_of"` // of the decision
	Verdict       decide.Verdict  `lake:"verdict" json:"verdict"`
	Variant       string          `lake:"variant" json:"variant"`
	Would         decide.Verdict  `lake:"restated_verdict" json:"restated_verdict"`
	WouldVariant  string          `lake:"restated_variant" json:"restated_variant"`
	Flipped       bool            `lake:"flipped" json:"flipped"` // it would have come out otherwise
	Units         int64           `lake:"units" json:"units"`
	RestatedUnits int64           `lake:"restated_units" json:"restated_units"`
	Headline      string          `lake:"headline" json:"headline"`
	Reasons       []decide.Reason `lake:"reasons,json" json:"reasons"` // of the decision as it would have been
	Estimates     []Estimate      `lake:"estimates,json" json:"estimates"`
	Days          []string        `lake:"days,json" json:"days"` // of events that have changed
	Events        string          `lake:"events" json:"events"`  // fingerprint of the events it was restated on
	RestatedAt    time.Time       `lake:"restated_at" json:"restated_at"`
}

// Estimate is what a metric of a variant was said to be, and what it is said to be now.
type Estimate struct {
	Metric  string `json:"metric"`
	Variant string `json:"variant"`
	Was     string `json:"was"`
	Is      string `json:"is"`
}

// Restater restates.
type Restater struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	Keeper  *bundle.Keeper // knows the state of the events
	NewRun  func() string
	Now     func() time.Time
}

// Run restates the last decision of each experiment, as of a day. It returns the restatements that are new; a repeated
// run on the same events has none.
func (r *Restater) Run(ctx context.Context, experiments []*experiment.Experiment, asOf time.Time) ([]Restatement, error) {
	var fresh []Restatement
	for _, e := range experiments {
		history, err := decide.History(ctx, r.Objects, e.ID)
		if err != nil {
			return fresh, err
		}
		if len(history) == 0 || !final(history[len(history)-1], asOf) {
			continue
		}
		restated, err := r.one(ctx, history[len(history)-1])
		if err != nil {
			return fresh, fmt.Errorf("restate %s: %w", e.ID, err)
		}
		if restated != nil {
			fresh = append(fresh, *restated)
		}
	}
	return fresh, r.publish(ctx)
}

// final tells whether a decision is one that nobody takes again, and not too long ago. One that runs or is blocked is
// taken again each day anyway.
func final(d decide.Decision, asOf time.Time) bool {
	day, err := time.Parse(time.DateOnly, d.AsOf)
	switch d.Verdict {
	case decide.Running, decide.Blocked:
		return false
	case decide.Ship, decide.RollBack, decide.Stop, decide.Extend:
	}
	return err == nil && d.Bundle != "" && asOf.After(day) && !asOf.After(day.AddDate(0, 0, watched))
}

// one restates a decision if its events have changed since it was taken, or restated.
func (r *Restater) one(ctx context.Context, d decide.Decision) (*Restatement, error) {
	file, err := r.Objects.Get(ctx, d.Bundle)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	content, err := bundle.Decompress(file)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Decode(content)
	if err != nil {
		return nil, err
	}
	given, err := b.Read()
	if err != nil {
		return nil, err
	}
	now, err := r.Keeper.Watermark(ctx, given.Experiment, given.AsOf)
	if err != nil {
		return nil, err
	}
	days, events := changed(given.Watermark, now), fingerprint(now)
	before, err := Of(ctx, r.Objects, d)
	if err != nil {
		return nil, err
	}
	if before == nil && len(days) == 0 || before != nil && before.Events == events {
		return nil, nil
	}
	statistics, traffic, err := (&measure.Measurer{Engine: r.Engine}).Under(ctx, measure.Resolved, given.Experiment, given.Metrics, given.AsOf)
	if err != nil {
		return nil, err
	}
	evidence, again, err := b.Again(statistics, traffic)
	if err != nil {
		return nil, err
	}
	out := Restatement{
		DecisionID: d.ID, ExperimentID: d.ExperimentID, AsOf: d.AsOf, Verdict: d.Verdict, Variant: d.Variant, Would: again.Verdict, WouldVariant: again.Variant,
		Flipped: again.Verdict != d.Verdict || again.Variant != d.Variant, Units: units(given.Traffic), RestatedUnits: units(traffic),
		Reasons: again.Reasons, Estimates: estimates(given.Results, evidence.Results), Days: days, Events: events, RestatedAt: r.Now().UTC(),
	}
	out.Headline = headline(given.Experiment.Name, out, again)
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write restatement: %w", err)
	}
	return &out, r.Objects.Put(ctx, key(d), body, lake.Overwrite)
}

// changed lists the days whose events are not those of the watermark.
func changed(then, now []bundle.Source) []string {
	was := map[string]string{}
	for _, s := range then {
		if s.Table == events {
			was[s.Partition] = s.Fingerprint
		}
	}
	out := []string{}
	for _, s := range now {
		if s.Table == events && was[s.Partition] != s.Fingerprint {
			out = append(out, s.Partition)
		}
	}
	return out
}

// events is the table that late data come in by; what else statistics are measured from changes every day with who
// came since.
const events = "fact_event"

func fingerprint(sources []bundle.Source) string {
	sum := sha256.New()
	for _, s := range sources {
		if s.Table == events {
			fmt.Fprintf(sum, "%s\x00%s\n", s.Partition, s.Fingerprint)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

func units(traffic []measure.Exposure) (sum int64) {
	for _, x := range traffic {
		sum += x.Units
	}
	return sum
}

func estimates(was, is []evaluate.Result) []Estimate {
	out := []Estimate{}
	for _, now := range is {
		i := slices.IndexFunc(was, func(r evaluate.Result) bool { return r.Metric == now.Metric && r.Variant == now.Variant })
		if i >= 0 {
			out = append(out, Estimate{now.Label, now.Variant, decide.Estimate(was[i]), decide.Estimate(now)})
		}
	}
	slices.SortStableFunc(out, func(a, b Estimate) int {
		return cmp.Or(strings.Compare(a.Metric, b.Metric), strings.Compare(a.Variant, b.Variant))
	})
	return out
}

func headline(name string, r Restatement, again decide.Decision) string {
	if !r.Flipped {
		return fmt.Sprintf("%s: late events leave the decision of %s as it is", name, r.AsOf)
	}
	return fmt.Sprintf("%s: with the events that came late, the decision of %s would have been: %s", name, r.AsOf, again.Headline)
}

const prefix = "restatements/"

func key(d decide.Decision) string { return prefix + d.ExperimentID + "/" + d.ID + ".json" }

// Of is the restatement of a decision; nil: none was needed.
func Of(ctx context.Context, objects lake.Objects, d decide.Decision) (*Restatement, error) {
	out, err := read(ctx, objects, key(d))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	return out, err
}

func read(ctx context.Context, objects lake.Objects, key string) (*Restatement, error) {
	body, err := objects.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read restatement: %w", err)
	}
	var out Restatement
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("read restatement %s: %w", key, err)
	}
	return &out, nil
}

// All are the restatements of an experiment's decisions; of all experiments for an empty id.
func All(ctx context.Context, objects lake.Objects, experimentID string) ([]Restatement, error) {
	under := prefix
	if experimentID != "" {
		under += experimentID + "/"
	}
	list, err := objects.List(ctx, under)
	if err != nil {
		return nil, fmt.Errorf("list restatements: %w", err)
	}
	out := make([]Restatement, len(list))
	for i, o := range list {
		r, err := read(ctx, objects, o.Key)
		if err != nil {
			return nil, err
		}
		out[i] = *r
	}
	return out, nil
}

// Table holds the restatements.
const Table = "fact_decision_restatement"

// publish makes fact_decision_restatement say what the objects say, unless it does.
func (r *Restater) publish(ctx context.Context) error {
	list, err := r.Objects.List(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list restatements: %w", err)
	}
	sum := sha256.New()
	for _, o := range list {
		fmt.Fprintf(sum, "%s\x00%s\n", o.Key, o.ETag)
	}
	source := hex.EncodeToString(sum.Sum(nil)[:8])
	stands, err := table.Stands(ctx, r.Catalog, Table, source)
	if err != nil {
		return fmt.Errorf("publish restatements: %w", err)
	}
	if stands {
		return nil
	}
	all, err := All(ctx, r.Objects, "")
	if err != nil {
		return err
	}
	if err := table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: Table, Run: r.NewRun(), Source: source}, all); err != nil {
		return fmt.Errorf("publish restatements: %w", err)
	}
	return nil
}
