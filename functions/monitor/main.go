// Command monitor is the Lambda that takes the pipeline's pulse and writes it as metrics, for which infra has alarms.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/cloudwatch"
	"verdict/shared/awsio/job"
	"verdict/shared/lambdaio"
	"verdict/shared/lambdaio/emf"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	counts := cloudwatch.New(home.Config, emf.Space)
	metrics := &emf.Collector{W: os.Stdout, Now: time.Now, Log: log}
	lambda.Start(lambdaio.Scheduled("monitor", lambdaio.Must(job.Lease(home)), time.Now, func(ctx context.Context, asOf time.Time) error {
		readings, err := p.Monitor(ctx, counts, asOf)
		if err == nil {
			metrics.Readings(ctx, readings)
		}
		return err
	}))
}
