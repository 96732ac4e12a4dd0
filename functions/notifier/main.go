// Command notifier is the Lambda that carries decisions on to Slack when SNS says that there are any.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
	"verdict/shared/lambdaio/notifier"
	"verdict/shared/notify"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	v := lambdaio.Must(home.Settings(setting.Dashboard, setting.SlackChannel, setting.SlackButtons, setting.Policies))
	secret := func(ctx context.Context) (string, error) { return home.Secret(ctx, setting.SlackWebhook) }
	channel := notifier.Channel(secret, v[1], v[2] == setting.Yes)
	lambda.Start(notifier.Handler(channel, notify.Notifier{
		Objects: lambdaio.Must(home.Objects()), Policies: lambdaio.Must(notify.ParsePolicies(v[3])), DashboardURL: v[0], Now: time.Now,
	}))
}
