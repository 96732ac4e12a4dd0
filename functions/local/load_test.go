package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"verdict/shared/collect"
	"verdict/shared/embedded/delivery"
	"verdict/shared/embedded/directory"
)

func TestALoadReachesACollector(t *testing.T) {
	d, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	store := &directory.Store{Root: t.TempDir()}
	stream, err := delivery.Open(store.Path("spool"), "raw/", store)
	if err != nil {
		t.Fatal(err)
	}
	collector := &collect.Handler{Plan: d.Plan, Good: stream, Quarantine: stream, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Now: time.Now}
	var busy atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if busy.Load() {
			http.Error(w, "{}", http.StatusServiceUnavailable)
			return
		}
		collector.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	line := []string{"load", "--url", server.URL + "/v1/events", "--write-key", "wk", "--rate", "500", "--duration", "200ms", "--json"}
	out, progress, err := ran(t, line...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got loaded
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Requests != 100 || got.Failed != 0 || got.Accepted+got.Quarantined != got.Events || got.Accepted < 200 || got.P50 <= 0 || got.P99 < got.P50 || !strings.Contains(progress, "100 %") {
		t.Errorf("%+v\n%s", got, progress)
	}
	busy.Store(true)
	if _, _, err := ran(t, line...); err == nil || !strings.Contains(err.Error(), "100 of 100 requests failed, the first: the collector answered 503") {
		t.Errorf("of a busy collector: %v", err)
	}
	if _, _, err := ran(t, "load", "--rate", "0"); exitCode(t.Context(), err) != exitMisused {
		t.Errorf("without a rate: %v", err)
	}
}
