package launchdarkly_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/embedded/ldapi"
	"verdict/shared/feature"
	"verdict/shared/lake"
)

// dim_feature keeps LaunchDarkly's flags as it keeps Optimizely's: what was in force, from when to when.
func TestFlagsAreKeptInSQL(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	runs := 0
	now := time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)
	recorder := feature.Recorder{
		Read:    func(ctx context.Context) ([]feature.Flag, error) { return r.client.Flags(ctx, []string{"checkout"}) },
		Objects: store, Engine: w, Catalog: w, NewRun: func() string { runs++; return strconv.Itoa(runs) }, Now: func() time.Time { return now },
	}
	record := func(want bool) {
		t.Helper()
		if changed, err := recorder.Run(t.Context()); err != nil || changed != want {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	record(true)
	record(false)
	r.mustApply(t, rampUp)
	now = now.AddDate(0, 0, 1)
	record(true)
	type row struct {
		Kind     string    `lake:"rule_kind"`
		Included float64   `lake:"included"`
		Share    float64   `lake:"share"`
		From     time.Time `lake:"valid_from"`
		To       time.Time `lake:"valid_to"`
	}
	got, err := lake.Read[row](t.Context(), w, "select * from dim_feature where flag_key = 'checkout' and environment = 'production' and rule_key = 'one_page' and variant = 'treatment' and enabled and revision <> '' order by valid_from")
	want := []row{{"a/b", 0.5, 0.5, time.Unix(0, 0).UTC(), now}, {"a/b", 1, 0.5, now, time.Time{}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
