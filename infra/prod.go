package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"verdict/shared/awsio/setting"
)

// prod decides what real users see; its data outlives its stacks.
func prod() Environment {
	return Environment{
		Name:              "prod",
		Keep:              true,
		Namespaces:        []string{"shop"},
		Since:             "2026-01-01",
		RequestsPerSecond: 2000,
		RequestBurst:      4000,
		Buffer:            5 * time.Minute,
		CollectorMemory:   512,
		JobMemory:         2048,
		LogDays:           awslogs.RetentionDays_THREE_MONTHS,
		ScanGiB:           Scan{Pipeline: 1024, API: 20, AdHoc: 200},
		Schedule:          hourly(),
		Budget:            Budget{Month: 2000, Day: 150},
		Flags:             Flags{Platform: setting.Optimizely, BaseURL: "https://api.optimizely.com/flags/v1"},
	}
}
