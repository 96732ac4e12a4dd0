package register

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/experiment"
)

// Change is one field that differs from what was registered before.
type Change struct {
	Field string `json:"field"` // such as metrics.returned_d1_d4.margin, or definition of returned_d1_d4.window.length
	From  string `json:"from"`  // empty: it was not there
	To    string `json:"to"`    // empty: it is gone
	// Foreseen changes keep within what was registered: planned_days that are raised up to maximum_days.
	Foreseen bool `json:"foreseen,omitempty"`
}

// Diff lists what a registration says otherwise than the one before, in order of the fields' names.
func Diff(before, after Registration) ([]Change, error) {
	from, err := before.fields()
	if err != nil {
		return nil, err
	}
	to, err := after.fields()
	if err != nil {
		return nil, err
	}
	names := maps.Clone(from)
	maps.Copy(names, to)
	out := []Change{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if from[name] != to[name] {
			out = append(out, Change{Field: name, From: from[name], To: to[name]})
		}
	}
	return out, nil
}

// foresee marks the changes that the first registration announced.
func foresee(changes []Change, first *experiment.Experiment) {
	for i, c := range changes {
		if c.Field != "planned_days" {
			continue
		}
		from, errFrom := strconv.Atoi(c.From)
		to, errTo := strconv.Atoi(c.To)
		changes[i].Foreseen = errFrom == nil && errTo == nil && to > from && to <= first.MaximumDays
	}
}

// fields spells a registration as flat names and values. What has its zero value is left out, so that a
// field that a later version of Verdict adds is no change of what was registered before.
func (r Registration) fields() (map[string]string, error) {
	planned := *r.Experiment
	planned.Notes = ""
	out := map[string]string{}
	if err := flatten(out, "", planned); err != nil {
		return nil, err
	}
	for _, m := range r.Metrics {
		if err := flatten(out, "definition of "+m.Name, m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func flatten(out map[string]string, prefix string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("spell definition: %w", err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("spell definition: %w", err)
	}
	spell(out, prefix, tree)
	return nil
}

func spell(out map[string]string, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			spell(out, strings.TrimPrefix(at+"."+strings.ToLower(name), "."), inner)
		}
	case []any:
		for i, inner := range v {
			spell(out, at+"."+nameOf(inner, i), inner)
		}
	case string:
		if v != "" {
			out[at] = v
		}
	case float64:
		if v != 0 {
			out[at] = strconv.FormatFloat(v, 'g', -1, 64)
		}
	case bool:
		if v {
			out[at] = "true"
		}
	}
}

// nameOf names an element of a list by what it calls itself, so that a new order changes nothing else.
func nameOf(element any, position int) string {
	if fields, ok := element.(map[string]any); ok {
		for _, by := range []string{"metric", "key"} {
			if name, ok := fields[by].(string); ok {
				return name
			}
		}
	}
	if name, ok := element.(string); ok {
		return name
	}
	return strconv.Itoa(position)
}
