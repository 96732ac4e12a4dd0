// Command elt is the Lambda that records the flags that are on, and makes tables of what has landed.
package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
	"verdict/shared/optimizely"
)

func main() {
	home := lambdaio.Must(awsio.Open(context.Background(), os.LookupEnv, time.Now))
	p := lambdaio.Must(job.Pipeline(home))
	datafile := optimizely.Datafile{URL: lambdaio.Must(home.Setting(setting.Datafile)), Client: &http.Client{Timeout: 10 * time.Second}}
	p.ReadFlags = datafile.Flags
	lambda.Start(lambdaio.Scheduled("elt", lambdaio.Must(job.Lease(home)), time.Now, p.Model))
}
