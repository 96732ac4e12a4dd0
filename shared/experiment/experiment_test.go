package experiment_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"verdict/events"
	"verdict/shared/definition"
	"verdict/shared/experiment"
	"verdict/shared/fault"
)

func anyMetric(string) bool { return true }

func TestLoadReadsTheShippedExperiments(t *testing.T) {
	got, err := experiment.Load(events.Files, "experiments", anyMetric)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 {
		t.Fatalf("%d experiments, want 5", len(got))
	}
	text, err := json.Marshal(got[0])
	if err != nil || !strings.Contains(string(text), `"start":"2026-01-05"`) {
		t.Errorf("JSON %s, %v", text, err)
	}
	if end := got[0].End().Format("2006-01-02"); end != "2026-01-26" {
		t.Errorf("%s ends %s, want 2026-01-26", got[0].ID, end)
	}
}

const valid = `id: x
name: X
hypothesis: h
owner: o
flag: f
unit: user
control: a
variants:
  - {key: a, share: 0.5}
  - {key: b, share: 0.5}
traffic: 1
start: 2026-01-05
planned_days: 21
minimum_days: 14
planned_units: 1000
alpha: 0.05
minimum_detectable_effect: 0.1
mode: observe
metrics:
  - {metric: m, role: goal}
  - {metric: n, role: guardrail, margin: 0.1}
`

func load(source string, metrics func(string) bool) ([]*experiment.Experiment, error) {
	return experiment.Load(fstest.MapFS{"e/x.yaml": {Data: []byte(source)}}, "e", metrics)
}

func TestLoadRefusesWithLineAndReason(t *testing.T) {
	cases := map[string]struct{ old, replacement, want string }{
		"unknown key":             {"owner: o", "owner: o\nower: o", `e/x.yaml:5: unknown field "ower"`},
		"longer than the longest": {"planned_days: 21", "planned_days: 21\nmaximum_days: 20", "e/x.yaml:14: maximum_days must be at least planned_days (21)"},
		"segment":                 {"mode: observe", "mode: observe\nsegments: [Country]", `e/x.yaml:19: a segment is the name of a property, like country, not "Country"`},
		"no owner":                {"owner: o", "owner: ''", "e/x.yaml:4: owner is missing"},
		"bad date":                {"2026-01-05", "5 January", "e/x.yaml:12: start must be a date like 2026-01-05"},
		"shares":                  {"{key: b, share: 0.5}", "{key: b, share: 0.4}", "e/x.yaml:9: the shares add up to 0.9, not 1"},
		"control":                 {"control: a", "control: c", `e/x.yaml:7: control "c" is none of the variants`},
		"alpha":                   {"alpha: 0.05", "alpha: 5", "e/x.yaml:16: alpha must lie above 0 and not above 0.2, not 5"},
		"guardrail margin":        {", margin: 0.1", "", "e/x.yaml:21: guardrail n needs a margin between 0 and 1: the largest relative worsening to tolerate"},
		"no goal":                 {"role: goal", "role: secondary", "e/x.yaml:20: an experiment needs a goal metric"},
		"mode":                    {"mode: observe", "mode: maybe", `e/x.yaml:18: mode must be observe, propose or auto, not "maybe"`},
		"minimum over limit":      {"minimum_days: 14", "minimum_days: 30", "e/x.yaml:14: minimum_days must lie between 0 and planned_days (21)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(strings.Replace(valid, c.old, c.replacement, 1), anyMetric)
			if !fault.Is(err, fault.Invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	t.Run("unknown metric", func(t *testing.T) {
		_, err := load(valid, func(name string) bool { return name == "m" })
		if want := `e/x.yaml:21: there is no metric "n" that experiments can use`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

// Somebody who mends a definition wants to know all of it, once, and where.
func TestReadComplainsOfEverythingAtOnce(t *testing.T) {
	broken := valid
	for old, replacement := range map[string]string{
		"owner: o":              "ower: o",
		"{key: b, share: 0.5}":  "{key: b, share: half, size: 3}",
		"alpha: 0.05":           "alpha: five",
		"mode: observe":         "mode: maybe",
		"role: goal":            "role: gaol",
		"planned_units: 1000\n": "",
	} {
		broken = strings.Replace(broken, old, replacement, 1)
	}
	sources := []experiment.Source{{File: "x.yaml", Text: []byte(broken)}, {File: "y.yaml", Text: []byte("id: [")}, {File: "z.yaml", Text: []byte(strings.Replace(valid, "traffic: 1", "traffic: 2", 1)[len("id: x\n"):])}}
	_, err := experiment.Read(sources, anyMetric)
	at := func(file string, line, column int, text string) definition.Complaint {
		return definition.Complaint{File: file, Line: line, Column: column, Text: text}
	}
	want := []definition.Complaint{
		at("x.yaml", 1, 1, "owner is missing"),
		at("x.yaml", 1, 1, "planned_units must be at least 2: it tunes the sequential boundary"),
		at("x.yaml", 4, 1, `unknown field "ower"`),
		at("x.yaml", 9, 3, "the shares add up to 0.5, not 1"),
		at("x.yaml", 10, 21, "cannot unmarshal string into Go value of type float64"),
		at("x.yaml", 10, 27, `unknown field "size"`),
		at("x.yaml", 15, 8, "cannot unmarshal string into Go value of type float64"),
		at("x.yaml", 17, 7, `mode must be observe, propose or auto, not "maybe"`),
		at("x.yaml", 19, 3, "an experiment needs a goal metric"),
		at("x.yaml", 19, 23, `role must be goal, guardrail or secondary, not "gaol"`),
		at("y.yaml", 1, 5, "sequence end token ']' not found"),
		at("z.yaml", 1, 1, "id is missing"),
		at("z.yaml", 10, 10, "traffic must lie above 0 and not above 1: the share of users that the flag's rule includes"),
	}
	if diff := cmp.Diff(want, definition.Complaints(err)); diff != "" || !fault.Is(err, fault.Invalid) {
		t.Errorf("%v\n-want +got:\n%s", fault.Of(err), diff)
	}
}

func TestNotesAndSegmentsDecideNothing(t *testing.T) {
	a, err := load(valid, anyMetric)
	if err != nil {
		t.Fatal(err)
	}
	b, err := load(valid+"segments: [country]\nnotes: the banner was broken on Friday\n", anyMetric)
	if err != nil {
		t.Fatal(err)
	}
	if a[0].Hash() != b[0].Hash() {
		t.Error("a note changes the hash: a decided experiment would be decided on again")
	}
}

func TestHashFollowsTheDefinition(t *testing.T) {
	a, err := load(valid, anyMetric)
	if err != nil {
		t.Fatal(err)
	}
	b, err := load(strings.Replace(valid, "margin: 0.1", "margin: 0.2", 1), anyMetric)
	if err != nil {
		t.Fatal(err)
	}
	if a[0].Hash() == b[0].Hash() {
		t.Error("a changed margin keeps the hash")
	}
	if got := a[0].Hash(); got != a[0].Hash() || len(got) != 16 {
		t.Errorf("hash %q is not stable", got)
	}
}

func TestStagesAreTheRampInDays(t *testing.T) {
	e := &experiment.Experiment{Traffic: 0.8}
	if diff := cmp.Diff([]experiment.Stage{{Day: 0, Traffic: 0.8}}, e.Stages()); diff != "" {
		t.Error(diff)
	}
	e.Ramp = []experiment.Step{{Traffic: 0.1, Days: 3}, {Traffic: 0.5, Days: 2}}
	if diff := cmp.Diff([]experiment.Stage{{0, 0.1}, {3, 0.5}, {5, 0.8}}, e.Stages()); diff != "" {
		t.Error(diff)
	}
}
