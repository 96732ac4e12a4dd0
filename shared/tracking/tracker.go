package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Event is one event of the tracking plan as the collector wants it.
type Event struct {
	ID          string            `json:"event_id"`
	Name        string            `json:"event"`
	Schema      string            `json:"schema"`
	At          time.Time         `json:"ts"`
	AnonymousID string            `json:"anonymous_id,omitempty"`
	UserID      string            `json:"user_id,omitempty"`
	SessionID   string            `json:"session_id,omitempty"`
	Consent     map[string]string `json:"consent,omitempty"`
	Experiments []Assignment      `json:"experiments,omitempty"`
	Properties  map[string]any    `json:"properties"`
}

// Assignment is the variant that a unit is in.
type Assignment struct {
	ID      string `json:"id"`
	Variant string `json:"variant"`
	Source  string `json:"source,omitempty"`
}

// Exposure says that a unit saw its variant: who decided, by which rule of which flag.
type Exposure struct {
	Experiment string
	Variant    string
	Flag       string
	UserID     string
	Source     string
}

const (
	firstSchema   = "1-0-0"
	defaultBuffer = 10_000 // events in memory, some 10 MB
	defaultEvery  = 2 * time.Second
)

// Config is what a Tracker needs; URL, Key, NewID and Now must be there.
type Config struct {
	URL    string // of POST /v1/events
	Key    string // write key
	Client *http.Client
	NewID  func() string // a new UUID, best of version 7
	Now    func() time.Time
	Wait   func(ctx context.Context, d time.Duration) error // default: a timer
	Log    *slog.Logger
	Every  time.Duration // between batches that are not full, default 2 s
	Buffer int           // events that may wait, default 10,000; more are dropped and counted
}

// Tracker sends events in the background, so that a request never waits for a collector. It keeps what it
// cannot deliver, as far as the buffer goes, and tells how many it gave up. Close it before the process
// ends. It is safe for concurrent use.
type Tracker struct {
	config Config
	sender *Sender
	queue  chan json.RawMessage
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
	seen    map[Exposure]bool
}

// mostSeen bounds the memory for exposures that were sent: from there on, they are sent again, and the
// warehouse keeps the first of each unit.
const mostSeen = 100_000

// New starts a tracker, which runs until Close or, dropping what is queued, until ctx ends: give it the
// process's, not a request's.
func New(ctx context.Context, c Config) (*Tracker, error) {
	if c.URL == "" || c.Key == "" || c.NewID == nil || c.Now == nil {
		return nil, errors.New("start tracker: URL, Key, NewID and Now are needed")
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Every <= 0 {
		c.Every = defaultEvery
	}
	if c.Buffer <= 0 {
		c.Buffer = defaultBuffer
	}
	ctx, stop := context.WithCancel(ctx)
	t := &Tracker{
		config: c, queue: make(chan json.RawMessage, c.Buffer), stop: stop, done: make(chan struct{}), seen: map[Exposure]bool{},
		sender: &Sender{URL: c.URL, Key: c.Key, Name: "verdict-go", Client: c.Client, Wait: c.Wait, SentAt: c.Now},
	}
	go t.run(ctx)
	return t, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Track queues an event; an id, a time and a version that are missing are filled in. It never blocks: when
// the buffer is full, or the tracker closed, the event is dropped and counted.
func (t *Tracker) Track(e Event) error {
	if e.ID == "" {
		e.ID = t.config.NewID()
	}
	if e.At.IsZero() {
		e.At = t.config.Now()
	}
	e.At = e.At.UTC()
	if e.Schema == "" {
		e.Schema = firstSchema
	}
	if e.Properties == nil {
		e.Properties = map[string]any{}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("track %s: %w", e.Name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		select {
		case t.queue <- text:
			return nil
		default:
		}
	}
	t.dropped++
	return fmt.Errorf("track %s: dropped: the buffer is full or the tracker closed", e.Name)
}

// Expose tracks that a unit saw its variant, once per unit, experiment and variant of this process.
func (t *Tracker) Expose(x Exposure) error {
	t.mu.Lock()
	known := t.seen[x]
	if !known && len(t.seen) < mostSeen {
		t.seen[x] = true
	}
	t.mu.Unlock()
	if known {
		return nil
	}
	properties := map[string]any{"experiment_id": x.Experiment, "variant": x.Variant}
	if x.Flag != "" {
		properties["flag_key"] = x.Flag
	}
	if x.Source != "" {
		properties["source"] = x.Source
	}
	return t.Track(Event{
		Name: "experiment_exposed", UserID: x.UserID, Properties: properties,
		Experiments: []Assignment{{ID: x.Experiment, Variant: x.Variant, Source: x.Source}},
	})
}

// Dropped counts the events that were given up.
func (t *Tracker) Dropped() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

// Close sends what is queued and ends the tracker; when ctx ends first, the rest is dropped and counted.
func (t *Tracker) Close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.queue)
	}
	t.mu.Unlock()
	defer t.stop()
	select {
	case <-t.done:
	case <-ctx.Done():
		t.stop()
		<-t.done
	}
	if n := t.Dropped(); n > 0 {
		return fmt.Errorf("close tracker: %d events were dropped", n)
	}
	return nil
}

// run moves events from the queue to the collector.
func (t *Tracker) run(ctx context.Context) {
	defer close(t.done)
	for {
		text, open := <-t.queue
		if !open {
			return
		}
		t.deliver(ctx, text)
	}
}

// deliver gathers events that follow the first for a while, or until a batch is full, and sends them.
func (t *Tracker) deliver(ctx context.Context, first json.RawMessage) {
	pending := []json.RawMessage{first}
	full := time.NewTimer(t.config.Every)
	defer full.Stop()
	for open := true; open && len(pending) < maxEvents; {
		var text json.RawMessage
		select {
		case text, open = <-t.queue:
			if open {
				pending = append(pending, text)
			}
		case <-full.C:
			open = false
		case <-ctx.Done():
			open = false
		}
	}
	for i, text := range pending {
		err := t.sender.Add(ctx, text)
		if err == nil && i == len(pending)-1 {
			err = t.sender.Flush(ctx)
		}
		if err != nil {
			t.giveUp(ctx, len(pending), err)
			return
		}
	}
}

// giveUp counts a batch that no patience delivers.
func (t *Tracker) giveUp(ctx context.Context, events int, err error) {
	t.sender.batch, t.sender.size = nil, 0
	t.config.Log.ErrorContext(ctx, "events were given up", slog.Int("events", events), slog.Any("error", err))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped += events
}
