package duck_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/lake/laketest"
)

func openWarehouse(tb testing.TB, root string, landing ...lake.Table) (*duck.Warehouse, *directory.Store) {
	tb.Helper()
	store := &directory.Store{Root: root}
	w, err := duck.Open(tb.Context(), store, landing...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := w.Close(); err != nil {
			tb.Error(err)
		}
	})
	return w, store
}

func rows(tb testing.TB, w *duck.Warehouse, sql string) [][]string {
	tb.Helper()
	result, err := w.Query(tb.Context(), sql)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]string
	for _, r := range result.Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = "NULL"
			if v != nil {
				row[i] = *v
			}
		}
		out = append(out, row)
	}
	return out
}

var days = lake.Table{
	Name: "visit", Columns: []lake.Column{{Name: "n", Type: "bigint"}}, PartitionBy: []string{"event_date"},
	Partitions: []lake.Partition{
		{Values: []string{"2026-01-05"}, Location: "warehouse/visit/run=1/event_date=2026-01-05/", Source: "a"},
		{Values: []string{"2026-01-06"}, Location: "warehouse/visit/run=1/event_date=2026-01-06/", Source: "b"},
	},
}

func TestTablesOutliveTheProcess(t *testing.T) {
	root := t.TempDir()
	w, _ := openWarehouse(t, root)
	if err := w.Unload(t.Context(), "SELECT n, d AS event_date FROM (VALUES (1, '2026-01-05'), (2, '2026-01-05')) t(n, d)", "warehouse/visit/run=1/", []string{"event_date"}); err != nil {
		t.Fatal(err)
	}
	// the second day got no rows: its location holds nothing
	if err := w.Publish(t.Context(), days); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"1", "2026-01-05"}, {"2", "2026-01-05"}}
	const sql = "SELECT n, event_date FROM visit ORDER BY n"
	if diff := cmp.Diff(want, rows(t, w, sql)); diff != "" {
		t.Error(diff)
	}
	again, _ := openWarehouse(t, root)
	if diff := cmp.Diff(want, rows(t, again, sql)); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	table, err := again.Table(t.Context(), "visit")
	if diff := cmp.Diff(days, table); err != nil || diff != "" {
		t.Errorf("catalog: %v %s", err, diff)
	}
}

func TestLandingTableOpensWithItsFirstFile(t *testing.T) {
	landing := lake.Table{
		Name: "raw_event", PartitionBy: []string{"namespace", "event_date"}, Partitions: []lake.Partition{{Location: "raw/"}},
		Columns: []lake.Column{{Name: "event_id", Type: "varchar"}, {Name: "properties", Type: "varchar"}, {Name: "is_bot", Type: "boolean"}},
	}
	w, store := openWarehouse(t, t.TempDir(), landing)
	const sql = `SELECT event_id, properties, is_bot, namespace, event_date FROM raw_event`
	if got := rows(t, w, sql); got != nil {
		t.Fatalf("before any file: %v", got)
	}
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write([]byte(`{"event_id":"e1","properties":{"value":12.5,"a":[1]},"is_bot":false,"unknown":1}` + "\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "raw/namespace=shop/event_date=2026-01-05/x.ndjson.gz", body.Bytes(), lake.Create); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"e1", `{"value":12.5,"a":[1]}`, "false", "shop", "2026-01-05"}}
	if diff := cmp.Diff(want, rows(t, w, sql)); diff != "" {
		t.Error(diff)
	}
}

func TestUnloadRefusesAFullPrefix(t *testing.T) {
	w, _ := openWarehouse(t, t.TempDir())
	if err := w.Unload(t.Context(), "SELECT 1 AS n", "a/b/", nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Unload(t.Context(), "SELECT 1 AS n", "a/b/", nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("second unload: %v, want a conflict", err)
	}
}

func TestTrinoMeanings(t *testing.T) {
	w, _ := openWarehouse(t, filepath.Join(t.TempDir(), "never made"))
	for sql, want := range map[string]string{
		"SELECT date_diff('day', TIMESTAMP '2020-03-01 23:00:00', TIMESTAMP '2020-03-02 01:00:00')": "0",
		"SELECT regexp_replace('aaa', 'a', 'b')":                                                    "bbb",
		"SELECT CAST(from_iso8601_timestamp('2026-01-05T10:11:12.345Z') AS timestamp(3))":           "2026-01-05 10:11:12.345",
		"SELECT json_extract_scalar('{\"value\": 12.5, \"o\": {}}', '$.value')":                     "12.5",
		"SELECT json_extract_scalar('{\"value\": 12.5, \"o\": {}}', '$.o')":                         "NULL",
		"SELECT CAST(TIMESTAMP '2026-01-05 10:00:00' AS date)":                                      "2026-01-05",
		"SELECT date_add('day', 3, DATE '2026-01-30')":                                              "2026-02-02",
		"SELECT 1e300 * 10":                          "1e+301",
		"SELECT TIMESTAMP '2026-01-05 10:11:12.345'": "2026-01-05 10:11:12.345",
		"SELECT greatest(1, NULL)":                   "NULL",
		"SELECT CAST(at_timezone(with_timezone(TIMESTAMP '2026-07-01 23:30:00', 'UTC'), 'Europe/Berlin') AS date)": "2026-07-02",
	} {
		if got := rows(t, w, sql); got[0][0] != want {
			t.Errorf("%s = %s, want %s", sql, got[0][0], want)
		}
	}
}

func TestBrokenSQLIsInvalid(t *testing.T) {
	w, _ := openWarehouse(t, t.TempDir())
	for _, sql := range []string{"SELEC 1", "SELECT * FROM nowhere", "SELECT nothing", "SELECT CAST('x' AS bigint)"} {
		if _, err := w.Query(t.Context(), sql); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want an invalid query", sql, err)
		}
	}
}

func TestCatalog(t *testing.T) {
	laketest.Catalog(t, func(t *testing.T) lake.Catalog {
		t.Helper()
		w, _ := openWarehouse(t, t.TempDir())
		return w
	})
}
