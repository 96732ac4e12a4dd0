package replay

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"verdict/shared/definition"
	"verdict/shared/plan"
)

// Mapping says which rows of an export are which events of the tracking plan.
type Mapping struct {
	by   map[string]*rule // by name in the export
	file []byte
}

type rule struct {
	From       []string            `yaml:"from"`  // names in the export
	Event      string              `yaml:"event"` // of the plan
	Each       string              `yaml:"each"`  // a list of the row: an event for each entry, which then is looked into first
	Properties map[string][]string `yaml:"properties"`
	Lists      map[string]list     `yaml:"lists"`

	schema string
	names  []string // of properties, in order
}

type list struct {
	From       string              `yaml:"from"`
	Properties map[string][]string `yaml:"properties"`
}

// LoadMapping reads replay.yaml and checks it against the tracking plan. A broken one is fault.Invalid with file,
// line and reason.
func LoadMapping(files fs.FS, p *plan.Plan) (*Mapping, error) {
	const name = "replay.yaml"
	source, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("read mapping: %w", err)
	}
	var listed struct {
		Events []*rule `yaml:"events"`
	}
	doc, err := definition.Decode(name, source, &listed)
	if err != nil {
		return nil, err
	}
	m := &Mapping{by: map[string]*rule{}, file: source}
	for i, r := range listed.Events {
		at := fmt.Sprintf("$.events[%d]", i)
		known, required, err := p.Contract(r.Event)
		if err != nil {
			return nil, doc.Errorf(at+".event", "%v", err)
		}
		if r.schema, err = p.Version(r.Event); err != nil {
			return nil, err
		}
		r.names = slices.Sorted(maps.Keys(r.Properties))
		for _, property := range slices.Concat(r.names, slices.Sorted(maps.Keys(r.Lists))) {
			if !slices.Contains(known, property) {
				return nil, doc.Errorf(at+".properties", "%s has no property %s; it has %s", r.Event, property, strings.Join(known, ", "))
			}
		}
		for _, property := range required {
			if len(r.Properties[property]) == 0 && r.Lists[property].From == "" {
				return nil, doc.Errorf(at, "%s needs the property %s", r.Event, property)
			}
		}
		if len(r.From) == 0 {
			return nil, doc.Errorf(at, "%s needs from: the names of its rows", r.Event)
		}
		for _, from := range r.From {
			if m.by[from] != nil {
				return nil, doc.Errorf(at+".from", "%s is mapped twice", from)
			}
			m.by[from] = r
		}
	}
	return m, nil
}

// made is the properties of the events that a row stands for: one, or one for each entry of a list.
func (r *rule) made(a *fastjson.Arena, p *plan.Plan, fields *fastjson.Value) []*fastjson.Value {
	if r.Each == "" {
		return []*fastjson.Value{r.properties(a, p, fields, fields)}
	}
	entries := fields.GetArray(r.Each)
	out := make([]*fastjson.Value, 0, len(entries))
	for _, entry := range entries {
		out = append(out, r.properties(a, p, entry, fields))
	}
	if len(out) == 0 { // a row without entries says that much: its event lacks what the plan asks for
		out = append(out, r.properties(a, p, fields, fields))
	}
	return out
}

func (r *rule) properties(a *fastjson.Arena, p *plan.Plan, first, then *fastjson.Value) *fastjson.Value {
	out := a.NewObject()
	for _, name := range r.names {
		if v := find(a, r.Properties[name], first, then); v != nil {
			out.Set(name, convert(a, v, p.Type(r.Event, name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Lists)) { // in order: the same row makes the same bytes
		l := r.Lists[name]
		entries := then.GetArray(l.From)
		if len(entries) == 0 {
			continue
		}
		made := a.NewArray()
		for i, entry := range entries {
			one := a.NewObject()
			for _, property := range slices.Sorted(maps.Keys(l.Properties)) {
				if v := find(a, l.Properties[property], entry, nil); v != nil {
					one.Set(property, convert(a, v, p.Type(r.Event, name, property)))
				}
			}
			made.SetArrayItem(i, one)
		}
		out.Set(name, made)
	}
	return out
}

// find returns the first value that one of the places holds, or nil.
func find(a *fastjson.Arena, places []string, first, then *fastjson.Value) *fastjson.Value {
	for _, place := range places {
		if text, ok := strings.CutPrefix(place, "="); ok {
			return a.NewString(text)
		}
		path := strings.Split(place, ".")
		for _, in := range []*fastjson.Value{first, then} {
			if in == nil {
				continue
			}
			if v := in.Get(path...); v != nil && v.Type() != fastjson.TypeNull && (v.Type() != fastjson.TypeString || len(v.GetStringBytes()) > 0) {
				return v
			}
		}
	}
	return nil
}

// convert turns text into the number that the plan asks for, and back: exports write 64-bit integers as text, and
// Google's server-side template makes numbers of all texts that look like one, order ids among them. What cannot be
// converted stays, for the plan to complain of.
func convert(a *fastjson.Arena, v *fastjson.Value, want string) *fastjson.Value {
	switch {
	case want == "string" && v.Type() == fastjson.TypeNumber:
		return a.NewString(strconv.FormatFloat(v.GetFloat64(), 'f', -1, 64))
	case (want == "number" || want == "integer") && v.Type() == fastjson.TypeString:
		text := string(v.GetStringBytes())
		if _, err := strconv.ParseFloat(text, 64); err == nil && fastjson.Validate(text) == nil {
			return a.NewNumberString(text) // "1e3" and "0x10" parse, but only the first is JSON
		}
	case want == "integer" && v.Type() == fastjson.TypeNumber:
		if f := v.GetFloat64(); f == float64(int64(f)) {
			return a.NewNumberString(strconv.FormatInt(int64(f), 10))
		}
	}
	return v
}
