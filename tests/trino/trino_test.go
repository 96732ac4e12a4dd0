package trino_test

import (
	"context"
	"fmt"
	"os"
	"testing"
)

var server *Server

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
	server, err = Start(ctx, home, data, func(s string) { fmt.Fprintln(os.Stderr, s) })
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

func engine(t *testing.T) *Server {
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
	fmt.Println(got.Columns, *got.Rows[0][0], *got.Rows[0][1], got.Rows[0][2], *got.Rows[0][3], *got.Rows[0][4])
}
