package model_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/model"
)

func loadProject(tb testing.TB) *model.Project {
	tb.Helper()
	p, err := model.Load(athenasql.Files)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestModelsComeAfterWhatTheyRead(t *testing.T) {
	var names []string
	for _, m := range loadProject(t).Models {
		names = append(names, m.Name)
	}
	want := []string{"fact_event", "dim_user", "fact_experiment_exposure", "identity_edge", "identity_signal", "ledger_hour", "ledger_session", "profile_property"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// home is a whole small warehouse with one partitioned and one whole model.
type home struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	builder   *model.Builder
	runs      int
}

const (
	dailySQL = "-- grain: one row per event\n-- key: id\n-- late data: rebuilt\n-- owner: me\nselect id, n, event_date from ref('landed')"
	dailyYML = "partition_by: event_date\nreads: {landed: {days_around: 1}}\ncolumns:\n  - {name: id, type: varchar, tests: [not_null]}\n  - {name: n, type: bigint}\n"
	totalSQL = "-- grain: one row\n-- key: n\n-- late data: rebuilt\n-- owner: me\nselect sum(n) as n from ref('daily')"
	totalYML = "columns:\n  - {name: n, type: bigint}\n"
	landed   = "location: raw/\npartition_by: [event_date]\ncolumns:\n  - {name: id, type: varchar}\n  - {name: n, type: bigint}\n"
)

func project(t *testing.T, files map[string]string) (*model.Project, error) {
	t.Helper()
	all := fstest.MapFS{}
	for name, text := range map[string]string{
		"models/daily.sql": dailySQL, "models/daily.yml": dailyYML,
		"models/total.sql": totalSQL, "models/total.yml": totalYML, "sources/landed.yml": landed,
	} {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
		if text == "" {
			delete(all, name)
		}
	}
	return model.Load(all)
}

func newHome(t *testing.T) *home {
	t.Helper()
	p, err := project(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &home{store: &directory.Store{Root: t.TempDir()}}
	if h.warehouse, err = duck.Open(t.Context(), h.store, p.Sources[0].Landing()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.warehouse.Close() })
	h.builder = &model.Builder{Project: p, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: func() string {
		h.runs++
		return strconv.Itoa(h.runs)
	}}
	return h
}

func (h *home) land(t *testing.T, day, file string, lines ...string) {
	t.Helper()
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.store.Put(t.Context(), "raw/event_date="+day+"/"+file+".ndjson.gz", body.Bytes(), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
}

func (h *home) build(t *testing.T) string {
	t.Helper()
	built, err := h.builder.Build(t.Context(), "total", "daily")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, b := range built {
		out = append(out, fmt.Sprintf("%s %d", b.Model, b.Partitions))
	}
	return strings.Join(out, ", ")
}

func (h *home) total(t *testing.T) string {
	t.Helper()
	result, err := h.warehouse.Query(t.Context(), "select n from total")
	if err != nil {
		t.Fatal(err)
	}
	return *result.Rows[0][0]
}

func TestOnlyWhatIsOutOfDateIsBuilt(t *testing.T) {
	h := newHome(t)
	h.land(t, "2026-01-05", "a", `{"id":"1","n":1}`)
	h.land(t, "2026-01-08", "a", `{"id":"2","n":2}`)
	steps := []struct {
		name, day, line, want, total string
	}{
		{"first", "", "", "daily 2, total 1", "3"},
		{"again", "", "", "daily 0, total 0", "3"},
		{"late event", "2026-01-05", `{"id":"3","n":4}`, "daily 1, total 1", "7"},
		{"a new day, its neighbour reads it too", "2026-01-09", `{"id":"4","n":8}`, "daily 2, total 1", "15"},
	}
	for i, s := range steps {
		if s.day != "" {
			h.land(t, s.day, fmt.Sprint("file", i), s.line)
		}
		if got := h.build(t); got != s.want {
			t.Errorf("%s: built %s, want %s", s.name, got, s.want)
		}
		if got := h.total(t); got != s.total {
			t.Errorf("%s: total %s, want %s", s.name, got, s.total)
		}
	}
}

func TestAFailedAuditLeavesTheTableAsItWas(t *testing.T) {
	h := newHome(t)
	h.land(t, "2026-01-05", "a", `{"id":"1","n":1}`)
	h.build(t)
	h.land(t, "2026-01-05", "b", `{"id":"1","n":5}`, `{"n":5}`)
	_, err := h.builder.Build(t.Context(), "daily")
	want := "build daily: audit: 1 rows where id is not unique, 1 rows where id is null; the table stays as it was"
	if !fault.Is(err, fault.Invalid) || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if got := h.total(t); got != "1" {
		t.Errorf("total %s, want 1", got)
	}
}

// dying fails the n-th call of any kind, as a killed process would.
type dying struct {
	lake.Engine
	lake.Catalog
	left *int
}

var errDead = errors.New("dead")

func (d dying) step() error {
	if *d.left--; *d.left < 0 {
		return errDead
	}
	return nil
}

func (d dying) Unload(ctx context.Context, sql, prefix string, by []string) error {
	if err := d.step(); err != nil {
		return err
	}
	return errors.Join(d.Engine.Unload(ctx, sql, prefix, by), d.step())
}

func (d dying) Publish(ctx context.Context, table lake.Table) error {
	if err := d.step(); err != nil {
		return err
	}
	return errors.Join(d.Catalog.Publish(ctx, table), d.step())
}

func TestABuildResumesWhereItDied(t *testing.T) {
	for after := range 12 {
		h := newHome(t)
		h.land(t, "2026-01-05", "a", `{"id":"1","n":1}`)
		h.land(t, "2026-01-06", "a", `{"id":"2","n":2}`)
		left := after
		mortal := *h.builder
		mortal.Engine, mortal.Catalog = dying{h.warehouse, h.warehouse, &left}, dying{h.warehouse, h.warehouse, &left}
		if _, err := mortal.Build(t.Context(), "daily", "total"); !errors.Is(err, errDead) {
			t.Fatalf("after %d steps: %v, want death", after, err)
		}
		h.build(t)
		if got := h.total(t); got != "3" {
			t.Errorf("after %d steps: total %s, want 3", after, got)
		}
		if got := h.build(t); got != "daily 0, total 0" {
			t.Errorf("after %d steps: built again: %s", after, got)
		}
	}
}

func TestLoadRefusesWithFileAndLine(t *testing.T) {
	cases := map[string]struct{ file, text, want string }{
		"no header":      {"models/daily.sql", strings.Replace(dailySQL, "-- owner: me\n", "", 1), `models/daily.sql:4: the header needs a line "-- owner: ..."`},
		"no description": {"models/daily.yml", "", "models/daily.sql:1: the model needs a description in models/daily.yml"},
		"unknown type":   {"models/total.yml", strings.Replace(totalYML, "bigint", "int", 1), `models/total.yml:2: type of n must be one of varchar bigint double boolean timestamp(3) date, not "int"`},
		"unknown table":  {"models/total.sql", strings.Replace(totalSQL, "daily", "dayly", 1), "models/total.sql:5: there is no model or source dayly"},
		"itself":         {"models/total.sql", strings.Replace(totalSQL, "daily", "total", 1), "models/total.sql:1: the model reads itself, over total"},
		"unread table":   {"models/daily.yml", strings.Replace(dailyYML, "landed", "other", 1), "models/daily.yml:2: the model does not read other"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := project(t, map[string]string{c.file: c.text}); !fault.Is(err, fault.Invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
