package ldapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"verdict/shared/feature"
)

// fullRange is 100 % in thousandths of a percent.
const fullRange = 100_000

// excluded is the variation for users that an experiment does not include, and for those of a flag
// that is off; see docs/flags.md.
const excluded = "excluded"

// flag is all that the stand-in remembers of one.
type flag struct {
	Key         string
	Environment string
	FlagVersion int64
	Version     int64
	Archived    bool
	Tags        []string
	Variations  []variation
	On          bool
	Salt        string
	Off         int
	Rules       []rule
	Fallthrough serve
	Serial      int // of the last id that was given out
}

type variation struct {
	ID    string `json:"_id"`
	Name  string `json:"name,omitempty"`
	Value string `json:"value"`
}

type rule struct {
	ID          string   `json:"_id"`
	Description string   `json:"description,omitempty"`
	Clauses     []clause `json:"clauses"`
	TrackEvents bool     `json:"trackEvents"`
	serve
}

type clause struct {
	ID          string `json:"_id"`
	ContextKind string `json:"contextKind"`
	Attribute   string `json:"attribute"`
	Op          string `json:"op"`
	Negate      bool   `json:"negate"`
	Values      []any  `json:"values"`
}

type serve struct {
	Variation *int     `json:"variation,omitempty"`
	Rollout   *rollout `json:"rollout,omitempty"`
}

type rollout struct {
	Variations  []weighted `json:"variations"`
	BucketBy    string     `json:"bucketBy,omitempty"`
	ContextKind string     `json:"contextKind,omitempty"`
}

type weighted struct {
	Variation int `json:"variation"`
	Weight    int `json:"weight"`
}

// seed makes a flag whose rules keep room for their traffic to rise: an excluded variation stands
// after the first variant and then after every second, so that each variant borders on one.
func seed(from feature.Flag) (*flag, error) {
	f := &flag{Key: from.Key, Environment: from.Environment, FlagVersion: 1, Version: 1, Salt: "c2FsdA==", On: from.Enabled}
	var variants []string
	for _, r := range from.Rules {
		for _, v := range r.Variants {
			if !slices.Contains(variants, v.Key) {
				variants = append(variants, v.Key)
			}
		}
	}
	for i, key := range variants {
		f.vary(key)
		if i%2 == 0 {
			f.vary(fmt.Sprintf("%s %d", excluded, i/2+1))
		}
	}
	f.Off = f.position(excluded + " 1")
	if f.Off < 0 {
		return nil, fmt.Errorf("seed flag %q: it has no variants", from.Key)
	}
	f.Fallthrough = serve{Variation: &f.Off}
	for _, r := range from.Rules {
		out := rule{ID: f.id("rule"), Description: r.Key, Clauses: []clause{
			{ID: f.id("clause"), ContextKind: "user", Attribute: "key", Op: "matches", Values: []any{".*"}},
		}}
		if r.Kind == feature.Delivery {
			position := f.position(r.Variants[0].Key)
			out.Variation = &position
		} else {
			out.Rollout = &rollout{Variations: f.split(r), ContextKind: "user"}
		}
		f.Rules = append(f.Rules, out)
	}
	return f, nil
}

func (f *flag) vary(name string) {
	f.Variations = append(f.Variations, variation{ID: f.id("variation"), Name: name, Value: name})
}

// split gives each variation its weight: what a variant leaves of its own stretch goes to the
// excluded variation beside it.
func (f *flag) split(r feature.Rule) []weighted {
	out := make([]weighted, len(f.Variations))
	for i, v := range f.Variations {
		out[i].Variation = i
		at := slices.IndexFunc(r.Variants, func(w feature.Variant) bool { return w.Key == v.Name })
		if at < 0 {
			continue
		}
		whole := int(math.Round(r.Variants[at].Share * fullRange))
		out[i].Weight = int(math.Round(float64(whole) * r.Included))
		if beside := i + 1; beside < len(out) && f.isExcluded(beside) {
			out[beside].Weight += whole - out[i].Weight
		} else {
			out[f.excludedBefore(i)].Weight += whole - out[i].Weight
		}
	}
	return out
}

func (f *flag) isExcluded(position int) bool {
	return strings.HasPrefix(f.Variations[position].Name, excluded)
}

func (f *flag) excludedBefore(position int) int {
	for i := position; i > 0; i-- {
		if f.isExcluded(i) {
			return i
		}
	}
	return f.Off
}

func (f *flag) position(name string) int {
	return slices.IndexFunc(f.Variations, func(v variation) bool { return v.Name == name })
}

// id gives out ids as the platform's look, the same in every run.
func (f *flag) id(of string) string {
	f.Serial++
	return fmt.Sprintf("%s-%s-%04d", of, f.Key, f.Serial)
}

func (f *flag) clone() (*flag, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	next := new(flag)
	return next, json.Unmarshal(b, next)
}

// same tells whether a patch left the flag as it was.
func (f *flag) same(other *flag) bool {
	a, errA := json.Marshal(f)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// view is the flag as it is read; environments limits it to those named, if any.
func (f *flag) view(environments []string) map[string]any {
	out := map[string]any{
		"key": f.Key, "name": f.Key, "kind": "multivariate", "_version": f.FlagVersion, "archived": f.Archived, "temporary": true,
		"tags": f.Tags, "variations": f.Variations, "environments": map[string]any{},
	}
	if len(environments) == 0 || slices.Contains(environments, f.Environment) {
		out["environments"] = map[string]any{f.Environment: map[string]any{
			"on": f.On, "archived": f.Archived, "salt": f.Salt, "version": f.Version, "rules": f.Rules, "fallthrough": f.Fallthrough,
			"offVariation": f.Off, "targets": []any{}, "contextTargets": []any{}, "prerequisites": []any{}, "_environmentName": f.Environment,
		}}
	}
	return out
}

// sdk is the flag in the form that the platform streams to SDKs.
func (f *flag) sdk() map[string]any {
	values := []any{}
	for _, v := range f.Variations {
		values = append(values, v.Value)
	}
	rules := []any{}
	for _, r := range f.Rules {
		one := map[string]any{"id": r.ID, "clauses": r.Clauses}
		r.into(one)
		rules = append(rules, one)
	}
	last := map[string]any{}
	f.Fallthrough.into(last)
	return map[string]any{
		"key": f.Key, "version": f.Version, "on": f.On, "salt": f.Salt, "offVariation": f.Off, "variations": values,
		"rules": rules, "fallthrough": last, "targets": []any{}, "prerequisites": []any{},
	}
}

func (s serve) into(m map[string]any) {
	if s.Rollout != nil {
		m["rollout"] = s.Rollout
	} else {
		m["variation"] = *s.Variation
	}
}
