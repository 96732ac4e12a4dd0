package optimizely

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestPaceSpreadsWhatComesAtOnce(t *testing.T) {
	const requests = 300
	var p pace
	var mu sync.Mutex
	var delays []time.Duration
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var group sync.WaitGroup
	for range requests {
		group.Go(func() {
			d := p.reserve(now)
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, d)
		})
	}
	group.Wait()
	slices.Sort(delays)
	for i, d := range delays {
		if i >= 2 && d-delays[i-2] < time.Second {
			t.Fatalf("requests %d and %d are %v apart, want a second", i-2, i, d-delays[i-2])
		}
		if i >= 120 && d-delays[i-120] < time.Minute {
			t.Fatalf("requests %d and %d are %v apart, want a minute", i-120, i, d-delays[i-120])
		}
	}
	if want := (requests/2 - 1) * paceWindow; delays[requests-1] != want {
		t.Errorf("the last waits %v, want %v: no longer than needed", delays[requests-1], want)
	}
}
