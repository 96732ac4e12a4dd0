package counter_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/collect"
	"verdict/shared/embedded/counter"
	"verdict/shared/ledger"
)

// Batches of two days are counted by hour, also by a second process, and a line that a crash cut off is left out.
func TestCounts(t *testing.T) {
	folder := t.TempDir()
	night := time.Date(2026, 1, 5, 23, 59, 0, 0, time.UTC)
	for range 2 { // two processes, one after the other
		c := &counter.Counter{Folder: folder, Log: slog.New(slog.DiscardHandler)}
		c.Measure(t.Context(), collect.Measurement{Namespace: "shop", At: night, Accepted: 3, Quarantined: 1})
		c.Measure(t.Context(), collect.Measurement{Namespace: "shop", At: night.Add(2 * time.Minute), Accepted: 5})
		c.Measure(t.Context(), collect.Measurement{Namespace: "other", At: night, Accepted: 7})
	}
	f, err := os.OpenFile(filepath.Join(folder, "2026-01-06.ndjson"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"namespace":"shop","ho`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	from := night.Truncate(24 * time.Hour)
	got, err := (&counter.Counter{Folder: folder}).Collected(t.Context(), from, from.AddDate(0, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	want := []ledger.Count{
		{Namespace: "other", Hour: "2026-01-05T23", Accepted: 14},
		{Namespace: "shop", Hour: "2026-01-05T23", Accepted: 6, Quarantined: 2},
		{Namespace: "shop", Hour: "2026-01-06T00", Accepted: 10},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if first, err := (&counter.Counter{Folder: folder}).Collected(t.Context(), from, from.AddDate(0, 0, 1)); err != nil || len(first) != 2 {
		t.Errorf("the first day alone: %v, %v", first, err)
	}
}
