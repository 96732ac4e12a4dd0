// Package trino_test holds DuckDB to what Athena's engine means by the same SQL, on a real Trino.
package trino_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"verdict/tests/trinoserver"
)

var server *trinoserver.Server

// TestMain starts the Trino that `make test-trino` has unpacked; without it, the tests are skipped and say so.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	home := os.Getenv("TRINO_HOME")
	if home == "" {
		return m.Run()
	}
	data, err := os.MkdirTemp("", "verdict-trino")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(data)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server, err = trinoserver.Start(ctx, home, data, trinoserver.Catalog{Name: "lake", Schema: "lake", Properties: []string{
		"hive.metastore=file", "hive.metastore.catalog.dir=local:///metastore", "fs.native-local.enabled=true", "local.location=" + data,
		"hive.metastore.disable-location-checks=true", "hive.parquet.time-zone=UTC",
	}}, func(s string) { fmt.Fprintln(os.Stderr, s) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Stop()
	folder = data
	return m.Run()
}

// folder is what Trino's catalog lies over.
var folder string

func engine(t *testing.T) *trinoserver.Server {
	t.Helper()
	if server == nil {
		t.Skip("skipped: no Trino here; make test-trino fetches one")
	}
	return server
}

func TestAnswers(t *testing.T) {
	got, err := engine(t).Query(t.Context(), "select 1 as one, 'x' as text, cast(null as double) as nothing, 1e0/3 as third, timestamp '2026-01-05 10:00:00.123' as t")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, v := range got.Rows[0] {
		if v == nil {
			values = append(values, "NULL")
		} else {
			values = append(values, *v)
		}
	}
	if got, want := strings.Join(values, " "), "1 x NULL 0.3333333333333333 2026-01-05 10:00:00.123"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
