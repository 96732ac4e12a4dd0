package spend_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/experiment"
	"verdict/shared/spend"
)

func book(t *testing.T) *spend.Book {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	runs := 0
	return &spend.Book{Objects: store, Engine: w, Catalog: w, NewRun: func() string {
		runs++
		return strconv.Itoa(runs)
	}}
}

func january(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }

func add(t *testing.T, b *spend.Book, day int, step string, read ...spend.Scan) {
	t.Helper()
	if err := b.Add(t.Context(), january(day), step, read); err != nil {
		t.Fatal(err)
	}
}

// Runs of a day add up; days and steps stand for themselves; a terabyte costs five dollars.
func TestScansAddUp(t *testing.T) {
	b := book(t)
	if rows, err := b.Rows(t.Context()); err != nil || rows != nil {
		t.Fatalf("an empty book: %v, %v", rows, err)
	}
	events := spend.Scan{Kind: spend.Model, Name: "fact_event", Read: 1 << 39, Billed: true}
	checkout := spend.Scan{Kind: spend.Experiment, Name: "checkout", Read: 1 << 30}
	add(t, b, 5, "model", events, spend.Scan{Kind: spend.Model, Name: "dim_user", Billed: true})
	add(t, b, 5, "model", events)
	add(t, b, 5, "measure", checkout)
	add(t, b, 6, "measure", checkout)
	got, err := b.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []spend.Scan{
		{AsOf: "2026-01-06", Step: "measure", Kind: spend.Experiment, Name: "checkout", Read: 1 << 30},
		{AsOf: "2026-01-05", Step: "measure", Kind: spend.Experiment, Name: "checkout", Read: 1 << 30},
		{AsOf: "2026-01-05", Step: "model", Kind: spend.Model, Name: "fact_event", Read: 1 << 40, USD: 5, Billed: true},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBudgets(t *testing.T) {
	of := func(over experiment.Over) *experiment.Experiment {
		return &experiment.Experiment{ID: "checkout", Budget: experiment.Budget{Gigabytes: 2, Over: over}}
	}
	b := book(t)
	for day := 5; day <= 7; day++ {
		add(t, b, day, "measure", spend.Scan{Kind: spend.Experiment, Name: "checkout", Read: 1e9}, spend.Scan{Kind: spend.Experiment, Name: "other", Read: 5e9})
	}
	for _, c := range []struct {
		over          experiment.Over
		day           int
		isOver, block bool
	}{
		{experiment.Block, 6, false, false},
		{experiment.Block, 7, true, true}, // two days are before it
		{experiment.Warn, 7, true, false},
		{experiment.Allow, 8, true, false},
	} {
		accounts, err := b.Accounts(t.Context(), []*experiment.Experiment{of(c.over), {ID: "other"}}, january(c.day))
		if err != nil {
			t.Fatal(err)
		}
		if a := accounts[0]; a.Over() != c.isOver || a.Blocked() != c.block {
			t.Errorf("%s on day %d: read %d of %d, over %t, blocked %t", c.over, c.day, a.Read, a.Limit, a.Over(), a.Blocked())
		}
		if a := accounts[1]; a.Over() || a.Limit != 0 {
			t.Errorf("without a budget: %+v", a)
		}
	}
}
