package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// ran runs a command line in this process.
func ran(t *testing.T, args ...string) (out, complaints string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := program{in: strings.NewReader(""), out: &stdout, err: &stderr, env: func(string) (string, bool) { return "", false }, now: time.Now}
	err = p.run(t.Context(), args)
	return stdout.String(), stderr.String(), err
}

func TestTheCommandLinesPageSaysWhatTheCodeDoes(t *testing.T) {
	want, _, err := ran(t, "help", "--page")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/cli.md is out of date: bin/verdict help --page > docs/cli.md")
	}
}

func TestEveryCommandIsExplained(t *testing.T) {
	overview, _, err := ran(t, "help")
	if err != nil {
		t.Fatal(err)
	}
	p := program{now: time.Now}
	for _, c := range commands() {
		if len([]rune(c.does)) > 72 || strings.Contains(c.does, "docs/") {
			t.Errorf("%s: what it does takes one short line; details go into help.go", c.name)
		}
		if !strings.Contains(overview, "\n  "+c.name+" ") {
			t.Errorf("verdict help does not list %s", c.name)
		}
		out, _, err := ran(t, c.name, "--help")
		if other, _, _ := ran(t, "help", c.name); err != nil || out != other || !strings.HasPrefix(out, "verdict "+c.name+" ") {
			t.Errorf("%s --help: %v: %s", c.name, err, out)
		}
		examples := explanations()[c.name].examples
		if len(examples) == 0 {
			t.Errorf("%s has no example in help.go", c.name)
		}
		known := p.taken(t.Context(), c)
		for _, e := range examples {
			if !strings.Contains(e, "verdict "+c.name) {
				t.Errorf("%q is no example of %s", e, c.name)
			}
			for word := range strings.FieldsSeq(e) {
				if name, ok := strings.CutPrefix(word, "--"); ok && !slices.ContainsFunc(known, func(f taken) bool { return f.name == name }) {
					t.Errorf("%q: %s has no flag --%s", e, c.name, name)
				}
			}
		}
	}
	for name := range explanations() {
		if !slices.ContainsFunc(commands(), func(c command) bool { return c.name == name }) {
			t.Errorf("help.go explains %s, which is no command", name)
		}
	}
}

func TestWhatCannotBeMeantEndsWithTwo(t *testing.T) {
	for line, want := range map[string]string{
		"rnu":                   "did you mean run?",
		"xyzzy":                 "there is no command \"xyzzy\"; verdict help lists them",
		"help verfy":            "did you mean verify?",
		"run --bogus":           "not defined: --bogus; verdict help run explains",
		"run here":              "run wants 0 argument(s)",
		"serve --every often":   "invalid value",
		"plan":                  "verdict help plan explains",
		"identity":              "identity wants one of",
		"experiment lost":       "not \"lost\"",
		"notebook":              "notebook wants one EXPERIMENT",
		"completion powershell": "completion wants bash, zsh or fish",
	} {
		_, _, err := ran(t, strings.Fields(line)...)
		if code := exitCode(t.Context(), err); err == nil || !strings.Contains(err.Error(), want) || code != exitMisused {
			t.Errorf("%s: code %d, %v", line, code, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"done":        {t.Context(), nil, 0},
		"failed":      {t.Context(), errors.New("it rains"), 1},
		"misused":     {t.Context(), wrongUse("no"), 2},
		"own":         {t.Context(), exit{exitUnreadable, errors.New("no")}, exitUnreadable},
		"interrupted": {interrupted, context.Canceled, 130},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestFlagsMayStandAnywhere(t *testing.T) {
	for _, args := range [][]string{{"--lake", "x", "a", "b"}, {"a", "--lake", "x", "b"}, {"a", "b", "--lake=x"}, {"a", "--lake", "x", "--", "b"}} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		lake := flags.String("lake", "", "")
		if err := arguments(flags, args); err != nil || *lake != "x" || !slices.Equal(flags.Args(), []string{"a", "b"}) {
			t.Errorf("%q: lake %q, arguments %q, %v", args, *lake, flags.Args(), err)
		}
	}
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	if err := arguments(flags, []string{"a", "--", "--b"}); err != nil || !slices.Equal(flags.Args(), []string{"a", "--b"}) {
		t.Errorf("after --: %q %v", flags.Args(), err)
	}
}

// Bash itself completes, by the script.
func TestBashCompletes(t *testing.T) {
	script, _, err := ran(t, "completion", "bash")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"verdict ver":                 "verify",
		"verdict identity ve":         "veto",
		"verdict plan t":              "types",
		"verdict run --as":            "--as-of",
		"verdict run --lake x --fu":   "--full",
		"verdict run --lake s":        "", // a folder: the shell's own completion
		"verdict identity score --tr": "--truth",
		"verdict help heal":           "health",
		"verdict flag r":              "ramp rollback",
		"verdict completion z":        "zsh",
	} {
		words := strings.Fields(line)
		quoted := "'" + strings.Join(words, "' '") + "'"
		code := script + "\nCOMP_WORDS=(" + quoted + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _verdict; echo \"${COMPREPLY[*]}\"\ncomplete -p verdict"
		out, err := exec.CommandContext(t.Context(), "bash", "--norc", "-u", "-c", code).CombinedOutput()
		if got, rest, _ := strings.Cut(string(out), "\n"); err != nil || got != want || !strings.Contains(rest, "-F _verdict verdict") {
			t.Errorf("%s: %q, want %q (%v)", line, got, want, err)
		}
	}
}

func TestOtherShellsHaveTheirScripts(t *testing.T) {
	for shell, want := range map[string]string{"zsh": "bashcompinit", "fish": "complete -c verdict -n '__fish_seen_subcommand_from run' -l lake -d 'folder of the lake' -r"} {
		script, _, err := ran(t, "completion", shell)
		if err != nil || !strings.Contains(script, want) {
			t.Errorf("%s: %v: %.300s", shell, err, script)
		}
		if path, err := exec.LookPath(shell); err == nil {
			if out, err := exec.CommandContext(t.Context(), path, "-n", "-c", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", shell, err, out)
			}
		}
	}
}

func TestProgressIsRedrawnForPeopleOnly(t *testing.T) {
	for _, live := range []bool{false, true} {
		var out bytes.Buffer
		b := newBoard(&out, live, 1, "land", "model")
		b.start("land")("")
		b.start("model")("")
		if got := strings.Contains(out.String(), "\x1b"); got != live {
			t.Errorf("live %v: %q", live, out.String())
		}
	}
}
