package model

import (
	"context"
	"slices"
)

// Writing is one write of a model, of some of its days.
type Writing struct {
	Model *Model
	Days  []string // empty: the whole model
	SQL   string
}

// Outcome is how a write ended.
type Outcome struct {
	Location string   // key prefix of what was written
	Tests    []Tested // none when the audit was not reached
	Err      error    // the table stayed as it was
}

// Tested is one data test and how many rows offended.
type Tested struct {
	Test
	Rows string
}

// watched writes some partitions of a model, before the eyes of an observer.
func (b *Builder) watched(ctx context.Context, m *Model, parts []outdated) (warnings []string, err error) {
	var out Outcome
	if b.Observe == nil {
		return b.publish(ctx, m, parts, &out)
	}
	w := Writing{Model: m}
	for _, p := range parts {
		if p.day != "" {
			w.Days = append(w.Days, p.day)
		}
	}
	slices.Sort(w.Days)
	w.SQL = m.Select(w.Days)
	ended := b.Observe(ctx, w)
	warnings, out.Err = b.publish(ctx, m, parts, &out)
	ended(out)
	return warnings, out.Err
}

func (o *Outcome) tested(tests []Test, counts []*string) {
	for i, test := range tests {
		t := Tested{Test: test, Rows: "0"}
		if counts[i] != nil {
			t.Rows = *counts[i]
		}
		o.Tests = append(o.Tests, t)
	}
}
