// Command dashboard is the Lambda behind the dashboard's pages.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/dashboard"
	"verdict/shared/lambdaio"
	"verdict/shared/project"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	experiments := lambdaio.Must(project.BuiltIn()).Experiments
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	lambda.Start(lambdaio.HTTP(dashboard.New(lambdaio.Must(job.Engine(home)), experiments, time.Now, log, "the schedules of elt, identity, evaluator and decider")))
}
