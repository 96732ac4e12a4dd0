package plan_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"verdict/events"
	"verdict/shared/fault"
	"verdict/shared/plan"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	documents, err := plan.Documents(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	for file, c := range map[string]struct{ want, make string }{
		"events/web/src/plan.ts": {plan.TypeScript(documents), "bin/verdict plan types > events/web/src/plan.ts"},
		"docs/plan.md":           {plan.Page(documents), "bin/verdict plan page > docs/plan.md"},
	} {
		got, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s is stale: %s (-want +got):\n%s", file, c.make, diff)
		}
	}
}

const smallSchema = `{"type": "object", "properties": {"score": {"type": "integer", "minimum": 0}, "note": {"type": "string", "maxLength": 10}}, "required": ["score"], "additionalProperties": false}`

// small is a plan of one event.
func small(change func(fstest.MapFS)) fstest.MapFS {
	envelope, err := events.Files.ReadFile("schemas/event-1-0-0.json")
	if err != nil {
		panic(err)
	}
	files := fstest.MapFS{
		"plan.yaml":                          {Data: []byte("events:\n  - name: lesson_finished\n    schema: 1-0-0\n    owner: school\n    description: Done.\n    pii: {none: [score], personal: [note]}\n")},
		"schemas/event-1-0-0.json":           {Data: envelope},
		"schemas/lesson_finished/1-0-0.json": {Data: []byte(smallSchema)},
		"examples/lesson_finished.json":      {Data: []byte(`{"score": 3}`)},
	}
	if change != nil {
		change(files)
	}
	return files
}

func edit(file, old, replacement string) func(fstest.MapFS) {
	return func(files fstest.MapFS) {
		files[file] = &fstest.MapFile{Data: []byte(strings.Replace(string(files[file].Data), old, replacement, 1))}
	}
}

func TestDocumentsDescribeFields(t *testing.T) {
	documents, err := plan.Documents(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Field{
		{Name: "score", Type: "whole number from 0", TypeScript: "number", Required: true, Class: plan.None},
		{Name: "note", Type: "text up to 10 characters", TypeScript: "string", Class: plan.Personal},
	}
	if diff := cmp.Diff(want, documents[0].Fields); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDocumentsRefuseAPlanThatIsNotFitToBeRead(t *testing.T) {
	for want, change := range map[string]func(fstest.MapFS){
		"plan.yaml:2: field note of lesson_finished needs a PII class: add it to pii.none, pii.pseudonymous or pii.personal": edit("plan.yaml", ", personal: [note]", ""),
		"field score has two PII classes":                                edit("plan.yaml", "[note]", "[note, score]"),
		`there is no PII class "secret": none, pseudonymous or personal`: edit("plan.yaml", "personal:", "secret:"),
		"lesson_finished 1-0-0 has no field mark":                        edit("plan.yaml", "[score]", "[score, mark]"),
		"examples/lesson_finished.json: /score must be at least 0":       edit("examples/lesson_finished.json", "3", "-3"),
		"event lesson_finished needs an example of its properties":       func(files fstest.MapFS) { delete(files, "examples/lesson_finished.json") },
	} {
		_, err := plan.Documents(small(change))
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// next is the small plan with a new version of its schema in force.
func next(version, old, replacement string) fstest.MapFS {
	return small(func(files fstest.MapFS) {
		files["schemas/lesson_finished/"+version+".json"] = &fstest.MapFile{Data: []byte(strings.Replace(smallSchema, old, replacement, 1))}
		edit("plan.yaml", "schema: 1-0-0", "schema: "+version)(files)
	})
}

func TestDiffKnowsWhatBreaks(t *testing.T) {
	const optional = `"note": {"type": "string", "maxLength": 10}`
	for name, c := range map[string]struct {
		after    fs.FS
		texts    []string
		breaking bool
		wrong    string
	}{
		"nothing":                  {small(nil), nil, false, ""},
		"a new event":              {small(edit("plan.yaml", "events:\n", "events:\n  - {name: lesson_begun, schema: 1-0-0, owner: school, description: Begun.}\n")), []string{"added, version 1-0-0"}, false, ""},
		"an optional property":     {next("1-0-1", optional, optional+`, "level": {"type": "string"}`), []string{"1-0-0 to 1-0-1", "properties: level is new"}, false, ""},
		"a wider limit":            {next("1-0-1", `"maxLength": 10`, `"maxLength": 20`), []string{"1-0-0 to 1-0-1", "note: length at most was 10, is 20"}, false, ""},
		"a number for an integer":  {next("1-0-1", `"integer"`, `"number"`), []string{"1-0-0 to 1-0-1", "score: type was integer, is number"}, false, ""},
		"a new required property":  {next("2-0-0", `["score"]`, `["score", "note"]`), []string{"1-0-0 to 2-0-0", "properties: note is now required"}, true, ""},
		"required without a MODEL": {next("1-0-1", `["score"]`, `["score", "note"]`), []string{"1-0-0 to 1-0-1", "properties: note is now required"}, true, "it must be a new MODEL, 2-0-0"},
		"a narrower limit":         {next("1-1-0", `"minimum": 0`, `"minimum": 1`), []string{"1-0-0 to 1-1-0", "score: minimum was 0, is 1"}, true, "it must be a new MODEL"},
		"a pattern":                {next("1-1-0", `"maxLength": 10`, `"maxLength": 10, "pattern": "^x"`), []string{"1-0-0 to 1-1-0", `note: pattern was "", is "^x"`}, true, "it must be a new MODEL"},
		"an enum":                  {next("1-1-0", `"maxLength": 10`, `"maxLength": 10, "enum": ["a"]`), []string{"1-0-0 to 1-1-0", "note: values were anything, are a"}, true, "it must be a new MODEL"},
		"a property gone":          {next("1-1-0", ", "+optional, ""), []string{"1-0-0 to 1-1-0", "properties: note is gone"}, true, "it must be a new MODEL"},
		"a version that goes down": {next("0-9-0", `"minimum": 0`, `"minimum": 0`), []string{"1-0-0 to 0-9-0"}, false, "a version goes up"},
		"a released schema":        {small(edit("schemas/lesson_finished/1-0-0.json", `"minimum": 0`, `"minimum": 1`)), []string{"1-0-0 changed"}, false, "a released schema never changes"},
		"the envelope":             {small(edit("schemas/event-1-0-0.json", `"required": ["event_id"`, `"required": ["seq", "event_id"`)), []string{"properties: seq is now required"}, true, "the envelope of every event"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a new event" {
				files := c.after.(fstest.MapFS)
				files["schemas/lesson_begun/1-0-0.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
			}
			if name == "a property gone" {
				files := c.after.(fstest.MapFS)
				edit("plan.yaml", ", personal: [note]", "")(files)
			}
			changes, err := plan.Diff(small(nil), c.after)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			var complaints []string
			breaking := false
			for _, change := range changes {
				texts, complaints = append(texts, change.Text), append(complaints, change.Wrong)
				breaking = breaking || change.Breaking
			}
			wrong := strings.Join(complaints, "")
			if diff := cmp.Diff(c.texts, texts); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if breaking != c.breaking || !strings.Contains(wrong, c.wrong) || c.wrong == "" && wrong != "" {
				t.Errorf("breaking %v, wrong %q; want %v, %q", breaking, wrong, c.breaking, c.wrong)
			}
		})
	}
}

func TestDiffSeesWhatIsRemoved(t *testing.T) {
	two := small(func(files fstest.MapFS) {
		edit("plan.yaml", "events:\n", "events:\n  - {name: lesson_begun, schema: 1-0-0, owner: school, description: Begun.}\n")(files)
		files["schemas/lesson_begun/1-0-0.json"] = &fstest.MapFile{Data: []byte(`{"type": "object"}`)}
	})
	changes, err := plan.Diff(two, small(nil))
	if err != nil || len(changes) != 1 || !changes[0].Breaking || !strings.Contains(changes[0].Wrong, "an event cannot be removed") {
		t.Errorf("%+v %v", changes, err)
	}
	if _, err := plan.Diff(small(nil), fstest.MapFS{}); err == nil {
		t.Error("no plan: no error")
	}
}

// What Diff calls compatible is: every mutation of an example that the old version accepts, the new one accepts.
func TestCompatibleVersionsAcceptWhatTheOldOnesDid(t *testing.T) {
	instances := []string{`{"score": 0}`, `{"score": 7, "note": "abcdefghij"}`, `{"score": 7, "note": ""}`}
	for _, name := range slices.Sorted(maps.Keys(map[string]bool{`"maxLength": 10|"maxLength": 20`: true, `"integer"|"number"`: true, `"minimum": 0|"minimum": -5`: true})) {
		old, replacement, _ := strings.Cut(name, "|")
		after := next("1-0-1", old, replacement)
		changes, err := plan.Diff(small(nil), after)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Breaking {
				t.Errorf("%s is called breaking", name)
			}
		}
		for _, instance := range instances {
			after["examples/lesson_finished.json"] = &fstest.MapFile{Data: []byte(instance)}
			if _, err := plan.Documents(after); err != nil {
				t.Errorf("%s: %s: %v", name, instance, err)
			}
		}
	}
}
