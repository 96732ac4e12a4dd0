// Package spend keeps what queries have read: per model, per experiment, per day. It prices them, and says which
// experiments have used up the budget that their definitions give them.
package spend

import (
	"context"
	"fmt"
	"slices"
	"time"

	"verdict/shared/cost"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/table"
)

// Table holds the rows.
const Table = "query_scan"

// Kind says what something was read for.
type Kind string

// The kinds.
const (
	Model      Kind = "model"
	Experiment Kind = "experiment"
)

// Scan is a row: what was read for one thing on one day. Runs of a day add up.
type Scan struct {
	AsOf string  `lake:"as_of" json:"as_of"` // partition
	Step string  `lake:"step" json:"step"`   // partition: the step of the pipeline
	Kind Kind    `lake:"kind" json:"kind"`
	Name string  `lake:"name" json:"name"`
	Read int64   `lake:"bytes" json:"bytes"`
	USD  float64 `lake:"usd" json:"usd"` // at list price; 0 where Billed is not
	// Billed: the engine said so, and bills for it. Otherwise it is the size of the files that were there to read, of
	// which an engine reads the columns that it needs.
	Billed bool `lake:"billed" json:"billed"`
}

// Book is the list of scans of a lake.
type Book struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string
}

// bytesOfTB is Athena's terabyte (Athena pricing: "$5.00 per TB", measured in bytes rounded up to a megabyte).
const bytesOfTB = 1 << 40

// Add adds what a step has read to what earlier runs of the day have.
func (b *Book) Add(ctx context.Context, asOf time.Time, step string, read []Scan) error {
	read = slices.DeleteFunc(slices.Clone(read), func(s Scan) bool { return s.Read == 0 })
	if len(read) == 0 {
		return nil
	}
	prices, err := cost.Load("", nil)
	if err != nil {
		return err
	}
	day := asOf.UTC().Format(time.DateOnly)
	rows, err := b.rows(ctx, "where as_of = "+lake.Quote(day)+" and step = "+lake.Quote(step))
	if err != nil {
		return err
	}
	for _, s := range read {
		i := slices.IndexFunc(rows, func(o Scan) bool { return o.Kind == s.Kind && o.Name == s.Name && o.Billed == s.Billed })
		if i < 0 {
			rows = append(rows, Scan{AsOf: day, Step: step, Kind: s.Kind, Name: s.Name, Billed: s.Billed})
			i = len(rows) - 1
		}
		rows[i].Read += s.Read
	}
	for i := range rows {
		if rows[i].Billed {
			rows[i].USD = float64(rows[i].Read) / bytesOfTB * prices.Prices["athena_tb"].USD
		}
	}
	place := table.Place{Table: Table, Run: b.NewRun(), PartitionBy: []string{"as_of", "step"}, Values: []string{day, step}}
	return table.Write(ctx, b.Objects, b.Catalog, place, rows)
}

// Rows lists everything that was read, the latest day first.
func (b *Book) Rows(ctx context.Context) ([]Scan, error) { return b.rows(ctx, "") }

func (b *Book) rows(ctx context.Context, where string) ([]Scan, error) {
	if _, err := b.Catalog.Table(ctx, Table); fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look up scans: %w", err)
	}
	rows, err := lake.Read[Scan](ctx, b.Engine, "select as_of, step, kind, name, bytes, usd, billed from "+Table+" "+where+" order by as_of desc, step, kind, name, billed")
	if err != nil {
		return nil, fmt.Errorf("read scans: %w", err)
	}
	return rows, nil
}

// Account is an experiment's budget and what it has used of it.
type Account struct {
	Experiment *experiment.Experiment
	Read       int64
	Limit      int64 // 0: none
}

// Over tells whether nothing is left of the budget.
func (a Account) Over() bool { return a.Limit > 0 && a.Read >= a.Limit }

// Blocked tells whether the experiment is not to be measured any more.
func (a Account) Blocked() bool { return a.Over() && a.Experiment.Budget.Over == experiment.Block }

// Says words an account that is over.
func (a Account) Says() string {
	says := fmt.Sprintf("%s has read %.1f GB of its budget of %.1f GB", a.Experiment.ID, gigabytes(a.Read), gigabytes(a.Limit))
	if a.Blocked() {
		return says + ": it is not measured any more, and its last readout stands. Raise budget.gigabytes to go on"
	}
	return says
}

func gigabytes(bytes int64) float64 { return float64(bytes) / 1e9 }

// Accounts lists the experiments with what they have read on the days before one.
func (b *Book) Accounts(ctx context.Context, experiments []*experiment.Experiment, before time.Time) ([]Account, error) {
	day := before.UTC().Format(time.DateOnly)
	rows, err := b.Rows(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Account, len(experiments))
	for i, e := range experiments {
		out[i].Experiment, out[i].Limit = e, int64(e.Budget.Gigabytes*1e9)
		for _, r := range rows {
			if r.Kind == Experiment && r.Name == e.ID && r.AsOf < day {
				out[i].Read += r.Read
			}
		}
	}
	return out, nil
}
