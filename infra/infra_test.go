package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/awsio/setting"
	"verdict/shared/cost"
	"verdict/shared/lambdaio"
	"verdict/shared/model"
	"verdict/shared/monitor"
	"verdict/shared/privacy"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// object is a part of a template.
type object = map[string]any

// resource is one resource of one stack.
type resource struct {
	stack, id, kind string
	all, properties object
}

func (r resource) String() string { return r.stack + "/" + r.id }

// synthesized is what the app makes of environments.
type synthesized struct {
	templates map[string]assertions.Template // by stack, such as dev/data
	resources []resource
}

func (s synthesized) of(kinds ...string) []resource {
	return slices.DeleteFunc(slices.Clone(s.resources), func(r resource) bool { return !slices.Contains(kinds, r.kind) })
}

// build fills a folder as make functions does, with bootstraps that say no more than their name.
func build(folder string) error {
	for _, name := range functionNames() {
		if err := os.MkdirAll(filepath.Join(folder, "arm64", name), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "arm64", name, "bootstrap"), []byte(name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func synthesize(folder string, environments ...Environment) (synthesized, error) {
	return synthesizeWith(nil, folder, environments...)
}

func synthesizeWith(context map[string]any, folder string, environments ...Environment) (synthesized, error) {
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(folder, "cdk.out")), Context: &context})
	if err := addEnvironments(app, folder, environments...); err != nil {
		return synthesized{}, err
	}
	out := synthesized{templates: map[string]assertions.Template{}}
	for _, e := range environments {
		for _, child := range *app.Node().FindChild(&e.Name).Node().Children() {
			stack, ok := child.(awscdk.Stack)
			if !ok {
				return synthesized{}, fmt.Errorf("%s is no stack", *child.Node().Path())
			}
			where := *child.Node().Path()
			template := assertions.Template_FromStack(stack, nil)
			out.templates[where] = template
			for id, r := range in(*template.ToJSON(), "Resources") {
				all := r.(object)
				out.resources = append(out.resources, resource{where, id, all["Type"].(string), all, in(all, "Properties")})
			}
		}
	}
	return out, nil
}

var everything = sync.OnceValues(func() (synthesized, error) {
	folder, err := os.MkdirTemp("", "infra")
	if err != nil {
		return synthesized{}, err
	}
	defer os.RemoveAll(folder)
	if err := build(folder); err != nil {
		return synthesized{}, err
	}
	return synthesize(folder, dev(), staging(), prod())
})

func all(t *testing.T) synthesized {
	t.Helper()
	s, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// in walks down a template; what is not there is empty.
func in(from object, path ...string) object {
	for _, name := range path {
		from, _ = from[name].(object)
	}
	return from
}

// list makes a list of what CloudFormation lets stand alone.
func list(v any) []any {
	if v == nil {
		return nil
	}
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

// text spells a value of a template with the parts it is joined of, references as their names.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case object:
		if join, ok := v["Fn::Join"].([]any); ok {
			var out strings.Builder
			for _, part := range join[1].([]any) {
				out.WriteString(text(part))
			}
			return out.String()
		}
	}
	spelled, _ := json.Marshal(v)
	return string(spelled)
}

// holds reports what an assertion of the CDK panics with.
func holds(t *testing.T, check func()) {
	t.Helper()
	defer func() {
		if problem := recover(); problem != nil {
			t.Error(problem)
		}
	}()
	check()
}

func TestPermissionsNameTheirActionsAndResources(t *testing.T) {
	// What may be done to everything, because AWS knows no resource for it.
	everywhere := map[string]string{
		"xray:PutTraceSegments":    "traces belong to no resource",
		"xray:PutTelemetryRecords": "traces belong to no resource",
		"cloudwatch:GetMetricData": "metrics belong to no resource",
	}
	// Parts of a resource, by the end of what is named: objects below a prefix, tables of the one database, versions of
	// the function that a schedule calls.
	parts := regexp.MustCompile(`(/(raw|quarantine|inbox|flags|identity|replay|errors|warehouse|decisions|approvals|notifications|registrations|restatements|bundles|lineage|privacy(/audit|/requests)?|athena/(pipeline|api|adhoc))/\*|` +
		`:table/verdict_[a-z]+/\*|Function[0-9A-F]{8}.*:\*)$`)
	var count int
	for _, r := range all(t).resources {
		documents := []object{in(r.properties, "PolicyDocument")}
		for _, p := range list(r.properties["Policies"]) {
			documents = append(documents, in(p.(object), "PolicyDocument"))
		}
		for _, document := range documents {
			for _, s := range list(document["Statement"]) {
				statement := s.(object)
				if statement["Effect"] != "Allow" {
					continue
				}
				count++
				for _, action := range list(statement["Action"]) {
					if strings.Contains(action.(string), "*") {
						t.Errorf("%s allows %s", r, action)
					}
					if slices.Contains(list(statement["Resource"]), any("*")) && everywhere[action.(string)] == "" {
						t.Errorf("%s allows %s on everything", r, action)
					}
				}
				for _, where := range list(statement["Resource"]) {
					if named := text(where); named != "*" && strings.ContainsAny(named, "*?") && !parts.MatchString(named) {
						t.Errorf("%s allows %v on %s", r, statement["Action"], named)
					}
				}
				if statement["Principal"] == "*" {
					t.Errorf("%s allows everybody %v", r, statement["Action"])
				}
			}
		}
		if managed := r.properties["ManagedPolicyArns"]; managed != nil {
			t.Errorf("%s has policies that others write: %s", r, text(managed))
		}
	}
	if count < 100 {
		t.Errorf("found only %d permissions", count)
	}
}

func TestOnlyTheDeciderMovesFlagsAndOnlyWhoSendsEventsReadsKeys(t *testing.T) {
	readers := map[string][]string{}
	for _, r := range all(t).of("AWS::IAM::Policy") {
		for _, s := range list(in(r.properties, "PolicyDocument")["Statement"]) {
			if statement := s.(object); slices.Contains(list(statement["Action"]), any("secretsmanager:GetSecretValue")) {
				for _, secret := range []string{"WriteKeys", "ReadKeys", "Flags", "Slack", "Signing", "Privacy"} {
					if strings.Contains(text(statement["Resource"]), "Secrets"+secret) && r.stack == "prod/app" {
						name, _, _ := strings.Cut(r.id, "Role")
						readers[secret] = append(readers[secret], name)
					}
				}
			}
		}
	}
	for _, names := range readers {
		slices.Sort(names)
	}
	want := map[string][]string{"WriteKeys": {"canary", "collector"}, "ReadKeys": {"metrics"}, "Flags": {"decider"}, "Slack": {"notifier"}, "Signing": {"slack"}, "Privacy": {"privacy", "replay"}}
	if diff := cmp.Diff(want, readers); diff != "" {
		t.Errorf("readers of secrets (-want +got):\n%s", diff)
	}
}

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

func TestStreamsWriteWhereTheCatalogReads(t *testing.T) {
	s := all(t)
	project, err := model.Load(athenasql.Files)
	if err != nil {
		t.Fatal(err)
	}
	for stack, template := range s.templates {
		if !strings.HasSuffix(stack, "/data") {
			continue
		}
		for _, prefix := range []string{"raw/", "quarantine/"} {
			holds(t, func() {
				template.HasResourceProperties(jsii.String("AWS::KinesisFirehose::DeliveryStream"), object{
					"DeliveryStreamEncryptionConfigurationInput": object{"KeyType": "AWS_OWNED_CMK"},
					"ExtendedS3DestinationConfiguration": object{
						"Prefix":                           prefix + "namespace=!{partitionKeyFromQuery:namespace}/event_date=!{partitionKeyFromQuery:event_date}/",
						"ErrorOutputPrefix":                "errors/" + prefix + "!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/",
						"FileExtension":                    ".ndjson.gz",
						"CompressionFormat":                "GZIP",
						"DynamicPartitioningConfiguration": object{"Enabled": true},
						"BufferingHints":                   object{"SizeInMBs": 128},
						"ProcessingConfiguration": object{"Enabled": true, "Processors": []any{
							object{"Type": "RecordDeAggregation", "Parameters": []any{object{"ParameterName": "SubRecordType", "ParameterValue": "JSON"}}},
							object{"Type": "MetadataExtraction", "Parameters": []any{
								object{"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{namespace:.namespace,event_date:.event_date}"},
								object{"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
							}},
							object{"Type": "AppendDelimiterToRecord", "Parameters": []any{object{"ParameterName": "Delimiter", "ParameterValue": `\n`}}},
						}},
					},
				})
			})
		}
	}
	tables := map[string]object{}
	for _, r := range s.of("AWS::Glue::Table") {
		input := in(r.properties, "TableInput")
		tables[r.stack+"/"+input["Name"].(string)] = input
	}
	for _, source := range []string{"raw_event", "quarantine_event"} {
		input := tables["prod/data/"+source]
		parameters := in(input, "Parameters")
		folder := strings.TrimSuffix(source, "_event")
		if got, want := text(parameters["storage.location.template"]), "/"+folder+"/namespace=${namespace}/event_date=${event_date}/"; !strings.HasSuffix(got, want) {
			t.Errorf("%s: partitions stand at %s, want …%s", source, got, want)
		}
		if got, want := parameters["projection.namespace.values"], strings.Join(prod().Namespaces, ","); got != want {
			t.Errorf("%s: got namespaces %v, want %s", source, got, want)
		}
		var got, want []string
		for _, part := range []any{in(input, "StorageDescriptor")["Columns"], input["PartitionKeys"]} {
			for _, c := range list(part) {
				got = append(got, fmt.Sprint(c.(object)["Name"], " ", c.(object)["Type"]))
			}
		}
		for _, c := range project.ColumnsOf(source) {
			want = append(want, c.Name+" "+strings.NewReplacer("varchar", "string", "timestamp(3)", "timestamp").Replace(c.Type))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("columns of %s (-want +got):\n%s", source, diff)
		}
	}
}

func TestTheLakeIsPrivate(t *testing.T) {
	for stack, template := range all(t).templates {
		if !strings.HasSuffix(stack, "/data") {
			continue
		}
		holds(t, func() {
			template.AllResourcesProperties(jsii.String("AWS::S3::Bucket"), object{
				"BucketEncryption":        object{"ServerSideEncryptionConfiguration": []any{object{"ServerSideEncryptionByDefault": object{"SSEAlgorithm": "AES256"}}}},
				"VersioningConfiguration": object{"Status": "Enabled"},
				"PublicAccessBlockConfiguration": object{
					"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
				},
			})
			template.HasResourceProperties(jsii.String("AWS::S3::BucketPolicy"), object{"PolicyDocument": object{"Statement": assertions.Match_ArrayWith(&[]any{
				assertions.Match_ObjectLike(&object{"Effect": "Deny", "Action": "s3:*", "Principal": object{"AWS": "*"}, "Condition": object{"Bool": object{"aws:SecureTransport": "false"}}}),
			})}})
			template.HasResourceProperties(jsii.String("AWS::Athena::WorkGroup"), object{"WorkGroupConfiguration": object{
				"EnforceWorkGroupConfiguration": true, "BytesScannedCutoffPerQuery": assertions.Match_AnyValue(),
				"ResultConfiguration": object{"EncryptionConfiguration": object{"EncryptionOption": "SSE_S3"}},
			}})
		})
	}
	for _, r := range all(t).of("AWS::S3::Bucket") {
		for _, rule := range list(in(r.properties, "LifecycleConfiguration")["Rules"]) {
			expires := rule.(object)["ExpirationInDays"] != nil
			prefix, _ := rule.(object)["Prefix"].(string)
			if expires && (prefix == "" || slices.Contains([]string{warehouse, decisions, notifications}, prefix)) {
				t.Errorf("%s lets %q expire, which may be in force", r, prefix)
			}
			if expires && prefix == raw && r.stack == "prod/data" {
				t.Errorf("%s lets landed events expire", r)
			}
		}
	}
	for _, r := range all(t).of("AWS::SQS::Queue") {
		if r.properties["SqsManagedSseEnabled"] != true {
			t.Errorf("%s is not encrypted", r)
		}
	}
}

// A runaway question of a person must neither cost what a job may, nor stand in a job's way.
func TestEachAskerHasItsWorkgroup(t *testing.T) {
	limits := map[string]any{}
	for _, r := range all(t).of("AWS::Athena::WorkGroup") {
		configuration := in(r.properties, "WorkGroupConfiguration")
		limits[text(r.properties["Name"])] = configuration["BytesScannedCutoffPerQuery"]
		_, name, _ := strings.Cut(strings.TrimPrefix(text(r.properties["Name"]), "verdict-"), "-")
		if got, want := text(in(configuration, "ResultConfiguration")["OutputLocation"]), "/athena/"+name+"/"; !strings.HasSuffix(got, want) {
			t.Errorf("%s answers into %s, want …%s", r, got, want)
		}
	}
	const gib = 1 << 30
	want := map[string]any{
		"verdict-dev-pipeline": 10.0 * gib, "verdict-dev-api": 1.0 * gib, "verdict-dev-adhoc": 10.0 * gib,
		"verdict-staging-pipeline": 100.0 * gib, "verdict-staging-api": 10.0 * gib, "verdict-staging-adhoc": 100.0 * gib,
		"verdict-prod-pipeline": 1024.0 * gib, "verdict-prod-api": 20.0 * gib, "verdict-prod-adhoc": 200.0 * gib,
	}
	if diff := cmp.Diff(want, limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	asks := map[string]string{}
	for _, r := range all(t).of("AWS::Lambda::Function") {
		if workgroup := in(r.properties, "Environment", "Variables")[setting.AthenaWorkgroup]; workgroup != nil && r.stack == "prod/app" {
			name, _, _ := strings.Cut(r.id, "Function")
			asks[name] = text(workgroup)
		}
	}
	functions := map[string]string{
		"elt": "verdict-prod-pipeline", "identity": "verdict-prod-pipeline", "evaluator": "verdict-prod-pipeline",
		"decider": "verdict-prod-pipeline", "monitor": "verdict-prod-pipeline", "privacy": "verdict-prod-pipeline", "dashboard": "verdict-prod-api", "metrics": "verdict-prod-api",
	}
	if diff := cmp.Diff(functions, asks); diff != "" {
		t.Errorf("workgroups of functions (-want +got):\n%s", diff)
	}
}

func TestAnalystsChangeNothing(t *testing.T) {
	policies := all(t).of("AWS::IAM::ManagedPolicy")
	if len(policies) != 3 {
		t.Fatalf("got %d policies, want one per environment", len(policies))
	}
	for _, r := range policies {
		for _, s := range list(in(r.properties, "PolicyDocument")["Statement"]) {
			for _, action := range list(s.(object)["Action"]) {
				_, verb, _ := strings.Cut(action.(string), ":")
				writes := strings.HasPrefix(verb, "Put") || strings.HasPrefix(verb, "Abort") || strings.Contains(verb, "MultipartUpload")
				if reads := strings.HasPrefix(verb, "Get") || strings.HasPrefix(verb, "BatchGet") || strings.HasPrefix(verb, "List"); !reads && !writes && !strings.HasSuffix(verb, "QueryExecution") {
					t.Errorf("%s allows %s", r, action)
				}
				for _, where := range list(s.(object)["Resource"]) {
					if verb == "PutObject" && !strings.HasSuffix(text(where), "/athena/adhoc/*") {
						t.Errorf("%s may write to %s", r, text(where))
					}
				}
			}
		}
	}
}

func TestDataOutlivesItsStackInProdOnly(t *testing.T) {
	kinds := []string{"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Glue::Database", "AWS::Glue::Table"}
	for _, r := range all(t).of(kinds...) {
		want := "Delete"
		if strings.HasPrefix(r.stack, "prod/") {
			want = "Retain"
		}
		if got := r.all["DeletionPolicy"]; got != want {
			t.Errorf("%s: got DeletionPolicy %v, want %s", r, got, want)
		}
		if !strings.HasSuffix(r.stack, "/data") {
			t.Errorf("%s is data, but not in the data stack", r)
		}
	}
	for _, kind := range kinds {
		if len(all(t).of(kind)) == 0 {
			t.Errorf("there is no %s", kind)
		}
	}
}

func TestNobodySeesTheDashboardOrMetricsUnsigned(t *testing.T) {
	for _, r := range all(t).of("AWS::ApiGatewayV2::Route") {
		want := "NONE"
		if strings.HasPrefix(r.id, "dashboard") || strings.HasPrefix(r.id, "metricsSigned") {
			want = "AWS_IAM"
		}
		if got := r.properties["AuthorizationType"]; got != want {
			t.Errorf("%s: got authorization %v, want %s", r, got, want)
		}
	}
	for _, r := range all(t).of("AWS::ApiGatewayV2::Stage") {
		if in(r.properties, "AccessLogSettings")["DestinationArn"] == nil || in(r.properties, "DefaultRouteSettings")["ThrottlingRateLimit"] == nil {
			t.Errorf("%s needs an access log and a limit: %v", r, r.properties)
		}
	}
	for _, r := range all(t).of("AWS::ApiGatewayV2::Api") {
		if r.properties["CorsConfiguration"] != nil {
			t.Errorf("%s answers CORS, which the collector does", r)
		}
	}
}

func TestEveryAlarmReachesTheTopic(t *testing.T) {
	alarms := all(t).of("AWS::CloudWatch::Alarm")
	// 5xx of the collector, of the metrics API and of slack, throttles, four of each stream, the queue, errors of each function, readings of the
	// monitor, and of queries' cost where there is a budget.
	if got, want := len(alarms), 3*(14+len(functionNames())+len(monitor.Limits()))+2; got != want {
		t.Errorf("got %d alarms, want %d", got, want)
	}
	for _, r := range alarms {
		if !strings.Contains(text(r.properties["AlarmActions"]), "AlarmsTopic") {
			t.Errorf("%s tells nobody", r)
		}
	}
}

func TestCostIsToldBeforeTheBill(t *testing.T) {
	budgets := map[string]any{}
	for _, r := range all(t).of("AWS::Budgets::Budget") {
		budget := in(r.properties, "Budget")
		budgets[text(budget["BudgetName"])] = in(budget, "BudgetLimit")["Amount"]
		if got := text(in(budget, "CostFilters")["TagKeyValue"]); !strings.Contains(got, "user:verdict:environment$") {
			t.Errorf("%s counts %s", r, got)
		}
		for _, n := range list(r.properties["NotificationsWithSubscribers"]) {
			for _, s := range list(n.(object)["Subscribers"]) {
				if !strings.Contains(text(s.(object)["Address"]), "AlarmsTopic") {
					t.Errorf("%s tells nobody", r)
				}
			}
		}
	}
	want := map[string]any{
		"verdict-staging-cost-per-month": 200.0, "verdict-staging-cost-per-day": 20.0,
		"verdict-prod-cost-per-month": 2000.0, "verdict-prod-cost-per-day": 150.0,
	}
	if diff := cmp.Diff(want, budgets); diff != "" {
		t.Errorf("budgets (-want +got):\n%s", diff)
	}
	for _, r := range all(t).of("AWS::SNS::TopicPolicy") {
		if strings.HasPrefix(r.id, "Alarms") && strings.Contains(text(r.properties), "budgets.amazonaws.com") == (r.stack == "dev/app") {
			t.Errorf("%s: budgets may publish where there are any: %s", r, text(r.properties))
		}
	}
	prices, err := cost.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := prices.Prices["athena_tb"].USD; got != queryPrice {
		t.Errorf("a query's price is %v in the list, and %v here", got, queryPrice)
	}
}

func TestAlarmsLinkWherePeopleRead(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := dev()
	e.Docs = "https://git.example.com/verdict/docs"
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.of("AWS::CloudWatch::Alarm") {
		if says := r.properties["AlarmDescription"].(string); !strings.Contains(says, " https://git.example.com/verdict/docs/runbooks/") {
			t.Errorf("%s says %q", r, says)
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

func TestAnEnvironmentCanHaveADomainAndAddressees(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := edge()
	e.Edge, e.Cookie = Edge{}, ""
	e.AlarmEmail, e.DecisionEmail = "alarm@example.com", "decision@example.com"
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	template := s.templates["dev/app"]
	holds(t, func() {
		template.HasResourceProperties(jsii.String("AWS::ApiGatewayV2::DomainName"), object{"DomainName": e.Domain.Name})
		template.ResourceCountIs(jsii.String("AWS::ApiGatewayV2::ApiMapping"), jsii.Number(1))
		template.HasResourceProperties(jsii.String("AWS::SNS::Subscription"), object{"Protocol": "email", "Endpoint": e.AlarmEmail})
		template.HasResourceProperties(jsii.String("AWS::SNS::Subscription"), object{"Protocol": "email", "Endpoint": e.DecisionEmail})
	})
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

// LaunchDarkly has no datafile: whoever reads flags needs its token too.
func TestAnEnvironmentCanUseLaunchDarkly(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := dev()
	e.Flags = Flags{Platform: setting.LaunchDarkly, Project: "shop", Environment: "production", BaseURL: "https://app.launchdarkly.com/api/v2"}
	if hints := strings.Join(e.hints(), "\n"); strings.Contains(hints, "flags") {
		t.Errorf("hints %q speak of flags", hints)
	}
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	readers := 0
	for _, r := range s.of("AWS::IAM::Policy") {
		if name, _, _ := strings.Cut(r.id, "Role"); (name == "elt" || name == "decider") && strings.Contains(text(r.properties), "SecretsFlags") {
			readers++
		}
	}
	if readers != 2 {
		t.Errorf("%d functions read the platform's token, want elt and decider", readers)
	}
}

// Who runs models or queries records lineage, and tells of it where an endpoint is named.
func TestAnEnvironmentCanTellOfLineage(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := dev()
	e.Lineage = "https://marquez.example.com"
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	told := func(s synthesized) (names []string) {
		for _, r := range s.of("AWS::Lambda::Function") {
			if url, ok := in(r.properties, "Environment", "Variables")[setting.Lineage]; ok {
				name, _, _ := strings.Cut(r.id, "Function")
				names = append(names, name+" "+text(url))
			}
		}
		return names
	}
	var want []string
	for _, name := range []string{"decider", "elt", "evaluator", "identity", "monitor", "privacy"} {
		want = append(want, name+" "+text(e.Lineage))
	}
	got := told(s)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions that tell of lineage (-want +got):\n%s", diff)
	}
	if got := told(all(t)); len(got) > 0 {
		t.Errorf("without an endpoint: %v", got)
	}
}

func TestABrokenEnvironmentSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Environment)
		want   string
	}{
		"name":        {func(e *Environment) { e.Name = "Dev 1" }, `Name "Dev 1" must be`},
		"account":     {func(e *Environment) { e.Account = "12" }, `dev: Account "12" must be 12 digits`},
		"namespaces":  {func(e *Environment) { e.Namespaces = nil }, "dev: Namespaces must name at least one"},
		"namespace":   {func(e *Environment) { e.Namespaces = []string{"a,b"} }, `dev: Namespaces: "a,b" must be`},
		"first day":   {func(e *Environment) { e.Since = "2026" }, `dev: Since "2026" must be a day`},
		"half domain": {func(e *Environment) { e.Domain.Name = "a.example.com" }, "dev: Domain needs both"},
		"half edge":   {func(e *Environment) { e.Edge.Name = "www.example.com" }, "dev: Edge needs Name, Site, and a Certificate in us-east-1"},
		"edge alone":  {func(e *Environment) { e.Edge = edge().Edge }, "dev: Edge needs Domain"},
		"edge's rate": {func(e *Environment) { e.Edge.RequestsPerAddress = 5 }, "dev: Edge: RequestsPerAddress must be at least 10"},
		"budget":      {func(e *Environment) { e.Budget.Day = -1 }, "dev: Budget must not be negative"},
		"docs":        {func(e *Environment) { e.Docs = "docs" }, `dev: Docs "docs" must start with https://`},
		"cookie":      {func(e *Environment) { *e = edge(); e.Cookie = "other.example" }, `dev: Cookie "other.example" needs`},
		"throttle":    {func(e *Environment) { e.RequestBurst = 0 }, "dev: RequestsPerSecond and RequestBurst must be positive"},
		"buffer":      {func(e *Environment) { e.Buffer = time.Second }, "dev: Buffer 1s must be from 1m to 15m"},
		"memory":      {func(e *Environment) { e.JobMemory = 64 }, "must be at least 128 MB"},
		"retention":   {func(e *Environment) { e.RawDays = -1 }, "dev: RawDays must not be negative"},
		"whose":       {func(e *Environment) { e.Retention = privacy.Retention{"game": 7} }, `dev: Retention: "game" is no namespace`},
		"no days":     {func(e *Environment) { e.Retention = privacy.Retention{"shop": 0} }, "dev: Retention: shop must keep events for one day at least"},
		"too long":    {func(e *Environment) { e.Retention = privacy.Retention{"shop": 31} }, "dev: Retention: shop cannot keep events for longer than RawDays"},
		"logs":        {func(e *Environment) { e.LogDays = "" }, "dev: LogDays must be set"},
		"scan":        {func(e *Environment) { e.ScanGiB.API = 0 }, "dev: ScanGiB must be at least 1"},
		"schedule":    {func(e *Environment) { e.Schedule.Decide = "hourly" }, `dev: Schedule "hourly" must be rate(...) or cron(...)`},
		"e-mail":      {func(e *Environment) { e.AlarmEmail = "nobody" }, `dev: AlarmEmail "nobody" is no address`},
		"flags":       {func(e *Environment) { e.Flags.Project = "1" }, "dev: Flags needs both"},
		"platform":    {func(e *Environment) { e.Flags.Platform = "unleash" }, `dev: Flags: Platform "unleash" must be`},
		"datafile":    {func(e *Environment) { e.Flags.Platform, e.Flags.Datafile = "launchdarkly", "https://a" }, "dev: Flags: Datafile is Optimizely's"},
		"plain http":  {func(e *Environment) { e.Flags.BaseURL = "http://a" }, `dev: Flags: "http://a" must start with https://`},
		"lineage":     {func(e *Environment) { e.Lineage = "marquez:5000" }, `dev: Lineage "marquez:5000" must start with https://`},
		"approver":    {func(e *Environment) { e.Slack.Approvers = []string{"jane"} }, `dev: Slack: approver "jane" must be a user's id`},
		"channel":     {func(e *Environment) { e.Slack.Channel = "#deploys" }, `dev: Slack: Channel "#deploys" must be`},
		"policies":    {func(e *Environment) { e.Notify = "slack quiet=late" }, `dev: Notify "slack quiet=late" cannot be meant`},
		"prod's data": {func(e *Environment) { e.Name, e.Keep = "prod", false }, "prod: Keep must be true"},
	} {
		t.Run(name, func(t *testing.T) {
			e := dev()
			c.change(&e)
			if err := e.check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
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

// What a person was handed, and answers of queries, hold what an erasure does not look for; and a namespace may keep
// its events for less time than the others.
func TestWhatIsKeptForAWhileGoes(t *testing.T) {
	e := dev()
	e.Namespaces, e.Retention = []string{"shop", "games"}, privacy.Retention{"games": 7}
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]any{}
	for _, r := range s.of("AWS::S3::Bucket") {
		for _, rule := range list(in(r.properties, "LifecycleConfiguration")["Rules"]) {
			if rule := rule.(object); rule["Status"] == "Enabled" && rule["Prefix"] != nil {
				got[rule["Prefix"].(string)] = []any{rule["ExpirationInDays"], in(rule, "NoncurrentVersionExpiration")["NoncurrentDays"]}
			}
		}
	}
	want := map[string][]any{
		"athena/": {7.0, 1.0}, "privacy/exports/": {7.0, 1.0}, "errors/": {90.0, nil}, "raw/": {30.0, nil}, "quarantine/": {30.0, nil},
		"raw/namespace=games/": {7.0, nil}, "quarantine/namespace=games/": {7.0, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("days, also of earlier versions (-want +got):\n%s", diff)
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

// Only what must delete may, and never the trail of what it deleted, nor decisions and what they rest on.
func TestOnlyTheOfficerErases(t *testing.T) {
	got := map[string][]string{}
	for _, r := range all(t).of("AWS::IAM::Policy") {
		for _, s := range list(in(r.properties, "PolicyDocument")["Statement"]) {
			statement := s.(object)
			for _, action := range list(statement["Action"]) {
				if action := action.(string); strings.HasPrefix(action, "s3:Delete") && strings.HasPrefix(r.stack, "prod/") {
					name, _, _ := strings.Cut(r.id, "Role")
					for _, where := range list(statement["Resource"]) {
						_, prefix, _ := strings.Cut(text(where), "/")
						got[name+" "+action] = append(got[name+" "+action], prefix)
					}
				}
			}
		}
	}
	want := map[string][]string{"privacy s3:DeleteObjectVersion": {"errors/*", "identity/*", "inbox/*", "privacy/requests/*", "quarantine/*", "raw/*", "warehouse/*"}}
	for _, prefixes := range got {
		slices.Sort(prefixes)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who may delete what (-want +got):\n%s", diff)
	}
}
