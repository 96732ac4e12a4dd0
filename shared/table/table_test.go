package table_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/table"
)

type row struct {
	Name   string    `lake:"name"`
	N      int64     `lake:"n"`
	X      float64   `lake:"x"`
	OK     bool      `lake:"ok"`
	At     time.Time `lake:"at"`
	Tags   []string  `lake:"tags,json"`
	Hidden int       // no column
	AsOf   string    `lake:"as_of"`
}

// What Go writes, SQL reads back to the bit.
func TestRowsReturnThroughSQL(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	at := time.Date(2026, 1, 5, 10, 11, 12, 345e6, time.UTC)
	want := []row{
		{Name: "a'b", N: math.MaxInt64, X: 0.1 + 0.2, OK: true, At: at, Tags: []string{"x", `"y"`}, AsOf: "2026-01-06"},
		{Name: "", N: -1, X: math.Inf(-1), AsOf: "2026-01-06"},
		{Name: "ü", X: 5e-324, Tags: []string{}, AsOf: "2026-01-06"},
	}
	for _, values := range []string{"2026-01-06", "2026-01-07"} {
		to := table.Place{Table: "thing", Run: "r1", PartitionBy: []string{"as_of"}, Values: []string{values}, Source: "s"}
		for range 2 { // the second time changes nothing
			if err := table.Write(t.Context(), store, w, to, want); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := lake.Read[row](t.Context(), w, "SELECT * FROM thing WHERE as_of = '2026-01-06' ORDER BY name DESC")
	if err != nil {
		t.Fatal(err)
	}
	want = []row{want[2], want[0], want[1]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoRowsAreStillATable(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := table.Write(t.Context(), store, w, table.Place{Table: "thing", Run: "r1"}, []row(nil)); err != nil {
		t.Fatal(err)
	}
	got, err := lake.Read[row](t.Context(), w, "SELECT * FROM thing")
	if err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestUnknownTypesAreRefused(t *testing.T) {
	type odd struct {
		C chan int `lake:"c"`
	}
	err := table.Write(t.Context(), nil, nil, table.Place{Table: "thing"}, []odd{{}})
	if err == nil || err.Error() != "encode thing: column c: no Parquet type for chan int" {
		t.Errorf("got %v", err)
	}
}
