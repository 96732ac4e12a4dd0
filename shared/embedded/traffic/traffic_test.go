package traffic_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"verdict/shared/embedded/shop"
	"verdict/shared/embedded/traffic"
)

func config() shop.Config {
	return shop.Config{
		Seed: 1, Visitors: 40, Days: 3, Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), WriteKey: "wk",
		Decide: func(string, string) shop.Decision { return shop.Decision{Variant: "control"} },
	}
}

func TestABatchIsSentNow(t *testing.T) {
	batches, err := traffic.Record(t.Context(), config(), 30)
	if err != nil || len(batches) != 30 {
		t.Fatalf("%d batches, %v", len(batches), err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, b := range batches {
		var body struct {
			WriteKey string    `json:"write_key"`
			SentAt   time.Time `json:"sent_at"`
			Events   []struct {
				At time.Time `json:"ts"`
			} `json:"events"`
		}
		if err := json.Unmarshal(b.Body(now), &body); err != nil {
			t.Fatal(err)
		}
		if off := body.SentAt.Sub(now).Abs(); body.WriteKey != "wk" || off > 24*time.Hour || len(body.Events) != b.Events || b.Events == 0 || b.Agent == "" {
			t.Errorf("%d events of %q, sent %s off: %+v", b.Events, b.Agent, off, body)
		}
		if body.Events[0].At.Year() != 2026 || body.Events[0].At.Month() != time.January {
			t.Errorf("an event of %s", body.Events[0].At)
		}
	}
}

func TestTooFewVisitorsSaySo(t *testing.T) {
	if _, err := traffic.Record(t.Context(), config(), 5000); err == nil {
		t.Error("40 visitors made 5,000 batches")
	}
}

// One call that stalls makes those after it late by what is left of the stall, and each of them counts.
func TestAStallCountsForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		free := make(chan struct{}, 1) // the server answers one at a time
		free <- struct{}{}
		took := traffic.Constant(t.Context(), time.Now, 10, 100, func(_ context.Context, i int) {
			calls.Add(1)
			<-free
			if i == 2 {
				time.Sleep(35 * time.Millisecond)
			}
			free <- struct{}{}
		})
		want := []int64{0, 0, 35, 25, 15, 5, 0, 0, 0, 0}
		for i, d := range took {
			if d.Milliseconds() != want[i] {
				t.Errorf("call %d took %s, want %d ms", i, d, want[i])
			}
		}
		if calls.Load() != 10 || traffic.Quantile(took, 0.5) != 0 || traffic.Quantile(took, 0.9) != 25*time.Millisecond || traffic.Quantile(took, 1) != 35*time.Millisecond {
			t.Errorf("%d calls, quantiles of %v", calls.Load(), took)
		}
	})
}
