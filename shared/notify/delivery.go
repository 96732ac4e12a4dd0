package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

const (
	// firstRetry is below the minute after which Lambda tries again what failed.
	firstRetry = 50 * time.Second
	// longestRetry keeps a channel that is repaired from waiting for longer than a morning.
	longestRetry = 6 * time.Hour
)

// Delivery is what became of a message on a channel: one object per message and channel.
type Delivery struct {
	MessageID    string    `json:"message_id"`
	Channel      string    `json:"channel"`
	Kind         string    `json:"kind"`
	Subject      string    `json:"subject"`
	Severity     string    `json:"severity"`
	ExperimentID string    `json:"experiment_id,omitempty"`
	Attempts     int       `json:"attempts"`
	LastAttempt  time.Time `json:"last_attempt,omitzero"`
	LastError    string    `json:"last_error,omitempty"` // of the last attempt that failed
	NextAttempt  time.Time `json:"next_attempt,omitzero"`
	HeldUntil    time.Time `json:"held_until,omitzero"` // by quiet hours
	SentAt       time.Time `json:"sent_at,omitzero"`    // zero: it is still to come
}

// Sent tells whether the channel has had the message.
func (d Delivery) Sent() bool { return !d.SentAt.IsZero() }

// failed notes an attempt that failed, and when the next may come: each waits twice as long as the one before.
func (d *Delivery) failed(err error, now time.Time) {
	d.Attempts, d.LastAttempt, d.LastError = d.Attempts+1, now, err.Error()
	wait := longestRetry
	if shift := d.Attempts - 1; shift < 16 { //nolint:mnd // beyond which it is longest anyway
		wait = min(longestRetry, firstRetry<<shift)
	}
	d.NextAttempt = now.Add(wait)
}

const prefix = "notifications/"

func (d Delivery) key() string { return prefix + d.MessageID + "/" + d.Channel }

// delivery reads what became of a message; of one that was never tried it is a new one.
func delivery(ctx context.Context, objects lake.Objects, m Message, channel string) (Delivery, error) {
	d := Delivery{MessageID: m.ID, Channel: channel, Kind: m.Kind, Subject: m.Subject, Severity: m.Severity, ExperimentID: m.Decision.ExperimentID}
	body, err := objects.Get(ctx, d.key())
	if fault.Is(err, fault.NotFound) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("read delivery: %w", err)
	}
	return parse(d, body)
}

// parse reads a delivery. An earlier version of Verdict left empty marks of what it had sent.
func parse(d Delivery, body []byte) (Delivery, error) {
	if len(body) == 0 {
		d.Attempts, d.SentAt = 1, time.Unix(0, 0).UTC()
		return d, nil
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return d, fmt.Errorf("read delivery %s: %w", d.key(), err)
	}
	return d, nil
}

func (d Delivery) write(ctx context.Context, objects lake.Objects) error {
	body, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("write delivery: %w", err)
	}
	if err := objects.Put(ctx, d.key(), body, lake.Overwrite); err != nil {
		return fmt.Errorf("write delivery: %w", err)
	}
	return nil
}

// Deliveries lists what became of all messages.
func Deliveries(ctx context.Context, objects lake.Objects) ([]Delivery, error) {
	list, err := objects.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	var out []Delivery
	for _, o := range list {
		if strings.HasPrefix(o.Key, digests) {
			continue
		}
		body, err := objects.Get(ctx, o.Key)
		if err != nil {
			return nil, fmt.Errorf("read delivery: %w", err)
		}
		id, channel := path.Split(strings.TrimPrefix(o.Key, prefix))
		d, err := parse(Delivery{MessageID: strings.TrimSuffix(id, "/"), Channel: channel}, body)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
