package guide_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// line splits a shell line into words as far as the guide needs it: quotes hold words together, \ joins lines, # ends one.
func line(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`).FindAllString(text, -1) {
		if strings.HasPrefix(m, "#") {
			break
		}
		out = append(out, strings.NewReplacer("'", "").Replace(m))
	}
	return out
}

func lines(text string) []string {
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\\\n", " ")), "\n")
}

// checker says what is wrong with commands that cannot be run here.
type checker struct {
	verdict  string // the binary
	makefile string
	t        *testing.T
}

func (c checker) check(words []string) error {
	if len(words) == 0 {
		return nil
	}
	for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) { // of the environment
		words = words[1:]
	}
	switch words[0] {
	case "make":
		return c.make(words[1:])
	case "verdict", "bin/verdict":
		return c.command(words[1:])
	case "npx":
		version, pinned := strings.CutPrefix(words[1], "aws-cdk@")
		if want := regexp.MustCompile(`(?m)^CDK +:= (\S+)$`).FindStringSubmatch(c.makefile); !pinned || want == nil || version != want[1] {
			return fmt.Errorf("the Makefile tests another command line than %s: %v", words[1], want)
		}
		return cdk(words[2:])
	case "cdk":
		return cdk(words[1:])
	case "aws":
		return secret(words[1:])
	case "export", "alias", "curl", "cd":
		return nil
	}
	return fmt.Errorf("%s is not known to this test", words[0])
}

func (c checker) make(targets []string) error {
	for _, target := range targets {
		if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).MatchString(c.makefile) {
			return fmt.Errorf("the Makefile has no target %s", target)
		}
	}
	return nil
}

// command holds a command line to what the command's help says of its flags, and of those of its verb.
func (c checker) command(words []string) error {
	args := []string{"help", words[0]}
	if len(words) > 1 && regexp.MustCompile(`^[a-z]+$`).MatchString(words[1]) {
		args = append(args, words[1])
	}
	help, err := exec.CommandContext(c.t.Context(), c.verdict, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("verdict %s: %w: %s", words[0], err, help)
	}
	for _, w := range words[1:] {
		name, isFlag := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && !regexp.MustCompile(`(?m)^  --`+name+`\b`).Match(help) {
			return fmt.Errorf("verdict %s has no flag --%s", words[0], name)
		}
	}
	return nil
}

// cdk knows the commands of CDK's command line that stand in the docs. The stacks that they name are held to the stacks
// that there are by a test of infra, which makes them.
func cdk(words []string) error {
	if len(words) == 0 || !slices.Contains([]string{"bootstrap", "diff", "deploy", "destroy", "synth"}, words[0]) {
		return fmt.Errorf("cdk has no command %v", words)
	}
	if words[0] != "bootstrap" && (len(words) < 2 || !regexp.MustCompile(`^(dev|staging|prod)/(\*|[a-z]+)$`).MatchString(words[1])) {
		return fmt.Errorf("cdk %v names no stacks of an environment", words)
	}
	return nil
}

func secret(words []string) error {
	if strings.Join(words[:min(2, len(words))], " ") != "secretsmanager put-secret-value" {
		return fmt.Errorf("aws %v is not known to this test", words)
	}
	value := words[slices.Index(words, "--secret-string")+1]
	var keys map[string]string
	if strings.HasPrefix(value, "{") && json.Unmarshal([]byte(value), &keys) != nil {
		return fmt.Errorf("%s is no JSON object of texts", value)
	}
	return nil
}

// What takes an account, or was built by the test, is checked as far as it can be without.
func TestWhatTheGuideDoesNotRunIsMeant(t *testing.T) {
	c := checker{verdict: filepath.Join(bin, "verdict"), makefile: read(t, "Makefile"), t: t}
	checked := 0
	for _, page := range []string{"docs/guide.md", "docs/deploy.md", "README.md"} {
		for _, b := range blocks(read(t, page)) {
			if b.kind != "sh" || page == "docs/guide.md" && b.notRunFor == "" {
				continue
			}
			if strings.Contains(b.text, "curl") && strings.Contains(b.text, "-d '") {
				continue // an event, which the guide sends
			}
			for _, text := range lines(b.text) {
				if err := c.check(line(text)); err != nil {
					t.Errorf("%s, line %d: %s: %v", page, b.line, text, err)
				}
				checked++
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d commands were checked", checked)
	}
	for _, wrong := range []string{
		"make synthesis", "npx aws-cdk@1.0.0 deploy 'dev/*'", "npx aws-cdk@2.1148.1 deploy", "cdk deploy 'test/*'", "cdk undeploy 'dev/*'", "verdict imprt x",
		"verdict import --mapped x", "verdict identity veto --because x", "aws s3 ls", "aws secretsmanager put-secret-value --secret-id x --secret-string '{wk: shop}'", "rm -rf x",
	} {
		if c.check(line(wrong)) == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}
