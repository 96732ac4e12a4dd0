package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// left are the findings of cfn-lint and checkov that stay, and why. What is not listed fails, and so does what is listed
// and no longer found.
func left() []finding {
	const ownKeys = "AWS's own keys encrypt it; keys of one's own cost a dollar a month each, and guard against nobody whom the role's policy lets pass"
	return []finding{
		{"W3005", `.*`, "the CDK writes a DependsOn beside a reference that says the same"},
		{"CKV_AWS_18", `Lake.*`, "as in nag_test.go: its readers are this project's roles"},
		{"CKV_AWS_26", `AlarmsTopic.*`, "CloudWatch and Budgets cannot publish to a topic under AWS's own key, and a name of an alarm is no secret"},
		{"CKV_AWS_26", `notifierDecisions.*`, "it says that something was decided, about experiments, not people; who subscribes by e-mail gets it in the clear"},
		{"CKV_AWS_26", `slackAnswered.*`, "it says that the decider has something to read, which lies in the encrypted lake"},
		{"CKV_AWS_27", `Failed.*`, "SQS encrypts it with its own key; the rule knows only KMS"},
		{"CKV_AWS_28", `State.*`, "leases of minutes: restored ones would be wrong"},
		{"CKV_AWS_86", `Distribution.*`, "CloudFront's logs hold whole addresses of visitors, which nothing here stores"},
		{"CKV_AWS_115", `(collector|dashboard|metrics|slack|notifier|canary)Function.*`, "throttles of its API bound the first four; SNS and a schedule call the others. What overlaps in a job is reserved at one"},
		{"CKV_AWS_116", `.*Function.*`, "jobs and notifier send what they give up on to a queue by a destination, which holds the error too; API Gateway tells the callers of the others, and the canary comes again"},
		{"CKV_AWS_117", `.*Function.*`, "they call AWS's and vendors' public addresses and nothing inside: a network of one's own adds a NAT at $32 a month and closes nothing"},
		{"CKV_AWS_119", `State.*`, ownKeys},
		{"CKV_AWS_149", `(Proof|Secrets.*)`, ownKeys},
		{"CKV_AWS_158", `.*Logs.*`, ownKeys},
		{"CKV_AWS_173", `.*Function.*`, "names of buckets and secrets, and no secret: " + ownKeys},
		{"CKV_AWS_192", `Firewall`, "no Java is behind it"},
	}
}

// finding is what a rule has against resources whose logical id is like this.
type finding struct{ rule, id, because string }

// linted runs a tool, which fails when it finds something, and reads what it wrote.
func linted(t *testing.T, out any, tool string, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), tool, args...)
	body, err := command.Output()
	if exit, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	} else if json.Unmarshal(body, out) != nil {
		t.Fatalf("%s: %v\n%s%s", tool, err, body, exit.Stderr)
	}
}

func TestLintersFindNothingWithoutAReason(t *testing.T) {
	cfnLint, checkov := os.Getenv("CFN_LINT"), os.Getenv("CHECKOV")
	if cfnLint == "" || checkov == "" {
		t.Skip("no cfn-lint and checkov: make lint-infra brings them")
	}
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "cdk.out")
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: &out})
	if err := addEnvironments(app, folder, complete(), staging(), dev()); err != nil {
		t.Fatal(err)
	}
	app.Synth(nil)
	templates, err := filepath.Glob(out + "/assembly-*/*.template.json")
	if err != nil || len(templates) != 8 {
		t.Fatalf("templates %v, %v", templates, err)
	}

	used := map[finding]bool{}
	found := func(file, rule, id, says string) {
		for _, f := range left() {
			if f.rule == rule && regexp.MustCompile("^(?:"+f.id+")$").MatchString(id) {
				used[f] = true
				return
			}
		}
		t.Errorf("%s: %s, %s: %s", filepath.Base(file), id, rule, says)
	}
	var matches []struct {
		Filename, Message string
		Rule              struct{ ID string }
		Location          struct{ Path []any }
	}
	linted(t, &matches, cfnLint, append([]string{"--format", "json", "--regions", "eu-central-1", "--"}, templates...)...)
	for _, m := range matches {
		id := ""
		if len(m.Location.Path) > 1 {
			id, _ = m.Location.Path[1].(string)
		}
		found(m.Filename, m.Rule.ID, id, m.Message)
	}
	var report struct {
		Results struct {
			Failed []struct {
				File     string `json:"file_path"`
				Rule     string `json:"check_id"`
				Says     string `json:"check_name"`
				Resource string `json:"resource"`
			} `json:"failed_checks"`
		} `json:"results"`
		Summary struct {
			Passed   int `json:"passed"`
			Unparsed int `json:"parsing_errors"`
		} `json:"summary"`
	}
	args := []string{"--framework", "cloudformation", "--compact", "--skip-download", "--output", "json"}
	for _, file := range templates {
		args = append(args, "--file", file)
	}
	linted(t, &report, checkov, args...)
	for _, f := range report.Results.Failed {
		_, id, _ := strings.Cut(f.Resource, ".") // AWS::S3::Bucket.LakeBucket
		found(f.File, f.Rule, id, f.Says)
	}
	if report.Summary.Passed < 300 || report.Summary.Unparsed > 0 {
		t.Errorf("checkov passed %d and could not read %d", report.Summary.Passed, report.Summary.Unparsed)
	}
	for _, f := range left() {
		if !used[f] {
			t.Errorf("nothing is found by %s at %s any more", f.rule, f.id)
		}
	}
	t.Logf("%d findings of cfn-lint and %d of checkov stay, with a reason; %d of checkov's rules passed", len(matches), len(report.Results.Failed), report.Summary.Passed)
}
