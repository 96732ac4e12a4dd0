package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/setting"
	"verdict/shared/privacy"
)

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
