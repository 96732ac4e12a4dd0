// Package notifier is the handler of the Lambda that SNS invokes. It is a package of its own so that
// the other Lambdas do not link what it needs.
package notifier

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"verdict/shared/fault"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

// Channel opens the channel that a secret, a webhook's address or a bot's token, gives access to.
func Channel(secret func(context.Context) (string, error), channel string, buttons bool) func(context.Context) (*slack.Sender, error) {
	return func(ctx context.Context) (*slack.Sender, error) {
		text, err := secret(ctx)
		if err != nil {
			return nil, err
		}
		return slack.Open(text, channel, &http.Client{Timeout: 10 * time.Second}).WithButtons(buttons), nil
	}
}

// Handler posts what Slack has not been told yet, whenever SNS says that something was decided, and on a schedule for
// what was held or failed. What is told is read from the lake, so a message that SNS delivers twice, or late, changes nothing. Channel
// gives what posts there, and fault.NotFound while Slack is not set up.
func Handler(channel func(context.Context) (*slack.Sender, error), n notify.Notifier) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, _ json.RawMessage) error {
		sender, err := channel(ctx)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		n.Senders = []notify.Sender{sender}
		_, err = n.Run(ctx)
		return err
	}
}
