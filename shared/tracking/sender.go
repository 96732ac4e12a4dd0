// Package tracking sends events to a collector from Go: at least once, in batches, with patience. Tracker is
// for servers, which must not wait; Sender for programs that want to know what became of each event.
package tracking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"verdict/shared/fault"
	"verdict/shared/plan"
)

const (
	// The collector takes at most 500 events and 1 MiB a batch; the rest is for the frame around them.
	maxEvents = 500
	maxBytes  = 1<<20 - 1<<10
	// attempts and firstPause make about a minute and a half of patience: 0.5, 1, 2 … 32 s, 5 times more
	// than the collector takes to start anew.
	attempts   = 8
	firstPause = 500 * time.Millisecond
)

// Sender sends events to a collector in batches, as any other client does, and does not give up on a
// batch before the collector has stored every event of it.
type Sender struct {
	URL    string // of POST /v1/events
	Key    string // write key
	Name   string // of the program, as the collector is told
	Client *http.Client
	Wait   func(ctx context.Context, d time.Duration) error
	// SentAt stamps each attempt with the clock by which the events were timed, so that the collector can
	// correct it; nil for events whose times come from elsewhere.
	SentAt func() time.Time

	batch []json.RawMessage
	size  int
	sent  Sent
}

// Sent says what became of the events.
type Sent struct {
	Accepted    int          `json:"accepted"`
	Quarantined int          `json:"quarantined"`
	Failures    []Quarantine `json:"failures,omitempty"` // the first few
}

// Quarantine is why one event is in quarantine.
type Quarantine struct {
	EventID  string         `json:"event_id"`
	Failures []plan.Failure `json:"failures"`
}

// Sent tells what has become of the events so far.
func (s *Sender) Sent() Sent { return s.sent }

// Add puts an event into the batch, and sends the batch when it is full.
func (s *Sender) Add(ctx context.Context, event json.RawMessage) error {
	if len(s.batch) == maxEvents || s.size+len(event) > maxBytes {
		if err := s.Flush(ctx); err != nil {
			return err
		}
	}
	s.batch = append(s.batch, event)
	s.size += len(event) + 1
	return nil
}

// Flush sends what is in the batch. A batch of which a part was stored is sent again whole: every
// event keeps its id, and by it the warehouse counts it once.
func (s *Sender) Flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	pause := firstPause
	for attempt := 1; ; attempt++ {
		body, err := s.body()
		if err != nil {
			return fmt.Errorf("write batch: %w", err)
		}
		err = s.post(ctx, body)
		if err == nil {
			break
		}
		if !fault.Is(err, fault.Transient) || attempt == attempts {
			return err
		}
		if err := s.Wait(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
	s.batch, s.size = s.batch[:0], 0
	return nil
}

func (s *Sender) body() ([]byte, error) {
	frame := map[string]any{"sdk": map[string]string{"name": s.Name, "version": "1"}, "events": s.batch}
	if s.SentAt != nil {
		frame["sent_at"] = s.SentAt().UTC().Format(time.RFC3339Nano)
	}
	return json.Marshal(frame)
}

func (s *Sender) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, "send batch: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Write-Key", s.Key)
	response, err := s.Client.Do(request)
	if err != nil {
		return fault.New(fault.Transient, "send batch: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read whole
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fault.New(fault.Transient, "read answer: %w", err)
	}
	switch {
	case response.StatusCode == http.StatusOK:
	case slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooManyRequests}, response.StatusCode), response.StatusCode >= http.StatusInternalServerError:
		return fault.New(fault.Transient, "send batch: the collector answered %s", response.Status)
	default:
		return fault.New(fault.Invalid, "send batch: the collector answered %s: %w", response.Status, errors.New(string(text)))
	}
	var answer struct {
		Accepted    int          `json:"accepted"`
		Quarantined int          `json:"quarantined"`
		Quarantine  []Quarantine `json:"quarantine"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	s.sent.Accepted += answer.Accepted
	s.sent.Quarantined += answer.Quarantined
	const shown = 5 // enough to see the pattern
	room := shown - len(s.sent.Failures)
	s.sent.Failures = append(s.sent.Failures, answer.Quarantine[:min(len(answer.Quarantine), room)]...)
	return nil
}
