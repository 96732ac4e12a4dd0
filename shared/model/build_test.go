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
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/model"
	"verdict/shared/table"
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
	return homeOf(t, nil)
}

func homeOf(t *testing.T, files map[string]string) *home {
	t.Helper()
	return homeAt(t, &directory.Store{Root: t.TempDir()}, files)
}

func homeAt(t *testing.T, store *directory.Store, files map[string]string) *home {
	t.Helper()
	p, err := project(t, files)
	if err != nil {
		t.Fatal(err)
	}
	h := &home{store: store}
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
		did := []string{fmt.Sprintf("%s %d", b.Model, b.Partitions)}
		for _, held := range b.Held {
			did = append(did, "holding "+held.Day)
		}
		out = append(out, strings.Join(did, " "))
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
		"unknown test":   {"models/daily.yml", strings.Replace(dailyYML, "not_null", "not_nil", 1), `models/daily.yml:4: there is no test "not_nil": not_null and unique are tests, and the key in the model's header is unique anyway`},
		"parent unread":  {"models/daily.yml", strings.Replace(dailyYML, "bigint}", "bigint, relationships: {to: total, field: n}}", 1), "models/daily.yml:5: relationships wants {to, field, severity}: a table that the model reads, its column, and error or warn"},
		"test of others": {"models/daily.yml", dailyYML + "tests: [{name: odd, sql: \"select 1 as one from ref('total')\"}]\n", "models/daily.yml:6: a test reads ref('this') and what its model reads, not total"},
		"stale text":     {"models/daily.yml", dailyYML + "freshness: {column: id, within: 1h}\n", "models/daily.yml:6: freshness wants a timestamp(3) column of the model, and within: how old its newest value may be, such as 26h"},
		"late totals":    {"models/total.yml", "late_days: 3\n" + totalYML, "models/total.yml:1: late_days are a positive number, of a model that is partitioned by day"},
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

func on(day int) time.Time { return time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC) }

// A stray event does not have an old day made again; it waits until somebody asks.
func TestLateDaysAreHeld(t *testing.T) {
	h := homeOf(t, map[string]string{"models/daily.yml": "late_days: 10\n" + strings.Replace(dailyYML, "1}", "0}", 1)})
	h.builder.AsOf = on(20)
	h.land(t, "2026-01-05", "a", `{"id":"1","n":1}`)
	h.land(t, "2026-01-15", "a", `{"id":"2","n":2}`)
	if got := h.build(t); got != "daily 2, total 1" {
		t.Errorf("an old day that was never made: built %s", got)
	}
	h.land(t, "2026-01-05", "b", `{"id":"3","n":4}`)
	h.land(t, "2026-01-15", "b", `{"id":"4","n":8}`)
	if got := h.build(t); got != "daily 1 holding 2026-01-05, total 1" || h.total(t) != "11" {
		t.Errorf("late events: built %s, total %s", got, h.total(t))
	}
	if got := h.build(t); got != "daily 0 holding 2026-01-05, total 0" {
		t.Errorf("again: built %s", got)
	}
	h.builder.Since = "2026-01-01"
	if got := h.build(t); got != "daily 1, total 1" || h.total(t) != "15" {
		t.Errorf("asked for: built %s, total %s", got, h.total(t))
	}
	h.builder.Since = ""
	if got := h.build(t); got != "daily 0, total 0" {
		t.Errorf("afterwards: built %s", got)
	}
	changed := homeAt(t, h.store, map[string]string{"models/daily.yml": "late_days: 10\ndescription: anew\n" + strings.Replace(dailyYML, "1}", "0}", 1)})
	changed.builder.AsOf = on(20)
	if got := changed.build(t); got != "daily 2, total 1" {
		t.Errorf("a changed definition: built %s", got)
	}
}

func TestWhatIsAskedForIsBuilt(t *testing.T) {
	for name, c := range map[string]struct {
		selection model.Selection
		want      string
	}{
		"all":            {model.Selection{}, "daily 0, total 0"},
		"since":          {model.Selection{Since: "2026-01-06"}, "daily 0, total 0"},
		"full":           {model.Selection{Full: true}, "daily 3, total 1"},
		"full and since": {model.Selection{Full: true, Since: "2026-01-06"}, "daily 2, total 1"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			for _, day := range []string{"2026-01-05", "2026-01-06", "2026-01-07"} {
				h.land(t, day, "a", `{"id":"`+day+`","n":1}`)
			}
			h.build(t)
			h.builder.Selection = c.selection
			if got := h.build(t); got != c.want || h.total(t) != "3" {
				t.Errorf("built %s, total %s; want %s", got, h.total(t), c.want)
			}
		})
	}
	h := newHome(t)
	for _, day := range []string{"2026-01-05", "2026-01-06", "2026-01-09"} {
		h.land(t, day, "a", `{"id":"`+day+`","n":1}`)
	}
	h.builder.Since = "2026-01-06"
	if got := h.build(t); got != "daily 2, total 1" || h.total(t) != "2" {
		t.Errorf("first build since a day: %s, total %s", got, h.total(t))
	}
}

func TestDataTests(t *testing.T) {
	const columns = "columns:\n  - {name: id, type: varchar, tests: [not_null, unique]}\n  - {name: n, type: bigint}\n  - {name: ts, type: timestamp(3)}\n"
	const sql = "-- grain: one row per event\n-- key: id, n\n-- late data: rebuilt\n-- owner: me\n" +
		"select l.id, l.n, cast(from_iso8601_timestamp(l.event_date || 'T00:00:00Z') as timestamp(3)) as ts, l.event_date from ref('landed') as l cross join (select count(*) as known from ref('parent')) as p"
	const parent = "columns:\n  - {name: k, type: bigint}\n"
	for name, c := range map[string]struct{ yml, refused, warned string }{
		"none":              {columns, "1 rows where id is not unique", ""},
		"relationship":      {strings.Replace(columns, "bigint}", "bigint, relationships: {to: parent, field: k, severity: warn}}", 1), "1 rows where id is not unique", "1 rows where n is in no k of parent"},
		"relationship kept": {strings.Replace(columns, "bigint}", "bigint, relationships: {to: parent, field: k}}", 1), "1 rows where id is not unique, 1 rows where n is in no k of parent", ""},
		"own":               {strings.Replace(columns, ", unique", "", 1) + "tests:\n  - {name: n is large, sql: \"select id from ref('this') where n > 2\", severity: warn}\n", "", "1 rows where n is large"},
		"own, reads more":   {strings.Replace(columns, ", unique", "", 1) + "tests:\n  - {name: n is known, sql: \"select n from ref('this') where n in (select k from ref('parent'))\"}\n", "2 rows where n is known", ""},
		"fresh":             {strings.Replace(columns, ", unique", "", 1) + "freshness: {column: ts, within: 30h}\n", "", ""},
		"not fresh":         {strings.Replace(columns, ", unique", "", 1) + "freshness: {column: ts, within: 20h}\n", "", "1 rows where the newest ts is older than 20h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			h := homeOf(t, map[string]string{
				"models/daily.sql": sql, "models/daily.yml": "partition_by: event_date\n" + c.yml, "sources/parent.yml": parent, "models/total.sql": "", "models/total.yml": "",
			})
			place := table.Place{Table: "parent", Run: "0"}
			if err := table.Write(t.Context(), h.store, h.warehouse, place, []struct {
				K int64 `lake:"k"`
			}{{1}, {2}}); err != nil {
				t.Fatal(err)
			}
			h.builder.AsOf = on(7)
			h.land(t, "2026-01-06", "a", `{"id":"a","n":1}`, `{"id":"b","n":2}`, `{"id":"b","n":3}`)
			built, err := h.builder.Build(t.Context(), "daily")
			if c.refused != "" {
				if want := "build daily: audit: " + c.refused + "; the table stays as it was"; err == nil || err.Error() != want {
					t.Fatalf("got  %v\nwant %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(built[0].Warnings, ", "); got != c.warned {
				t.Errorf("warned %q, want %q", got, c.warned)
			}
		})
	}
}

// counting counts how many partitions each statement writes.
type counting struct {
	lake.Engine
	store   *directory.Store
	written []int
}

func (c *counting) Unload(ctx context.Context, sql, prefix string, by []string) error {
	if err := c.Engine.Unload(ctx, sql, prefix, by); err != nil {
		return err
	}
	folders := map[string]bool{}
	objects, err := c.store.List(ctx, prefix)
	for _, o := range objects {
		folders[o.Key[:strings.LastIndexByte(o.Key, '/')]] = true
	}
	c.written = append(c.written, len(folders))
	return err
}

func TestAYearIsBackfilledInBoundedStatements(t *testing.T) {
	h := newHome(t)
	for i := range 366 {
		day := on(1).AddDate(0, 0, i).Format(time.DateOnly)
		h.land(t, day, "a", `{"id":"`+day+`","n":1}`)
	}
	engine := &counting{Engine: h.warehouse, store: h.store}
	h.builder.Engine = engine
	if got := h.build(t); got != "daily 366, total 1" || h.total(t) != "366" {
		t.Errorf("built %s, total %s", got, h.total(t))
	}
	if diff := cmp.Diff([]int{90, 90, 90, 90, 6, 1}, engine.written); diff != "" {
		t.Errorf("partitions of each statement (-want +got):\n%s", diff)
	}
}
