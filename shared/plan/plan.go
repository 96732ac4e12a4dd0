// Package plan is the tracking plan at run time: which events exist, in which version of their
// schema, and whether a given event keeps its contract.
package plan

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/valyala/fastjson"

	"verdict/shared/definition"
	"verdict/shared/fault"
)

// Plan is a loaded tracking plan. It is safe for concurrent use.
type Plan struct {
	Events   []Event
	Hash     []string // ids that land as salted hashes: anonymous_id, user_id
	envelope *Validator
	schemas  map[contract]*Validator
	known    map[string]bool
	released map[string][]string
}

// Versions lists the versions of each event that are accepted.
func (p *Plan) Versions() map[string][]string { return p.released }

// Event is one entry of the plan.
type Event struct {
	Name        string `yaml:"name"`
	Schema      string `yaml:"schema"` // the version in force
	Owner       string `yaml:"owner"`
	Description string `yaml:"description"`
	// PII lists the fields of each class; every field has one (Documents).
	PII map[Class][]string `yaml:"pii"`
}

type contract struct{ event, version string }

// Load reads plan.yaml and every released schema beside it. A plan that is broken or incomplete is
// fault.Invalid with file, line and reason.
func Load(files fs.FS) (*Plan, error) {
	source, err := fs.ReadFile(files, "plan.yaml")
	if err != nil {
		return nil, fmt.Errorf("read tracking plan: %w", err)
	}
	var listed struct {
		Events []Event  `yaml:"events"`
		Hash   []string `yaml:"hash"`
	}
	doc, err := definition.Decode("plan.yaml", source, &listed)
	if err != nil {
		return nil, err
	}
	p := &Plan{Events: listed.Events, Hash: listed.Hash, schemas: map[contract]*Validator{}, known: map[string]bool{}, released: map[string][]string{}}
	for i, id := range p.Hash {
		if id != "anonymous_id" && id != "user_id" || slices.Contains(p.Hash[:i], id) {
			return nil, doc.Errorf(fmt.Sprintf("$.hash[%d]", i), "hash lists anonymous_id and user_id, each once, not %q", id)
		}
	}
	if p.envelope, err = compileFile(files, "schemas/event-1-0-0.json"); err != nil {
		return nil, err
	}
	for i, e := range p.Events {
		at := fmt.Sprintf("$.events[%d]", i)
		switch {
		case e.Name == "" || p.known[e.Name]:
			return nil, doc.Errorf(at+".name", "event %d needs a name of its own", i+1)
		case e.Owner == "" || e.Description == "":
			return nil, doc.Errorf(at, "event %s needs an owner and a description", e.Name)
		}
		p.known[e.Name] = true
		versions, err := fs.Glob(files, path.Join("schemas", e.Name, "*.json"))
		if err != nil {
			return nil, fmt.Errorf("list schemas of %s: %w", e.Name, err)
		}
		if !slices.Contains(versions, path.Join("schemas", e.Name, e.Schema+".json")) {
			return nil, doc.Errorf(at+".schema", "there is no file schemas/%s/%s.json", e.Name, e.Schema)
		}
		for _, file := range versions {
			version := path.Base(file[:len(file)-len(".json")])
			p.released[e.Name] = append(p.released[e.Name], version)
			if p.schemas[contract{e.Name, version}], err = compileFile(files, file); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func compileFile(files fs.FS, name string) (*Validator, error) {
	source, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	v, err := Compile(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// Check returns every way in which an event, parsed from a batch, breaks the plan.
func (p *Plan) Check(event *fastjson.Value) []Failure {
	failures := p.envelope.Validate("", event)
	name, version := event.GetStringBytes("event"), event.GetStringBytes("schema")
	properties := event.Get("properties")
	if name == nil || properties == nil {
		return failures
	}
	v := p.schemas[contract{string(name), string(version)}]
	switch {
	case v != nil:
		return append(failures, v.Validate("/properties", properties)...)
	case p.known[string(name)]:
		return append(failures, Failure{"/schema", fmt.Sprintf("there is no version %q of %s", version, name)})
	default:
		return append(failures, Failure{"/event", fmt.Sprintf("event %q is not in the tracking plan", name)})
	}
}

// Version returns the version in force of an event, or fault.NotFound.
func (p *Plan) Version(event string) (string, error) {
	for _, e := range p.Events {
		if e.Name == event {
			return e.Schema, nil
		}
	}
	return "", fault.New(fault.NotFound, "event %q is not in the tracking plan", event)
}

// Contract lists the properties of an event's schema in force, and those of them that are required.
func (p *Plan) Contract(event string) (known, required []string, err error) {
	version, err := p.Version(event)
	if err != nil {
		return nil, nil, err
	}
	v := p.schemas[contract{event, version}]
	return slices.Sorted(maps.Keys(v.properties)), v.required, nil
}

// Type is the JSON type of a property of an event's schema in force, or of a member of the objects that it lists; ""
// when the schema leaves it open.
func (p *Plan) Type(event, property string, member ...string) string {
	version, err := p.Version(event)
	if err != nil {
		return ""
	}
	v := p.schemas[contract{event, version}].properties[property]
	for _, name := range member {
		if v == nil || v.items == nil {
			return ""
		}
		v = v.items.properties[name]
	}
	if v == nil || len(v.types) != 1 {
		return ""
	}
	return v.types[0]
}
