package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Webhook stands in for a Slack incoming webhook and, with a token, for the method chat.postMessage. It answers as
// Slack does and keeps each message it took under outbox/slack/<n>.json. Of Block Kit it knows the header, section,
// context and actions blocks, the latter with buttons; it refuses what it does not know, since whoever sends it
// believes that Slack shows it.
type Webhook struct {
	Objects lake.Objects
	Token   string // of the bot that may post; empty: it is a webhook

	mu sync.Mutex
}

// The limits of the Block Kit reference, in characters but for the counts.
const (
	maxBlocks   = 50
	maxHeader   = 150
	maxSection  = 3000
	maxElements = 10
	maxButtons  = 25
	maxLabel    = 75
	maxActionID = 255
	maxValue    = 2000
	// maxBody bounds what is read: more than a full set of blocks takes.
	maxBody = 1 << 20
)

type message struct {
	Channel string  `json:"channel"`
	Text    string  `json:"text"`
	Blocks  []block `json:"blocks"`
}

type block struct {
	Type     string            `json:"type"`
	Text     *text             `json:"text"`
	Elements []json.RawMessage `json:"elements"`
}

type button struct {
	Type     string   `json:"type"`
	Text     text     `json:"text"`
	ActionID string   `json:"action_id"`
	Value    string   `json:"value"`
	Style    string   `json:"style"`
	Confirm  *confirm `json:"confirm"`
}

type confirm struct {
	Title   text `json:"title"`
	Text    text `json:"text"`
	Confirm text `json:"confirm"`
	Deny    text `json:"deny"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, word := h.take(w, r)
	if h.Token == "" {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, word) // whoever asked has hung up: nobody is left to tell
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8") // a method refuses with 200
	answer := map[string]any{"ok": status == http.StatusOK}
	if status != http.StatusOK {
		answer["error"] = word
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// take keeps a message, or says in a word what is wrong with it.
func (h *Webhook) take(w http.ResponseWriter, r *http.Request) (status int, word string) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "method_not_allowed"
	}
	if h.Token != "" && r.Header.Get("Authorization") != "Bearer "+h.Token {
		return http.StatusForbidden, "invalid_auth"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	kind, _, kindErr := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kindErr != nil || kind != "application/json" || !json.Valid(body) {
		return http.StatusBadRequest, "invalid_payload"
	}
	var m message
	switch err := strictly(body, &m); {
	case err != nil || !m.valid():
		return http.StatusBadRequest, "invalid_blocks"
	case m.Text == "":
		return http.StatusBadRequest, "no_text"
	case h.Token != "" && m.Channel == "":
		return http.StatusNotFound, "channel_not_found"
	case h.Token == "" && m.Channel != "": // a webhook has its channel
		return http.StatusBadRequest, "invalid_payload"
	}
	if err := h.keep(r, body); err != nil {
		return http.StatusInternalServerError, "rollup_error"
	}
	return http.StatusOK, "ok"
}

// strictly reads JSON that has no field but those of its target.
func strictly(body []byte, target any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(target)
}

func (m message) valid() bool {
	return len(m.Blocks) <= maxBlocks && !slices.ContainsFunc(m.Blocks, func(b block) bool { return !b.valid() })
}

func (b block) valid() bool {
	switch b.Type {
	case "header":
		return b.Elements == nil && b.Text != nil && b.Text.Type == "plain_text" && b.Text.valid(maxHeader)
	case "section":
		return b.Elements == nil && b.Text != nil && b.Text.valid(maxSection)
	case "context":
		return b.Text == nil && len(b.Elements) > 0 && len(b.Elements) <= maxElements && all(b.Elements, func(t text) bool { return t.valid(maxSection) })
	case "actions":
		return b.Text == nil && len(b.Elements) > 0 && len(b.Elements) <= maxButtons && all(b.Elements, button.valid)
	}
	return false
}

// all reads each element and tells whether it is valid.
func all[T any](elements []json.RawMessage, valid func(T) bool) bool {
	return !slices.ContainsFunc(elements, func(raw json.RawMessage) bool {
		var e T
		return strictly(raw, &e) != nil || !valid(e)
	})
}

func (b button) valid() bool {
	plain := func(t text, most int) bool { return t.Type == "plain_text" && t.valid(most) }
	const title, question, choice = 100, 300, 30 // characters of a confirmation dialog
	return b.Type == "button" && plain(b.Text, maxLabel) && len(b.ActionID) > 0 && len(b.ActionID) <= maxActionID && len(b.Value) <= maxValue &&
		slices.Contains([]string{"", "primary", "danger"}, b.Style) &&
		(b.Confirm == nil || plain(b.Confirm.Title, title) && plain(b.Confirm.Text, question) && plain(b.Confirm.Confirm, choice) && plain(b.Confirm.Deny, choice))
}

func (t text) valid(most int) bool {
	n := utf8.RuneCountInString(t.Text)
	return (t.Type == "plain_text" || t.Type == "mrkdwn") && n > 0 && n <= most
}

// keep stores a message under the next number.
func (h *Webhook) keep(r *http.Request, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	there, err := h.Objects.List(r.Context(), "outbox/slack/")
	if err != nil {
		return err
	}
	for n := len(there) + 1; ; n++ {
		err := h.Objects.Put(r.Context(), fmt.Sprintf("outbox/slack/%06d.json", n), body, lake.Create)
		if !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}
