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
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	webhook := func(ctx context.Context) (string, error) { return home.Secret(ctx, setting.SlackWebhook) }
	lambda.Start(notifier.Handler(lambdaio.Must(home.Objects()), webhook, lambdaio.Must(home.Setting(setting.Dashboard))))
}
