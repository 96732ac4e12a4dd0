package pipeline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/collect"
	"verdict/shared/decide"
	"verdict/shared/embedded/delivery"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/notify"
	"verdict/shared/pipeline"
	"verdict/shared/project"
	"verdict/shared/register"
)

// start is the first day of the built-in experiments.
func start() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

// untouched is a flag platform that nobody has a reason to change.
type untouched struct{ t *testing.T }

func (untouched) Flag(context.Context, string) (feature.Flag, error) { return feature.Flag{}, nil }
func (u untouched) Apply(_ context.Context, c decide.Change) (decide.Applied, error) {
	u.t.Errorf("flag %s was moved on next to no evidence", c.Flag)
	return decide.Applied{}, nil
}

func open(t *testing.T) (*pipeline.Pipeline, *directory.Store) {
	t.Helper()
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
	store := &directory.Store{Root: t.TempDir()}
	warehouse, err := duck.Open(t.Context(), store, landing...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { warehouse.Close() })
	runs := 0
	return &pipeline.Pipeline{
		Project: p, Objects: store, Engine: warehouse, Catalog: warehouse, Flags: untouched{t},
		NewRun:    func() string { runs++; return strconv.Itoa(runs) },
		Now:       func() time.Time { return start().AddDate(0, 0, 7) },
		ReadFlags: func(context.Context) ([]feature.Flag, error) { return nil, nil },
		Senders:   []notify.Sender{},
	}, store
}

// land collects one exposure and one order of each of a few people, as a browser would send them.
func land(t *testing.T, p *pipeline.Pipeline, store *directory.Store, people int) {
	t.Helper()
	stream, err := delivery.Open(t.TempDir(), "raw/", store)
	if err != nil {
		t.Fatal(err)
	}
	at := start().Add(10 * time.Hour)
	handler := &collect.Handler{Plan: p.Project.Plan, Good: stream, Quarantine: stream, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return at.Add(time.Hour) }}
	var events []json.RawMessage
	for i := range people {
		event := func(n int, name, properties string) {
			events = append(events, json.RawMessage(fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%06d%06d","event":%q,"schema":"1-0-0","ts":%q,"anonymous_id":"p%d","properties":%s}`,
				i, n, name, at.Add(time.Duration(n)*time.Minute).Format(time.RFC3339), i, properties)))
		}
		event(1, "experiment_exposed", fmt.Sprintf(`{"experiment_id":"one_page_checkout","variant":%q}`, []string{"control", "treatment"}[i%2]))
		event(2, "order_completed", fmt.Sprintf(`{"order_id":"o%d","value":%d,"currency":"EUR"}`, i, 10+i))
	}
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", strings.NewReader(string(body)))
	r.Header.Set("X-Write-Key", "wk")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if want := fmt.Sprintf(`"accepted":%d,"quarantined":0`, len(events)); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
		t.Fatalf("collector answered %d %s, want %s", w.Code, w.Body, want)
	}
	if err := stream.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func runAll(t *testing.T, p *pipeline.Pipeline) {
	t.Helper()
	for _, s := range p.Steps() {
		if err := s.Run(t.Context(), start().AddDate(0, 0, 7)); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
}

func TestEventsBecomeAResult(t *testing.T) {
	p, store := open(t)
	land(t, p, store, 10)
	runAll(t, p)
	type row struct {
		Metric  string  `lake:"metric"`
		Control int64   `lake:"units_control"`
		Treated int64   `lake:"units_treatment"`
		Before  float64 `lake:"mean_control"`
		After   float64 `lake:"mean_treatment"`
	}
	got, err := lake.Read[row](t.Context(), p.Engine, "select * from fact_experiment_results where experiment_id = 'one_page_checkout' and metric in ('purchase_conversion_d3', 'revenue_per_user_d3') order by metric")
	if err != nil {
		t.Fatal(err)
	}
	want := []row{
		{"purchase_conversion_d3", 5, 5, 1, 1},
		{"revenue_per_user_d3", 5, 5, 14, 15}, // 10, 12 … 18 against 11, 13 … 19
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	registered, err := register.History(t.Context(), store, "one_page_checkout")
	if err != nil || len(registered) != 1 || registered[0].Definition != p.Project.Experiments[3].Hash() || len(registered[0].Metrics) != 4 {
		t.Errorf("registered %+v, %v", registered, err)
	}
	history, err := decide.History(t.Context(), store, "one_page_checkout")
	if err != nil || len(history) != 1 || history[0].Verdict != decide.Running {
		t.Errorf("history %+v, %v; want that it runs", history, err)
	}
}

// What has not changed is not made anew.
func TestASecondRunMakesNoModelAnew(t *testing.T) {
	p, store := open(t)
	land(t, p, store, 10)
	runAll(t, p)
	locations := func() map[string][]string {
		out := map[string][]string{}
		for _, m := range p.Project.Models.Models {
			if slices.Contains([]string{"ledger_hour", "profile_property", "identity_signal"}, m.Name) { // the monitor makes them, or nobody by default
				continue
			}
			table, err := p.Catalog.Table(t.Context(), m.Name)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range table.Partitions {
				out[m.Name] = append(out[m.Name], part.Location)
			}
		}
		return out
	}
	before := locations()
	runAll(t, p)
	if diff := cmp.Diff(before, locations()); diff != "" {
		t.Errorf("-first +second run:\n%s", diff)
	}
}

func TestAnEmptyLakeSaysWhatToDo(t *testing.T) {
	p, _ := open(t)
	err := p.Model(t.Context(), start())
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "send some to the collector") {
		t.Errorf("error %v", err)
	}
}
