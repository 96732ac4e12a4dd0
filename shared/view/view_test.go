package view_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/dialect"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/project"
	"verdict/shared/semantic"
	"verdict/shared/table"
	"verdict/shared/view"
)

var update = flag.Bool("update", false, "write docs/views.md")

func builtIn(t *testing.T) (*project.Project, []view.Source) {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	views, err := view.All(athenasql.Files, p.Layer)
	if err != nil {
		t.Fatal(err)
	}
	return p, views
}

func TestThePageIsUpToDate(t *testing.T) {
	const path = "../../docs/views.md"
	_, views := builtIn(t)
	want := view.Page(views)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not up to date: go test ./shared/view -update (%v)", path, err)
	}
}

func TestViewsAreInTheDialectAndDescribed(t *testing.T) {
	_, views := builtIn(t)
	for _, v := range views {
		if found := dialect.Check(v.SQL); found != nil {
			t.Errorf("%s: %v\n%s", v.Name, found, v.SQL)
		}
		if v.Description == "" || len(v.Columns) < 3 || len(v.Refs) == 0 {
			t.Errorf("%s is not described: %+v", v.Name, v)
		}
	}
}

type event struct {
	Entity     string    `lake:"entity_id"`
	Name       string    `lake:"event_name"`
	Value      float64   `lake:"value"`
	Bot        bool      `lake:"is_bot"`
	Properties string    `lake:"properties"`
	Context    string    `lake:"context"`
	At         time.Time `lake:"event_ts"`
	Day        string    `lake:"event_date"`
}

// lakeOf is a small lake of a shop's events: three days, of which the second has no order.
func lakeOf(t *testing.T) (*duck.Warehouse, *directory.Store) {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	for d := range 3 {
		at := time.Date(2026, 1, 5+d, 12, 0, 0, 0, time.UTC)
		var rows []event
		for i := range 40 {
			e := event{Entity: "u:" + strconv.Itoa(i%7), At: at, Day: at.Format(time.DateOnly), Bot: i%11 == 0, Value: float64(i) + 0.25, Properties: `{"currency":"EUR"}`}
			e.Name = []string{"order_completed", "order_refunded", "product_viewed", "checkout_started"}[i%4]
			if d == 1 && i%4 < 2 {
				e.Name = "product_viewed"
			}
			e.Context = fmt.Sprintf(`{"device":{"type":%q}}`, []string{"mobile", "desktop"}[i%2])
			rows = append(rows, e)
		}
		place := table.Place{Table: "fact_event", Run: "1", PartitionBy: []string{"event_date"}, Values: []string{rows[0].Day}}
		if err := table.Write(t.Context(), store, w, place, rows); err != nil {
			t.Fatal(err)
		}
	}
	return w, store
}

func number(t *testing.T, cell *string) float64 {
	t.Helper()
	if cell == nil {
		return math.NaN()
	}
	x, err := strconv.ParseFloat(*cell, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// A view of a metric says, day by day, what the metrics API answers; its cube adds up to it.
func TestViewsSayWhatTheAPIAnswers(t *testing.T) {
	w, store := lakeOf(t)
	p, views := builtIn(t)
	if n, err := view.Publish(t.Context(), w, w, views); err != nil || n != len(p.Layer.Definitions)-3+1 {
		t.Fatalf("%d views, %v", n, err)
	}
	source := &semantic.Source{Layer: p.Layer, Objects: store, Engine: w, Catalog: w, MaxBytes: 1 << 30}
	compared := 0
	for _, d := range p.Layer.Definitions {
		q := semantic.Question{Metric: d.Name, From: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 8, 0, 0, 0, 0, time.UTC), Grain: semantic.Day}
		plan, err := source.Plan(t.Context(), q)
		if err != nil || !d.ByPeriod() {
			continue // distinct days are by day here, and not served; a funnel has no view
		}
		rows, err := source.Rows(t.Context(), plan, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			value := math.NaN()
			if r.Value != nil {
				value = *r.Value
			}
			cube := "sum(value)"
			if d.Type == "ratio" {
				cube = "sum(numerator) / nullif(sum(denominator), 0e0)"
			}
			for _, sql := range []string{
				"select " + cube + " from metric_" + d.Name + " where event_date = " + lake.Quote(r.Period),
				"select value from metric_daily where event_date = " + lake.Quote(r.Period) + " and metric = " + lake.Quote(d.Name),
			} {
				got, err := w.Query(t.Context(), sql)
				if err != nil || len(got.Rows) != 1 {
					t.Fatalf("%v, %v\n%s", got, err, sql)
				}
				if x := number(t, got.Rows[0][0]); x != value && !(math.IsNaN(x) && math.IsNaN(value)) {
					t.Errorf("%s of %s: %v, want %v", d.Name, r.Period, x, value)
				}
				compared++
			}
		}
	}
	if compared < 40 {
		t.Errorf("only %d figures were compared", compared)
	}
	got, err := w.Query(t.Context(), "select sum(value) from metric_active_days_d3")
	if err != nil || number(t, got.Rows[0][0]) != 3 {
		t.Errorf("active days %v, %v", got, err)
	}
}

// What a view is said to have, it has: a catalog believes it.
func TestColumnsAreAsDescribed(t *testing.T) {
	w, store := lakeOf(t)
	results(t, w, store)
	_, views := builtIn(t)
	views = slices.DeleteFunc(views, func(v view.Source) bool { return v.Name == "experiment_decision" })
	if _, err := view.Publish(t.Context(), w, w, views); err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		got, err := w.Query(t.Context(), "select column_name, lower(column_type) from (describe "+v.Name+")")
		if err != nil {
			t.Fatal(err)
		}
		var columns []lake.Column
		for _, r := range got.Rows {
			kind := strings.Replace(*r[1], "timestamp", "timestamp(3)", 1)
			columns = append(columns, lake.Column{Name: *r[0], Type: kind})
		}
		if diff := cmp.Diff(v.Columns, columns); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
	}
}

func results(t *testing.T, w *duck.Warehouse, store *directory.Store) {
	t.Helper()
	for _, day := range []string{"2026-01-05", "2026-01-06"} {
		place := func(name string) table.Place {
			return table.Place{Table: name, Run: "1", PartitionBy: []string{"as_of"}, Values: []string{day}}
		}
		var rows []evaluate.Result
		var checks []evaluate.Check
		for _, id := range []string{"sound", "broken"} {
			rows = append(rows, evaluate.Result{ExperimentID: id, Metric: "m", Variant: "b", Effect: 0.5, EffectLow: math.Inf(-1), EffectHigh: 0.75, Lift: 0.1, AsOf: day})
			status := "pass"
			if id == "broken" && day == "2026-01-06" {
				status = "fail"
			}
			checks = append(checks, evaluate.Check{ExperimentID: id, Name: "srm", Status: status, AsOf: day}, evaluate.Check{ExperimentID: id, Name: "event_loss", Status: status, AsOf: day})
		}
		if err := table.Write(t.Context(), store, w, place("fact_experiment_results"), rows); err != nil {
			t.Fatal(err)
		}
		if err := table.Write(t.Context(), store, w, place("fact_experiment_check"), checks); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadoutsWithholdWhatIsInDoubt(t *testing.T) {
	w, store := lakeOf(t)
	results(t, w, store)
	_, views := builtIn(t)
	if _, err := view.Publish(t.Context(), w, w, views); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"select experiment_id, as_of, is_withheld, effect, effect_low, effect_high from experiment_readout order by experiment_id": "broken 2026-01-06 true NULL NULL NULL; sound 2026-01-06 false 0.5 NULL 0.75",
		"select as_of, effect from experiment_estimate where experiment_id = 'broken' order by as_of":                              "2026-01-05 0.5; 2026-01-06 NULL",
		"select as_of, name, status from experiment_health where is_latest and experiment_id = 'broken' order by name":             "2026-01-06 event_loss fail; 2026-01-06 srm fail",
	} {
		got, err := w.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, r := range got.Rows {
			var cells []string
			for _, c := range r {
				if c == nil {
					cells = append(cells, "NULL")
				} else {
					cells = append(cells, *c)
				}
			}
			lines = append(lines, strings.Join(cells, " "))
		}
		if diff := cmp.Diff(want, strings.Join(lines, "; ")); diff != "" {
			t.Errorf("%s\n%s", sql, diff)
		}
	}
}

// counting is a publisher that counts, and may refuse.
type counting struct {
	view.Publisher
	published []string
}

func (c *counting) PublishView(ctx context.Context, v view.View) error {
	c.published = append(c.published, v.Name)
	return c.Publisher.PublishView(ctx, v)
}

func TestPublishDoesWhatIsLeft(t *testing.T) {
	w, store := lakeOf(t)
	p, views := builtIn(t)
	c := &counting{Publisher: w}
	publish := func(views []view.Source) []string {
		t.Helper()
		c.published = nil
		if _, err := view.Publish(t.Context(), c, w, views); err != nil {
			t.Fatal(err)
		}
		return c.published
	}
	if first := publish(views); !slices.Contains(first, "metric_orders") || slices.ContainsFunc(first, func(n string) bool { return strings.HasPrefix(n, "experiment_") }) {
		t.Errorf("published %v: want metrics, and nothing of tables that are not there", first)
	}
	if again := publish(views); again != nil {
		t.Errorf("published %v again", again)
	}
	results(t, w, store)
	if diff := cmp.Diff([]string{"experiment_estimate", "experiment_health", "experiment_readout"}, publish(views)); diff != "" {
		t.Error(diff)
	}
	for i := range p.Layer.Definitions {
		if p.Layer.Definitions[i].Name == "orders" {
			p.Layer.Definitions[i].Version++
		}
	}
	changed, err := view.All(athenasql.Files, p.Layer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"metric_orders"}, publish(changed)); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenViewsAreRefused(t *testing.T) {
	p, _ := builtIn(t)
	const yml = "description: x\ncolumns: [{name: a, type: varchar}]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no description": {map[string]string{"views/v.sql": "select 1 as a"}, "views/v.sql:1: the view needs a description in views/v.yml"},
		"dialect":        {map[string]string{"views/v.sql": "select\n  a::int as a from ref('fact_event')", "views/v.yml": yml}, `views/v.sql:2: "::" is not in the dialect`},
		"unknown key":    {map[string]string{"views/v.sql": "select 1 as a", "views/v.yml": "describe: x"}, "views/v.yml:1"},
		"a circle":       {map[string]string{"views/v.sql": "select a from ref('u')", "views/v.yml": yml, "views/u.sql": "select a from ref('v')", "views/u.yml": yml}, "in a circle"},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for n, text := range c.files {
				files[n] = &fstest.MapFile{Data: []byte(text)}
			}
			if _, err := view.All(files, p.Layer); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}
