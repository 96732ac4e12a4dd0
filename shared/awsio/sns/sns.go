// Package sns publishes notifications to an SNS topic: people subscribe by e-mail, other systems as
// they like, and filter by the message's attributes.
package sns

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/notify"
)

// Topic is one topic.
type Topic struct {
	client *api.Client
	arn    string
}

var _ notify.Sender = (*Topic)(nil)

// New returns a Topic.
func New(config aws.Config, arn string) *Topic { return &Topic{api.NewFromConfig(config), arn} }

// Tell publishes a line for functions that are subscribed: that there is something to do.
func (t *Topic) Tell(ctx context.Context, line string) error {
	_, err := t.client.Publish(ctx, &api.PublishInput{TopicArn: &t.arn, Message: &line})
	return awsfault.Wrap("publish to sns", err)
}

// Channel implements notify.Sender.
func (*Topic) Channel() string { return "sns" }

// Send implements notify.Sender. There is no deduplication id: it is for FIFO topics only, which
// cannot deliver e-mail.
func (t *Topic) Send(ctx context.Context, m notify.Message) error {
	attributes := map[string]types.MessageAttributeValue{}
	for name, value := range m.Attributes() {
		attributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(value)}
	}
	_, err := t.client.Publish(ctx, &api.PublishInput{
		TopicArn: &t.arn, Subject: aws.String(m.MailSubject()), Message: &m.Text, MessageAttributes: attributes,
	})
	return awsfault.Wrap("publish to sns", err)
}
