// Command identity is the Lambda that finds out who is who, and who saw what.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/lambdaio"
	"verdict/shared/pipeline"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(home.Pipeline())
	lambda.Start(lambdaio.Scheduled("identity", lambdaio.Must(home.Lease()), time.Now,
		pipeline.Step{Name: "resolve", Run: p.Resolve}))
}
