package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/events"
	"verdict/shared/plan"
)

// addEnvironments adds a stage per environment to the app. build is the folder with one folder per
// architecture and function, each holding its bootstrap. The context variable arch names another
// architecture than Lambda's cheaper one.
func addEnvironments(app awscdk.App, build string, environments ...Environment) error {
	arch, _ := app.Node().TryGetContext(jsii.String("arch")).(string)
	arch = cmp.Or(arch, "arm64")
	if _, known := architectures()[arch]; !known {
		return fmt.Errorf("context variable arch is %q: must be arm64 or amd64", arch)
	}
	build = filepath.Join(build, arch)
	for _, name := range functionNames() {
		if _, err := os.Stat(filepath.Join(build, name, "bootstrap")); err != nil {
			return fmt.Errorf("find function %s (make functions builds it): %w", name, err)
		}
	}
	p, err := plan.Load(events.Files)
	if err != nil {
		return err
	}
	for _, e := range environments {
		if err := e.check(); err != nil {
			return err
		}
		stage := awscdk.NewStage(app, &e.Name, nil)
		d, err := newData(stage, e)
		if err != nil {
			return err
		}
		if e.QuickSight != (QuickSight{}) {
			newQuickSight(stage, e, d)
		}
		newApp(stage, e, d, functions{environment: e, build: build, hashes: p.Hash != nil, architecture: architectures()[arch]})
	}
	return nil
}

// data is what must outlive a deployment, as the other stack sees it.
type data struct {
	lake    lake
	streams streams
	catalog catalog
	queries workgroups
	state   state
	secrets secrets
}

func newData(stage awscdk.Stage, e Environment) (data, error) {
	stack := newStack(stage, e, "data", e.Region, "Verdict: events, tables, decisions and secrets")
	d := data{lake: newLake(stack, e)}
	d.streams = newStreams(stack, e, d.lake)
	d.queries = newWorkgroups(stack, e, d.lake)
	d.state = newState(stack, e)
	d.secrets = newSecrets(stack, e)
	var err error
	d.catalog, err = newCatalog(stack, e, d.lake)
	return d, err
}

func newApp(stage awscdk.Stage, e Environment, d data, f functions) {
	stack := newStack(stage, e, "app", e.Region, "Verdict: collector, jobs, notifier and dashboard")
	if e.Edge != (Edge{}) {
		stack.AddDependency(newEdge(stage, e), jsii.String("the collector asks for the edge's proof"))
	}
	for i, hint := range e.hints() {
		awscdk.Annotations_Of(stack).AddWarningV2(jsii.String(fmt.Sprint("verdict:hint", i)), &hint)
	}
	failed := newFailed(stack)
	c := newCollector(stack, f, d)
	board := newDashboard(stack, f, d)
	numbers := newMetrics(stack, f, d)
	n := newNotification(stack, f, d, failed, board.api.ApiEndpoint())
	s := newSlack(stack, f, d)
	jobs := newJobs(stack, f, d, n.decisions, s.answered, failed, board.api.ApiEndpoint())
	newAnalysts(stack, d)
	alarms := newAlarms(stack, e)
	alarms.onCollector(c)
	alarms.onMetrics(numbers)
	alarms.onStreams(d.streams, e.Buffer)
	alarms.onFailed(failed)
	alarms.onSlack(s)
	alarms.onErrors(append(jobs, c.function, n.notifier, board.function, numbers.function, s.function, newCanary(stack, f, d, c))...)
	alarms.onReadings()
	alarms.onQueries(e, d.queries)
	newBudgets(stack, e, alarms)
}

// tag by which cost is found.
const tag = "verdict:environment"

// newStack gives stacks names that say whose they are in an account: verdict-dev-data.
func newStack(stage awscdk.Stage, e Environment, name, region, description string) awscdk.Stack {
	stack := awscdk.NewStack(stage, &name, &awscdk.StackProps{
		Env:                   &awscdk.Environment{Account: optional(e.Account), Region: optional(region)},
		StackName:             jsii.String("verdict-" + e.Name + "-" + name),
		Description:           &description,
		TerminationProtection: &e.Keep,
	})
	awscdk.Tags_Of(stack).Add(jsii.String(tag), &e.Name, nil)
	return stack
}

// removal says what becomes of data whose stack is deleted.
func (e Environment) removal() awscdk.RemovalPolicy {
	if e.Keep {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}

// group is a scope for the parts of one concern.
func group(scope constructs.Construct, name string) constructs.Construct {
	return constructs.NewConstruct(scope, &name)
}

// optional makes nothing of an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func output(scope constructs.Construct, name, description string, value *string) {
	awscdk.NewCfnOutput(scope, &name, &awscdk.CfnOutputProps{Description: &description, Value: value})
}
