// Package emf writes measurements as CloudWatch's embedded metric format: lines of JSON in a Lambda's log,
// of which CloudWatch makes metrics without a call to it.
package emf

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"verdict/shared/collect"
)

// Space is the namespace of all metrics in CloudWatch.
const Space = "Verdict"

// Collector writes the measurements of a collector.
type Collector struct {
	W   io.Writer
	Now func() time.Time
	Log *slog.Logger

	mu sync.Mutex
}

type definition struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

type directive struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []definition `json:"Metrics"`
}

// Measure writes one line for the batch, and one for each contract that was broken and each cause of loss: a
// metric's dimensions are the same for a whole line.
func (c *Collector) Measure(ctx context.Context, m collect.Measurement) {
	c.line(ctx, map[string]any{"namespace": m.Namespace}, map[string]any{
		"Received": m.Received, "Accepted": m.Accepted, "Quarantined": m.Quarantined, "NotStored": m.NotStored, "Duplicated": m.Duplicated,
		"ClockSkew": m.Skew.Abs().Milliseconds(), "Latency": m.Took.Milliseconds(),
	})
	for _, contract := range slices.Sorted(maps.Keys(m.Broken)) {
		c.line(ctx, map[string]any{"namespace": m.Namespace, "contract": contract}, map[string]any{"ContractBroken": m.Broken[contract]})
	}
	for _, cause := range slices.Sorted(maps.Keys(m.Dropped)) {
		c.line(ctx, map[string]any{"namespace": m.Namespace, "cause": cause}, map[string]any{"ClientDropped": m.Dropped[cause]})
	}
}

func (c *Collector) line(ctx context.Context, dimensions, metrics map[string]any) {
	d := directive{Namespace: Space, Dimensions: [][]string{slices.Sorted(maps.Keys(dimensions))}}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		unit := "Count"
		if name == "ClockSkew" || name == "Latency" {
			unit = "Milliseconds"
		}
		d.Metrics = append(d.Metrics, definition{name, unit})
	}
	document := map[string]any{"_aws": map[string]any{"Timestamp": c.Now().UnixMilli(), "CloudWatchMetrics": []directive{d}}}
	maps.Copy(document, dimensions)
	maps.Copy(document, metrics)
	text, err := json.Marshal(document)
	if err == nil {
		c.mu.Lock()
		_, err = c.W.Write(append(text, '\n'))
		c.mu.Unlock()
	}
	if err != nil {
		c.Log.ErrorContext(ctx, "a metric was not written", slog.Any("error", err))
	}
}
