package metricsapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/metricsapi"
	"verdict/shared/project"
	"verdict/shared/register"
	"verdict/shared/semantic"
	"verdict/shared/table"
)

const readKey = "rk_test"

// event is a row of fact_event, as far as the built-in metrics read it.
type event struct {
	Name       string    `lake:"event_name"`
	Value      float64   `lake:"value"`
	Bot        bool      `lake:"is_bot"`
	Properties string    `lake:"properties"`
	Context    string    `lake:"context"`
	At         time.Time `lake:"event_ts"`
	Day        string    `lake:"event_date"`
}

func january(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// rig is the API over a lake of its own.
type rig struct {
	http.Handler
	store     *directory.Store
	warehouse *duck.Warehouse
	source    *semantic.Source
	config    metricsapi.Config
	log       *log
}

// log keeps what a client is not told.
type log struct {
	slog.Handler
	said []string
}

func (*log) Enabled(context.Context, slog.Level) bool { return true }
func (l *log) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { l.said = append(l.said, a.String()); return true })
	return nil
}

// open makes an API over the built-in project and an empty lake.
func open(t *testing.T) *rig {
	t.Helper()
	r := &rig{store: &directory.Store{Root: t.TempDir()}, log: &log{}}
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if r.warehouse, err = duck.Open(t.Context(), r.store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.warehouse.Close() })
	r.source = &semantic.Source{Layer: p.Layer, Objects: r.store, Engine: r.warehouse, Catalog: r.warehouse, MaxBytes: 1 << 30}
	r.config = metricsapi.Config{
		Project: p, Source: r.source, Log: slog.New(r.log), Now: func() time.Time { return january(20) },
		Keys: func(context.Context) (map[string]string, error) { return map[string]string{readKey: "tests"}, nil },
	}
	r.Handler = metricsapi.New(r.config)
	return r
}

// filled is an API over ten days of events and three looks at two experiments.
func filled(t *testing.T) *rig {
	t.Helper()
	r := open(t)
	for n := 1; n <= 10; n++ {
		r.day(t, n, "1")
	}
	r.experiments(t)
	return r
}

// day publishes a day's events: on day n, n orders of 10.50 on a phone, one on a desktop without a currency, and two visits.
func (r *rig) day(t *testing.T, n int, run string) {
	t.Helper()
	at, value := january(n), 10.5
	add := func(name string, value float64, device, properties string) event {
		return event{Name: name, Value: value, Properties: properties, Context: fmt.Sprintf(`{"device":{"type":%q}}`, device), At: at.Add(time.Hour), Day: at.Format(time.DateOnly)}
	}
	rows := []event{
		add("order_completed", value, "desktop", "{}"),
		add("page_viewed", 0, "mobile", `{"page_type":"home"}`),
		add("page_viewed", 0, "mobile", `{"page_type":"cart"}`),
	}
	for range n {
		rows = append(rows, add("order_completed", value, "mobile", `{"currency":"EUR"}`))
	}
	publish(t, r, table.Place{Table: "fact_event", Run: run, PartitionBy: []string{"event_date"}, Values: []string{at.Format(time.DateOnly)}}, rows)
}

func publish[T any](t *testing.T, r *rig, to table.Place, rows []T) {
	t.Helper()
	if err := table.Write(t.Context(), r.store, r.warehouse, to, rows); err != nil {
		t.Fatal(err)
	}
}

// experiments publishes looks as of 9, 10 and 11 January. one_page_checkout is sound; new_navigation's split fails at
// the second look, and blocks it at the third.
func (r *rig) experiments(t *testing.T) {
	t.Helper()
	for n := 9; n <= 11; n++ {
		asOf := january(n).Format(time.DateOnly)
		look := func(id, metric, role string, effect float64) evaluate.Result {
			return evaluate.Result{
				ExperimentID: id, Definition: "0123456789abcdef", Metric: metric, Label: metric, Role: role, Kind: "conversion", Direction: "increase", Format: "percent",
				Variant: "treatment", Control: "control", UnitsControl: int64(100 * n), UnitsTreatment: int64(101 * n), MeanControl: 0.1, MeanTreatment: 0.1 + effect,
				Effect: effect, EffectLow: math.Inf(-1), EffectHigh: effect * 2, Lift: effect / 0.1, LiftLow: -1, LiftHigh: math.Inf(1), FixedP: 0.01, AnytimeP: 0.02,
				Status: "ok", AsOf: asOf, EvaluatedAt: january(n).Add(time.Hour),
			}
		}
		results := []evaluate.Result{
			look("one_page_checkout", "purchase_conversion_d3", "goal", 0.02), look("one_page_checkout", "returned_d1_d4", "guardrail", -0.001),
			look("new_navigation", "purchase_conversion_d3", "goal", 0.03),
		}
		results[1].Status, results[1].Reason = "insufficient", "No unit has a complete window yet."
		as := []string{"as_of"}
		publish(t, r, table.Place{Table: "fact_experiment_results", Run: "1", PartitionBy: as, Values: []string{asOf}}, results)
		srm := evaluate.Check{ExperimentID: "new_navigation", Name: "srm", Status: "pass", Value: 0.5, Threshold: 0.001, Detail: "The arms are as large as planned.", AsOf: asOf}
		if n > 9 {
			srm.Status, srm.Value, srm.Detail = "fail", 1e-9, "The arms are not as large as planned."
		}
		sound := evaluate.Check{ExperimentID: "one_page_checkout", Name: "srm", Status: "pass", Value: 0.4, Threshold: 0.001, Detail: "The arms are as large as planned.", AsOf: asOf}
		publish(t, r, table.Place{Table: "fact_experiment_check", Run: "1", PartitionBy: as, Values: []string{asOf}}, []evaluate.Check{srm, sound})
	}
	publish(t, r, table.Place{Table: "fact_experiment_registration", Run: "1"}, []register.Entry{
		{ExperimentID: "one_page_checkout", AsOf: "2026-01-05", Hash: "aaaa", Definition: "0123456789abcdef"},
		{ExperimentID: "one_page_checkout", AsOf: "2026-01-07", Hash: "bbbb", Definition: "0123456789abcdef", Changes: []register.Change{{Field: "planned_days", From: "14", To: "21"}}},
	})
	r.decide(t, "1", decide.Running)
}

// decide publishes decisions: of new_navigation after the first look, and the verdict of one_page_checkout.
func (r *rig) decide(t *testing.T, run string, verdict decide.Verdict) {
	t.Helper()
	decisions := []decide.Decision{
		{ID: "1", ExperimentID: "one_page_checkout", AsOf: "2026-01-09", Verdict: decide.Running, Headline: "Go on", Reasons: []decide.Reason{{Code: "early", Text: "It is early."}}, Mode: "auto", DecidedAt: january(9)},
		{ID: "2", ExperimentID: "one_page_checkout", AsOf: "2026-01-11", Verdict: verdict, Variant: "treatment", Headline: "Now", Reasons: []decide.Reason{{Code: "goal_better", Text: "It is better."}}, Mode: "auto", DecidedAt: january(11)},
	}
	publish(t, r, table.Place{Table: "fact_decision", Run: run}, decisions)
}

// get asks with a key.
func (r *rig) get(t *testing.T, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return r.ask(t, http.MethodGet, target, append([]string{"X-Api-Key", readKey}, header...)...)
}

func (r *rig) ask(t *testing.T, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "http://api.test"+metricsapi.Base+target, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w
}

const wideRows = 900

// wide publishes a day of many long texts: together more than a page holds.
func (r *rig) wide(t *testing.T) {
	t.Helper()
	at := january(15)
	rows := make([]event, wideRows)
	for i := range rows {
		rows[i] = event{Name: "product_viewed", Properties: fmt.Sprintf(`{"page_type":"%04d%s"}`, i, strings.Repeat("x", 8000)), Context: "{}", At: at, Day: at.Format(time.DateOnly)}
	}
	publish(t, r, table.Place{Table: "fact_event", Run: "wide", PartitionBy: []string{"event_date"}, Values: []string{at.Format(time.DateOnly)}}, rows)
}

// block publishes a decision that blocks new_navigation.
func (r *rig) block(t *testing.T) {
	t.Helper()
	publish(t, r, table.Place{Table: "fact_decision", Run: "block"}, []decide.Decision{
		{ID: "3", ExperimentID: "new_navigation", AsOf: "2026-01-11", Verdict: decide.Blocked, Headline: "Find out", Reasons: []decide.Reason{{Code: "srm", Text: "Too few in an arm."}}, DecidedAt: january(11)},
	})
}
