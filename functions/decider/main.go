// Command decider is the Lambda that decides, moves the rollouts, and publishes what it decided.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/awsio/job/flags"
	"verdict/shared/awsio/setting"
	"verdict/shared/awsio/sns"
	"verdict/shared/lambdaio"
	"verdict/shared/notify"
)

func main() {
	ctx := context.Background()
	home := lambdaio.Must(awsio.Open(ctx, os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	p.Flags = lambdaio.Must(flags.Mover(ctx, home))
	p.Senders = []notify.Sender{sns.New(home.Config, lambdaio.Must(home.Setting(setting.DecisionTopic)))}
	p.Policies = lambdaio.Must(notify.ParsePolicies(lambdaio.Must(home.Setting(setting.Policies))))
	p.Dashboard = lambdaio.Must(home.Setting(setting.Dashboard))
	lambda.Start(lambdaio.Scheduled("decider", lambdaio.Must(job.Lease(home)), time.Now, p.Decide, p.Notify))
}
