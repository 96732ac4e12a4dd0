package tracking_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"verdict/events"
	"verdict/shared/collect"
	"verdict/shared/fault"
	"verdict/shared/plan"
	"verdict/shared/tracking"
)

// canary is one in front of the real collector with a plan of ours or of somebody who took the event out.
func canary(t *testing.T, p *plan.Plan, keys map[string]string) (*tracking.Canary, *memory) {
	t.Helper()
	good := &memory{}
	server := httptest.NewServer(&collect.Handler{
		Plan: p, Good: good, Quarantine: &memory{}, Keys: collect.FixedKeys(map[string]string{"a": "shop", "b": "other"}),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	t.Cleanup(server.Close)
	return &tracking.Canary{
		Keys:  func(context.Context) (map[string]string, error) { return keys, nil },
		NewID: func() string { return "0192f0c1-0000-7000-8000-000000000001" }, Now: func() time.Time { return now },
		Sender: func(key string) *tracking.Sender {
			return &tracking.Sender{URL: server.URL + "/v1/events", Key: key, Name: "canary", Client: http.DefaultClient, Wait: func(context.Context, time.Duration) error { return context.Canceled }}
		},
	}, good
}

func TestCanary(t *testing.T) {
	p, err := plan.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	c, good := canary(t, p, map[string]string{"b": "other", "a": "shop"})
	if err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(good.lines) != 1 || good.lines[0]["event_name"] != tracking.CanaryEvent || good.lines[0]["namespace"] != "shop" || good.lines[0]["is_bot"] != false {
		t.Errorf("landed %v", good.lines)
	}
}

func TestACanaryThatDoesNotArriveSaysSo(t *testing.T) {
	without, err := plan.Load(fstest.MapFS{
		"plan.yaml":                {Data: []byte("events:\n  - {name: a, schema: 1-0-0, owner: o, description: d}\n")},
		"schemas/a/1-0-0.json":     {Data: []byte(`{"type": "object"}`)},
		"schemas/event-1-0-0.json": {Data: []byte(`{"type": "object"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]map[string]string{"no key": {}, "unknown key": {"zz": "shop"}, "not in the plan": {"a": "shop"}} {
		c, good := canary(t, without, keys)
		if err := c.Probe(t.Context()); err == nil || fault.Is(err, fault.Transient) || good.lines != nil {
			t.Errorf("%s: %v, landed %v", name, err, good.lines)
		}
	}
}
