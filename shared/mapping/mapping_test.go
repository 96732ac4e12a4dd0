package mapping_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/events"
	"verdict/shared/collect"
	"verdict/shared/embedded/duck"
	"verdict/shared/mapping"
	"verdict/shared/plan"
	"verdict/shared/tracking"
)

const orders = `name: orders
events:
  - event: order_completed
    where: cast(amount as double) > 0
    ts: placed
    user_id: customer
    properties:
      order_id: number
      value: cast(amount as double)
      currency: "'EUR'"
      coupon: nullif(coupon, '')
`

const rows = `number,customer,placed,amount,coupon
1,ann,2026-01-05 10:00:00,12.50,
2,bob,2026-01-05T11:00:00Z,0,
3,bob,2026-01-06,30,SUMMER
3,bob,2026-01-06,30,SUMMER
`

func trackingPlan(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := plan.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t *testing.T, text string) *mapping.Mapping {
	t.Helper()
	m, err := mapping.Load("orders.yaml", []byte(text), trackingPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func file(t *testing.T, text string) *duck.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := duck.OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

type event struct {
	ID         string         `json:"event_id"`
	Event      string         `json:"event"`
	Schema     string         `json:"schema"`
	Time       string         `json:"ts"`
	UserID     string         `json:"user_id"`
	Properties map[string]any `json:"properties"`
}

func eventsOf(t *testing.T, m *mapping.Mapping, text string) []event {
	t.Helper()
	var out []event
	err := m.Each(t.Context(), file(t, text), func(body json.RawMessage) error {
		var e event
		out = append(out, e)
		return json.Unmarshal(body, &out[len(out)-1])
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out, func(a, b event) int { return strings.Compare(a.Time+a.ID, b.Time+b.ID) })
	return out
}

func TestRowsBecomeEvents(t *testing.T) {
	m := load(t, orders)
	got := eventsOf(t, m, rows)
	ids := map[string]bool{}
	for i := range got {
		ids[got[i].ID] = true
		got[i].ID = ""
	}
	order := func(at, user, number string, value float64, coupon string) event {
		e := event{Event: "order_completed", Schema: "1-0-0", Time: at, UserID: user, Properties: map[string]any{"order_id": number, "value": value, "currency": "EUR"}}
		if coupon != "" {
			e.Properties["coupon"] = coupon
		}
		return e
	}
	want := []event{
		order("2026-01-05T10:00:00.000Z", "ann", "1", 12.5, ""),
		order("2026-01-06T00:00:00.000Z", "bob", "3", 30, "SUMMER"),
		order("2026-01-06T00:00:00.000Z", "bob", "3", 30, "SUMMER"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(ids) != 3 {
		t.Errorf("%d ids for 3 events: rows that say the same are rows of their own", len(ids))
	}
	if n, err := m.Count(t.Context(), file(t, rows)); err != nil || n != 3 {
		t.Errorf("counted %d events, %v, want 3", n, err)
	}
}

// An id depends on what its row says, and on nothing that changes when the file is exported anew.
func TestIDsOutliveANewExport(t *testing.T) {
	m := load(t, orders)
	ids := func(text string) []string {
		var out []string
		for _, e := range eventsOf(t, m, text) {
			out = append(out, e.ID)
		}
		slices.Sort(out)
		return out
	}
	before := ids(rows)
	lines := strings.Split(strings.TrimSpace(rows), "\n")
	turned := append([]string{lines[0]}, lines[4], lines[3], lines[2], lines[1])
	if diff := cmp.Diff(before, ids(strings.Join(turned, "\n"))); diff != "" {
		t.Errorf("another order of rows: -before +after\n%s", diff)
	}
	grown := ids(rows + "4,cid,2026-01-07,7.5,\n")
	for _, id := range before {
		if !slices.Contains(grown, id) {
			t.Errorf("event %s has another id in the file that has grown", id)
		}
	}
	if len(grown) != len(before)+1 {
		t.Errorf("%d events in the file that has grown by one, want %d", len(grown), len(before)+1)
	}
}

func TestBrokenMappingsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown key":        {"where:", "were:", `orders.yaml:4: unknown field "were"`},
		"no name":            {"name: orders", "name: ''", "orders.yaml:1: name is missing"},
		"unknown event":      {"event: order_completed", "event: order_complete", `orders.yaml:3: event "order_complete" is not in the tracking plan`},
		"no time":            {"    ts: placed\n", "", "orders.yaml:3: order_completed needs ts"},
		"nobody":             {"    user_id: customer\n", "", "orders.yaml:3: order_completed needs user_id or anonymous_id"},
		"unknown property":   {"coupon: ", "voucher: ", "orders.yaml:11: order_completed has no property voucher; it has coupon, currency"},
		"missing property":   {"      currency: \"'EUR'\"\n", "", "order_completed needs the property currency"},
		"not YAML":           {"events:", "events: [", "orders.yaml:"},
		"unknown column":     {"user_id: customer", "user_id: client", `orders.yaml:6: user_id of order_completed: run query: Binder Error: Referenced column "client" not found`},
		"broken expression":  {"coupon: nullif(coupon, '')", "coupon: nullif(coupon", "orders.yaml:11: properties.coupon of order_completed"},
		"condition no truth": {"where: cast(amount as double) > 0", "where: number || 'x'", "orders.yaml:4: where of order_completed"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(orders, c.from, c.to, 1)
			if text == orders {
				t.Fatal("the case changes nothing")
			}
			m, err := mapping.Load("orders.yaml", []byte(text), trackingPlan(t))
			if err == nil {
				err = m.Try(t.Context(), file(t, rows))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	if err := load(t, orders).Try(t.Context(), file(t, rows)); err != nil {
		t.Errorf("the sound mapping is refused: %v", err)
	}
}

// memory is a stream that keeps what it acknowledges.
type memory struct{ lines []string }

func (m *memory) Put(_ context.Context, records [][]byte) ([]int, error) {
	for _, r := range records {
		m.lines = append(m.lines, strings.Split(strings.TrimSpace(string(r)), "\n")...)
	}
	return nil, nil
}

// Whatever goes wrong on the way, in the end the real collector has every event, and each once
// by its id.
func TestSendingSurvivesABadWay(t *testing.T) {
	good, bad := &memory{}, &memory{}
	collector := &collect.Handler{Plan: trackingPlan(t), Good: good, Quarantine: bad, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Log: slog.New(slog.DiscardHandler), Now: time.Now}
	call := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call++
		switch call {
		case 1:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case 2: // stored, but the answer is lost
			collector.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 3:
			http.Error(w, "slow down", http.StatusTooManyRequests)
		default:
			collector.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	var pauses []time.Duration
	s := &tracking.Sender{URL: server.URL + "/v1/events", Key: "wk", Client: server.Client(), Wait: func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}}
	var text strings.Builder
	text.WriteString("number,customer,placed,amount,coupon\n")
	const count = 1203 // three batches
	for i := range count {
		text.WriteString(strings.Repeat("9", i%7+1) + ",ann,2026-01-05,1" + strings.Repeat("0", i%3) + ",\n")
	}
	text.WriteString(",ann,2026-01-05,1,\n") // an order without a number breaks its contract
	m := load(t, orders)
	if err := m.Each(t.Context(), file(t, text.String()), func(e json.RawMessage) error { return s.Add(t.Context(), e) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, line := range good.lines {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
	}
	if len(ids) != count {
		t.Errorf("%d events arrived, want %d", len(ids), count)
	}
	sent := s.Sent()
	if sent.Accepted != count || sent.Quarantined != 1 || len(sent.Failures) != 1 || sent.Failures[0].Failures[0].Path != "/properties/order_id" {
		t.Errorf("sent %+v, want %d accepted and one in quarantine for its order_id", sent, count)
	}
	if diff := cmp.Diff([]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}, pauses); diff != "" {
		t.Errorf("pauses -want +got:\n%s", diff)
	}
}

func TestABadKeyIsNotTriedAgain(t *testing.T) {
	collector := &collect.Handler{Plan: trackingPlan(t), Good: &memory{}, Quarantine: &memory{}, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Log: slog.New(slog.DiscardHandler), Now: time.Now}
	server := httptest.NewServer(collector)
	defer server.Close()
	s := &tracking.Sender{URL: server.URL + "/v1/events", Key: "other", Client: server.Client(), Wait: func(context.Context, time.Duration) error {
		t.Error("it was tried again")
		return nil
	}}
	if err := s.Add(t.Context(), json.RawMessage(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("error %v, want the collector's 401", err)
	}
}
