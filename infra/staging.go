package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"verdict/shared/awsio/setting"
)

// staging is prod with less traffic and data that may go.
func staging() Environment {
	return Environment{
		Name:              "staging",
		Namespaces:        []string{"shop"},
		Since:             "2026-01-01",
		RequestsPerSecond: 200,
		RequestBurst:      400,
		Buffer:            5 * time.Minute,
		CollectorMemory:   512,
		JobMemory:         1024,
		RawDays:           90,
		LogDays:           awslogs.RetentionDays_ONE_MONTH,
		ScanGiB:           Scan{Pipeline: 100, API: 10, AdHoc: 100},
		Schedule:          hourly(),
		Budget:            Budget{Month: 200, Day: 20},
		Flags:             Flags{Platform: setting.Optimizely, BaseURL: "https://api.optimizely.com/flags/v1"},
	}
}

// hourly lets each job find what the one before has made: a job takes 15 minutes at most. Results are as of the start
// of a day, so evaluations between serve late events and retries only: four a day, because they read the most (verdict cost).
func hourly() Schedule {
	return Schedule{
		Replay:   "cron(45 * * * ? *)", // beside the decider, before the next model
		Model:    "cron(0 * * * ? *)",
		Resolve:  "cron(15 * * * ? *)",
		Evaluate: "cron(30 0/6 * * ? *)",
		Decide:   "cron(45 0/6 * * ? *)",
		Notify:   "cron(5 * * * ? *)", // what quiet hours held, what failed, and the day's digest
		Monitor:  "cron(50 * * * ? *)",
		Privacy:  "cron(55 * * * ? *)", // when the others are done: it meets none of them
	}
}
