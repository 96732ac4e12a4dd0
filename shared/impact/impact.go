// Package impact says what a change of definitions would do before it is made: which tables are made again, which
// experiments are measured anew, and how many bytes that reads.
package impact

import (
	"context"
	"slices"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
	"verdict/shared/model"
	"verdict/shared/project"
)

// Kind says what has changed.
type Kind string

// The kinds.
const (
	Model      Kind = "model"
	Metric     Kind = "metric"
	Experiment Kind = "experiment"
)

// Change is one definition that differs, and what follows from it.
type Change struct {
	Kind        Kind     `json:"kind"`
	Name        string   `json:"name"`
	How         string   `json:"how"`         // added, changed, removed
	Tables      []string `json:"tables"`      // that are made again
	Experiments []string `json:"experiments"` // running ones whose numbers may change
	Bytes       int64    `json:"bytes"`       // of the files there are to read for it, of which Athena bills the columns it needs
}

// Lake tells how much there is to read.
type Lake struct {
	Objects lake.Objects
	Catalog lake.Catalog
}

// Assess lists what differs between two projects, as of a day. Bytes are 0 without a lake.
func Assess(ctx context.Context, before, after *project.Project, l *Lake, asOf time.Time) ([]Change, error) {
	a := assessment{after: after, lake: l, asOf: asOf, sizes: map[string]map[string]int64{}}
	for _, m := range compare(before.Models.Models, after.Models.Models, func(m *model.Model) (string, string) { return m.Name, m.Version() }) {
		if err := a.model(ctx, m); err != nil {
			return nil, err
		}
	}
	for _, m := range compare(before.Metrics, after.Metrics, func(m metric.Metric) (string, string) { return m.Name, m.Hash() }) {
		c := Change{Kind: Metric, Name: m.name, How: m.how}
		if err := a.measured(ctx, c, func(e *experiment.Experiment) bool {
			return slices.ContainsFunc(e.Metrics, func(used experiment.Metric) bool { return used.Name == m.name })
		}); err != nil {
			return nil, err
		}
	}
	for _, e := range compare(before.Experiments, after.Experiments, func(e *experiment.Experiment) (string, string) { return e.ID, e.Hash() }) {
		c := Change{Kind: Experiment, Name: e.name, How: e.how}
		if err := a.measured(ctx, c, func(other *experiment.Experiment) bool { return other.ID == e.name }); err != nil {
			return nil, err
		}
	}
	return a.changes, nil
}

type difference struct{ name, how string }

// compare lists the names whose versions differ, in the order of after, then what is gone.
func compare[T any](before, after []T, of func(T) (name, version string)) []difference {
	old := map[string]string{}
	for _, d := range before {
		name, version := of(d)
		old[name] = version
	}
	var out []difference
	for _, d := range after {
		name, version := of(d)
		switch was, known := old[name]; {
		case !known:
			out = append(out, difference{name, "added"})
		case was != version:
			out = append(out, difference{name, "changed"})
		}
		delete(old, name)
	}
	for _, d := range before {
		if name, _ := of(d); old[name] != "" {
			out = append(out, difference{name, "removed"})
		}
	}
	return out
}

type assessment struct {
	after   *project.Project
	lake    *Lake
	asOf    time.Time
	sizes   map[string]map[string]int64 // of tables: bytes by day
	changes []Change
}

// model follows a changed model to the tables and experiments that read it.
func (a *assessment) model(ctx context.Context, d difference) error {
	c := Change{Kind: Model, Name: d.name, How: d.how}
	if d.how != "removed" {
		c.Tables = a.after.Models.After(d.name)
	}
	for _, name := range c.Tables {
		for _, ref := range a.after.Models.Find(name).Refs {
			size, err := a.size(ctx, ref, "", "")
			if err != nil {
				return err
			}
			c.Bytes += size
		}
	}
	return a.measured(ctx, c, func(e *experiment.Experiment) bool {
		reads := []string{"fact_experiment_exposure", "dim_user"} // units, of every experiment
		for _, m := range a.after.Metrics {
			if slices.ContainsFunc(e.Metrics, func(used experiment.Metric) bool { return used.Name == m.Name }) {
				for _, t := range m.Terms() {
					reads = append(reads, t.Table.Name)
				}
			}
		}
		return slices.ContainsFunc(c.Tables, func(t string) bool { return slices.Contains(reads, t) })
	})
}

// measured adds a change with the running experiments that it touches, and what measuring them reads.
func (a *assessment) measured(ctx context.Context, c Change, touches func(*experiment.Experiment) bool) error {
	for _, e := range a.after.Experiments {
		if a.asOf.Before(e.Start.Time) || a.asOf.After(e.End()) || c.How == "removed" || !touches(e) {
			continue
		}
		c.Experiments = append(c.Experiments, e.ID)
		size, err := a.size(ctx, metric.Events().Name, e.Start.Format(time.DateOnly), a.asOf.Format(time.DateOnly))
		if err != nil {
			return err
		}
		c.Bytes += size
	}
	a.changes = append(a.changes, c)
	return nil
}

// size adds up the files of a table's days from one up to another; empty: all.
func (a *assessment) size(ctx context.Context, table, from, until string) (int64, error) {
	if a.lake == nil {
		return 0, nil
	}
	if a.sizes[table] == nil {
		sizes, err := a.bytesByDay(ctx, table)
		if err != nil {
			return 0, err
		}
		a.sizes[table] = sizes
	}
	var total int64
	for day, n := range a.sizes[table] {
		if day >= from && (until == "" || day < until) {
			total += n
		}
	}
	return total, nil
}

func (a *assessment) bytesByDay(ctx context.Context, name string) (map[string]int64, error) {
	out := map[string]int64{}
	for _, s := range a.after.Models.Sources {
		if s.Name == name && s.Location != "" {
			landed, err := a.lake.Objects.List(ctx, s.Location)
			for _, o := range landed {
				_, rest, _ := strings.Cut(o.Key, "/event_date=")
				day, _, _ := strings.Cut(rest, "/")
				out[day] += o.Size
			}
			return out, err
		}
	}
	table, err := a.lake.Catalog.Table(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	sizes, err := lake.Sizes(ctx, a.lake.Objects, table)
	for _, p := range table.Partitions {
		out[strings.Join(p.Values, "/")] += sizes[p.Location]
	}
	return out, err
}
