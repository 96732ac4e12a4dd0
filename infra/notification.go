package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
)

const (
	notifierMemory  = 256 // MB: it reads the decisions and posts some of them
	notifierTimeout = 30 * time.Second
)

// notification is the way of a decision to people: a topic for whoever subscribes, and a function
// that carries it on to Slack.
type notification struct {
	decisions awssns.Topic
	notifier  awslambda.Function
}

func newNotification(scope constructs.Construct, f functions, d data, failed awssqs.IQueue, dashboard *string) notification {
	allows := append(d.lake.reading(decisions, restatements, notifications), d.lake.writing(notifications)...)
	scope = group(scope, "notifier")
	n := notification{
		decisions: awssns.NewTopic(scope, jsii.String("Decisions"), &awssns.TopicProps{
			DisplayName: jsii.String("Verdict " + f.environment.Name),
			EnforceSSL:  jsii.Bool(true),
		}),
		notifier: f.add(scope, function{
			name:        "notifier",
			description: "Carries decisions on to Slack",
			memory:      notifierMemory,
			timeout:     notifierTimeout,
			failed:      failed,
			settings: map[string]*string{
				setting.LakeBucket:   d.lake.bucket.BucketName(),
				setting.SlackWebhook: d.secrets.slack.Ref(),
				setting.SlackChannel: &f.environment.Slack.Channel,
				setting.SlackButtons: jsii.String(yes(f.environment.Slack.Buttons)),
				setting.Policies:     &f.environment.Notify,
				setting.Dashboard:    dashboard,
			},
			allows: append(allows, d.secrets.reading(d.secrets.slack)),
		}),
	}
	newSchedule(scope, n.notifier, "Tells what was held or failed, and the day's digest", f.environment.Schedule.Notify, failed)
	n.decisions.AddSubscription(awssnssubscriptions.NewLambdaSubscription(n.notifier, nil))
	if f.environment.DecisionEmail != "" {
		n.decisions.AddSubscription(awssnssubscriptions.NewEmailSubscription(&f.environment.DecisionEmail, nil))
	}
	return n
}

func yes(on bool) string {
	if on {
		return setting.Yes
	}
	return ""
}
