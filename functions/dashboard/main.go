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
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home)) // the same adapters; of its steps none
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	lambda.Start(lambdaio.HTTP(dashboard.New(dashboard.Source{
		Project: p.Project, Engine: p.Engine, Catalog: p.Catalog, Objects: p.Objects, Now: time.Now, Log: log,
		Howto: "the schedules of elt, identity, evaluator and decider",
	})))
}
