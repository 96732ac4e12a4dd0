package ldapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// target is what a rule is told to serve: one variation, or a rollout.
type target struct {
	Variation   string         `json:"variationId"`
	Weights     map[string]int `json:"rolloutWeights"`
	BucketBy    string         `json:"rolloutBucketBy"`
	ContextKind string         `json:"rolloutContextKind"`
}

// apply carries out one instruction; global ones need no environment.
func (f *flag) apply(raw json.RawMessage) (global bool, err error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return false, err
	}
	switch head.Kind {
	case "turnFlagOn", "turnFlagOff":
		f.On = head.Kind == "turnFlagOn"
		return false, strict(raw, &head)
	case "archiveFlag", "restoreFlag":
		f.Archived = head.Kind == "archiveFlag"
		return true, strict(raw, &head)
	case "addTags", "removeTags":
		return true, f.retag(raw)
	case "addRule":
		return false, f.addRule(raw)
	case "removeRule":
		return false, f.removeRule(raw)
	case "reorderRules":
		return false, f.reorderRules(raw)
	case "updateRuleDescription":
		return false, f.describeRule(raw)
	case "updateRuleVariationOrRollout":
		return false, f.updateRule(raw)
	case "updateFallthroughVariationOrRollout":
		return false, f.updateFallthrough(raw)
	default:
		return false, fmt.Errorf("unknown kind %q", head.Kind)
	}
}

func (f *flag) retag(raw json.RawMessage) error {
	var in struct {
		Kind   string   `json:"kind"`
		Values []string `json:"values"`
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	if len(in.Values) == 0 {
		return errors.New("values: there are none")
	}
	f.Tags = slices.DeleteFunc(f.Tags, func(t string) bool { return slices.Contains(in.Values, t) })
	if in.Kind == "addTags" {
		f.Tags = append(f.Tags, in.Values...)
	}
	return nil
}

func (f *flag) addRule(raw json.RawMessage) error {
	var in struct {
		Kind        string   `json:"kind"`
		Before      string   `json:"beforeRuleId"`
		Description string   `json:"description"`
		Clauses     []clause `json:"clauses"`
		target
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	s, err := f.serves(in.target)
	if err != nil {
		return err
	}
	at := len(f.Rules)
	if in.Before != "" {
		if at, err = f.find(in.Before); err != nil {
			return err
		}
	}
	for i, c := range in.Clauses {
		if err := c.check(); err != nil {
			return fmt.Errorf("clauses[%d]: %w", i, err)
		}
		in.Clauses[i].ID = f.id("clause")
	}
	f.Rules = slices.Insert(f.Rules, at, rule{ID: f.id("rule"), Description: in.Description, Clauses: in.Clauses, serve: s})
	return nil
}

func (c clause) check() error {
	switch {
	case c.ID != "":
		return errors.New("_id is for the platform to give")
	case c.ContextKind == "" || c.Attribute == "" || len(c.Values) == 0:
		return errors.New("contextKind, attribute and values are needed")
	case !slices.Contains([]string{"in", "endsWith", "startsWith", "matches", "contains", "segmentMatch"}, c.Op):
		return fmt.Errorf("unknown op %q", c.Op)
	}
	return nil
}

func (f *flag) removeRule(raw json.RawMessage) error {
	var in struct {
		Kind string `json:"kind"`
		Rule string `json:"ruleId"`
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	f.Rules = slices.DeleteFunc(f.Rules, func(r rule) bool { return r.ID == in.Rule }) // it may be gone, says the reference
	return nil
}

func (f *flag) reorderRules(raw json.RawMessage) error {
	var in struct {
		Kind  string   `json:"kind"`
		Rules []string `json:"ruleIds"`
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	if in.Rules == nil || len(in.Rules) != len(f.Rules) {
		return fmt.Errorf("ruleIds %v are not the flag's rules", in.Rules)
	}
	var next []rule
	for _, id := range in.Rules {
		i, err := f.find(id)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(next, func(r rule) bool { return r.ID == id }) {
			return fmt.Errorf("ruleIds: %q stands there twice", id)
		}
		next = append(next, f.Rules[i])
	}
	f.Rules = next
	return nil
}

func (f *flag) describeRule(raw json.RawMessage) error {
	var in struct {
		Kind        string `json:"kind"`
		Rule        string `json:"ruleId"`
		Description string `json:"description"`
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	i, err := f.find(in.Rule)
	if err != nil {
		return err
	}
	f.Rules[i].Description = in.Description
	return nil
}

func (f *flag) updateRule(raw json.RawMessage) error {
	var in struct {
		Kind string `json:"kind"`
		Rule string `json:"ruleId"`
		target
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	i, err := f.find(in.Rule)
	if err != nil {
		return err
	}
	f.Rules[i].serve, err = f.serves(in.target)
	return err
}

func (f *flag) updateFallthrough(raw json.RawMessage) (err error) {
	var in struct {
		Kind string `json:"kind"`
		target
	}
	if err := strict(raw, &in); err != nil {
		return err
	}
	f.Fallthrough, err = f.serves(in.target)
	return err
}

// serves gives a rollout its variations in the order of the flag's.
func (f *flag) serves(t target) (serve, error) {
	known := func(id string) int {
		return slices.IndexFunc(f.Variations, func(v variation) bool { return v.ID == id })
	}
	if (t.Variation == "") == (t.Weights == nil) {
		return serve{}, errors.New("one of variationId and rolloutWeights is needed")
	}
	if t.Variation != "" {
		i := known(t.Variation)
		if i < 0 || t.BucketBy != "" || t.ContextKind != "" {
			return serve{}, fmt.Errorf("variationId %q is none of the flag's, or has a rollout's parameters", t.Variation)
		}
		return serve{Variation: &i}, nil
	}
	sum := 0
	r := &rollout{BucketBy: t.BucketBy, ContextKind: t.ContextKind}
	if r.ContextKind == "" {
		r.ContextKind = "user"
	}
	for id, w := range t.Weights {
		i := known(id)
		if i < 0 || w < 0 || w > fullRange {
			return serve{}, fmt.Errorf("rolloutWeights: %d of variation %q", w, id)
		}
		sum += w
		r.Variations = append(r.Variations, weighted{i, w})
	}
	if sum != fullRange {
		return serve{}, fmt.Errorf("rolloutWeights add up to %d, not %d", sum, fullRange)
	}
	slices.SortFunc(r.Variations, func(a, b weighted) int { return a.Variation - b.Variation })
	return serve{Rollout: r}, nil
}

func (f *flag) find(id string) (int, error) {
	i := slices.IndexFunc(f.Rules, func(r rule) bool { return r.ID == id })
	if i < 0 {
		return 0, fmt.Errorf("there is no rule %q", id)
	}
	return i, nil
}
