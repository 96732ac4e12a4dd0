package feature

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/table"
)

// Row is one row of dim_feature: what one variant of one rule was given, from when to when.
type Row struct {
	FlagKey     string    `lake:"flag_key"`
	Environment string    `lake:"environment"`
	Enabled     bool      `lake:"enabled"`
	RuleKey     string    `lake:"rule_key"`
	RuleKind    string    `lake:"rule_kind"`
	Included    float64   `lake:"included"`
	Variant     string    `lake:"variant"`
	Share       float64   `lake:"share"`
	Revision    string    `lake:"revision"`
	ValidFrom   time.Time `lake:"valid_from"`
	ValidTo     time.Time `lake:"valid_to"` // zero: still in force
}

// beginning is from when on the first configuration ever read counts: what was in force before
// is not known, and it most likely was the same.
func beginning() time.Time { return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) }

// Observe adds what a platform says now to a history, and tells whether it is news: rows that are
// not in force any more end now, new ones begin.
func Observe(history []Row, flags []Flag, now time.Time) ([]Row, bool) {
	from := now
	if len(history) == 0 {
		from = beginning()
	}
	current := rows(flags, from)
	changed := false
	out := slices.Clone(history)
	for i := range out {
		if out[i].ValidTo.IsZero() && !slices.ContainsFunc(current, func(r Row) bool { return same(r, out[i]) }) {
			out[i].ValidTo, changed = now, true
		}
	}
	for _, r := range current {
		if !slices.ContainsFunc(out, func(old Row) bool { return old.ValidTo.IsZero() && same(old, r) }) {
			out, changed = append(out, r), true
		}
	}
	slices.SortStableFunc(out, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.FlagKey, b.FlagKey), cmp.Compare(a.RuleKey, b.RuleKey), cmp.Compare(a.Variant, b.Variant), a.ValidFrom.Compare(b.ValidFrom))
	})
	return out, changed
}

// same tells whether two rows say the same; a revision counts the changes of all flags together.
func same(a, b Row) bool {
	a.Revision, a.ValidFrom, a.ValidTo = b.Revision, b.ValidFrom, b.ValidTo
	return a == b
}

func rows(flags []Flag, from time.Time) []Row {
	var out []Row
	for _, f := range flags {
		for _, r := range f.Rules {
			for _, v := range r.Variants {
				out = append(out, Row{
					FlagKey: f.Key, Environment: f.Environment, Enabled: f.Enabled, Revision: f.Revision,
					RuleKey: r.Key, RuleKind: string(r.Kind), Included: r.Included, Variant: v.Key, Share: v.Share, ValidFrom: from,
				})
			}
		}
	}
	return out
}

// Recorder keeps dim_feature up to date with a flag platform.
type Recorder struct {
	Read    func(ctx context.Context) ([]Flag, error) // what the platform says now
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string
	Now     func() time.Time
}

// Run reads the platform and publishes dim_feature when there is news.
func (r *Recorder) Run(ctx context.Context) (changed bool, err error) {
	flags, err := r.Read(ctx)
	if err != nil {
		return false, fmt.Errorf("read flags: %w", err)
	}
	var history []Row
	_, err = r.Catalog.Table(ctx, "dim_feature")
	known := !fault.Is(err, fault.NotFound)
	if known {
		if err != nil {
			return false, fmt.Errorf("look up dim_feature: %w", err)
		}
		if history, err = lake.Read[Row](ctx, r.Engine, "select * from dim_feature"); err != nil {
			return false, fmt.Errorf("read dim_feature: %w", err)
		}
	}
	updated, changed := Observe(history, flags, r.Now().UTC())
	if known && !changed {
		return false, nil
	}
	return true, table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: "dim_feature", Run: r.NewRun()}, updated)
}
