// Command privacy is the Lambda that erases and exports what the lake holds about persons, as requests put into it ask.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/lambdaio"
	"verdict/shared/table/foreign"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	officer := lambdaio.Must(job.NewOfficer(home, foreign.EachRow, log))
	lease := lambdaio.Together{Lease: lambdaio.Must(job.Lease(home)), With: job.Persons()}
	lambda.Start(lambdaio.Scheduled("privacy", lease, time.Now, officer.Work))
}
