// Command collector is the Lambda behind POST /v1/events.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/collect"
	"verdict/shared/lambdaio"
	"verdict/shared/project"
)

func main() {
	ctx := context.Background()
	home := lambdaio.Must(awsio.Open(ctx, os.LookupEnv))
	lambda.Start(lambdaio.HTTP(&collect.Handler{
		Plan:       lambdaio.Must(project.BuiltIn()).Plan,
		Good:       lambdaio.Must(home.Stream(setting.GoodStream)),
		Quarantine: lambdaio.Must(home.Stream(setting.QuarantineStream)),
		Keys:       lambdaio.Must(home.WriteKeys(ctx)),
		Now:        time.Now,
	}))
}
