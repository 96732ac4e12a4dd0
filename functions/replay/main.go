// Command replay is the Lambda that lands what was put into the inbox, and the quarantine once the plan is mended.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/events"
	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/lambdaio"
	"verdict/shared/privacy"
	"verdict/shared/project"
	"verdict/shared/replay"
	"verdict/shared/table/foreign"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	bucket := lambdaio.Must(home.Objects())
	plan := lambdaio.Must(project.BuiltIn()).Plan
	erased := &privacy.Suppression{Objects: bucket, Key: home.PrivacyKey}
	inbox := &replay.Inbox{
		Replayer: &replay.Replayer{Plan: plan, Mapping: lambdaio.Must(replay.LoadMapping(events.Files, plan)), Objects: bucket, Parquet: foreign.EachRow, Erased: erased, Key: home.PrivacyKey},
		Source:   bucket,
		Told:     func(r replay.Report) { log.Info("replayed", slog.Any("report", r)) },
	}
	lambda.Start(lambdaio.Scheduled("replay", lambdaio.Must(job.Lease(home)), time.Now, inbox.Run))
}
