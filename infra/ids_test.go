package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the logical ids of this revision to testdata")

const idsFile = "testdata/ids.txt"

// stateful are the kinds of what holds something that a new one would not hold, or is known by its address: to
// CloudFormation another logical id is another resource.
func stateful() []string {
	return []string{
		"AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Glue::Database", "AWS::Glue::Table", "AWS::KinesisFirehose::DeliveryStream",
		"AWS::Athena::WorkGroup", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::DomainName", "AWS::CloudFront::Distribution",
	}
}

// complete is prod with all that an environment can have.
func complete() Environment {
	e := edge()
	e.Name, e.Keep, e.Namespaces, e.Budget, e.QuickSight = "prod", true, prod().Namespaces, prod().Budget, withQuickSight().QuickSight
	return e
}

// ids lists prod with all that an environment can have: a line for each resource, "!" before those that must not change.
func ids(t *testing.T) []string {
	t.Helper()
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	s, err := synthesize(folder, complete())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range s.resources {
		mark := "  "
		if slices.Contains(stateful(), r.kind) {
			mark = "! "
		}
		out = append(out, mark+r.stack+" "+r.kind+" "+r.id)
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return out
}

// A rename in Go must not become a new bucket in an account. What changes on purpose is written by
// go test ./infra -run LogicalIDs -update, and read in the diff.
func TestLogicalIDs(t *testing.T) {
	got := ids(t)
	if *update {
		if err := os.WriteFile(idsFile, []byte(strings.Join(got, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(idsFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	var changes strings.Builder
	for _, line := range want {
		if !slices.Contains(got, line) {
			fmt.Fprintln(&changes, "-", line)
			if strings.HasPrefix(line, "!") {
				t.Errorf("a deployment would delete, or leave behind, what cannot be made again: %s", line)
			}
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			fmt.Fprintln(&changes, "+", line)
		}
	}
	if changes.Len() > 0 {
		t.Errorf("-deleted +made by a deployment (-update, if it is meant):\n%s", &changes)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of %s (-want +got):\n%s", idsFile, diff)
	}
}
