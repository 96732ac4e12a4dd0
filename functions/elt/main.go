// Command elt is the Lambda that records the flags that are on, and makes tables of what has landed.
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
	ctx := context.Background()
	home := lambdaio.Must(awsio.Open(ctx, os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	p.ReadFlags = lambdaio.Must(flags.Reader(ctx, home, p.Project.Experiments))
	p.Datafile = lambdaio.Must(flags.Datafile(home))
	p.Audit = flags.Audit(p)
	lambda.Start(lambdaio.Scheduled("elt", lambdaio.Must(job.Lease(home)), time.Now, p.Model))
}
