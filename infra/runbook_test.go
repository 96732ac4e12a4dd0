package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const runbooks = "../docs/runbooks"

// The name of the file is all that binds an alarm to its runbook: none is missing, and none is left of an alarm that
// is gone.
func TestEveryAlarmHasItsRunbook(t *testing.T) {
	want := map[string]bool{"README.md": true}
	for _, r := range all(t).of("AWS::CloudWatch::Alarm") {
		says := r.properties["AlarmDescription"].(string)
		_, link, found := strings.Cut(says, " docs/runbooks/")
		if !found {
			t.Errorf("%s says %q, and no runbook", r, says)
		}
		want[link] = true
	}
	got := map[string]bool{}
	for _, name := range pages(t) {
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runbooks (-wanted by an alarm +there):\n%s", diff)
	}
}

func pages(t *testing.T) []string {
	t.Helper()
	books, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for i := range books {
		books[i] = filepath.Base(books[i])
	}
	return books
}

// A page for three in the morning says the same five things at the same places, and names only what there is.
func TestRunbooksSayWhatToDo(t *testing.T) {
	commands, err := os.ReadFile("../functions/local/cli.go")
	if err != nil {
		t.Fatal(err)
	}
	var (
		verdict = regexp.MustCompile(`bin/verdict ([a-z-]+)`)
		log     = regexp.MustCompile(`(?m)\blogs ([A-Za-z]+)`)
		job     = regexp.MustCompile("(?m)(?:^|`|; )run ([a-z]+)")
		link    = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
		block   = regexp.MustCompile("(?s)```sh\n(.*?)```")
	)
	for _, name := range pages(t) {
		body, err := os.ReadFile(filepath.Join(runbooks, name))
		if err != nil {
			t.Fatal(err)
		}
		page := string(body)
		at := 0
		for _, part := range []string{"**Means.** ", "**Users notice.** ", "**Look.**", "**Do.**", "**Over when** "} {
			next := strings.Index(page, part)
			if name != "README.md" && next < at {
				t.Errorf("%s: %s is missing, or not in its place", name, part)
			}
			at = next
		}
		for _, m := range verdict.FindAllStringSubmatch(page, -1) {
			if !strings.Contains(string(commands), `{"`+m[1]+`", `) {
				t.Errorf("%s: there is no command verdict %s", name, m[1])
			}
		}
		for _, m := range log.FindAllStringSubmatch(page, -1) {
			if !slices.Contains(append(functionNames(), "GoodStream", "QuarantineStream"), m[1]) {
				t.Errorf("%s: nothing called %s has a log", name, m[1])
			}
		}
		for _, m := range job.FindAllStringSubmatch(page, -1) {
			if !slices.Contains(functionNames(), m[1]) {
				t.Errorf("%s: there is no job %s", name, m[1])
			}
		}
		for _, m := range link.FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(runbooks, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, m := range block.FindAllStringSubmatch(page, -1) {
			check := exec.CommandContext(t.Context(), "bash", "-n")
			check.Stdin = strings.NewReader(m[1])
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", name, err, out, m[1])
			}
		}
	}
}

// The words find what the stacks call so.
func TestRunbooksFindWhatTheyName(t *testing.T) {
	var ids []string
	for _, r := range all(t).resources {
		if stack, found := strings.CutPrefix(r.stack, "prod/"); found {
			ids = append(ids, stack+" "+r.kind+" "+r.id)
		}
	}
	words, err := os.ReadFile(runbooks + "/aws.sh")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`named (data|app) (AWS::\w+::\w+) (\w+)`)
	found := named.FindAllStringSubmatch(string(words), -1)
	for _, name := range functionNames() {
		found = append(found, []string{"", "app", "AWS::Lambda::Function", name + "Function"}, []string{"", "app", "AWS::Logs::LogGroup", name + "Logs"})
	}
	for _, stream := range []string{"GoodStream", "QuarantineStream"} {
		found = append(found, []string{"", "data", "AWS::Logs::LogGroup", stream + "Logs"})
	}
	for _, m := range found {
		n := 0
		for _, id := range ids {
			if strings.HasPrefix(id, strings.Join(m[1:], " ")) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d resources are called %v", n, m[1:])
		}
	}
	if len(found) < 2*len(functionNames())+4 {
		t.Errorf("found only %v", found)
	}
}
