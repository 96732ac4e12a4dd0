package plan

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"verdict/shared/definition"
	"verdict/shared/fault"
)

// Class says how near a field is to a person.
type Class string

// The classes, from nothing to a person's own name.
const (
	None         Class = "none"         // says nothing of who it was
	Pseudonymous Class = "pseudonymous" // an identifier or content that a table elsewhere ties to a person
	Personal     Class = "personal"     // names or reaches a person: needs a reason to be collected at all
)

// Field is one property of an event, as people read it.
type Field struct {
	Name        string
	Type        string // in the words of the plan page: text, whole number from 0, list of objects
	TypeScript  string
	Required    bool
	Description string
	Class       Class
}

// Document is what people need to know of an event: the plan page and the types are made of it.
type Document struct {
	Event
	Versions []string
	Fields   []Field
	Example  string // its properties, as JSON
}

// Documents describes every event, in the plan's order, and refuses a plan that is not fit to be read: each
// field needs exactly one PII class, and each event an example that keeps its contract.
func Documents(files fs.FS) ([]Document, error) {
	p, err := Load(files)
	if err != nil {
		return nil, err
	}
	source, err := fs.ReadFile(files, "plan.yaml")
	if err != nil {
		return nil, fmt.Errorf("read tracking plan: %w", err)
	}
	var anything any
	doc, err := definition.Decode("plan.yaml", source, &anything)
	if err != nil {
		return nil, err
	}
	var out []Document
	for i, e := range p.Events {
		at := fmt.Sprintf("$.events[%d]", i)
		d := Document{Event: e}
		if d.Fields, err = fields(files, e); err != nil {
			return nil, err
		}
		if err := classify(&d, doc, at); err != nil {
			return nil, err
		}
		versions, err := fs.Glob(files, path.Join("schemas", e.Name, "*.json"))
		if err != nil {
			return nil, fmt.Errorf("list schemas of %s: %w", e.Name, err)
		}
		for _, v := range versions {
			d.Versions = append(d.Versions, strings.TrimSuffix(path.Base(v), ".json"))
		}
		if d.Example, err = p.example(files, e); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// example reads and checks events/examples/<event>.json.
func (p *Plan) example(files fs.FS, e Event) (string, error) {
	name := path.Join("examples", e.Name+".json")
	source, err := fs.ReadFile(files, name)
	if err != nil {
		return "", fault.New(fault.Invalid, "%s: event %s needs an example of its properties", name, e.Name)
	}
	value, err := fastjson.ParseBytes(source)
	if err != nil {
		return "", fault.New(fault.Invalid, "%s: %w", name, err)
	}
	if failures := p.schemas[contract{e.Name, e.Schema}].Validate("", value); failures != nil {
		return "", fault.New(fault.Invalid, "%s: %s %s", name, failures[0].Path, failures[0].Message)
	}
	return strings.TrimSpace(string(source)), nil
}

// classify gives each field the class that the plan states.
func classify(d *Document, doc definition.Document, at string) error {
	classes := map[string]Class{}
	for _, class := range slices.Sorted(maps.Keys(d.PII)) {
		if class != None && class != Pseudonymous && class != Personal {
			return doc.Errorf(at+".pii", "there is no PII class %q: none, pseudonymous or personal", class)
		}
		for _, field := range d.PII[class] {
			if classes[field] != "" {
				return doc.Errorf(at+".pii", "field %s has two PII classes", field)
			}
			classes[field] = class
		}
	}
	for i, f := range d.Fields {
		if classes[f.Name] == "" {
			return doc.Errorf(at, "field %s of %s needs a PII class: add it to pii.none, pii.pseudonymous or pii.personal", f.Name, d.Name)
		}
		d.Fields[i].Class = classes[f.Name]
		delete(classes, f.Name)
	}
	for field := range classes {
		return doc.Errorf(at+".pii", "%s %s has no field %s", d.Name, d.Schema, field)
	}
	return nil
}

func fields(files fs.FS, e Event) ([]Field, error) {
	source, err := fs.ReadFile(files, path.Join("schemas", e.Name, e.Schema+".json"))
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	var s schema
	if err := json.Unmarshal(source, &s); err != nil {
		return nil, fault.New(fault.Invalid, "read schema of %s: %w", e.Name, err)
	}
	names := slices.Sorted(maps.Keys(s.Properties))
	slices.SortStableFunc(names, func(a, b string) int { // what is required comes first
		return strings.Compare(strconv.FormatBool(!slices.Contains(s.Required, a)), strconv.FormatBool(!slices.Contains(s.Required, b)))
	})
	var out []Field
	for _, name := range names {
		var f schema
		if err := json.Unmarshal(s.Properties[name], &f); err != nil {
			return nil, fault.New(fault.Invalid, "read schema of %s: %s: %w", e.Name, name, err)
		}
		words, script, err := f.words()
		if err != nil {
			return nil, fmt.Errorf("read schema of %s: %s: %w", e.Name, name, err)
		}
		out = append(out, Field{Name: name, Type: words, TypeScript: script, Required: slices.Contains(s.Required, name), Description: f.Description})
	}
	return out, nil
}

// words tells a schema's type to a reader and to TypeScript.
func (s schema) words() (words, script string, err error) {
	if s.Enum != nil || s.Const != nil {
		values := s.Enum
		if s.Const != nil {
			values = []string{*s.Const}
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = "'" + v + "'"
		}
		return "one of " + strings.Join(values, ", "), strings.Join(quoted, " | "), nil
	}
	var v Validator
	if err := v.compileType(s.Type); err != nil {
		return "", "", err
	}
	var said, scripts []string
	for _, t := range v.types {
		w, ts, err := s.one(t)
		if err != nil {
			return "", "", err
		}
		said = append(said, w)
		if !slices.Contains(scripts, ts) {
			scripts = append(scripts, ts)
		}
	}
	if len(said) == 0 {
		return "anything", "unknown", nil
	}
	return strings.Join(said, " or "), strings.Join(scripts, " | "), nil
}

func (s schema) one(t string) (words, script string, err error) {
	switch t {
	case "string":
		words = "text"
		switch {
		case s.Format == "date-time":
			words = "time"
		case s.Pattern != "":
			words = "text like " + s.Pattern
		case s.MaxLength != nil:
			words = fmt.Sprintf("text up to %d characters", *s.MaxLength)
		}
		return words, "string", nil
	case "integer", "number":
		words = map[string]string{"integer": "whole number", "number": "number"}[t]
		if s.Minimum != nil {
			words += " from " + strconv.FormatFloat(*s.Minimum, 'f', -1, 64)
		}
		if s.Maximum != nil {
			words += " to " + strconv.FormatFloat(*s.Maximum, 'f', -1, 64)
		}
		return words, "number", nil
	case "boolean":
		return "yes or no", "boolean", nil
	case "null":
		return "nothing", "null", nil
	case "array":
		if s.Items == nil {
			return "list", "unknown[]", nil
		}
		var item schema
		if err := json.Unmarshal(s.Items, &item); err != nil {
			return "", "", fault.New(fault.Invalid, "items: %w", err)
		}
		w, ts, err := item.words()
		if strings.Contains(ts, "|") {
			ts = "(" + ts + ")"
		}
		return "list of: " + w, ts + "[]", err
	}
	return s.object()
}

func (s schema) object() (words, script string, err error) {
	if s.Properties == nil {
		return "object", "Record<string, unknown>", nil
	}
	var said, members []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		var f schema
		if err := json.Unmarshal(s.Properties[name], &f); err != nil {
			return "", "", fault.New(fault.Invalid, "%s: %w", name, err)
		}
		w, ts, err := f.words()
		if err != nil {
			return "", "", err
		}
		optional := "?"
		if slices.Contains(s.Required, name) {
			optional = ""
		}
		said, members = append(said, name+" ("+w+")"), append(members, name+optional+": "+ts)
	}
	return "object with " + strings.Join(said, ", "), "{" + strings.Join(members, "; ") + "}", nil
}
