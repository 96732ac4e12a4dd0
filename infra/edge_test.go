package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/setting"
	"verdict/shared/lambdaio"
)

// edge is dev with everything that can stand before the collector.
func edge() Environment {
	e := dev()
	e.Account, e.Region = "123456789012", "eu-central-1"
	e.Domain = Domain{Name: "events.example.com", Certificate: "arn:aws:acm:eu-central-1:123456789012:certificate/1"}
	e.Edge = Edge{Name: "www.example.com", Certificate: "arn:aws:acm:us-east-1:123456789012:certificate/2", Site: "origin.example.com", RequestsPerAddress: 3000}
	e.Origins, e.Cookie = []string{"https://www.example.com"}, "example.com"
	return e
}

func synthesizeEdge(t *testing.T, e Environment) synthesized {
	t.Helper()
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheEdgeServesSiteAndCollectorAsOne(t *testing.T) {
	s := synthesizeEdge(t, edge())
	distributions := s.of("AWS::CloudFront::Distribution")
	if len(distributions) != 1 || distributions[0].stack != "dev/edge" {
		t.Fatalf("got distributions %v, want one in dev/edge", distributions)
	}
	config := in(distributions[0].properties, "DistributionConfig")
	host := map[any]string{}
	for _, o := range list(config["Origins"]) {
		host[o.(object)["Id"]] = o.(object)["DomainName"].(string)
		proves := false
		for _, h := range list(o.(object)["OriginCustomHeaders"]) {
			header := h.(object)
			proves = header["HeaderName"] == lambdaio.EdgeProof && strings.Contains(text(header["HeaderValue"]), "{{resolve:secretsmanager:")
		}
		if want := o.(object)["DomainName"] == "events.example.com"; proves != want {
			t.Errorf("origin %s gets the proof: %t, want %t", o.(object)["DomainName"], proves, want)
		}
	}
	got := map[string]string{"*": host[in(config, "DefaultCacheBehavior")["TargetOriginId"]]}
	for _, b := range list(config["CacheBehaviors"]) {
		got[b.(object)["PathPattern"].(string)] = host[b.(object)["TargetOriginId"]]
	}
	want := map[string]string{"*": "origin.example.com", "/v1/events": "events.example.com", "/v1/plan": "events.example.com"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	if config["WebACLId"] == nil {
		t.Error("no firewall stands before it")
	}
	policy := in(s.of("AWS::CloudFront::OriginRequestPolicy")[0].properties, "OriginRequestPolicyConfig")
	if diff := cmp.Diff([]any{"verdict_nid"}, in(policy, "CookiesConfig")["Cookies"]); diff != "" {
		t.Errorf("cookies that the collector gets (-want +got):\n%s", diff)
	}
}

func TestNobodyGoesAroundTheEdge(t *testing.T) {
	s := synthesizeEdge(t, edge())
	holds(t, func() {
		s.templates["dev/app"].HasResourceProperties(jsii.String("AWS::ApiGatewayV2::Api"), object{"Name": "verdict-dev-collector", "DisableExecuteApiEndpoint": true})
		s.templates["dev/edge"].HasResourceProperties(jsii.String("AWS::SecretsManager::Secret"), object{
			"Name": "verdict/dev/edge", "ReplicaRegions": []any{object{"Region": "eu-central-1"}}, "GenerateSecretString": assertions.Match_AnyValue(),
		})
	})
	told := map[string]any{}
	for _, r := range s.of("AWS::Lambda::Function") {
		variables := in(r.properties, "Environment", "Variables")
		for _, name := range []string{setting.EdgeProof, setting.CollectorURL} {
			if variables[name] != nil {
				told[name] = variables[name]
			}
		}
	}
	if diff := cmp.Diff(map[string]any{setting.EdgeProof: "verdict/dev/edge", setting.CollectorURL: "https://www.example.com"}, told); diff != "" {
		t.Errorf("what functions are told (-want +got):\n%s", diff)
	}
	may := false
	for _, r := range s.of("AWS::IAM::Policy") {
		reads := strings.Contains(text(r.properties), "secret:verdict/dev/edge-??????")
		if collector := strings.HasPrefix(r.id, "collectorRole"); reads && !collector {
			t.Errorf("%s may read the proof", r)
		} else if collector {
			may = reads
		}
	}
	if !may {
		t.Error("the collector may not read the proof")
	}
}

// A browser gives a batch up that is answered by 403.
func TestWhoSendsTooMuchIsAskedToWait(t *testing.T) {
	e := edge()
	acls := synthesizeEdge(t, e).of("AWS::WAFv2::WebACL")
	if len(acls) != 1 {
		t.Fatalf("got %d firewalls, want 1", len(acls))
	}
	for _, r := range list(acls[0].properties["Rules"]) {
		rule := r.(object)
		for _, kind := range []string{"RateBasedStatement", "ManagedRuleGroupStatement"} {
			statement := in(rule, "Statement", kind)
			if statement != nil && in(statement, "ScopeDownStatement", "ByteMatchStatement")["SearchString"] != "/v1/" {
				t.Errorf("rule %s looks at the site's requests, too", rule["Name"])
			}
		}
		if rule["Name"] != "rate" {
			continue
		}
		if got := in(rule, "Statement", "RateBasedStatement")["Limit"]; got != e.Edge.RequestsPerAddress {
			t.Errorf("got limit %v, want %v", got, e.Edge.RequestsPerAddress)
		}
		if got := in(rule, "Action", "Block", "CustomResponse")["ResponseCode"]; got != 429.0 {
			t.Errorf("got answer %v, want 429", got)
		}
	}
	e.Edge.RequestsPerAddress = 0
	if acls := synthesizeEdge(t, e).of("AWS::WAFv2::WebACL"); len(acls) > 0 {
		t.Errorf("got firewalls %v, want none", acls)
	}
}

func TestWithoutAnEdgeTheDoorIsOpen(t *testing.T) {
	if edges := all(t).of("AWS::CloudFront::Distribution", "AWS::WAFv2::WebACL"); len(edges) > 0 {
		t.Errorf("got %v, which no environment asks for", edges)
	}
	for _, r := range all(t).of("AWS::ApiGatewayV2::Api") {
		if r.properties["DisableExecuteApiEndpoint"] == true {
			t.Errorf("%s has no address", r)
		}
	}
}
