package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"verdict/shared/privacy"
)

// withoutJSON are the commands whose output is a file, a stream or a server, with what it is instead.
func withoutJSON() map[string]string {
	return map[string]string{
		"serve":           "a server",
		"completion bash": "a script",
		"completion zsh":  "a script",
		"completion fish": "a script",
		"plan types":      "a TypeScript file",
		"plan page":       "a Markdown file",
		"notebook":        "a notebook, which is JSON",
		"analyze":         "JSON in any case",
		"power":           "JSON in any case",
	}
}

// Every command, and every verb of one, prints JSON when it is asked to, unless what it gives is listed above.
func TestEveryCommandSpeaksJSON(t *testing.T) {
	p := program{now: time.Now}
	exempt := withoutJSON()
	for _, c := range commands() {
		verbs := c.verbs()
		if len(verbs) == 0 {
			verbs = []string{""}
		}
		for _, verb := range verbs {
			name, args := c.name, []string(nil)
			if verb != "" {
				name, args = c.name+" "+verb, []string{verb}
			}
			_, flags := p.probe(t.Context(), c, args)
			has := flags.Lookup("json") != nil
			_, excused := exempt[name]
			delete(exempt, name)
			switch {
			case !has && !excused:
				t.Errorf("verdict %s has no --json, and is not among those that need none", name)
			case has && excused:
				t.Errorf("verdict %s has --json: it needs no excuse", name)
			}
		}
	}
	for name := range exempt {
		t.Errorf("there is no verdict %s", name)
	}
}

// What needs nothing but the built-in project prints one JSON document and nothing else.
func TestJSONIsOneDocument(t *testing.T) {
	lake := t.TempDir()
	for _, line := range []string{
		"init --json " + filepath.Join(t.TempDir(), "site"),
		"check --json",
		"plan check --json",
		"tables page --json",
		"tables show fact_event --json",
		"metrics list --json",
		"metrics show purchase_conversion_d3 --json",
		"metrics sql one_page_checkout --json",
		"metrics sql purchase_conversion_d3 --json",
		"metrics export --json",
		"metrics lineage purchase_conversion_d3 --json",
		"experiment check --json",
		"experiment list --json --lake " + lake,
		"identity veto --json --reason sisters --lake " + lake + " a:one a:two",
		"identity allow --json --lake " + lake + " a:one a:two",
		"privacy erase --json --by test --lake " + lake + " u:4711",
		"privacy export --json --by test --lake " + lake + " --out " + filepath.Join(t.TempDir(), "person.jsonl") + " u:4711",
		"privacy audit --json --lake " + lake,
		"cost --json",
	} {
		t.Run(line, func(t *testing.T) {
			out, _, err := ran(t, strings.Fields(line)...)
			if err != nil {
				t.Fatal(err)
			}
			decoder := json.NewDecoder(strings.NewReader(out))
			var document any
			if err := decoder.Decode(&document); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
				t.Errorf("something follows the document: %s", out)
			}
		})
	}
}

func TestJSONSaysWhatWasDone(t *testing.T) {
	lake := t.TempDir()
	read := func(into any, line string) {
		t.Helper()
		out, _, err := ran(t, append(strings.Fields(line), "--lake", lake)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatal(err)
		}
	}
	var vetoes []struct{ A, B, Reason string }
	read(&vetoes, "identity veto --json --reason sisters a:one a:two")
	if len(vetoes) != 1 || vetoes[0].A != "a:one" || vetoes[0].Reason != "sisters" {
		t.Errorf("after a veto %+v stand", vetoes)
	}
	read(&vetoes, "identity allow --json a:two a:one")
	if len(vetoes) != 0 {
		t.Errorf("after it was taken back %+v stand", vetoes)
	}
	var done []privacy.Audit
	read(&done, "privacy erase --json --by test u:4711")
	if len(done) != 1 || done[0].Action != privacy.Erase || len(done[0].Persons) == 0 || done[0].By != "test" {
		t.Errorf("an erasure says %+v", done)
	}
	var handed privacy.Audit
	file := filepath.Join(t.TempDir(), "person.jsonl")
	read(&handed, "privacy export --json --by test u:4711 --out "+file)
	if rows, err := os.ReadFile(file); err != nil || handed.Action != privacy.Export || !bytes.HasPrefix(rows, []byte(`{"about":["u:4711"`)) {
		t.Errorf("an export says %+v, its file has %q (%v)", handed, rows, err)
	}
	if _, _, err := ran(t, "privacy", "export", "--json", "--lake", lake, "u:4711"); exitCode(t.Context(), err) != exitMisused {
		t.Errorf("rows and JSON on one standard output: %v", err)
	}
}
