// Package outbox is where the notifications of one machine go: to a writer for people at a terminal,
// and into the lake as the requests that SNS and Slack would get, so that both can be looked at, and
// tested, without either.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"verdict/shared/lake"
	"verdict/shared/notify"
)

// Console prints notifications.
type Console struct{ W io.Writer }

var _ notify.Sender = (*Console)(nil)

// Channel implements notify.Sender.
func (*Console) Channel() string { return "console" }

// Send implements notify.Sender.
func (c *Console) Send(_ context.Context, m notify.Message) error {
	var text strings.Builder
	fmt.Fprintf(&text, "[%s] %s\n", m.Severity, m.Subject)
	for _, s := range m.Sections {
		if len(m.Sections) > 1 {
			fmt.Fprintf(&text, "  %s:\n", s.Title)
		}
		for _, p := range s.Points {
			fmt.Fprintf(&text, "  - %s\n", p)
		}
	}
	for _, line := range []string{m.Consequence, m.Link} {
		if line != "" {
			fmt.Fprintf(&text, "  %s\n", line)
		}
	}
	if _, err := io.WriteString(c.W, text.String()); err != nil {
		return fmt.Errorf("print notification: %w", err)
	}
	return nil
}

// SNS keeps under outbox/sns/<id>.json what would be published to SNS: the request of its action
// Publish.
type SNS struct{ Objects lake.Objects }

var _ notify.Sender = (*SNS)(nil)

// topic names the topic that a home without AWS has: all zeros is nobody's account.
const topic = "arn:aws:sns:us-east-1:000000000000:verdict"

// publish is the request, by the names of the API reference. There is no deduplication id: it is
// for FIFO topics only, which cannot deliver e-mail. The attributes are for filter policies.
type publish struct {
	TopicArn          string               `json:"TopicArn"`
	Subject           string               `json:"Subject"`
	Message           string               `json:"Message"`
	MessageAttributes map[string]attribute `json:"MessageAttributes"`
}

type attribute struct {
	DataType    string `json:"DataType"`
	StringValue string `json:"StringValue"`
}

// Channel implements notify.Sender.
func (*SNS) Channel() string { return "sns" }

// Send implements notify.Sender. Sending a message again changes nothing.
func (s *SNS) Send(ctx context.Context, m notify.Message) error {
	attributes := map[string]attribute{}
	for name, value := range m.Attributes() {
		attributes[name] = attribute{"String", value}
	}
	body, err := json.MarshalIndent(publish{TopicArn: topic, Subject: m.MailSubject(), Message: m.Text, MessageAttributes: attributes}, "", "  ")
	if err != nil {
		return fmt.Errorf("write message for sns: %w", err)
	}
	return s.Objects.Put(ctx, "outbox/sns/"+m.ID+".json", body, lake.Overwrite)
}
