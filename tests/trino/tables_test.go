package trino_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/model"
	"verdict/shared/project"
	"verdict/shared/view"
)

// shop plays a small shop through the pipeline of one machine, and returns its lake.
func shop(t *testing.T) *duck.Warehouse {
	t.Helper()
	root := filepath.Join(folder, "demo")
	binary := filepath.Join(t.TempDir(), "verdict")
	for _, args := range [][]string{
		{"go", "build", "-o", binary, "../../functions/local"},
		{binary, "demo", "--json", "--visitors", "1500", "--days", "9", "--seed", "7", "--addr", "127.0.0.1:0", "--lake", root},
		{binary, "health", "--json", "--lake", root, "--as-of", "2026-01-14"}, // makes the ledger's tables
	} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	var landing []lake.Table
	for _, s := range p.Models.Sources {
		if s.Location != "" {
			landing = append(landing, s.Landing())
		}
	}
	store := &directory.Store{Root: root}
	w, err := duck.Open(t.Context(), store, landing...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	signals := &model.Builder{Project: p.Models, Objects: store, Engine: w, Catalog: w, NewRun: func() string { return "trino" }}
	if _, err := signals.Build(t.Context(), "identity_signal"); err != nil { // a demo links no devices
		t.Fatal(err)
	}
	return w
}

// share writes a table of DuckDB's as Parquet, and shows these files to Trino and to DuckDB under one name.
func share(t *testing.T, w *duck.Warehouse, name string, columns []lake.Column) {
	t.Helper()
	e := engine(t)
	names, types := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], types[i] = fmt.Sprintf("cast(%s as %s) as %s", c.Name, c.Type, c.Name), c.Name+" "+c.Type
	}
	prefix := "shared/" + name + "/"
	if err := w.Unload(t.Context(), "select "+strings.Join(names, ", ")+" from "+name, prefix, nil); err != nil {
		t.Fatalf("share %s: %v", name, err)
	}
	if _, err := e.Query(t.Context(), fmt.Sprintf("create table %s (%s) with (format = 'PARQUET', external_location = 'local:///demo/%s')", name, strings.Join(types, ", "), prefix)); err != nil {
		t.Fatalf("share %s: %v", name, err)
	}
}

// rows asks an engine, and returns its rows as text in order.
func rows(t *testing.T, e interface {
	Query(ctx context.Context, sql string) (lake.Result, error)
}, sql string,
) [][]string {
	t.Helper()
	got, err := e.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	out := make([][]string, len(got.Rows))
	for i, r := range got.Rows {
		for _, v := range r {
			cell := "NULL"
			if v != nil {
				cell = *v
			}
			out[i] = append(out[i], cell)
		}
	}
	// Floats differ in the last digits: the order must not hang on them.
	key := func(r []string) string {
		var parts []string
		for _, v := range r {
			if x, err := strconv.ParseFloat(v, 64); err == nil {
				v = strconv.FormatFloat(x, 'e', 9, 64)
			}
			parts = append(parts, v)
		}
		return strings.Join(parts, "\x1f")
	}
	slices.SortFunc(out, func(a, b []string) int { return strings.Compare(key(a), key(b)) })
	return out
}

// equal wants the same rows of both engines, floats to 1e-12 relative.
func equal(t *testing.T, w *duck.Warehouse, sql string) int {
	t.Helper()
	ours, theirs := rows(t, w, sql), rows(t, engine(t), sql)
	if len(ours) != len(theirs) {
		t.Fatalf("DuckDB has %d rows, Trino %d\n%s", len(ours), len(theirs), sql)
	}
	for i := range ours {
		for j := range ours[i] {
			if a, b := ours[i][j], theirs[i][j]; a != b && !close12(a, b) {
				t.Fatalf("row %d, column %d: DuckDB %q, Trino %q\n%v\n%v\n%s", i, j, a, b, ours[i], theirs[i], sql)
			}
		}
	}
	return len(ours)
}

func close12(a, b string) bool {
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	return errA == nil && errB == nil && math.Abs(x-y) <= 1e-12*math.Max(math.Abs(x), math.Abs(y))
}

// Every model, every data test and every compiled metric query gives the same rows on both engines, from the same files.
func TestSameRows(t *testing.T) {
	engine(t)
	if _, err := engine(t).Query(t.Context(), "create schema lake.lake"); err != nil {
		t.Fatal(err)
	}
	w := shop(t)
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range p.Models.Models {
		names = append(names, m.Name)
		for _, ref := range m.Refs {
			if !slices.Contains(names, ref) && slices.ContainsFunc(p.Models.Sources, func(s model.Source) bool { return s.Name == ref }) {
				names = append(names, ref)
			}
		}
	}
	for _, name := range names {
		share(t, w, name, p.Models.ColumnsOf(name))
	}
	days := daysOf(t, w)
	asOf := time.Date(2026, 1, 14, 0, 0, 0, 0, time.UTC)
	for _, m := range p.Models.Models {
		t.Run("model "+m.Name, func(t *testing.T) {
			if n := equal(t, w, m.Select(days)); n == 0 {
				t.Error("no rows were compared")
			}
		})
		t.Run("data tests of "+m.Name, func(t *testing.T) {
			sql, _ := m.Audit(m.Name, days, asOf)
			equal(t, w, sql)
		})
	}
	views, err := view.All(athenasql.Files, p.Layer)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		for _, ref := range v.Refs {
			if table, err := w.Table(t.Context(), ref); err == nil && !slices.Contains(names, ref) {
				share(t, w, ref, append(table.Columns, partitions(table)...))
				names = append(names, ref)
			}
		}
	}
	for _, v := range views {
		t.Run("view "+v.Name, func(t *testing.T) {
			if err := w.PublishView(t.Context(), v.View); err != nil {
				t.Fatal(err)
			}
			if _, err := engine(t).Query(t.Context(), v.Statement()); err != nil {
				t.Fatal(err)
			}
			if n := equal(t, w, "select * from "+v.Name); n == 0 {
				t.Error("no rows were compared")
			}
		})
	}
	t.Run("devices", func(t *testing.T) {
		if n := equal(t, w, identity.DeviceQuery("2026-01-06")); n == 0 {
			t.Error("no rows were compared")
		}
	})
	for _, e := range p.Experiments {
		t.Run("metrics of "+e.ID, func(t *testing.T) {
			used, err := measure.Select(e, p.Metrics)
			if err != nil {
				t.Fatal(err)
			}
			if n := equal(t, w, measure.Query(e, used, asOf)); n == 0 {
				t.Error("no rows were compared")
			}
			if n := equal(t, w, measure.GuardrailQuery(e, used, asOf)); n == 0 {
				t.Error("no guardrails were compared")
			}
			for _, policy := range measure.Policies() {
				if n := equal(t, w, measure.QueryUnder(policy, e, used, asOf)); n == 0 {
					t.Errorf("no rows were compared under %s", policy)
				}
			}
		})
	}
	t.Run("metrics API", func(t *testing.T) { sameAnswers(t, w, p, names) })
}

func partitions(t lake.Table) []lake.Column {
	var out []lake.Column
	for _, name := range t.PartitionBy {
		out = append(out, lake.Column{Name: name, Type: "varchar"})
	}
	return out
}

func daysOf(t *testing.T, w *duck.Warehouse) []string {
	t.Helper()
	out := map[string]bool{}
	for _, r := range rows(t, w, "select distinct event_date from raw_event") {
		out[r[0]] = true
	}
	return slices.Sorted(maps.Keys(out))
}
