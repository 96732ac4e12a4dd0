package lake_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// answer is an engine that has one answer, whatever the question.
type answer lake.Result

var _ lake.Engine = answer{}

func (a answer) Query(context.Context, string) (lake.Result, error) { return lake.Result(a), nil }
func (answer) Unload(context.Context, string, string, []string) error {
	return fault.New(fault.Invalid, "only answers")
}

type reason struct {
	Code string `json:"code"`
}

type row struct {
	Name    string    `lake:"name"`
	Count   int64     `lake:"count"`
	Low     float64   `lake:"low"`
	At      time.Time `lake:"at"`
	Reasons []reason  `lake:"reasons,json"`
	Ignored string
}

func columns() []string { return []string{"reasons", "at", "low", "count", "name", "another"} }

func texts(values ...string) []*string {
	out := make([]*string, len(values))
	for i := range values {
		if values[i] != "NULL" {
			out[i] = &values[i]
		}
	}
	return out
}

func TestReadDecodesByColumnName(t *testing.T) {
	engine := answer{Columns: columns(), Rows: [][]*string{
		texts(`[{"code":"srm"},{"code":"goal_better"}]`, "2026-01-20 04:05:06.789", "-Infinity", "42", "checkout", "x"),
		texts("NULL", "2026-01-20", "NULL", "NULL", "NULL", "NULL"),
	}}
	got, err := lake.Read[row](t.Context(), engine, "SELECT")
	if err != nil {
		t.Fatal(err)
	}
	want := []row{
		{
			Name: "checkout", Count: 42, Low: math.Inf(-1),
			At:      time.Date(2026, 1, 20, 4, 5, 6, 789e6, time.UTC),
			Reasons: []reason{{Code: "srm"}, {Code: "goal_better"}},
		},
		{At: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		engine answer
		want   string
	}{
		"a missing column": {answer{Columns: []string{"name"}}, "no column count"},
		"broken JSON": {
			answer{Columns: columns(), Rows: [][]*string{texts("[{", "NULL", "NULL", "NULL", "NULL", "NULL")}},
			"read column reasons",
		},
		"a word for a number": {
			answer{Columns: columns(), Rows: [][]*string{texts("NULL", "NULL", "NULL", "many", "NULL", "NULL")}},
			"read column count",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lake.Read[row](t.Context(), c.engine, "SELECT")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
