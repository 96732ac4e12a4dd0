package plan

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Change is one difference between two states of the plan.
type Change struct {
	Event    string `json:"event"`
	Text     string `json:"text"`
	Breaking bool   `json:"breaking"`        // an event that was valid is no longer
	Wrong    string `json:"wrong,omitempty"` // what rule of SchemaVer it breaks; empty if none
}

// Diff compares two states of the plan by the rules of SchemaVer (MODEL-REVISION-ADDITION): a released schema
// never changes, and one that refuses what its predecessor accepts is a new MODEL. An event that leaves the
// plan breaks whoever still sends it.
func Diff(before, after fs.FS) ([]Change, error) {
	old, err := Load(before)
	if err != nil {
		return nil, fmt.Errorf("the plan before: %w", err)
	}
	now, err := Load(after)
	if err != nil {
		return nil, err
	}
	var out []Change
	for _, e := range old.Events {
		if !now.known[e.Name] {
			out = append(out, Change{Event: e.Name, Text: "removed", Breaking: true, Wrong: "an event cannot be removed: its data remains, and old clients send it; say in its description that it is retired"})
		}
	}
	for _, e := range now.Events {
		if !old.known[e.Name] {
			out = append(out, Change{Event: e.Name, Text: "added, version " + e.Schema})
			continue
		}
		changes, err := diffEvent(before, after, old, now, e)
		if err != nil {
			return nil, err
		}
		out = append(out, changes...)
	}
	out = append(out, diffValidators("event", "", old.envelope, now.envelope, func(c *Change) {
		if c.Breaking {
			c.Wrong = "the envelope of every event must accept what it accepted"
		}
	})...)
	return out, nil
}

func diffEvent(before, after fs.FS, old, now *Plan, e Event) ([]Change, error) {
	var out []Change
	released, err := fs.Glob(before, path.Join("schemas", e.Name, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	for _, file := range released {
		version := strings.TrimSuffix(path.Base(file), ".json")
		a, err := fs.ReadFile(before, file)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		b, err := fs.ReadFile(after, file)
		switch {
		case err != nil:
			out = append(out, Change{Event: e.Name, Text: version + " removed", Breaking: true, Wrong: "a released schema stays: old clients send it"})
		case string(a) != string(b):
			out = append(out, Change{Event: e.Name, Text: version + " changed", Wrong: "a released schema never changes: write a new version beside it"})
		}
	}
	was, err := old.Version(e.Name)
	if err != nil {
		return nil, err
	}
	if was == e.Schema {
		return out, nil
	}
	breaking := false
	changes := diffValidators(e.Name, "", old.schemas[contract{e.Name, was}], now.schemas[contract{e.Name, e.Schema}], func(c *Change) {
		breaking = breaking || c.Breaking
	})
	step := Change{Event: e.Name, Text: was + " to " + e.Schema, Breaking: breaking}
	switch model, higher := steps(was, e.Schema); {
	case !higher:
		step.Wrong = "a version goes up"
	case breaking && !model:
		step.Wrong = "it refuses what " + was + " accepts: it must be a new MODEL, " + nextModel(was)
	}
	return append(append(out, step), changes...), nil
}

// steps says whether the MODEL rises from one version to another, and whether the version does at all.
func steps(was, is string) (model, higher bool) {
	a, b := numbersOf(was), numbersOf(is)
	return b[0] > a[0], slices.Compare(b, a) > 0
}

func nextModel(version string) string { return strconv.Itoa(numbersOf(version)[0]+1) + "-0-0" }

func numbersOf(version string) []int {
	out := make([]int, 3)
	for i, part := range strings.SplitN(version, "-", 3) {
		out[i], _ = strconv.Atoi(part) // Load has seen that they are numbers
	}
	return out
}

// diffValidators lists what an instance of the old schema would notice of the new one.
func diffValidators(event, at string, old, now *Validator, note func(*Change)) []Change {
	var out []Change
	add := func(breaking bool, format string, args ...any) {
		name := at
		if name == "" {
			name = "properties"
		}
		c := Change{Event: event, Text: name + ": " + fmt.Sprintf(format, args...), Breaking: breaking}
		note(&c)
		out = append(out, c)
	}
	if !slices.Equal(old.types, now.types) {
		add(!covers(now.types, old.types), "type was %s, is %s", words(old.types), words(now.types))
	}
	if !slices.Equal(old.enum, now.enum) {
		gone := slices.DeleteFunc(slices.Clone(old.enum), func(v string) bool { return slices.Contains(now.enum, v) })
		add(now.enum != nil && (old.enum == nil || len(gone) > 0), "values were %s, are %s", words(old.enum), words(now.enum))
	}
	bound(add, "length at least", old.minLength, now.minLength, 1)
	bound(add, "length at most", old.maxLength, now.maxLength, -1)
	bound(add, "items at least", old.minItems, now.minItems, 1)
	bound(add, "items at most", old.maxItems, now.maxItems, -1)
	limit(add, "minimum", old.minimum, now.minimum, 1)
	limit(add, "maximum", old.maximum, now.maximum, -1)
	if a, b := pattern(old), pattern(now); a != b {
		add(b != "", "pattern was %q, is %q", a, b)
	}
	if old.dateTime != now.dateTime {
		add(now.dateTime, "format date-time: %v", now.dateTime)
	}
	for _, name := range now.required {
		if !slices.Contains(old.required, name) {
			add(true, "%s is now required", name)
		}
	}
	for _, name := range old.required {
		if !slices.Contains(now.required, name) {
			add(false, "%s is no longer required", name)
		}
	}
	if old.closed != now.closed {
		add(now.closed, "closed: %v", now.closed)
	}
	for _, name := range slices.Sorted(maps.Keys(old.properties)) {
		inner := strings.TrimPrefix(at+"."+name, ".")
		if property, ok := now.properties[name]; ok {
			out = append(out, diffValidators(event, inner, old.properties[name], property, note)...)
		} else {
			add(now.closed, "%s is gone", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now.properties)) {
		if _, ok := old.properties[name]; !ok {
			// A property that an open schema let pass as anything is now held to something.
			add(!old.closed, "%s is new", name)
		}
	}
	switch {
	case old.items != nil && now.items != nil:
		out = append(out, diffValidators(event, at+"[]", old.items, now.items, note)...)
	case now.items != nil:
		add(true, "items are now held to a schema")
	case old.items != nil:
		add(false, "items may be anything")
	}
	return out
}

func bound(add func(bool, string, ...any), what string, old, now, tighter int) {
	if old != now {
		add(cmp.Compare(now, old) == tighter, "%s was %s, is %s", what, count(old), count(now))
	}
}

func count(n int) string {
	if n == unlimited {
		return "any"
	}
	return strconv.Itoa(n)
}

func limit(add func(bool, string, ...any), what string, old, now *float64, tighter int) {
	switch {
	case old == nil && now == nil:
	case old == nil:
		add(true, "%s is now %g", what, *now)
	case now == nil:
		add(false, "no %s any more", what)
	case *old != *now:
		add(cmp.Compare(*now, *old) == tighter, "%s was %g, is %g", what, *old, *now)
	}
}

func pattern(v *Validator) string {
	if v.pattern == nil {
		return ""
	}
	return v.pattern.String()
}

// covers says that types accept everything that others do; an integer is a number.
func covers(types, others []string) bool {
	if len(types) == 0 {
		return true
	}
	if len(others) == 0 {
		return false
	}
	return !slices.ContainsFunc(others, func(t string) bool {
		return !slices.Contains(types, t) && (t != "integer" || !slices.Contains(types, "number"))
	})
}

func words(of []string) string {
	if len(of) == 0 {
		return "anything"
	}
	return strings.Join(of, ", ")
}
