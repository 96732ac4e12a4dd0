// Command evaluator is the Lambda that measures experiments and works out their results.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/awsio/job/flags"
	"verdict/shared/lambdaio"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	p.Audit = flags.Audit(p)
	lambda.Start(lambdaio.Scheduled("evaluator", lambdaio.Must(job.Lease(home)), time.Now, p.Measure, p.Evaluate))
}
