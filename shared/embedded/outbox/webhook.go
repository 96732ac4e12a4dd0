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

// Webhook stands in for a Slack incoming webhook. It answers as Slack does and keeps each message it
// took under outbox/slack/<n>.json. Of Block Kit it knows the header, section and context blocks; it
// refuses what it does not know, since whoever sends it believes that Slack shows it.
type Webhook struct {
	Objects lake.Objects

	mu sync.Mutex
}

// The limits of the Block Kit reference, in characters but for the counts.
const (
	maxBlocks   = 50
	maxHeader   = 150
	maxSection  = 3000
	maxElements = 10
	// maxBody bounds what is read: more than a full set of blocks takes.
	maxBody = 1 << 20
)

type message struct {
	Text   string  `json:"text"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text"`
	Elements []text `json:"elements"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(status int, word string) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, word) // whoever asked has hung up: nobody is left to tell
	}
	if r.Method != http.MethodPost {
		say(http.StatusMethodNotAllowed, "method_not_allowed")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	kind, _, kindErr := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kindErr != nil || kind != "application/json" || !json.Valid(body) {
		say(http.StatusBadRequest, "invalid_payload")
		return
	}
	var m message
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	switch err := d.Decode(&m); {
	case err != nil || !m.valid():
		say(http.StatusBadRequest, "invalid_blocks")
		return
	case m.Text == "":
		say(http.StatusBadRequest, "no_text")
		return
	}
	if err := h.keep(r, body); err != nil {
		say(http.StatusInternalServerError, "rollup_error")
		return
	}
	say(http.StatusOK, "ok")
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
		return b.Text == nil && len(b.Elements) > 0 && len(b.Elements) <= maxElements &&
			!slices.ContainsFunc(b.Elements, func(t text) bool { return !t.valid(maxSection) })
	}
	return false
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
