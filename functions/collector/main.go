// Command collector is the Lambda behind POST /v1/events.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/collect"
	"verdict/shared/lambdaio"
	"verdict/shared/lambdaio/emf"
	"verdict/shared/project"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	lambda.Start(lambdaio.HTTP(&collect.Handler{
		Plan:       lambdaio.Must(project.BuiltIn()).Plan,
		Good:       lambdaio.Must(home.Stream(setting.GoodStream)),
		Quarantine: lambdaio.Must(home.Stream(setting.QuarantineStream)),
		Keys:       home.WriteKeys,
		Log:        log,
		Now:        time.Now,
		Meter:      &emf.Collector{W: os.Stdout, Now: time.Now, Log: log},
	}))
}
