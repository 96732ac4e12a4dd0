// Command identity is the Lambda that finds out who is who, and who saw what.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/lambdaio"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	lambda.Start(lambdaio.Scheduled("identity", lambdaio.Must(job.Lease(home)), time.Now, p.Resolve))
}
