package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
