// Package collect is the door of the pipeline: it authenticates a batch of events, checks each
// against the tracking plan, corrects the clock, applies consent, and hands every event to a
// delivery stream before it answers. Nothing that was accepted is ever lost: an answer of 200
// means that the stream has acknowledged each event, valid or quarantined.
package collect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"verdict/shared/land"
	"verdict/shared/plan"
	"verdict/shared/redact"
)

const (
	// MaxBody is the largest batch: Lambda takes 6 MB of base64 text, and a browser's unload
	// budget is 64 KiB; 1 MiB serves both with room.
	MaxBody = 1 << 20
	// MaxEvents is the most events in a batch: Firehose de-aggregates at most 500 per record.
	MaxEvents = 500
	// maxRecord is Firehose's limit of 1,000 KiB for a record before base64.
	maxRecord = 1000 << 10
)

// Stream delivers records, each a blob of newline-terminated JSON objects of at most MaxEvents
// lines. It returns the indexes of the records it did not acknowledge; err says that none was.
type Stream interface {
	Put(ctx context.Context, records [][]byte) (failed []int, err error)
}

// Keys gives the write keys in force, and the namespace that each stands for.
type Keys func(ctx context.Context) (map[string]string, error)

// FixedKeys are keys that never change.
func FixedKeys(keys map[string]string) Keys {
	return func(context.Context) (map[string]string, error) { return keys, nil }
}

// Handler answers the collector's HTTP requests.
type Handler struct {
	Plan       *plan.Plan
	Good       Stream // events that keep their contract
	Quarantine Stream // the others, with what is wrong with them
	Keys       Keys
	Log        *slog.Logger // gets what a client is not told: why something could not be stored
	Now        func() time.Time
	Meter      Meter   // may be nil
	Origins    Origins // of pages that may send; none: all
	Cookie     Cookie
	PrivacyKey func(context.Context) (redact.Key, error) // is asked for when the plan hashes ids

	parsers  fastjson.ParserPool
	crawlers crawlers
}

type quarantined struct {
	Index    int            `json:"index"`
	EventID  string         `json:"event_id,omitempty"`
	Failures []plan.Failure `json:"failures"`
}

type answer struct {
	Accepted    int           `json:"accepted"`
	Quarantined int           `json:"quarantined"`
	Quarantine  []quarantined `json:"quarantine,omitempty"`
}

// problem is an RFC 9457 problem document.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	NotStored []int  `json:"not_stored,omitempty"` // indexes of events to send again
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.crossOrigin(w, r) {
		fail(w, problem{Title: "Origin not allowed", Status: http.StatusForbidden, Detail: "This collector takes events from the pages of its own sites."})
		return
	}
	switch {
	case r.URL.Path == "/health" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, "application/json", map[string]string{"status": "ok"})
	case r.URL.Path == "/v1/plan" && r.Method == http.MethodGet:
		writeJSON(w, http.StatusOK, "application/json", map[string]any{"events": h.Plan.Versions()})
	case r.URL.Path != "/v1/events":
		fail(w, problem{Title: "No such path", Status: http.StatusNotFound, Detail: "Send batches to POST /v1/events."})
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST, OPTIONS")
		fail(w, problem{Title: "Method not allowed", Status: http.StatusMethodNotAllowed, Detail: "Use POST."})
	default:
		h.collect(w, r)
	}
}

func (h *Handler) collect(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			fail(w, problem{Title: "Batch too large", Status: http.StatusRequestEntityTooLarge, Detail: "A batch may have at most 1 MiB."})
		} else {
			fail(w, problem{Title: "Body not readable", Status: http.StatusBadRequest, Detail: err.Error()})
		}
		return
	}
	parser := h.parsers.Get()
	defer h.parsers.Put(parser)
	batch, err := parse(parser, body)
	if err != nil {
		fail(w, problem{Title: "Body is not a batch", Status: http.StatusBadRequest, Detail: err.Error()})
		return
	}
	keys, err := h.Keys(r.Context())
	if err != nil {
		h.Log.ErrorContext(r.Context(), "write keys are not available", slog.Any("error", err))
		w.Header().Set("Retry-After", "60")
		fail(w, problem{Title: "Write keys are not available", Status: http.StatusServiceUnavailable, Detail: "Send the batch again later."})
		return
	}
	hide, err := redact.Hiding(r.Context(), h.Plan.Hash, h.PrivacyKey)
	if err != nil {
		h.Log.ErrorContext(r.Context(), "ids cannot be hashed", slog.Any("error", err))
		w.Header().Set("Retry-After", "60")
		fail(w, problem{Title: "Ids cannot be hashed", Status: http.StatusServiceUnavailable, Detail: "Send the batch again later."})
		return
	}
	namespace, ok := keys[writeKey(r, batch)]
	if !ok {
		fail(w, problem{Title: "Unknown write key", Status: http.StatusUnauthorized, Detail: "Send the write key in X-Write-Key or in the field write_key."})
		return
	}
	events := batch.GetArray("events")
	if len(events) > MaxEvents {
		fail(w, problem{Title: "Too many events", Status: http.StatusRequestEntityTooLarge, Detail: "A batch may have at most 500 events."})
		return
	}
	from := h.receive(r, batch, namespace)
	from.NetworkID = h.Cookie.networkID(w, r, slices.ContainsFunc(events, land.Refused))
	m := Measurement{Namespace: namespace, At: from.At, Received: len(events), Skew: from.Skew, Dropped: readDropped(batch), Broken: map[string]int{}, Duplicated: duplicates(events)}
	good, bad := packer{}, packer{}
	var reply answer
	var arena fastjson.Arena
	for i, event := range events {
		failures := h.Plan.Check(event)
		hide(&arena, event)
		if failures != nil {
			reply.Quarantined++
			m.Broken[h.contract(event)]++
			reply.Quarantine = append(reply.Quarantine, quarantined{i, string(event.GetStringBytes("event_id")), failures})
			bad.add(i, func(line []byte) []byte { return from.AppendQuarantined(line, event, failures) })
			continue
		}
		reply.Accepted++
		good.add(i, func(line []byte) []byte { return from.AppendEvent(line, event) })
	}
	notStored := h.put(r.Context(), h.Good, good)
	m.Accepted = reply.Accepted - len(notStored)
	badNotStored := h.put(r.Context(), h.Quarantine, bad)
	m.Quarantined = reply.Quarantined - len(badNotStored)
	notStored = append(notStored, badNotStored...)
	if h.Meter != nil {
		m.NotStored, m.Took = len(notStored), h.Now().Sub(from.At)
		h.Meter.Measure(r.Context(), m)
	}
	if len(notStored) > 0 {
		w.Header().Set("Retry-After", "1")
		fail(w, problem{
			Title: "Not all events were stored", Status: http.StatusServiceUnavailable, NotStored: notStored,
			Detail: "Send the events at these indexes again, with the same event_id.",
		})
		return
	}
	writeJSON(w, http.StatusOK, "application/json", reply)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, MaxBody)
	if r.ContentLength > MaxBody {
		return nil, &http.MaxBytesError{Limit: MaxBody}
	}
	if r.ContentLength > 0 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(limited, body)
		return body, err
	}
	return io.ReadAll(limited)
}

// parse accepts strict JSON in UTF-8 only: fastjson itself is lenient about numbers, and a line
// that a later reader cannot parse would lose the event then.
func parse(parser *fastjson.Parser, body []byte) (*fastjson.Value, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8")
	}
	if err := fastjson.ValidateBytes(body); err != nil {
		return nil, err
	}
	batch, err := parser.ParseBytes(body)
	if err != nil {
		return nil, err
	}
	if events := batch.Get("events"); events == nil || events.Type() != fastjson.TypeArray {
		return nil, errors.New(`want an object with an array "events"`)
	}
	return batch, nil
}

func writeKey(r *http.Request, batch *fastjson.Value) string {
	if key := r.Header.Get("X-Write-Key"); key != "" {
		return key
	}
	return string(batch.GetStringBytes("write_key"))
}

// packer puts lines into records within the limits of the stream, and remembers whose they are.
type packer struct {
	records [][]byte
	lines   [][]int // indexes of the events in each record
}

func (p *packer) add(index int, appendLine func([]byte) []byte) {
	if len(p.records) == 0 {
		p.records, p.lines = append(p.records, make([]byte, 0, 4<<10)), append(p.lines, nil)
	}
	last := len(p.records) - 1
	before := len(p.records[last])
	record := appendLine(p.records[last])
	if len(record) > maxRecord && before > 0 {
		line := append([]byte(nil), record[before:]...)
		p.records[last] = record[:before]
		p.records, p.lines = append(p.records, line), append(p.lines, []int{index})
		return
	}
	p.records[last], p.lines[last] = record, append(p.lines[last], index)
}

// put sends the records and returns the indexes of the events that were not stored.
func (h *Handler) put(ctx context.Context, stream Stream, p packer) (notStored []int) {
	if len(p.records) == 0 {
		return nil
	}
	failed, err := stream.Put(ctx, p.records)
	if err != nil {
		h.Log.ErrorContext(ctx, "events were not stored", slog.Int("records", len(p.records)), slog.Any("error", err))
		for _, lines := range p.lines {
			notStored = append(notStored, lines...)
		}
		return notStored
	}
	for _, i := range failed {
		notStored = append(notStored, p.lines[i]...)
	}
	return notStored
}

func fail(w http.ResponseWriter, p problem) {
	p.Type = "about:blank"
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"title":"Internal error","status":500}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away sends again
}

// clientAddress is the address of the client as the front door saw it.
func clientAddress(r *http.Request) string {
	host := r.RemoteAddr
	if i := strings.LastIndexByte(host, ':'); i > 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	} else if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
	}
	return host
}
