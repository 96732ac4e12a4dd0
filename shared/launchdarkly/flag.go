package launchdarkly

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/feature"
)

// fullRange is 100 % in the API's thousandths of a percent.
const fullRange = 100_000

// Excluded is how the name of a variation begins that takes the users an experiment does not
// include. Such a variation is none of the experiment's variants.
const Excluded = "excluded"

// flag is what is read of a flag and of its one environment (schema FeatureFlag of the reference).
type flag struct {
	Key        string
	Archived   bool
	Tags       []string
	Variations []variation
	environment
}

type variation struct {
	ID    string          `json:"_id"`
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

type environment struct {
	On          bool   `json:"on"`
	Salt        string `json:"salt"`
	Version     int64  `json:"version"`
	Rules       []rule `json:"rules"`
	Fallthrough serve  `json:"fallthrough"`
}

type rule struct {
	ID          string   `json:"_id"`
	Description string   `json:"description"`
	Clauses     []clause `json:"clauses"`
	serve
}

type clause struct {
	ContextKind string            `json:"contextKind"`
	Attribute   string            `json:"attribute"`
	Op          string            `json:"op"`
	Negate      bool              `json:"negate"`
	Values      []json.RawMessage `json:"values"`
}

// serve is what a rule gives: one variation, by its position, or a rollout.
type serve struct {
	Variation *int     `json:"variation"`
	Rollout   *rollout `json:"rollout"`
}

type rollout struct {
	Variations  []weighted      `json:"variations"`
	BucketBy    string          `json:"bucketBy"`
	ContextKind string          `json:"contextKind"`
	Seed        *int64          `json:"seed"`
	Allocation  json.RawMessage `json:"experimentAllocation"` // there while LaunchDarkly runs an experiment of its own
}

type weighted struct {
	Variation int  `json:"variation"`
	Weight    int  `json:"weight"`
	Untracked bool `json:"_untracked"`
}

// DeliveryName is the name of the rule that delivers an experiment's variant once it has ended.
func DeliveryName(experiment string) string { return experiment + "_delivery" }

// key is how Verdict calls a variation: by its name, or else by its value.
func (f flag) key(position int) string {
	v := f.Variations[position]
	if v.Name != "" {
		return v.Name
	}
	var text string
	if json.Unmarshal(v.Value, &text) == nil {
		return text
	}
	return string(v.Value)
}

func (f flag) position(key string) int {
	for i := range f.Variations {
		if f.key(i) == key {
			return i
		}
	}
	return -1
}

func (f flag) excluded(position int) bool { return strings.HasPrefix(f.key(position), Excluded) }

// named returns the position of the rule with a name; LaunchDarkly calls it the rule's description.
func (f flag) named(name string) int {
	return slices.IndexFunc(f.Rules, func(r rule) bool { return r.Description == name })
}

// experiment finds the rule that runs an experiment: the one that bears its id, or the default rule
// of a flag that is tagged with it.
func (f flag) experiment(id string) (rule, bool) {
	if i := f.named(id); i >= 0 {
		return f.Rules[i], true
	}
	if !slices.Contains(f.Tags, id) {
		return rule{}, false
	}
	return rule{Description: id, Clauses: everybody(f.Fallthrough.Rollout), serve: f.Fallthrough}, true
}

// everybody is the audience of the default rule: every context of the kind that it divides.
func everybody(r *rollout) []clause {
	kind := "user"
	if r != nil {
		kind = cmp.Or(r.ContextKind, kind)
	}
	return []clause{{ContextKind: kind, Attribute: "key", Op: "matches", Values: []json.RawMessage{json.RawMessage(`".*"`)}}}
}

func (f flag) feature(environment string) feature.Flag {
	out := feature.Flag{Key: f.Key, Environment: environment, Revision: strconv.FormatInt(f.Version, 10), Enabled: f.On}
	for _, r := range f.Rules {
		if r.Description == "" || !f.shadowed(r.Description) {
			out.Rules = append(out.Rules, f.rule(cmp.Or(r.Description, r.ID), r.serve))
		}
	}
	for _, id := range f.Tags {
		if r, ok := f.experiment(id); ok && r.ID == "" && r.Rollout != nil && !f.shadowed(id) {
			out.Rules = append(out.Rules, f.rule(id, r.serve))
		}
	}
	return out
}

// delivery is the position of the rule that delivers an experiment's variant, -1 if there is none:
// the one of that name, or whichever serves one variation to the same audience before it.
func (f flag) delivery(experiment string) int {
	if d := f.named(DeliveryName(experiment)); d >= 0 {
		return d
	}
	e, ok := f.experiment(experiment)
	return slices.IndexFunc(f.Rules[:f.end(experiment)], func(r rule) bool {
		return ok && r.Variation != nil && sameAudience(r.Clauses, e.Clauses)
	})
}

// shadowed tells whether an experiment's delivery stands before it, so that it serves nobody.
func (f flag) shadowed(experiment string) bool {
	d := f.delivery(experiment)
	return d >= 0 && d < f.end(experiment)
}

// end is the position behind the rules that go before an experiment's.
func (f flag) end(experiment string) int {
	if e := f.named(experiment); e >= 0 {
		return e
	}
	return len(f.Rules)
}

func (f flag) rule(key string, s serve) feature.Rule {
	shares, included := f.shares(s)
	out := feature.Rule{Key: key, Kind: feature.Experiment, Included: included}
	for position, share := range shares {
		if share > 0 {
			out.Variants = append(out.Variants, feature.Variant{Key: f.key(position), Share: share})
		}
	}
	if len(out.Variants) == 1 {
		out.Kind = feature.Delivery
	}
	slices.SortFunc(out.Variants, func(a, b feature.Variant) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// shares gives each variation's share, by position, of the users that a rule includes, and how many
// of all those are.
func (f flag) shares(s serve) (shares []float64, included float64) {
	shares = make([]float64, len(f.Variations))
	if s.Variation != nil {
		shares[*s.Variation] = 1
		return shares, 1
	}
	total := 0
	for _, w := range s.Rollout.Variations {
		if !f.excluded(w.Variation) {
			shares[w.Variation] += float64(w.Weight)
			total += w.Weight
		}
	}
	for i := range shares {
		shares[i] /= float64(max(total, 1))
	}
	return shares, float64(total) / fullRange
}

// sane tells whether every position names a variation and every rule serves something.
func (f flag) sane() bool {
	within := func(i int) bool { return i >= 0 && i < len(f.Variations) }
	ok := func(s serve) bool {
		if s.Rollout == nil {
			return s.Variation != nil && within(*s.Variation)
		}
		return s.Variation == nil && !slices.ContainsFunc(s.Rollout.Variations, func(w weighted) bool { return !within(w.Variation) })
	}
	return ok(f.Fallthrough) && !slices.ContainsFunc(f.Rules, func(r rule) bool { return !ok(r.serve) })
}
