package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"verdict/shared/awsio/setting"
)

// dev is small, quick to show what it does, and leaves nothing behind.
func dev() Environment {
	return Environment{
		Name:              "dev",
		Namespaces:        []string{"shop"},
		Since:             "2026-01-01",
		RequestsPerSecond: 50,
		RequestBurst:      100,
		Buffer:            time.Minute,
		CollectorMemory:   256,
		JobMemory:         512,
		RawDays:           30,
		LogDays:           awslogs.RetentionDays_ONE_WEEK,
		ScanGiB:           Scan{Pipeline: 10, API: 1, AdHoc: 10},
		Schedule: Schedule{
			Replay:   "cron(12/15 * * * ? *)",
			Model:    "cron(0/15 * * * ? *)",
			Resolve:  "cron(5/15 * * * ? *)",
			Evaluate: "cron(8/15 * * * ? *)",
			Decide:   "cron(12/15 * * * ? *)",
			Notify:   "cron(5 * * * ? *)", // what quiet hours held, what failed, and the day's digest
			Monitor:  "cron(14/15 * * * ? *)",
			Privacy:  "cron(3 * * * ? *)", // when the others are done
		},
		Flags: Flags{Platform: setting.Optimizely, BaseURL: "https://api.optimizely.com/flags/v1"},
	}
}
