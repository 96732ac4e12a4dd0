// Command decider is the Lambda that decides, moves the rollouts, and publishes what it decided.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
	"verdict/shared/notify"
	"verdict/shared/pipeline"
)

func main() {
	ctx := context.Background()
	home := lambdaio.Must(awsio.Open(ctx, os.LookupEnv, time.Now))
	p := lambdaio.Must(home.Pipeline())
	p.Flags = lambdaio.Must(home.Optimizely(ctx))
	p.Senders = []notify.Sender{lambdaio.Must(home.Topic())}
	p.Dashboard = lambdaio.Must(home.Setting(setting.Dashboard))
	lambda.Start(lambdaio.Scheduled("decider", lambdaio.Must(home.Lease()), time.Now,
		pipeline.Step{Name: "decide", Run: p.Decide},
		pipeline.Step{Name: "notify", Run: p.Notify}))
}
