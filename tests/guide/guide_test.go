// Package guide_test runs the commands of docs/guide.md as a newcomer does: in order, in a fresh folder, against a built binary.
package guide_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// bin is the folder of the built binary.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "verdict-guide"); err != nil {
		panic(err)
	}
	code := 1
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "verdict"), "../../functions/local").CombinedOutput(); err == nil {
		code = m.Run()
	} else {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
	}
	os.RemoveAll(bin)
	os.Exit(code)
}

// block is one fenced block of the guide.
type block struct {
	line      int
	kind      string
	text      string
	notRunFor string // the reason given above it
}

// blocks reads the fenced blocks of a page.
func blocks(page string) []block {
	var out []block
	var open *block
	reason := ""
	for i, line := range strings.Split(page, "\n") {
		switch {
		case open != nil && line == "```":
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open, reason = &block{line: i + 2, kind: strings.TrimPrefix(line, "```"), notRunFor: reason}, ""
		case strings.HasPrefix(line, "<!-- not run: "):
			reason = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- not run: "), " -->")
		}
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// freePort finds one, so that the test disturbs no `verdict serve`.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

const printed = "=== output of line "

func TestEveryCommandOfTheGuideRuns(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the guide uses curl, which is not here")
	}
	all := blocks(read(t, "docs/guide.md"))
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	ran := 0
	for _, b := range all {
		if b.kind != "sh" {
			continue
		}
		if b.notRunFor != "" {
			t.Logf("line %d is not run: %s", b.line, b.notRunFor)
			continue
		}
		ran++
		fmt.Fprintf(&script, "echo '%s%d'\n%s", printed, b.line, b.text)
	}
	if ran < 10 {
		t.Fatalf("only %d blocks to run", ran)
	}
	run := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(script.String(), "8321", freePort(t)))
	run.Dir = t.TempDir()
	run.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out bytes.Buffer
	run.Stdout, run.Stderr = &out, &out
	if err := run.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	outputs := map[string]string{}
	for _, part := range strings.Split(out.String(), printed)[1:] {
		line, text, _ := strings.Cut(part, "\n")
		outputs[line] = text
	}
	// What the guide shows of an output stands in the output of the block above it.
	shown := ""
	for _, b := range all {
		if b.kind == "sh" && b.notRunFor == "" {
			shown = outputs[strconv.Itoa(b.line)]
		}
		if b.kind != "text" {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(b.text), "\n") {
			if !strings.Contains(shown, strings.TrimSpace(line)) {
				t.Errorf("line %d: the guide shows %q, which is not in the output:\n%s", b.line, line, shown)
			}
		}
	}
}

// Whoever adds a reason or a verdict tells readers what it means.
func TestTheGuideKnowsEveryVerdictReasonAndCheck(t *testing.T) {
	guide := read(t, "docs/guide.md")
	found := 0
	for folder, pattern := range map[string]string{
		"shared/decide":   `Reason\{"([a-z_]+)"|guardrailViolated = "([a-z_]+)"|Verdict = "([a-z_]+)"`,
		"shared/evaluate": `Check\{Name: "([a-z_]+)"`,
	} {
		files, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
				found++
				code := strings.Join(match[1:], "")
				if !strings.Contains(guide, "`"+code+"`") {
					t.Errorf("%s has %s, and docs/guide.md does not say what it means", file, code)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("found only %d codes: the patterns are out of date", found)
	}
}
