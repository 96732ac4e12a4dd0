package tracking

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"verdict/shared/fault"
)

// CanaryEvent is what a Canary sends.
const CanaryEvent = "pipeline_probed"

// Canary sends one event through the collector, as any client does.
type Canary struct {
	Keys   func(ctx context.Context) (map[string]string, error) // write keys; the first in the alphabet is taken
	Sender func(key string) *Sender
	NewID  func() string
	Now    func() time.Time
}

// Probe sends the event and wants it stored as valid.
func (c *Canary) Probe(ctx context.Context) error {
	keys, err := c.Keys(ctx)
	if err != nil {
		return fmt.Errorf("probe pipeline: %w", err)
	}
	if len(keys) == 0 {
		return fault.New(fault.NotFound, "probe pipeline: there is no write key")
	}
	event, err := json.Marshal(Event{
		ID: c.NewID(), Name: CanaryEvent, Schema: firstSchema, At: c.Now().UTC(), AnonymousID: "canary", Properties: map[string]any{"sender": "canary"},
	})
	if err != nil {
		return fmt.Errorf("probe pipeline: %w", err)
	}
	s := c.Sender(slices.Min(slices.Collect(maps.Keys(keys))))
	if err := s.Add(ctx, event); err != nil {
		return fmt.Errorf("probe pipeline: %w", err)
	}
	if err := s.Flush(ctx); err != nil {
		return fmt.Errorf("probe pipeline: %w", err)
	}
	if sent := s.Sent(); sent.Accepted != 1 {
		return fault.New(fault.Invalid, "probe pipeline: the canary went to quarantine: %v", sent.Failures)
	}
	return nil
}
