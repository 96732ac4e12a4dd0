package main

import (
	"maps"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsschedulertargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
)

// jobTimeout is Lambda's longest: a job that is cut off is completed by its next run.
const jobTimeout = 15 * time.Minute

// schedulerRetries is how often an event that did not reach the function is sent again; a function
// that was reached and fails is retried by Lambda, twice.
const schedulerRetries = 3

const (
	leastMemory   = 128 // MB, Lambda's least: it sends one request
	canaryTimeout = 45 * time.Second
)

// newJobs makes the functions that turn events into decisions, one step of the way each.
func newJobs(scope constructs.Construct, f functions, d data, decided, answered awssns.Topic, failed awssqs.IQueue, dashboard *string) []awslambda.IFunction {
	at := f.environment.Schedule
	from := f.environment.Flags
	replay := job{name: "replay", schedule: at.Replay, description: "Lands what was put into the inbox, and the quarantine once the plan is mended"}
	replay.filesOnly = true
	replay.reads = []string{inbox, quarantine, replays}
	replay.writes = []string{raw, quarantine, replays}
	replay.settings = map[string]*string{setting.PrivacyKey: d.secrets.privacy.Ref()} // by which it knows who was erased
	replay.allows = []awsiam.PolicyStatement{d.secrets.reading(d.secrets.privacy)}

	elt := job{name: "elt", schedule: at.Model, description: "Makes tables of what has landed"}
	elt.reads, elt.writes = []string{raw, warehouse, flagFiles}, []string{warehouse, flagFiles}
	elt.settings = map[string]*string{setting.FlagPlatform: &from.Platform, setting.Datafile: &from.Datafile}
	if from.Platform == setting.LaunchDarkly { // there is no datafile: it asks the API
		elt.settings = from.settings(d.secrets)
		elt.allows = []awsiam.PolicyStatement{d.secrets.reading(d.secrets.flags)}
	}

	identity := job{name: "identity", schedule: at.Resolve, description: "Finds out who is who, and who saw what"}
	identity.reads, identity.writes = []string{warehouse, identities}, []string{warehouse}

	evaluator := job{name: "evaluator", schedule: at.Evaluate, description: "Measures experiments and works out results"}
	evaluator.reads, evaluator.writes = []string{warehouse, flagFiles, registrations, bundles}, []string{warehouse, registrations, bundles}

	decider := job{name: "decider", schedule: at.Decide, description: "Decides, moves rollouts and tells people"}
	decider.writes = []string{warehouse, decisions, notifications, bundles, restatements}
	decider.reads = append([]string{approvals}, decider.writes...)
	decider.answers = answered
	decider.settings = from.settings(d.secrets)
	decider.settings[setting.DecisionTopic] = decided.TopicArn()
	decider.settings[setting.Dashboard] = dashboard
	decider.settings[setting.Policies] = &f.environment.Notify
	decider.allows = []awsiam.PolicyStatement{
		allow([]string{"sns:Publish"}, decided.TopicArn()),
		d.secrets.reading(d.secrets.flags),
	}

	monitor := job{name: "monitor", schedule: at.Monitor, description: "Takes the pipeline's pulse: freshness, the ledger, drift"}
	monitor.reads, monitor.writes = []string{raw, quarantine, warehouse, audits}, []string{warehouse}
	monitor.allows = []awsiam.PolicyStatement{allow([]string{"cloudwatch:GetMetricData"}, jsii.String("*"))} // it has no resources (Service Authorization Reference)

	officer := job{name: "privacy", schedule: at.Privacy, description: "Erases and exports what is held about persons, as requests ask"}
	officer.reads = []string{raw, quarantine, inbox, undeliverable, warehouse, identities, persons}
	officer.writes = officer.reads
	officer.settings = map[string]*string{setting.PrivacyKey: d.secrets.privacy.Ref()}
	officer.allows = append(d.lake.erasing(raw, quarantine, inbox, undeliverable, warehouse, identities, requests), d.secrets.reading(d.secrets.privacy))

	var out []awslambda.IFunction
	for _, j := range []job{replay, elt, identity, evaluator, decider, monitor, officer} {
		out = append(out, j.add(group(scope, j.name), f, d, failed))
	}
	return out
}

// settings name the flag platform and how to reach it.
func (f Flags) settings(s secrets) map[string]*string {
	return map[string]*string{
		setting.FlagPlatform: &f.Platform,
		setting.FlagToken:    s.flags.Ref(),
		setting.FlagProject:  &f.Project,
		setting.FlagStage:    &f.Environment,
		setting.FlagURL:      &f.BaseURL,
		setting.Datafile:     &f.Datafile,
	}
}

// job is a function that runs on a schedule over the lake.
type job struct {
	name, schedule, description string
	reads, writes               []string      // prefixes of the lake
	filesOnly                   bool          // it runs no query and publishes no table
	answers                     awssns.ITopic // that also starts it; may be nil
	settings                    map[string]*string
	allows                      []awsiam.PolicyStatement
}

func (j job) add(scope constructs.Construct, f functions, d data, failed awssqs.IQueue) awslambda.Function {
	settings := map[string]*string{setting.LakeBucket: d.lake.bucket.BucketName()}
	allows := []awsiam.PolicyStatement{d.state.leasing()}
	if j.filesOnly {
		allows = append(allows, d.lake.reading(j.reads...)...)
	} else {
		settings = d.settings(d.queries.pipeline)
		if url := f.environment.Lineage; url != "" {
			settings[setting.Lineage] = &url
		}
		allows = append(append(allows, d.catalog.writing(scope)), d.querying(scope, d.queries.pipeline, j.reads...)...)
	}
	settings[setting.StateTable] = d.state.table.TableName()
	maps.Copy(settings, j.settings)
	allows = append(allows, d.lake.writing(append([]string{told}, j.writes...)...)...)
	fn := f.add(scope, function{
		name:        j.name,
		description: j.description,
		memory:      f.environment.JobMemory,
		timeout:     jobTimeout,
		alone:       true,
		failed:      failed,
		settings:    settings,
		allows:      append(allows, j.allows...),
	})
	if j.answers != nil {
		j.answers.AddSubscription(awssnssubscriptions.NewLambdaSubscription(fn, nil))
	}
	newSchedule(scope, fn, j.description, j.schedule, failed)
	return fn
}

// newSchedule calls a function at its times.
func newSchedule(scope constructs.Construct, fn awslambda.Function, description, at string, failed awssqs.IQueue) {
	awsscheduler.NewSchedule(scope, jsii.String("Schedule"), &awsscheduler.ScheduleProps{
		Description: &description,
		Schedule:    awsscheduler.ScheduleExpression_Expression(&at, nil),
		Target: awsschedulertargets.NewLambdaInvoke(fn, &awsschedulertargets.ScheduleTargetBaseProps{
			// shared/lambdaio.Occasion: a retry keeps the time, so it works on the same day.
			Input:           awsscheduler.ScheduleTargetInput_FromObject(map[string]*string{"scheduled_time": awsscheduler.ContextAttribute_ScheduledTime()}),
			DeadLetterQueue: failed,
			RetryAttempts:   jsii.Number(schedulerRetries),
			MaxEventAge:     seconds(time.Hour),
		}),
	})
}

// newCanary makes the function that sends an event a minute to the collector.
func newCanary(scope constructs.Construct, f functions, d data, c collector) awslambda.IFunction {
	scope = group(scope, "canary")
	fn := f.add(scope, function{
		name:        "canary",
		description: "Sends an event a minute through the collector",
		memory:      leastMemory,
		timeout:     canaryTimeout,
		settings:    map[string]*string{setting.CollectorURL: c.address, setting.WriteKeys: d.secrets.writeKeys.Ref()},
		allows:      []awsiam.PolicyStatement{d.secrets.reading(d.secrets.writeKeys)},
	})
	awsscheduler.NewSchedule(scope, jsii.String("Schedule"), &awsscheduler.ScheduleProps{
		Description: jsii.String("One event a minute"),
		Schedule:    awsscheduler.ScheduleExpression_Rate(seconds(time.Minute)),
		Target: awsschedulertargets.NewLambdaInvoke(fn, &awsschedulertargets.ScheduleTargetBaseProps{
			RetryAttempts: jsii.Number(0), // the next one comes in a minute
		}),
	})
	return fn
}

// settings name what a function needs to work with the lake.
func (d data) settings(w workgroup) map[string]*string {
	return map[string]*string{
		setting.LakeBucket:      d.lake.bucket.BucketName(),
		setting.GlueDatabase:    &d.catalog.name,
		setting.AthenaWorkgroup: &w.name,
	}
}

// querying allows to read below the prefixes, in person and through Athena, whose answers are
// written in the caller's name.
func (d data) querying(scope constructs.Construct, w workgroup, prefixes ...string) []awsiam.PolicyStatement {
	out := []awsiam.PolicyStatement{w.running(scope)}
	out = append(out, d.catalog.reading(scope)...)
	out = append(out, d.lake.reading(append([]string{w.answers}, prefixes...)...)...)
	return append(out, d.lake.writing(w.answers)...)
}
