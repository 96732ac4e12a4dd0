package analyze

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write docs/schemas")

const docs = "../../docs"

// kinds are the case and the answer of every op.
func kinds() map[string][2]any {
	return map[string][2]any{
		"compare": {Experiment{}, Report{}}, "epochs": {Epochs{}, MetricOut{}}, "segments": {Segments{}, SegmentsOut{}}, "interaction": {Crossed{}, CrossedOut{}},
		"trend": {Daily{}, TrendOut{}}, "srm": {Split{}, SplitResult{}}, "srm_segments": {Segmented{}, SegmentedOut{}}, "multinomial": {MultinomialSplit{}, MultinomialOut{}},
		"balance": {Balance{}, FindingOut{}}, "loss": {Loss{}, FindingOut{}}, "rate": {Rate{}, FindingOut{}}, "calibration": {AA{}, AAOut{}},
		"correct": {PValues{}, CorrectedP{}}, "ebh": {EValues{}, Discoveries{}}, "unselect": {Selection{}, Unselected{}}, "learn": {Past{}, Learnt{}},
		"mixture": {Tuning{}, Tuned{}}, "group_sequential": {Design{}, Designed{}}, "operate": {Looks{}, Operated{}}, "counts": {Events{}, CountsOut{}},
		"bernoulli": {Share{}, ShareOut{}}, "bounded": {Batches{}, BatchesOut{}}, "best": {Arms{}, BestOut{}}, "betas": {Betas{}, BetasOut{}}, "distribution": {Distribution{}, DistributionOut{}},
		"power": {Plan{}, Planned{}}, "sample_size": {Plan{}, Planned{}}, "detectable": {Plan{}, Planned{}}, "projection": {Running{}, Projected{}},
		"runtime": {Runtime{}, RuntimeOut{}},
	}
}

// schema describes one side of a command's ops.
func schema(t *testing.T, title string, ops Ops, side int) []byte {
	t.Helper()
	r := &jsonschema.Reflector{ExpandedStruct: true, Mapper: func(of reflect.Type) *jsonschema.Schema {
		if of == reflect.TypeFor[Number]() {
			return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "number"}, {Type: "null"}}}
		}
		return nil
	}}
	all := map[string]any{}
	var choices []any
	for _, name := range ops.Names() {
		kind, ok := kinds()[name]
		if !ok {
			t.Fatalf("op %s has no types in kinds", name)
		}
		s := r.Reflect(kind[side])
		if side == 0 {
			op, _ := s.Properties.Get("op")
			op.Const = name
		}
		for n, d := range s.Definitions {
			all[n] = d
		}
		s.Definitions, s.Version, s.ID, s.Title = nil, "", "", name
		all["op_"+name] = s
		choices = append(choices, map[string]string{"$ref": "#/$defs/op_" + name})
	}
	if side == 1 {
		all["failure"] = r.Reflect(Failure{})
		choices = append(choices, map[string]string{"$ref": "#/$defs/failure"})
	}
	// Answers of several ops may look alike: anyOf.
	b, err := json.MarshalIndent(map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, "anyOf": choices, "$defs": all}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func TestSchemasAreCurrent(t *testing.T) {
	for name, side := range map[string]struct {
		ops  Ops
		side int
	}{"analyze.input": {Analyses(), 0}, "analyze.output": {Analyses(), 1}, "power.input": {Plans(), 0}, "power.output": {Plans(), 1}} {
		path := filepath.Join(docs, "schemas", name+".json")
		want := schema(t, "verdict "+strings.ReplaceAll(name, ".", ": one "), side.ops, side.side)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale: go test ./shared/analyze -run Schemas -update (-want +got):\n%.800s", path, diff)
		}
	}
}

// examples are the cases that docs/analyze.md shows.
func examples() []string {
	b, err := os.ReadFile(filepath.Join(docs, "analyze.md"))
	if err != nil {
		return nil
	}
	var out []string
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(b, -1) {
		for line := range strings.Lines(string(block[1])) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

func TestExamplesOfTheDocsRunAndFitTheSchemas(t *testing.T) {
	compiler := validator.NewCompiler()
	compile := func(name string) *validator.Schema {
		s, err := compiler.Compile(filepath.Join(docs, "schemas", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	cases := examples()
	seen := map[string]bool{}
	for _, c := range cases {
		var in map[string]any
		if err := json.Unmarshal([]byte(c), &in); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		op, _ := in["op"].(string)
		seen[op] = true
		ops, name := Analyses(), "analyze"
		if _, ok := Plans()[op]; ok {
			ops, name = Plans(), "power"
		}
		if err := compile(name + ".input").Validate(in); err != nil {
			t.Errorf("%s: %v", c, err)
		}
		answer := ask(t, ops, in)
		if err := compile(name + ".output").Validate(answer); err != nil {
			t.Errorf("answer to %s: %v", c, err)
		}
	}
	for name := range kinds() {
		if !seen[name] {
			t.Errorf("docs/analyze.md shows no %s", name)
		}
	}
}
