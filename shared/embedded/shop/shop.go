// Package shop plays the visitors of a web shop for the demo: real HTTP batches to a real collector,
// over simulated days. It is drawn from a seed, and it alone knows what the experiments really do.
package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Decision is what the shop's flag platform answers.
type Decision struct {
	Variant    string
	Experiment string // empty when no experiment decided
}

// Config is one run of the shop.
type Config struct {
	Seed         uint64
	Visitors     int
	Days         int
	Start        time.Time // midnight UTC
	CollectorURL string
	WriteKey     string
	Decide       func(flag, unit string) Decision
	SetClock     func(time.Time) // the collector's clock
	Client       *http.Client
}

// Counts is what the shop sent.
type Counts struct {
	Batches    int `json:"batches"`
	Events     int `json:"events"` // copies included
	Duplicates int `json:"duplicates"`
	Late       int `json:"late"`
	Invalid    int `json:"invalid"`
	Bots       int `json:"bots"`
	Refused    int `json:"consent_refused"`
	Retried    int `json:"retried"` // after a 503
}

// tick is the grain of simulated time: what happens within one is sent at its end, concurrently.
const tick = 10 * time.Minute

// senders keeps two cores busy without a queue at the collector.
const senders = 4

// Shop is a run in progress.
type Shop struct {
	config Config
	truth  map[string]effect
	flags  []string
	visits map[int64][]visit // by tick
	due    map[int64][]*batch
	counts Counts
	ended  bool // what would come after the last day does not
}

// batch is one request; its events keep their ids however often it is sent.
type batch struct {
	events [][]byte
	device device
}

// New returns a shop before its first day.
func New(config Config) *Shop {
	s := &Shop{
		config: config, truth: truth(), visits: map[int64][]visit{}, due: map[int64][]*batch{},
		flags: []string{"checkout", "banner", "cart_service", "navigation", "gift_wrap"},
	}
	for n := range config.Visitors {
		p := s.newPerson(n)
		s.schedule(visit{p: p, at: p.first, kind: firstVisit})
	}
	return s
}

// Counts returns what was sent so far.
func (s *Shop) Counts() Counts { return s.counts }

func tickOf(t time.Time) int64 { return t.UnixNano()/int64(tick) + 1 }

func (s *Shop) schedule(v visit) { s.visits[tickOf(v.at)] = append(s.visits[tickOf(v.at)], v) }

// PlayDay plays one day, counted from 0.
func (s *Shop) PlayDay(ctx context.Context, day int) error {
	first := tickOf(s.config.Start.AddDate(0, 0, day))
	for t := first; t < first+int64(24*time.Hour/tick); t++ {
		if err := s.playTick(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// Drain delivers, after the last day, what devices that were offline still hold.
func (s *Shop) Drain(ctx context.Context) error {
	s.visits = nil
	s.ended = true
	ticks := make([]int64, 0, len(s.due))
	for t := range s.due {
		ticks = append(ticks, t)
	}
	slices.Sort(ticks)
	for _, t := range ticks {
		if err := s.playTick(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shop) playTick(ctx context.Context, t int64) error {
	visits := s.visits[t]
	delete(s.visits, t)
	// A visit may schedule another one, but none within the same tick.
	slices.SortStableFunc(visits, func(a, b visit) int { return a.p.number - b.p.number })
	for _, v := range visits {
		s.play(v)
	}
	batches := s.due[t]
	delete(s.due, t)
	now := time.Unix(0, t*int64(tick)).UTC()
	s.config.SetClock(now)
	return s.deliver(ctx, now, batches)
}

// send hands a session's events to the network of its device.
func (s *Shop) send(e *session) {
	p := e.visit.p
	if len(e.events) == 0 {
		return
	}
	b := &batch{events: e.events, device: e.device}
	when := tickOf(e.visit.at)
	switch {
	case p.bot:
		s.counts.Bots += len(b.events)
	case p.refuses:
		s.counts.Refused += len(b.events)
	}
	if p.rng.Float64() < goesOffline {
		s.counts.Late += len(b.events)
		when = tickOf(e.visit.at.Add(hours(p.rng, 2, 48)))
	}
	s.due[when] = append(s.due[when], b)
	if p.rng.Float64() < answerLost {
		s.counts.Duplicates += len(b.events)
		s.due[when+1] = append(s.due[when+1], b)
	}
}

// deliver sends batches concurrently and waits for all of them.
func (s *Shop) deliver(ctx context.Context, now time.Time, batches []*batch) error {
	work := make(chan *batch)
	var group sync.WaitGroup
	var mu sync.Mutex
	var problem error
	for range senders {
		group.Go(func() {
			var body []byte
			for b := range work {
				retried, err := s.post(ctx, now, b, &body)
				mu.Lock()
				s.counts.Retried += retried
				if err != nil && problem == nil {
					problem = err
				}
				mu.Unlock()
			}
		})
	}
	for _, b := range batches {
		s.counts.Batches++
		s.counts.Events += len(b.events)
		work <- b
	}
	close(work)
	group.Wait()
	return problem
}

// maxTries is how often a batch is offered before the shop gives up on the collector.
const maxTries = 8

// post sends a batch until all of its events are stored.
func (s *Shop) post(ctx context.Context, now time.Time, b *batch, body *[]byte) (retried int, err error) {
	events := b.events
	for range maxTries {
		*body = appendBatch((*body)[:0], s.config.WriteKey, now.Add(b.device.skew), events)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.CollectorURL, bytes.NewReader(*body))
		if err != nil {
			return retried, err
		}
		request.Header.Set("Content-Type", "text/plain")
		request.Header.Set("User-Agent", b.device.agent)
		request.Header.Set("X-Forwarded-For", b.device.ip)
		response, err := s.config.Client.Do(request)
		if err != nil {
			return retried, fmt.Errorf("send batch: %w", err)
		}
		text, err := io.ReadAll(response.Body)
		if err = firstError(err, response.Body.Close()); err != nil {
			return retried, fmt.Errorf("read answer: %w", err)
		}
		switch response.StatusCode {
		case http.StatusOK:
			return retried, nil
		case http.StatusServiceUnavailable:
			var answer struct {
				NotStored []int `json:"not_stored"`
			}
			if err := json.Unmarshal(text, &answer); err != nil {
				return retried, fmt.Errorf("read answer: %w", err)
			}
			var again [][]byte
			for _, i := range answer.NotStored {
				again = append(again, events[i])
			}
			events, retried = again, retried+len(again)
		default:
			return retried, fmt.Errorf("send batch: the collector answered %d %s", response.StatusCode, text)
		}
	}
	return retried, fmt.Errorf("send batch: the collector still has no room for %d events after %d tries", len(events), maxTries)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const timeLayout = "2006-01-02T15:04:05.000Z"

func appendBatch(to []byte, key string, sent time.Time, events [][]byte) []byte {
	to = append(to, `{"write_key":"`...)
	to = append(to, key...)
	to = append(to, `","sent_at":"`...)
	to = sent.AppendFormat(to, timeLayout)
	to = append(to, `","sdk":{"name":"verdict-shop","version":"0.1.0"},"events":[`...)
	for i, e := range events {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(to, e...)
	}
	return append(to, "]}"...)
}

// add records an event some seconds after the one before, by the device's own clock.
func (e *session) add(name, properties string) {
	p := e.visit.p
	e.at = e.at.Add(time.Duration(1000+p.rng.IntN(8000)) * time.Millisecond)
	at := e.at.Add(e.device.skew)
	event := make([]byte, 0, 640)
	event = append(event, `{"event_id":"`...)
	event = appendID(event, at, p.rng.Uint64(), p.rng.Uint64())
	event = append(event, `","event":"`...)
	event = append(event, name...)
	event = append(event, `","schema":"1-0-0","ts":"`...)
	event = at.AppendFormat(event, timeLayout)
	event = append(event, '"')
	if p.refuses {
		event = append(event, `,"consent":{"analytics_storage":"denied","ad_storage":"denied"}`...)
	} else {
		event = append(event, `,"anonymous_id":"`...)
		event = append(event, e.device.id...)
		if e.signedIn {
			event = append(event, `","user_id":"`...)
			event = append(event, p.user...)
		}
		event = append(event, `","session_id":"`...)
		event = append(event, e.id...)
		event = append(event, `","seq":`...)
		event = strconv.AppendInt(event, e.seq, 10)
		e.seq++
		event = append(event, `,"consent":{"analytics_storage":"granted"},"context":{"device":{"type":"`...)
		event = append(event, e.device.kind...)
		event = append(event, `"},"app":{"name":"shop","version":"4.2.0"}}`...)
	}
	if name == "order_completed" && !p.refuses {
		event = append(event, `,"experiments":[`...)
		for i, x := range e.experiments {
			if i > 0 {
				event = append(event, ',')
			}
			event = fmt.Appendf(event, `{"id":%q,"variant":%q,"source":"optimizely"}`, x.id, x.variant)
		}
		event = append(event, ']')
	}
	if p.rng.Float64() < broken {
		e.shop.counts.Invalid++
		properties = breakEvent(&event, p.rng.IntN(3), name, properties)
	}
	event = append(event, `,"properties":`...)
	event = append(event, properties...)
	e.events = append(e.events, append(event, '}'))
}

// breakEvent makes an event break its contract in one of the ways that software does, and returns
// its properties.
func breakEvent(event *[]byte, way int, name, properties string) string {
	switch way {
	case 0: // an event nobody planned
		*event = bytes.Replace(*event, []byte(`"event":"`+name+`"`), []byte(`"event":"`+name+`_v2"`), 1)
	case 1: // a property nobody planned
		properties = strings.Replace(properties, "{", `{"debug":true,`, 1)
	default: // an id that is none
		*event = bytes.Replace(*event, []byte(`"event_id":"`), []byte(`"event_id":"x`), 1)
	}
	return properties
}

// appendID writes a UUIDv7 of a time and given randomness.
func appendID(to []byte, at time.Time, a, b uint64) []byte {
	ms := uint64(at.UnixMilli())
	return fmt.Appendf(to, "%08x-%04x-7%03x-%04x-%012x", ms>>16&0xffffffff, ms&0xffff, a&0xfff, 0x8000|a>>48&0x3fff, b&0xffffffffffff)
}
