// Command slack is the Lambda that takes what people answer to proposals in Slack.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/awsio/sns"
	"verdict/shared/decide"
	"verdict/shared/lambdaio"
	"verdict/shared/project"
	"verdict/shared/slack"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	decider := sns.New(home.Config, lambdaio.Must(home.Setting(setting.AnswerTopic)))
	lambda.Start(lambdaio.HTTP(&slack.Interactions{
		Secret: func(ctx context.Context) (string, error) { return home.Secret(ctx, setting.SlackSigning) },
		Answers: &decide.Approvals{
			Objects:     lambdaio.Must(home.Objects()),
			Experiments: lambdaio.Must(project.BuiltIn()).Experiments,
			Approvers:   strings.Fields(lambdaio.Must(home.Setting(setting.Approvers))),
			Now:         time.Now,
		},
		Taken:  func(ctx context.Context) error { return decider.Tell(ctx, "a proposal was answered") },
		Client: &http.Client{Timeout: time.Second}, Now: time.Now, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	}))
}
