package pipeline_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/pipeline"
)

// What was read of a day stands there once, however often the day was read, and other days beside it.
func TestPublishReadings(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	day := time.Date(2026, 1, 26, 0, 0, 0, 0, time.UTC)
	silent := monitor.Reading{Name: "lag_seconds", Value: math.Inf(1), Limit: 7800, Says: "no event"}
	fresh := monitor.Reading{Name: "lag_seconds", Of: "canary", Value: 60, Limit: 7800, Says: "a minute ago"}
	entry := ledger.Entry{Link: ledger.Modelling, Namespace: "shop", Hour: "2026-01-25T10", In: 7, Out: 6, Lost: 1}
	for _, said := range []struct {
		run     string
		asOf    time.Time
		reading monitor.Reading
	}{{"1", day.AddDate(0, 0, -1), fresh}, {"2", day, silent}, {"3", day, fresh}} {
		p := &pipeline.Pipeline{Objects: store, Catalog: w, NewRun: func() string { return said.run }}
		if err := p.PublishReadings(t.Context(), said.asOf, []monitor.Reading{said.reading}, []ledger.Entry{entry}); err != nil {
			t.Fatalf("run %s: %v", said.run, err)
		}
	}
	readings, err := lake.Read[monitor.Reading](t.Context(), w, "select * from pipeline_reading order by as_of")
	if diff := cmp.Diff([]monitor.Reading{fresh, fresh}, readings); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	entries, err := lake.Read[ledger.Entry](t.Context(), w, "select * from ledger_balance where as_of = '2026-01-26'")
	if diff := cmp.Diff([]ledger.Entry{entry}, entries); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
