// Command metrics is the Lambda behind the metrics API.
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
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	lambda.Start(lambdaio.HTTP(lambdaio.Must(job.Metrics(home, log))))
}
