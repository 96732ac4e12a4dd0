package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// accepted are the findings of cdk-nag's rules of AWS's solutions library that stay, and why. What is not listed
// fails, and so does what is listed and no longer found.
func accepted() []acceptance {
	return []acceptance{
		{"APIG4", `app/collector/Api/`, "browsers have no credentials of AWS: the write key says whose events they are, the collector refuses others"},
		{"APIG4", `app/metrics/Keyed/Api/`, "the function asks for a read key, for programs that have no credentials of AWS; beside it stands an API that asks IAM"},
		{"APIG4", `app/slack/Api/`, "Slack has no credentials of AWS: it signs each request, and the function refuses what it has not signed"},
		{
			"IAM5", `app/.*/Role/DefaultPolicy|quicksight/Role/DefaultPolicy|app/Analysts/Policy|app/SchedulerRole.*|data/.*Stream/Role`,
			"objects below a prefix of the lake, tables of the one database, versions of the one function a schedule calls: TestPermissionsNameTheirActionsAndResources holds which",
		},
		{"SQS3", `app/Failed/Queue`, "it is the dead letter queue, told by functions' destinations, which the rule does not follow"},
		{"S1", `data/Lake/Bucket`, "its readers are this project's roles; CloudTrail's data events say who read what, without a second bucket of addresses"},
		{"DDB3", `data/State/Table`, "leases of minutes: restored ones would be wrong"},
		{"SMG4", `data/Secrets/`, "their values are made by people elsewhere (flag platform, Slack, write keys in pages): nothing here could rotate them"},
		{"SMG4", `edge/Proof`, "CloudFront takes a new value when the stack is deployed, so a rotation in between would lock browsers out"},
		{"CFR1", `edge/Distribution`, "where the site's visitors may come from is the site's to say"},
		{"CFR3", `edge/Distribution`, "CloudFront's logs hold whole addresses of visitors, which nothing here stores"},
	}
}

// acceptance of a rule's findings on the constructs whose path below the environment begins like this.
type acceptance struct{ rule, path, because string }

func (a acceptance) covers(rule, resource string) bool {
	_, path, _ := strings.Cut(resource, "/")
	return rule == "AwsSolutions-"+a.rule && regexp.MustCompile("^(?:"+a.path+")").MatchString(path)
}

func TestNagFindsNothingWithoutAReason(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(folder, "cdk.out"))})
	everything := edge()
	everything.Budget, everything.QuickSight = prod().Budget, withQuickSight().QuickSight
	if err := addEnvironments(app, folder, everything); err != nil {
		t.Fatal(err)
	}
	awscdk.Aspects_Of(app.Node().FindChild(&everything.Name)).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{
		ReportFormats: &[]cdknag.NagReportFormat{cdknag.NagReportFormat_JSON},
	}), nil)
	app.Synth(nil)

	reports, err := filepath.Glob(filepath.Join(folder, "cdk.out", "*-NagReport.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 4 {
		t.Fatalf("got reports %v, want one per stack", reports)
	}
	used, checked := map[acceptance]bool{}, 0
	for _, file := range reports {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Lines []struct{ RuleID, ResourceID, Compliance, RuleInfo string } `json:"lines"`
		}
		if err := json.Unmarshal(body, &report); err != nil {
			t.Fatal(err)
		}
	lines:
		for _, line := range report.Lines {
			checked++
			if line.Compliance == "Compliant" {
				continue
			}
			for _, a := range accepted() {
				if a.covers(line.RuleID, line.ResourceID) {
					used[a] = true
					continue lines
				}
			}
			t.Errorf("%s, %s (%s): %s", line.ResourceID, line.RuleID, line.Compliance, line.RuleInfo)
		}
	}
	for _, a := range accepted() {
		if !used[a] {
			t.Errorf("nothing is found by %s at %s any more", a.rule, a.path)
		}
	}
	if checked < 80 {
		t.Errorf("only %d results of rules", checked)
	}
}
