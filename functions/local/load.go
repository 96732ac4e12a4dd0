package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"time"

	"verdict/shared/embedded/shop"
	"verdict/shared/embedded/traffic"
	"verdict/shared/fault"
)

// loadDays is how far back the events of a load lie: people come back within it, and none is too old to be taken.
const loadDays = 7

// loaded is what became of a load.
type loaded struct {
	Requests    int     `json:"requests"`
	Failed      int     `json:"failed"`
	Events      int     `json:"events"`
	Accepted    int     `json:"accepted"`
	Quarantined int     `json:"quarantined"`
	PerSecond   float64 `json:"requests_per_second"`
	P50         float64 `json:"p50_ms"` // from when a request was to be sent
	P99         float64 `json:"p99_ms"`
	Max         float64 `json:"max_ms"`
	Problem     string  `json:"problem,omitempty"` // the first
}

// load is `verdict load`.
func (p program) load(ctx context.Context, flags *flag.FlagSet, args []string) error {
	url := flags.String("url", "http://"+defaultAddress+"/v1/events", "where the collector takes events")
	key := flags.String("write-key", writeKey, "write key of the collector")
	rate := flags.Float64("rate", 20, "requests a second; a visit of three to four events each")
	duration := flags.Duration("duration", 30*time.Second, "for how long")
	seed := flags.Uint64("seed", 0, "other visitors (default: others each time)")
	asJSON := flags.Bool("json", false, "print the result as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	n := int(*rate * duration.Seconds())
	if n < 1 {
		return wrongUse("load wants a rate and a duration that make at least one request")
	}
	now := p.now()
	if *seed == 0 {
		*seed = uint64(now.UnixNano()) //nolint:gosec // it is positive
	}
	// Nobody is in an experiment: a load test moves no readout.
	batches, err := traffic.Record(ctx, shop.Config{
		Seed: *seed, Visitors: n + 100, Days: loadDays, Start: now.UTC().AddDate(0, 0, -loadDays).Truncate(24 * time.Hour), WriteKey: *key,
		Decide: func(string, string) shop.Decision { return shop.Decision{Variant: "control"} },
	}, n)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 256}}
	b, begun := newBoard(p.err, p.live, n, "load"), p.now()
	var result loaded
	var mu sync.Mutex
	took := traffic.Constant(ctx, p.now, n, *rate, func(ctx context.Context, i int) {
		accepted, quarantined, err := offer(ctx, client, *url, batches[i].Agent, batches[i].Body(p.now()))
		mu.Lock()
		defer mu.Unlock()
		result.Requests++
		result.Events += batches[i].Events
		result.Accepted += accepted
		result.Quarantined += quarantined
		if err != nil {
			result.Failed++
			if result.Problem == "" {
				result.Problem = err.Error()
			}
		}
		b.moved("load", result.Requests)
	})
	ms := func(share float64) float64 { return traffic.Quantile(took, share).Seconds() * 1000 }
	result.P50, result.P99, result.Max = ms(0.5), ms(0.99), ms(1)
	result.PerSecond = float64(result.Requests) / p.now().Sub(begun).Seconds()
	if err := p.printLoaded(result, *asJSON); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if result.Failed > 0 {
		return fault.New(fault.Transient, "%d of %d requests failed, the first: %s", result.Failed, result.Requests, result.Problem)
	}
	return nil
}

// offer sends a batch once: who measures does not repeat.
func offer(ctx context.Context, client *http.Client, url, agent string, body []byte) (accepted, quarantined int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("User-Agent", agent)
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	var answer struct{ Accepted, Quarantined int }
	err = json.NewDecoder(response.Body).Decode(&answer)
	if response.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("the collector answered %s", response.Status)
	}
	return answer.Accepted, answer.Quarantined, err
}

func (p program) printLoaded(r loaded, asJSON bool) error {
	if asJSON {
		return p.printJSON(r)
	}
	_, err := fmt.Fprintf(p.out, "%d requests, %.1f a second, %d failed; %d events: %d accepted, %d in quarantine.\nAn answer came after %.1f ms (half of them), %.1f ms (99 %%), %.1f ms (all).\n",
		r.Requests, r.PerSecond, r.Failed, r.Events, r.Accepted, r.Quarantined, r.P50, r.P99, r.Max)
	return err
}
