package tracking_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/events"
	"verdict/shared/collect"
	"verdict/shared/plan"
	"verdict/shared/tracking"
)

var now = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

// memory is a stream that keeps lines.
type memory struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (m *memory) Put(_ context.Context, records [][]byte) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		for line := range bytes.Lines(r) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				return nil, err
			}
			m.lines = append(m.lines, v)
		}
	}
	return nil, nil
}

// start is a tracker in front of the real collector, through a way that may be bad.
func start(t *testing.T, way func(call int, w http.ResponseWriter, r *http.Request, through http.Handler), change func(*tracking.Config)) (*tracking.Tracker, *memory, *memory) {
	t.Helper()
	p, err := plan.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := &memory{}, &memory{}
	collector := &collect.Handler{
		Plan: p, Good: good, Quarantine: bad, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return now },
	}
	var mu sync.Mutex
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls++
		call := calls
		mu.Unlock()
		if way == nil {
			collector.ServeHTTP(w, r)
			return
		}
		way(call, w, r, collector)
	}))
	t.Cleanup(server.Close)
	id := 0
	c := tracking.Config{
		URL: server.URL + "/v1/events", Key: "wk", Client: server.Client(), Every: time.Millisecond,
		Now:  func() time.Time { return now },
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		NewID: func() string {
			id++
			return fmt.Sprintf("0192f0c1-0000-7000-8000-%012d", id)
		},
	}
	if change != nil {
		change(&c)
	}
	tracker, err := tracking.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return tracker, good, bad
}

func viewed(n int) tracking.Event {
	return tracking.Event{Name: "search_performed", UserID: fmt.Sprintf("u-%d", n), Properties: map[string]any{"results": n}}
}

func TestEveryEventArrivesOverABadWay(t *testing.T) {
	tracker, good, bad := start(t, func(call int, w http.ResponseWriter, r *http.Request, through http.Handler) {
		switch call % 4 {
		case 1:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case 2: // stored, and the answer is lost
			through.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			through.ServeHTTP(w, r)
		}
	}, nil)
	const count = 1700
	for n := range count {
		if err := tracker.Track(viewed(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tracker.Track(tracking.Event{Name: "page_viewed", UserID: "u", Properties: map[string]any{"page_type": "moon"}}); err != nil {
		t.Fatal(err)
	}
	if err := tracker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := map[any]bool{}
	for _, line := range good.lines {
		ids[line["event_id"]] = true
	}
	if len(ids) != count || len(bad.lines) < 1 {
		t.Errorf("%d events arrived and %d are in quarantine, want %d and some", len(ids), len(bad.lines), count)
	}
	if err := tracker.Track(viewed(0)); err == nil || tracker.Dropped() != 1 {
		t.Errorf("after the end: %v, %d dropped", err, tracker.Dropped())
	}
}

func TestExposuresAreSentOnce(t *testing.T) {
	tracker, good, _ := start(t, nil, nil)
	x := tracking.Exposure{Experiment: "one_page_checkout", Variant: "treatment", Flag: "checkout", UserID: "u-1", Source: "optimizely"}
	other := x
	other.UserID = "u-2"
	for _, one := range []tracking.Exposure{x, x, other, x} {
		if err := tracker.Expose(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := tracker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(good.lines) != 2 {
		t.Fatalf("%d exposures, want 2", len(good.lines))
	}
	line := good.lines[0]
	if diff := cmp.Diff(map[string]any{"experiment_id": "one_page_checkout", "variant": "treatment", "flag_key": "checkout", "source": "optimizely"}, line["properties"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if line["event_ts"] != "2026-01-05T10:00:00.000Z" || line["user_id"] != "u-1" {
		t.Errorf("landed as %v", line)
	}
}

func TestAServersClockIsCorrected(t *testing.T) {
	tracker, good, _ := start(t, nil, func(c *tracking.Config) {
		c.Now = func() time.Time { return now.Add(26 * time.Hour) }
	})
	if err := tracker.Track(viewed(1)); err != nil {
		t.Fatal(err)
	}
	if err := tracker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := good.lines[0]["event_ts"]; got != "2026-01-05T10:00:00.000Z" {
		t.Errorf("event_ts %v, want the collector's time", got)
	}
}

func TestWhatCannotBeDeliveredIsCounted(t *testing.T) {
	refused, _, _ := start(t, func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "no", http.StatusUnauthorized)
	}, nil)
	for n := range 3 {
		if err := refused.Track(viewed(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := refused.Close(t.Context()); err == nil || refused.Dropped() != 3 {
		t.Errorf("a bad key: %v, %d dropped", err, refused.Dropped())
	}

	// A collector that never answers, and a full buffer.
	release := make(chan struct{})
	stuck, _, _ := start(t, func(_ int, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, func(c *tracking.Config) { c.Buffer = 2 })
	t.Cleanup(func() { close(release) })
	full := false
	for n := range 2000 {
		full = full || stuck.Track(viewed(n)) != nil
	}
	if !full {
		t.Error("a full buffer took 2,000 events")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := stuck.Close(ctx); err == nil {
		t.Error("closing in vain says nothing")
	}
}

func TestATrackerNeedsItsParts(t *testing.T) {
	if _, err := tracking.New(t.Context(), tracking.Config{URL: "http://127.0.0.1"}); err == nil {
		t.Error("no key, no clock: no error")
	}
	tracker, _, _ := start(t, nil, nil)
	defer tracker.Close(t.Context())
	var bad *json.UnsupportedTypeError
	if err := tracker.Track(tracking.Event{Name: "x", Properties: map[string]any{"f": func() {}}}); !errors.As(err, &bad) {
		t.Errorf("properties that are no JSON: %v", err)
	}
}
