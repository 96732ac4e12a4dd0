package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
)

func TestFunctionsAreToldWhatTheyUse(t *testing.T) {
	lake := []string{setting.LakeBucket, setting.GlueDatabase, setting.AthenaWorkgroup}
	job := append(slices.Clone(lake), setting.StateTable)
	want := map[string][]string{
		"collector": {setting.Origins, setting.CookieDomain, setting.EdgeProof, setting.GoodStream, setting.QuarantineStream, setting.WriteKeys},
		"replay":    {setting.LakeBucket, setting.StateTable, setting.PrivacyKey},
		"privacy":   append(slices.Clone(job), setting.PrivacyKey),
		"monitor":   job,
		"canary":    {setting.CollectorURL, setting.WriteKeys},
		"elt":       append(slices.Clone(job), setting.FlagPlatform, setting.Datafile),
		"identity":  job,
		"evaluator": job,
		"decider": append(slices.Clone(job), setting.DecisionTopic, setting.Dashboard, setting.Policies,
			setting.FlagPlatform, setting.FlagToken, setting.FlagProject, setting.FlagStage, setting.FlagURL, setting.Datafile),
		"notifier":  {setting.LakeBucket, setting.SlackWebhook, setting.SlackChannel, setting.SlackButtons, setting.Policies, setting.Dashboard},
		"slack":     {setting.LakeBucket, setting.SlackSigning, setting.Approvers, setting.AnswerTopic},
		"dashboard": lake,
		"metrics":   append(slices.Clone(lake), setting.ReadKeys, setting.QueryBytes),
	}
	for name, settings := range want {
		want[name] = slices.Sorted(slices.Values(append(slices.Clone(settings), setting.Environment)))
	}
	for _, stack := range []string{"dev/app", "staging/app", "prod/app"} {
		got := map[string][]string{}
		for _, r := range all(t).of("AWS::Lambda::Function") {
			if name, _, _ := strings.Cut(r.id, "Function"); r.stack == stack {
				got[name] = []string{}
				for variable := range in(r.properties, "Environment", "Variables") {
					got[name] = append(got[name], variable)
				}
				slices.Sort(got[name])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings of %s (-want +got):\n%s", stack, diff)
		}
	}
}

func TestFunctionsRunAsBuilt(t *testing.T) {
	logs, days := map[string]object{}, map[string]float64{"dev": 7, "staging": 30, "prod": 90}
	for _, r := range all(t).of("AWS::Logs::LogGroup") {
		logs[r.String()] = r.properties
		environment, _, _ := strings.Cut(r.stack, "/")
		if got, want := r.properties["RetentionInDays"], days[environment]; got != want {
			t.Errorf("%s is kept for %v days, want %v", r, got, want)
		}
	}
	alone := []string{"replay", "elt", "identity", "evaluator", "decider", "monitor", "privacy"}
	for _, r := range all(t).of("AWS::Lambda::Function") {
		p := r.properties
		name, _, _ := strings.Cut(r.id, "Function")
		got := []any{p["Runtime"], p["Handler"], p["Architectures"], in(p, "TracingConfig")["Mode"]}
		if diff := cmp.Diff([]any{"provided.al2023", "bootstrap", []any{"arm64"}, "Active"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", r, diff)
		}
		if got, want := p["ReservedConcurrentExecutions"] == 1.0, slices.Contains(alone, name); got != want {
			t.Errorf("%s runs alone: got %t, want %t", r, got, want)
		}
		group, _ := in(p, "LoggingConfig", "LogGroup")["Ref"].(string)
		if logs[r.stack+"/"+group] == nil {
			t.Errorf("%s has no log of its own: %v", r, p["LoggingConfig"])
		}
	}
}

func TestAFailedEventIsKept(t *testing.T) {
	want := []string{"decider", "elt", "evaluator", "identity", "monitor", "notifier", "privacy", "replay"}
	var got []string
	for _, r := range all(t).of("AWS::Lambda::EventInvokeConfig") {
		if r.stack == "prod/app" && strings.Contains(text(in(r.properties, "DestinationConfig", "OnFailure")["Destination"]), "FailedQueue") {
			name, _, _ := strings.Cut(r.id, "Function")
			got = append(got, name)
		}
	}
	for _, r := range all(t).of("AWS::Lambda::EventInvokeConfig") {
		if got := r.properties["MaximumRetryAttempts"]; got != 2.0 {
			t.Errorf("%s: Lambda calls it again %v times, want 2", r, got)
		}
	}
	if athena := 30 * time.Minute; 3*jobTimeout < athena { // default quota of a DML statement's time
		t.Errorf("three calls of %s end before a statement may, which is %s", jobTimeout, athena)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions whose failed events are kept (-want +got):\n%s", diff)
	}
}

func TestSchedulesSayWhenTheyWereToFire(t *testing.T) {
	schedules := all(t).of("AWS::Scheduler::Schedule")
	if got, want := len(schedules), 3*9; got != want {
		t.Errorf("got %d schedules, want %d", got, want)
	}
	for _, r := range schedules {
		if strings.HasPrefix(r.id, "canary") { // it is about now, and another comes in a minute
			continue
		}
		target := in(r.properties, "Target")
		input := strings.ReplaceAll(target["Input"].(string), "<aws.scheduler.scheduled-time>", "2026-01-31T23:59:00Z")
		var occasion lambdaio.Occasion
		if err := json.Unmarshal([]byte(input), &occasion); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		if got, want := occasion.ScheduledTime, time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC); !got.Equal(want) {
			t.Errorf("%s: got time %s, want %s", r, got, want)
		}
		if in(target, "DeadLetterConfig")["Arn"] == nil {
			t.Errorf("%s forgets what it cannot deliver", r)
		}
	}
}

// An answer in Slack starts the decider, and nothing else may.
func TestAnAnswerStartsTheDecider(t *testing.T) {
	for _, r := range all(t).of("AWS::SNS::Subscription") {
		if strings.Contains(text(r.properties["TopicArn"]), "slackAnswered") && !strings.Contains(text(r.properties["Endpoint"]), "deciderFunction") {
			t.Errorf("%s is told of answers", r)
		}
	}
	holds(t, func() {
		all(t).templates["prod/app"].HasResourceProperties(jsii.String("AWS::SNS::Subscription"), object{
			"TopicArn": object{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^slackAnswered"))}, "Protocol": "lambda",
		})
		all(t).templates["prod/app"].HasResourceProperties(jsii.String("AWS::ApiGatewayV2::Stage"), object{
			"ApiId": object{"Ref": assertions.Match_StringLikeRegexp(jsii.String("^slackApi"))}, "DefaultRouteSettings": object{"ThrottlingRateLimit": slackRate, "ThrottlingBurstLimit": slackBurst},
		})
	})
}

func TestADeploymentChangesWhatChanged(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "arm64", "elt", "bootstrap"), []byte("changed"), 0o700); err != nil {
		t.Fatal(err)
	}
	changed, err := synthesize(folder, dev())
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, r := range all(t).of("AWS::Lambda::Function") {
		before[r.String()] = text(in(r.properties, "Code")["S3Key"])
	}
	for _, r := range changed.of("AWS::Lambda::Function") {
		after := text(in(r.properties, "Code")["S3Key"])
		if got, want := after != before[r.String()], strings.HasPrefix(r.id, "elt"); got != want {
			t.Errorf("%s is deployed anew: got %t, want %t", r, got, want)
		}
	}
}

func TestTheArchitectureIsThatOfTheBuild(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := synthesizeWith(map[string]any{"arch": "amd64"}, folder, dev()); err == nil || !strings.Contains(err.Error(), "make functions") {
		t.Errorf("without a build for amd64: got error %v", err)
	}
	if err := os.Rename(filepath.Join(folder, "arm64"), filepath.Join(folder, "amd64")); err != nil {
		t.Fatal(err)
	}
	s, err := synthesizeWith(map[string]any{"arch": "amd64"}, folder, dev())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.of("AWS::Lambda::Function") {
		if got := r.properties["Architectures"].([]any)[0]; got != "x86_64" {
			t.Errorf("%s is for %s", r, got)
		}
	}
	if _, err := synthesizeWith(map[string]any{"arch": "mips"}, folder, dev()); err == nil || !strings.Contains(err.Error(), "mips") {
		t.Errorf("got error %v, want one that names mips", err)
	}
}

func TestAMissingBuildSaysHowToMakeIt(t *testing.T) {
	_, err := synthesize(t.TempDir(), dev())
	if err == nil || !strings.Contains(err.Error(), "make functions") {
		t.Errorf("got error %v, want one that names make functions", err)
	}
}

// The collector may read the key of hashes when the tracking plan has it hash ids, and only then.
func TestTheCollectorIsGivenTheKeyThatThePlanAsksFor(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := dev()
	for _, hashes := range []bool{false, true} {
		stage := awscdk.NewStage(awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(folder, "cdk.out"))}), &e.Name, nil)
		d, err := newData(stage, e)
		if err != nil {
			t.Fatal(err)
		}
		stack := newStack(stage, e, "app", "", "one function")
		newCollector(stack, functions{environment: e, build: filepath.Join(folder, "arm64"), architecture: architectures()["arm64"], hashes: hashes}, d)
		for id, r := range in(*assertions.Template_FromStack(stack, nil).ToJSON(), "Resources") {
			r := r.(object)
			switch kind := r["Type"]; {
			case kind == "AWS::IAM::Policy" && strings.Contains(text(r["Properties"]), "SecretsPrivacy") != hashes,
				kind == "AWS::Lambda::Function" && (in(r, "Properties", "Environment", "Variables")[setting.PrivacyKey] != nil) != hashes:
				t.Errorf("hashes %t: %s has %s", hashes, id, text(r["Properties"]))
			}
		}
	}
}

func TestNothingNeedsACustomResource(t *testing.T) {
	for _, r := range all(t).resources {
		if strings.HasPrefix(r.kind, "Custom::") || r.kind == "AWS::CloudFormation::CustomResource" {
			t.Errorf("%s is a custom resource", r)
		}
	}
}
