// Command canary is the Lambda that sends one event a minute through the collector's own address: how long it takes
// to become a fact is the pipeline's lag.
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
	"verdict/shared/tracking"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	collector := lambdaio.Must(home.Setting(setting.CollectorURL))
	client := &http.Client{Timeout: 5 * time.Second}
	canary := &tracking.Canary{
		Keys: home.WriteKeys, NewID: uuid.NewString, Now: time.Now,
		Sender: func(key string) *tracking.Sender {
			return &tracking.Sender{URL: collector + "/v1/events", Key: key, Name: "verdict-canary", Client: client, Wait: awsio.Wait, SentAt: time.Now}
		},
	}
	lambda.Start(canary.Probe)
}
