package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/awsio/setting"
	"verdict/shared/model"
	"verdict/shared/privacy"
)

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
