// Package notifier is the handler of the Lambda that SNS invokes. It is a package of its own so that
// the other Lambdas do not link what it needs.
package notifier

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

// Handler posts what Slack has not been told yet whenever SNS says that something was decided. What is
// told is read from the lake, so a message that SNS delivers twice, or late, changes nothing. webhook
// gives the address to post to, and fault.NotFound while Slack is not set up.
func Handler(objects lake.Objects, webhook func(context.Context) (string, error), dashboard string) func(context.Context, events.SNSEvent) error {
	return func(ctx context.Context, _ events.SNSEvent) error {
		address, err := webhook(ctx)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		sender := slack.New(address, &http.Client{Timeout: 10 * time.Second})
		notifier := &notify.Notifier{Objects: objects, Senders: []notify.Sender{sender}, DashboardURL: dashboard}
		_, err = notifier.Run(ctx)
		return err
	}
}
