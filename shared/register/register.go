// Package register keeps what was planned before the numbers were seen: the definition of an experiment that
// is in force at its start, with those of its metrics, and every definition that takes its place later.
package register

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/table"
)

// Registration is a definition as it was first seen. The first of an experiment is its pre-registration.
type Registration struct {
	AsOf       string                 `json:"as_of"`      // day (UTC) of the first evaluation under it
	Hash       string                 `json:"hash"`       // of all that follows but notes
	Definition string                 `json:"definition"` // hash of the experiment, by which results and decisions refer to it
	Experiment *experiment.Experiment `json:"experiment"`
	Metrics    []metric.Metric        `json:"metrics"` // in the experiment's order
}

// New is the registration of a definition.
func New(e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) (Registration, error) {
	used, err := measure.Select(e, metrics)
	if err != nil {
		return Registration{}, fmt.Errorf("register %s: %w", e.ID, err)
	}
	r := Registration{AsOf: asOf.UTC().Format(time.DateOnly), Definition: e.Hash(), Experiment: e, Metrics: used}
	fields, err := r.fields()
	if err != nil {
		return Registration{}, fmt.Errorf("register %s: %w", e.ID, err)
	}
	text, err := json.Marshal(fields) // in order of its keys
	if err != nil {
		return Registration{}, fmt.Errorf("register %s: %w", e.ID, err)
	}
	sum := sha256.Sum256(text)
	r.Hash = hex.EncodeToString(sum[:8])
	return r, nil
}

// Entry is one row of fact_experiment_registration.
type Entry struct {
	ExperimentID string   `lake:"experiment_id" json:"experiment_id"`
	AsOf         string   `lake:"as_of" json:"as_of"`
	Hash         string   `lake:"registration" json:"registration"`
	Definition   string   `lake:"definition" json:"definition"`
	DaysLate     int64    `lake:"days_late" json:"days_late"`  // of the first: after the start
	Changes      []Change `lake:"changes,json" json:"changes"` // against the entry before; none of the first
}

// Log is what people read of an experiment's registrations, oldest first.
func Log(history []Registration) ([]Entry, error) {
	out := make([]Entry, len(history))
	for i, r := range history {
		out[i] = Entry{ExperimentID: r.Experiment.ID, AsOf: r.AsOf, Hash: r.Hash, Definition: r.Definition, Changes: []Change{}}
		if i > 0 {
			var err error
			if out[i].Changes, err = Diff(history[i-1], r); err != nil {
				return nil, err
			}
			foresee(out[i].Changes, history[0].Experiment)
			continue
		}
		if asOf, err := time.Parse(time.DateOnly, r.AsOf); err == nil {
			out[i].DaysLate = int64(asOf.Sub(r.Experiment.Start.Time).Hours() / 24)
		}
	}
	return out, nil
}

// Registrar registers.
type Registrar struct {
	Objects lake.Objects
	Catalog lake.Catalog
	NewRun  func() string
}

// Run registers the definitions, as of a day, of the experiments that have started by then and differ from
// what was registered last, and publishes fact_experiment_registration. A repeated run changes nothing.
func (r *Registrar) Run(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) error {
	var all []Entry
	for _, e := range experiments {
		history, err := History(ctx, r.Objects, e.ID)
		if err != nil {
			return err
		}
		if !asOf.Before(e.Start.Time) {
			if history, err = r.one(ctx, history, e, metrics, asOf); err != nil {
				return err
			}
		}
		log, err := Log(history)
		if err != nil {
			return err
		}
		all = append(all, log...)
	}
	return r.publish(ctx, all)
}

// one adds a definition to its history if it is new.
func (r *Registrar) one(ctx context.Context, history []Registration, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Registration, error) {
	now, err := New(e, metrics, asOf)
	if err != nil {
		return nil, err
	}
	if len(history) > 0 && history[len(history)-1].Hash == now.Hash {
		return history, nil
	}
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", e.ID, err)
	}
	err = r.Objects.Put(ctx, key(e.ID, len(history)), body, lake.Create)
	if fault.Is(err, fault.Conflict) {
		return History(ctx, r.Objects, e.ID) // another run was first
	}
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", e.ID, err)
	}
	return append(history, now), nil
}

// Table holds the entries.
const Table = "fact_experiment_registration"

// publish makes the table say what the objects say, unless it does.
func (r *Registrar) publish(ctx context.Context, all []Entry) error {
	var hashes strings.Builder
	for _, e := range all {
		hashes.WriteString(e.ExperimentID + " " + e.AsOf + " " + e.Hash + "\n")
	}
	sum := sha256.Sum256([]byte(hashes.String()))
	source := hex.EncodeToString(sum[:8])
	stands, err := table.Stands(ctx, r.Catalog, Table, source)
	if err != nil {
		return fmt.Errorf("publish registrations: %w", err)
	}
	if stands {
		return nil
	}
	if err := table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: Table, Run: r.NewRun(), Source: source}, all); err != nil {
		return fmt.Errorf("publish registrations: %w", err)
	}
	return nil
}

func key(experimentID string, position int) string {
	return fmt.Sprintf("registrations/%s/%04d.json", experimentID, position)
}

// History returns the registrations of an experiment, oldest first.
func History(ctx context.Context, objects lake.Objects, experimentID string) ([]Registration, error) {
	list, err := objects.List(ctx, "registrations/"+experimentID+"/")
	if err != nil {
		return nil, fmt.Errorf("list registrations: %w", err)
	}
	out := make([]Registration, len(list))
	for i, o := range list {
		body, err := objects.Get(ctx, o.Key)
		if err != nil {
			return nil, fmt.Errorf("read registration: %w", err)
		}
		if err := json.Unmarshal(body, &out[i]); err != nil {
			return nil, fmt.Errorf("read registration %s: %w", o.Key, err)
		}
	}
	return out, nil
}
