package feature_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/feature"
	"verdict/shared/lake"
)

func flag(revision string, included float64) []feature.Flag {
	return []feature.Flag{{Key: "checkout", Environment: "production", Revision: revision, Enabled: true, Rules: []feature.Rule{{
		Key: "one_page", Kind: feature.Experiment, Included: included,
		Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}},
	}}}}
}

func TestHistoryIsKeptInSQL(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 2, 0, 0, 0, time.UTC) }
	var now time.Time
	var flags []feature.Flag
	var runs int
	r := feature.Recorder{
		Read:    func(context.Context) ([]feature.Flag, error) { return flags, nil },
		Objects: store, Engine: w, Catalog: w,
		NewRun: func() string { runs++; return strconv.Itoa(runs) },
		Now:    func() time.Time { return now },
	}
	steps := []struct {
		name     string
		included float64
		want     bool
	}{{"first", 0.5, true}, {"another flag changed", 0.5, false}, {"ramped up", 1, true}, {"again", 1, false}}
	for i, s := range steps {
		now, flags = day(5+i), flag(strconv.Itoa(i), s.included)
		if changed, err := r.Run(t.Context()); err != nil || changed != s.want {
			t.Errorf("%s: changed %v, %v, want %v", s.name, changed, err, s.want)
		}
	}
	got, err := lake.Read[feature.Row](t.Context(), w, "select * from dim_feature where variant = 'treatment' order by valid_from")
	if err != nil {
		t.Fatal(err)
	}
	row := feature.Row{
		FlagKey: "checkout", Environment: "production", Enabled: true, RuleKey: "one_page", RuleKind: "a/b",
		Variant: "treatment", Share: 0.5, Included: 0.5, Revision: "0", ValidFrom: time.Unix(0, 0).UTC(), ValidTo: day(7),
	}
	later := row
	later.Included, later.Revision, later.ValidFrom, later.ValidTo = 1, "2", day(7), time.Time{}
	if diff := cmp.Diff([]feature.Row{row, later}, got); diff != "" {
		t.Error(diff)
	}
}
