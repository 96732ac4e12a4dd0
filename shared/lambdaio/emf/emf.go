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
	"verdict/shared/monitor"
)

// Space is the namespace of all metrics in CloudWatch.
const Space = "Verdict"

// Collector writes the measurements of a collector, and the readings of a monitor.
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

// Readings writes what a monitor has read: of each metric the highest, which is what an alarm is for, and a line of
// the log for each reading above its limit.
func (c *Collector) Readings(ctx context.Context, readings []monitor.Reading) {
	highest := map[string]float64{}
	for _, r := range readings {
		highest[r.Name] = max(highest[r.Name], min(r.Value, 1e12)) // CloudWatch takes no infinity
		if r.High() {
			c.Log.WarnContext(ctx, "a reading is above its limit", slog.Any("reading", r.Name), slog.String("of", r.Of), slog.String("says", r.Says))
		}
	}
	metrics := map[string]any{}
	for name, value := range highest {
		metrics[name] = value
	}
	c.line(ctx, map[string]any{}, metrics)
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
