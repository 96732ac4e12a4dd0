// Package traffic makes traffic for a collector, wherever it runs: the shop's batches, recorded instead of sent, and a
// clock that calls at a constant rate however long each call takes.
package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"verdict/shared/embedded/shop"
)

// Batch is one request to a collector, as the browser SDK sends it.
type Batch struct {
	Agent  string
	Events int

	before, after []byte        // of the time at which it is sent
	skew          time.Duration // of the device's clock
}

// Body is the batch as its device would send it now, having kept it until then.
func (b Batch) Body(now time.Time) []byte {
	sent := now.Add(b.skew).UTC().Format("2006-01-02T15:04:05.000Z")
	return slices.Concat(b.before, []byte(sent), b.after)
}

// errEnough ends a recording.
var errEnough = errors.New("enough batches")

// Record plays the shop of a configuration, without a collector, until it has sent n batches.
func Record(ctx context.Context, config shop.Config, n int) ([]Batch, error) {
	r := recorder{wanted: n}
	config.CollectorURL, config.Client = "http://recorder.invalid/", &http.Client{Transport: &r}
	config.SetClock = func(t time.Time) { r.now = t } // between two ticks nothing is sent
	visits := shop.New(config)
	for day := range config.Days {
		if err := visits.PlayDay(ctx, day); err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
		if len(r.batches) == n {
			return r.batches, nil
		}
	}
	return nil, fmt.Errorf("record batches: %d visitors make %d in %d days, not %d", config.Visitors, len(r.batches), config.Days, n)
}

type recorder struct {
	wanted  int
	now     time.Time // of the shop
	mu      sync.Mutex
	batches []Batch
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	before, rest, _ := bytes.Cut(body, []byte(`"sent_at":"`))
	at, after, _ := bytes.Cut(rest, []byte(`"`))
	sent, err := time.Parse(time.RFC3339, string(at))
	if err != nil {
		return nil, fmt.Errorf("read batch: %w", err)
	}
	b := Batch{
		Agent: request.UserAgent(), Events: bytes.Count(after, []byte(`"event_id":"`)),
		before: slices.Concat(before, []byte(`"sent_at":"`)), after: slices.Concat([]byte(`"`), after), skew: sent.Sub(r.now),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.batches) == r.wanted {
		return nil, errEnough
	}
	r.batches = append(r.batches, b)
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: request}, nil
}

// Constant calls n times, rate times a second, and waits for all calls. It returns how long after its intended time
// each was done. A call waits for no other: a server that stalls has all who would have come meanwhile waiting, and
// each of them counts. (A client that waits for an answer before it asks again leaves them out: "coordinated omission",
// https://github.com/giltene/wrk2#acknowledgements-and-the-coordinated-omission-problem.)
func Constant(ctx context.Context, now func() time.Time, n int, rate float64, call func(ctx context.Context, i int)) []time.Duration {
	took := make([]time.Duration, n)
	var group sync.WaitGroup
	begun := now()
	for i := range n {
		intended := begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			group.Wait()
			return took[:i]
		case <-time.After(intended.Sub(now())):
		}
		group.Go(func() {
			call(ctx, i)
			took[i] = now().Sub(intended)
		})
	}
	group.Wait()
	return took
}

// Quantile is the least duration that a share of all does not exceed.
func Quantile(all []time.Duration, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	ordered := slices.Sorted(slices.Values(all))
	return ordered[max(0, int(math.Ceil(share*float64(len(ordered))))-1)]
}
