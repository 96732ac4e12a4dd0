package experiment_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"verdict/events"
	"verdict/shared/experiment"
)

const schemaFile = "../../docs/schemas/experiment.schema.json"

// described is what the schema says of a value.
type described struct {
	Description          string               `json:"description"`
	Type                 string               `json:"type"`
	Enum                 []string             `json:"enum"`
	Const                string               `json:"const"`
	Required             []string             `json:"required"`
	Properties           map[string]described `json:"properties"`
	AdditionalProperties *bool                `json:"additionalProperties"`
	Items                *described           `json:"items"`
}

// Editors complete and explain what the schema says; the struct is what is read.
func TestTheSchemaDescribesTheStruct(t *testing.T) {
	body, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema described
	if err := json.Unmarshal(body, &schema); err != nil {
		t.Fatal(err)
	}
	agree(t, "$", schema, reflect.TypeFor[experiment.Experiment]())
}

func agree(t *testing.T, at string, s described, of reflect.Type) {
	t.Helper()
	kind := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer", reflect.Int64: "integer", reflect.Float64: "number", reflect.Slice: "array", reflect.Struct: "object"}[of.Kind()]
	if of == reflect.TypeFor[experiment.Date]() {
		kind = "string"
	}
	if s.Enum != nil || s.Const != "" {
		s.Type = "string"
	}
	if s.Type != kind {
		t.Errorf("%s: the schema says %q, the struct %q", at, s.Type, kind)
	}
	switch kind {
	case "array":
		agree(t, at+"[]", *s.Items, of.Elem())
	case "object":
		if s.AdditionalProperties == nil || *s.AdditionalProperties {
			t.Errorf("%s: the schema lets unknown fields pass", at)
		}
		var names []string
		for field := range of.Fields() {
			name := field.Tag.Get("yaml")
			names = append(names, name)
			property, ok := s.Properties[name]
			if !ok || property.Description == "" {
				t.Errorf("%s: the schema does not describe %s", at, name)
				continue
			}
			agree(t, at+"."+name, property, field.Type)
		}
		for name := range s.Properties {
			if !slices.Contains(names, name) {
				t.Errorf("%s: the schema has %s, the struct has not", at, name)
			}
		}
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, source []byte) error {
	t.Helper()
	text, err := yaml.YAMLToJSON(source)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestEveryExperimentFitsTheSchema(t *testing.T) {
	schema := compile(t)
	files, err := fs.Glob(events.Files, "experiments/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, name := range files {
		source, err := fs.ReadFile(events.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// The first line is what makes editors complete.
		if !bytes.HasPrefix(source, []byte("# yaml-language-server: $schema=../../docs/schemas/experiment.schema.json\n")) {
			t.Errorf("%s does not name its schema in its first line", name)
		}
	}
	imports, err := filepath.Glob("../../tests/e2e/imports/*/events/experiments/*.yaml")
	if err != nil || len(imports) == 0 {
		t.Fatalf("found %v, %v", imports, err)
	}
	for _, name := range imports {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What Read refuses without looking elsewhere, an editor underlines; what it takes, an editor takes.
func TestTheSchemaRefusesWhatReadRefuses(t *testing.T) {
	schema := compile(t)
	optional := []string{"minimum_days", "maximum_days", "segments", "notes"}
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(valid), &fields); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"unknown field": valid + "colour: red\n", "no such day": strings.Replace(valid, "2026-01-05", "5 January", 1),
		"alpha": strings.Replace(valid, "alpha: 0.05", "alpha: 0.3", 1), "traffic": strings.Replace(valid, "traffic: 1", "traffic: 1.1", 1),
		"no traffic": strings.Replace(valid, "traffic: 1", "traffic: 0", 1), "no effect": strings.Replace(valid, "effect: 0.1", "effect: 0", 1),
		"mode": strings.Replace(valid, "mode: observe", "mode: maybe", 1), "unit": strings.Replace(valid, "unit: user", "unit: session", 1),
		"one variant": strings.Replace(valid, "  - {key: b, share: 0.5}\n", "", 1), "share": strings.Replace(valid, "share: 0.5", "share: 1", 1),
		"no margin": strings.Replace(valid, ", margin: 0.1", "", 1), "margin of a goal": strings.Replace(valid, "role: goal", "role: goal, margin: 0.1", 1),
		"no goal": strings.Replace(valid, "role: goal", "role: secondary", 1), "role": strings.Replace(valid, "role: guardrail", "role: gaol", 1),
		"no days": strings.Replace(valid, "planned_days: 21", "planned_days: 0", 1), "half a day": strings.Replace(valid, "planned_days: 21", "planned_days: 20.5", 1),
		"units": strings.Replace(valid, "planned_units: 1000", "planned_units: 1", 1), "segment": valid + "segments: [Country]\n", "segment twice": valid + "segments: [a, a]\n",
		"minimum": strings.Replace(valid, "minimum_days: 14", "minimum_days: -1", 1), "blank": strings.Replace(valid, "owner: o", "owner: ' '", 1),
		"valid": valid, "valid with everything": valid + "maximum_days: 28\nsegments: [country]\nnotes: none\n",
	}
	for name := range fields {
		without := map[string]any{}
		for other, value := range fields {
			if other != name {
				without[other] = value
			}
		}
		text, err := yaml.Marshal(without)
		if err != nil {
			t.Fatal(err)
		}
		cases["without "+name] = string(text)
	}
	for name, source := range cases {
		t.Run(name, func(t *testing.T) {
			bySchema := validate(t, schema, []byte(source))
			_, byRead := load(source, anyMetric)
			if (bySchema == nil) != (byRead == nil) {
				t.Errorf("the schema says %v, Load %v", bySchema, byRead)
			}
			wantRefused := !strings.HasPrefix(name, "valid") && !slices.Contains(optional, strings.TrimPrefix(name, "without "))
			if (byRead != nil) != wantRefused {
				t.Errorf("refused: %v", byRead)
			}
		})
	}
}
