// Package slack sends notifications to a Slack channel, through an incoming webhook or as a bot, and takes what
// people answer to proposals there (docs/notifications.md). What people wrote in names and reasons is never read as a
// link or a mention, and no secret stands in an error.
package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"verdict/shared/fault"
	"verdict/shared/notify"
)

// The limits of Block Kit, in characters (reference: header block, section block).
const (
	maxHeader  = 150
	maxSection = 3000
)

// Sender posts to one channel.
type Sender struct {
	address string
	token   string // of a bot; empty: the address is a webhook's, and a secret
	channel string // that the bot posts to
	buttons bool
	client  *http.Client
}

var _ notify.Sender = (*Sender)(nil)

// New returns a sender that posts through an incoming webhook. The client needs a timeout.
func New(webhook string, client *http.Client) *Sender {
	return &Sender{address: webhook, client: client}
}

// API is where Slack's methods are.
const API = "https://slack.com/api"

// NewBot returns a sender that posts to a channel with a bot's token, which needs the scope chat:write.
func NewBot(api, token, channel string, client *http.Client) *Sender {
	return &Sender{address: strings.TrimSuffix(api, "/") + "/chat.postMessage", token: token, channel: channel, client: client}
}

// Open returns a sender for a secret that people configured: a bot's token, or else a webhook's address.
func Open(secret, channel string, client *http.Client) *Sender {
	if strings.HasPrefix(secret, "xoxb-") {
		return NewBot(API, secret, channel, client)
	}
	return New(secret, client)
}

// WithButtons lets proposals be answered: Slack sends what people press to Interactions.
func (s *Sender) WithButtons(on bool) *Sender {
	out := *s
	out.buttons = on
	return &out
}

// Channel implements notify.Sender.
func (*Sender) Channel() string { return "slack" }

// Send implements notify.Sender. What Slack refuses for good is fault.Invalid; when it is busy or
// away that is fault.Transient.
func (s *Sender) Send(ctx context.Context, m notify.Message) error {
	message := compose(m, s.buttons)
	message.Channel = s.channel
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("write message for slack: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, "post to slack: the webhook is no URL")
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	return s.post(request)
}

// post sends a request and says what Slack thinks of it.
func (s *Sender) post(request *http.Request) error {
	answer, err := s.client.Do(request)
	if err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok {
			err = withURL.Err
		}
		return fault.New(fault.Transient, "post to slack: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read, or is of no interest
	well := answer.StatusCode >= http.StatusOK && answer.StatusCode < http.StatusMultipleChoices
	if well && s.token == "" {
		return nil
	}
	const most = 1 << 16 // a method echoes the message
	said, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		said = nil // the status says enough
	}
	if well {
		return methodSays(said)
	}
	// Slack says in a word what is wrong, such as invalid_blocks or no_service.
	const word = 100
	class := fault.Invalid
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError {
		class = fault.Transient
	}
	return fault.New(class, "post to slack: %s: %s", answer.Status, bytes.TrimSpace(said[:min(len(said), word)]))
}

// methodSays reads the answer of a method, which is 200 also when it refuses.
func methodSays(body []byte) error {
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fault.New(fault.Transient, "post to slack: the answer is no JSON")
	}
	switch answer.Error {
	case "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org":
		return fault.New(fault.Transient, "post to slack: %s", answer.Error) // reference of chat.postMessage, "Errors": try again
	}
	if !answer.OK {
		return fault.New(fault.Invalid, "post to slack: %s", answer.Error)
	}
	return nil
}

// payload is the body of a request: blocks, and the text that notifications show instead.
type payload struct {
	Channel string  `json:"channel,omitempty"`
	Text    string  `json:"text"`
	Blocks  []block `json:"blocks"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []any  `json:"elements,omitempty"` // texts of a context block, buttons of an actions block
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func compose(m notify.Message, buttons bool) payload {
	out := payload{
		Text:   escape(m.Subject, maxSection),
		Blocks: []block{{Type: "header", Text: &text{"plain_text", cut(m.Subject, maxHeader)}}},
	}
	section := func(title, body string) {
		if body != "" {
			out.Blocks = append(out.Blocks, block{Type: "section", Text: &text{"mrkdwn", title + escape(body, maxSection-len(title))}})
		}
	}
	for _, s := range m.Sections {
		title := ""
		if len(m.Sections) > 1 {
			title = "*" + s.Title + "*\n"
		}
		var points strings.Builder
		for _, p := range s.Points {
			points.WriteString("• " + p + "\n")
		}
		section(title, points.String())
	}
	section("", m.Consequence)
	if buttons && m.Kind == "decision" && m.Decision.Answerable() {
		out.Blocks = append(out.Blocks, question(m.Decision))
	}
	about := m.Kind + " " + escape(m.ID, maxSection)
	if m.Link != "" {
		about = "<" + escape(m.Link, maxSection/2) + "|Readout> · " + about
	}
	out.Blocks = append(out.Blocks, block{Type: "context", Elements: []any{text{"mrkdwn", about}}})
	return out
}

// escape keeps text from being read as links and mentions: &, < and > are the three characters to
// replace (Slack's reference, "Formatting text for app surfaces"). The result has at most limit
// characters and ends with no half an escape.
func escape(s string, limit int) string {
	markup := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	if whole := markup.Replace(s); utf8.RuneCountInString(whole) <= limit {
		return whole
	}
	var out strings.Builder
	left := limit - 1 // for the ellipsis
	for _, r := range s {
		piece := markup.Replace(string(r))
		if left -= utf8.RuneCountInString(piece); left < 0 {
			break
		}
		out.WriteString(piece)
	}
	return out.String() + "…"
}

// cut shortens plain text to at most limit characters.
func cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:limit-1]) + "…"
}
