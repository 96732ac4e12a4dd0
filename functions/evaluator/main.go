// Command evaluator is the Lambda that measures experiments and works out their results.
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
	lambda.Start(lambdaio.Scheduled("evaluator", lambdaio.Must(home.Lease()), time.Now,
		pipeline.Step{Name: "measure", Run: p.Measure},
		pipeline.Step{Name: "evaluate", Run: p.Evaluate}))
}
