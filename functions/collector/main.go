// Command collector takes events at POST /v1/events: a Lambda, or with COLLECTOR_LISTEN set a plain HTTP server for
// a container (docs/collector.md).
package main

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"verdict/shared/awsio"
	"verdict/shared/awsio/firehose"
	"verdict/shared/awsio/setting"
	"verdict/shared/collect"
	"verdict/shared/lambdaio"
	"verdict/shared/lambdaio/emf"
	"verdict/shared/project"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx := context.Background()
	home := lambdaio.Must(awsio.Open(ctx, os.LookupEnv, time.Now))
	origins := collect.Origins(strings.Fields(lambdaio.Must(home.Setting(setting.Origins))))
	lambdaio.Serve(ctx, log, os.Getenv(setting.Listen), lambdaio.BehindEdge(lambdaio.Must(home.EdgeProof()), &collect.Handler{
		Plan:       lambdaio.Must(project.BuiltIn()).Plan,
		Good:       firehose.New(home.Config, lambdaio.Must(home.Setting(setting.GoodStream)), awsio.Wait),
		Quarantine: firehose.New(home.Config, lambdaio.Must(home.Setting(setting.QuarantineStream)), awsio.Wait),
		Keys:       home.WriteKeys,
		Log:        log,
		Now:        time.Now,
		Meter:      &emf.Collector{W: os.Stdout, Now: time.Now, Log: log},
		Origins:    lambdaio.Must(origins, origins.Check()),
		PrivacyKey: home.PrivacyKey,
		Cookie:     collect.Cookie{Domain: lambdaio.Must(home.Setting(setting.CookieDomain)), New: uuid.NewString},
	}))
}
