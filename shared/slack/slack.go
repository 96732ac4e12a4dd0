// Package slack sends notifications to a Slack channel through an incoming webhook. What people
// wrote in names and reasons is never read as a link or a mention, and the webhook's address, which
// is a secret, stands in no error.
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

// Sender posts to one incoming webhook.
type Sender struct {
	webhook string
	client  *http.Client
}

var _ notify.Sender = (*Sender)(nil)

// New returns a sender. The client needs a timeout.
func New(webhook string, client *http.Client) *Sender {
	return &Sender{webhook: webhook, client: client}
}

// Channel implements notify.Sender.
func (*Sender) Channel() string { return "slack" }

// Send implements notify.Sender. What Slack refuses for good is fault.Invalid; when it is busy or
// away that is fault.Transient.
func (s *Sender) Send(ctx context.Context, m notify.Message) error {
	body, err := json.Marshal(compose(m))
	if err != nil {
		return fmt.Errorf("write message for slack: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.webhook, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, "post to slack: the webhook is no URL")
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := s.client.Do(request)
	if err != nil {
		if withURL, ok := errors.AsType[*url.Error](err); ok {
			err = withURL.Err
		}
		return fault.New(fault.Transient, "post to slack: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read, or is of no interest
	if answer.StatusCode >= http.StatusOK && answer.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	// Slack says in a word what is wrong, such as invalid_blocks or no_service.
	const word = 100
	why, err := io.ReadAll(io.LimitReader(answer.Body, word))
	if err != nil {
		why = nil // the status says enough
	}
	class := fault.Invalid
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError {
		class = fault.Transient
	}
	return fault.New(class, "post to slack: %s: %s", answer.Status, why)
}

// payload is the body of a webhook request: blocks, and the text that notifications show instead.
type payload struct {
	Text   string  `json:"text"`
	Blocks []block `json:"blocks"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"` // of a context block
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func compose(m notify.Message) payload {
	var why strings.Builder
	for _, r := range m.Decision.Reasons {
		why.WriteString("• " + r.Text + "\n")
	}
	out := payload{
		Text:   escape(m.Subject, maxSection),
		Blocks: []block{{Type: "header", Text: &text{"plain_text", cut(m.Subject, maxHeader)}}},
	}
	for _, part := range []string{why.String(), m.Consequence} {
		if part != "" {
			out.Blocks = append(out.Blocks, block{Type: "section", Text: &text{"mrkdwn", escape(part, maxSection)}})
		}
	}
	about := "decision " + escape(m.ID, maxSection)
	if m.Link != "" {
		about = "<" + escape(m.Link, maxSection/2) + "|Readout> · " + about
	}
	out.Blocks = append(out.Blocks, block{Type: "context", Elements: []text{{"mrkdwn", about}}})
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
