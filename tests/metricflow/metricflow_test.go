// Package metricflow_test loads our exported definitions into MetricFlow itself, over the Parquet files of a demo's
// lake, and compares what its SQL finds with what we answer.
package metricflow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/export"
	"verdict/shared/lake"
	"verdict/shared/project"
	"verdict/shared/semantic"
)

const days = 9

func from() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

// A project brings its own time spine; MetricFlow reads no definitions without one.
const spine = `project_configuration:
  time_spines:
    - node_relation: {schema_name: verdict, alias: time_spine}
      primary_column: {name: ds, time_granularity: day}
`

type question struct {
	Metric string   `json:"metric"`
	Grain  string   `json:"grain"`
	By     []string `json:"by"`
}

type answers struct {
	Metrics []string `json:"metrics"`
	Answers []struct {
		SQL  string  `json:"sql"`
		Rows [][]any `json:"rows"`
	} `json:"answers"`
}

// ask has MetricFlow answer; what it complains of is the error.
func ask(t *testing.T, files, setup []string, questions []question) (answers, error) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"files": files, "setup": setup, "questions": questions})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Getenv("METRICFLOW_PYTHON"), "answer.py")
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaints
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "DO_NOT_TRACK=1")
	if err := cmd.Run(); err != nil {
		return answers{}, fmt.Errorf("%w: %s", err, complaints.String())
	}
	var a answers
	return a, json.Unmarshal(out.Bytes(), &a)
}

// demo plays a small shop, and opens its lake.
func demo(t *testing.T) (source *semantic.Source, setup []string) {
	t.Helper()
	binary, err := filepath.Abs("../../bin/verdict")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "lake")
	play := exec.CommandContext(t.Context(), binary, "demo", "--json", "--visitors", "3000", "--days", strconv.Itoa(days), "--addr", "127.0.0.1:0", "--lake", root)
	if out, err := play.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	store := &directory.Store{Root: root}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	events, err := w.Table(t.Context(), "fact_event")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, part := range events.Partitions {
		files = append(files, store.Path(part.Location)+"/*.parquet")
	}
	return &semantic.Source{Layer: p.Layer, Objects: store, Engine: w, Catalog: w, MaxBytes: 1 << 40}, []string{
		"set timezone = 'UTC'", duck.Macros(), "create schema verdict",
		"create view verdict.fact_event as from read_parquet([" + lake.QuoteList(files) + "], hive_partitioning = true, hive_types = {event_date: VARCHAR})",
		"create table verdict.time_spine as select cast(d as date) as ds from range(date '2026-01-01', date '2026-03-01', interval 1 day) as t (d)",
	}
}

func TestMetricFlowFindsOurNumbers(t *testing.T) {
	if os.Getenv("METRICFLOW_PYTHON") == "" {
		t.Skip("slow, needs MetricFlow: run it with make test-metricflow")
	}
	source, setup := demo(t)
	exported, err := export.MetricFlow(source.Layer)
	if err != nil {
		t.Fatal(err)
	}
	files := []string{string(exported.Text), spine}
	var ours []semantic.Question
	var theirs []question
	for _, d := range source.Layer.Definitions {
		if slices.ContainsFunc(exported.Notes, func(n export.Note) bool { return n.Metric == d.Name && n.Left }) {
			continue
		}
		for _, grain := range semantic.Grains() {
			for _, by := range [][]string{{}, {"device"}, {"event_name", "currency"}} {
				q := semantic.Question{Metric: d.Name, Grain: grain, By: by, From: from(), To: from().AddDate(0, 0, days+1)}
				if _, err := semantic.Compile(source.Layer, q); err != nil {
					continue // distinct values are not served by period
				}
				ask := question{Metric: d.Name, Grain: string(grain), By: []string{}}
				if grain == semantic.Total {
					ask.Grain = ""
				}
				for _, name := range by {
					ask.By = append(ask.By, "fact_event__"+name)
				}
				ours, theirs = append(ours, q), append(theirs, ask)
			}
		}
	}
	got, err := ask(t, files, setup, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Metrics) < 10 {
		t.Errorf("MetricFlow loaded %v", got.Metrics)
	}
	figures := 0
	for i, q := range ours {
		plan, err := source.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := source.Rows(t.Context(), plan, 0, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{}
		for _, r := range rows {
			want[keyOf(r.Period, r.Dimensions)] = valueOf(r.Value)
		}
		have := map[string]float64{}
		for _, r := range got.Answers[i].Rows {
			key, value := theirRow(t, q, r)
			have[key] = value
		}
		if len(want) != len(have) || len(want) == 0 {
			t.Errorf("%+v: we have %d rows, MetricFlow %d\n%s", q, len(want), len(have), got.Answers[i].SQL)
		}
		for key, x := range want {
			y, ok := have[key]
			if same := math.Abs(x-y) <= 1e-12*math.Max(math.Abs(x), math.Abs(y)) || math.IsNaN(x) && math.IsNaN(y); !ok || !same {
				t.Errorf("%+v, %q: we have %v, MetricFlow %v\n%s", q, key, x, y, got.Answers[i].SQL)
			}
			figures++
		}
	}
	t.Logf("%d questions, %d figures equal", len(ours), figures)
	if figures < 500 {
		t.Errorf("only %d figures were compared", figures)
	}
	t.Run("bots are filtered by the file", func(t *testing.T) {
		setup := append(slices.Clone(setup), "create or replace view verdict.fact_event as select * replace (true as is_bot) from ("+viewOf(setup)+")")
		unfiltered := strings.Replace(files[0], "not {{ Dimension('fact_event__is_bot') }} and ", "", 1)
		for name, c := range map[string]struct {
			file string
			rows bool
		}{"as exported": {files[0], false}, "without the filter": {unfiltered, true}} {
			other, err := ask(t, []string{c.file, spine}, setup, theirs[:1])
			if err != nil || (len(other.Answers[0].Rows) > 0) != c.rows {
				t.Errorf("%s, of bots alone: %v, %v", name, other.Answers, err)
			}
		}
	})
	t.Run("refuses what is broken", func(t *testing.T) {
		if _, err := ask(t, []string{strings.Replace(files[0], "measure: events", "measure: nothing", 1), spine}, setup, nil); err == nil {
			t.Error("MetricFlow took a metric of no measure")
		}
	})
}

// viewOf is the SELECT of the view of events.
func viewOf(setup []string) string {
	for _, s := range setup {
		if _, sql, ok := strings.Cut(s, "create view verdict.fact_event as "); ok {
			return sql
		}
	}
	return ""
}

func keyOf(period string, dimensions []*string) string {
	parts := []string{period}
	for _, d := range dimensions {
		if d == nil {
			parts = append(parts, "NULL")
		} else {
			parts = append(parts, *d)
		}
	}
	return strings.Join(parts, "|")
}

func valueOf(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// theirRow is a row of MetricFlow's: period, dimensions, value.
func theirRow(t *testing.T, q semantic.Question, row []any) (key string, value float64) {
	t.Helper()
	period := ""
	if q.Grain != semantic.Total {
		text, ok := row[0].(string)
		if !ok {
			t.Fatalf("period %v", row[0])
		}
		period, row = text[:len(time.DateOnly)], row[1:]
	}
	var dimensions []*string
	for _, cell := range row[:len(q.By)] {
		if text, ok := cell.(string); ok {
			dimensions = append(dimensions, &text)
		} else {
			dimensions = append(dimensions, nil)
		}
	}
	switch cell := row[len(q.By)].(type) {
	case nil:
		value = math.NaN()
	case float64:
		value = cell
	case string: // a decimal
		x, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatal(err)
		}
		value = x
	default:
		t.Fatalf("value %v", cell)
	}
	return keyOf(period, dimensions), value
}
