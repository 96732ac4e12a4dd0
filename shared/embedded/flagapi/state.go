package flagapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"verdict/shared/feature"
)

// fullRange is 100 % in the API's hundredths of a percent.
const fullRange = 10000

// state is all that the stand-in remembers.
type state struct {
	Revision int64   `json:"revision"` // rises with every change; the datafiles' revision
	Flags    []*flag `json:"flags"`
}

type flag struct {
	Key         string    `json:"key"`
	Environment string    `json:"environment"`
	Variations  []string  `json:"variations"` // in the order in which they get buckets
	Revision    int64     `json:"revision"`
	Updated     time.Time `json:"updated"`
	Ruleset     ruleset   `json:"ruleset"`
}

// ruleset is the part of the schema Ruleset that clients may write.
type ruleset struct {
	Enabled        bool            `json:"enabled"`
	Default        string          `json:"default_variation_key"`
	Rules          map[string]rule `json:"rules"`
	RulePriorities []string        `json:"rule_priorities"`
}

// rule is the part of the schema RulesetRule that Verdict reads or writes.
type rule struct {
	Key         string               `json:"key"`
	Name        string               `json:"name"`
	Description string               `json:"description"`
	Type        string               `json:"type"`
	Enabled     bool                 `json:"enabled"`
	Archived    bool                 `json:"archived"`
	Included    int                  `json:"percentage_included"`
	Audience    any                  `json:"audience_conditions"`
	Variations  map[string]variation `json:"variations"`
}

type variation struct {
	Key      string `json:"key"`
	Name     string `json:"name"`
	Included int    `json:"percentage_included"`
}

// UnmarshalJSON applies the schema's defaults. The platform ignores properties that are unknown or
// read-only; here they are errors, since whoever sends them believes that they do something.
func (r *rule) UnmarshalJSON(b []byte) error {
	type plain rule
	p := plain{Enabled: true, Audience: []any{}}
	if err := strict(b, &p); err != nil {
		return err
	}
	*r = rule(p)
	return nil
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more after the JSON document")
	}
	return nil
}

func (s *state) find(environment, key string) *flag {
	for _, f := range s.Flags {
		if f.Environment == environment && f.Key == key {
			return f
		}
	}
	return nil
}

// seed adds a flag unless it is known.
func (s *state) seed(from feature.Flag, fallback string) error {
	if s.find(from.Environment, from.Key) != nil {
		return nil
	}
	f := &flag{Key: from.Key, Environment: from.Environment, Revision: 1, Ruleset: ruleset{
		Enabled: from.Enabled, Default: fallback, Rules: map[string]rule{}, RulePriorities: []string{},
	}}
	for _, r := range from.Rules {
		out := rule{
			Key: r.Key, Name: r.Key, Type: string(r.Kind), Enabled: true, Audience: []any{},
			Included: int(math.Round(r.Included * fullRange)), Variations: map[string]variation{},
		}
		for i, points := range split(r.Variants) {
			key := r.Variants[i].Key
			out.Variations[key] = variation{Key: key, Name: key, Included: points}
			f.vary(key)
		}
		f.Ruleset.Rules[r.Key] = out
		f.Ruleset.RulePriorities = append(f.Ruleset.RulePriorities, r.Key)
	}
	f.vary(fallback)
	if err := f.Ruleset.check(f); err != nil {
		return fmt.Errorf("seed flag %q: %w", f.Key, err)
	}
	s.Flags = append(s.Flags, f)
	s.Revision++
	return nil
}

func (f *flag) vary(key string) {
	if !slices.Contains(f.Variations, key) {
		f.Variations = append(f.Variations, key)
	}
}

// split turns shares into whole hundredths of a percent that add up, by largest remainder.
func split(variants []feature.Variant) []int {
	points := make([]int, len(variants))
	order := make([]int, len(variants))
	left := fullRange
	for i, v := range variants {
		points[i] = int(v.Share * fullRange)
		left -= points[i]
		order[i] = i
	}
	rest := func(i int) float64 { return variants[i].Share*fullRange - float64(points[i]) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest(b), rest(a)) })
	for i := 0; i < left && i < len(order); i++ {
		points[order[i]]++
	}
	return points
}

// check tells what is wrong with a ruleset, if anything.
func (r ruleset) check(f *flag) error {
	if !slices.Contains(f.Variations, r.Default) {
		return fmt.Errorf("default_variation_key: the flag has no variation %q", r.Default)
	}
	for key, one := range r.Rules {
		if err := one.check(key, f); err != nil {
			return fmt.Errorf("rule %q: %w", key, err)
		}
		if !slices.Contains(r.RulePriorities, key) {
			return fmt.Errorf("rule_priorities: rule %q is missing", key)
		}
	}
	for i, key := range r.RulePriorities {
		if _, ok := r.Rules[key]; !ok {
			return fmt.Errorf("rule_priorities: there is no rule %q", key)
		}
		if slices.Contains(r.RulePriorities[:i], key) {
			return fmt.Errorf("rule_priorities: rule %q stands there twice", key)
		}
	}
	return nil
}

func (r rule) check(key string, f *flag) error {
	delivery := r.Type == string(feature.Delivery)
	switch {
	case r.Key != key:
		return fmt.Errorf("its key is %q", r.Key)
	case r.Name == "":
		return errors.New("it has no name")
	case !delivery && r.Type != string(feature.Experiment) && r.Type != "multi_armed_bandit":
		return fmt.Errorf("unknown type %q", r.Type)
	case r.Included < 0 || r.Included > fullRange:
		return fmt.Errorf("percentage_included %d is not between 0 and %d", r.Included, fullRange)
	case delivery && len(r.Variations) != 1:
		return fmt.Errorf("a delivery has one variation, not %d", len(r.Variations))
	}
	if conditions, ok := r.Audience.([]any); !ok && r.Audience != "everyone" {
		return fmt.Errorf("audience_conditions %v is neither a list nor \"everyone\"", r.Audience)
	} else if ok && len(conditions) == 1 {
		return errors.New("audience_conditions has an operator and nothing else")
	}
	sum := 0
	for key, v := range r.Variations {
		if v.Key != key {
			return fmt.Errorf("variation %q has the key %q", key, v.Key)
		}
		if !slices.Contains(f.Variations, key) {
			return fmt.Errorf("the flag has no variation %q", key)
		}
		if v.Included < 0 {
			return fmt.Errorf("variation %q has the share %d", key, v.Included)
		}
		sum += v.Included
	}
	if sum != fullRange {
		return fmt.Errorf("the shares of its variations add up to %d, not %d", sum, fullRange)
	}
	return nil
}

// number makes an id that depends on names alone: users keep their bucket over restarts, since SDKs
// hash the user's id together with the experiment's. It stays exact in any JSON reader (2^53).
func number(names ...string) int64 {
	h := fnv.New64a()
	for _, n := range names {
		_, _ = h.Write([]byte(n + "\x00")) // never fails, says package hash
	}
	return int64(h.Sum64() >> 11)
}

func (s *Server) load() error {
	if s.config.State == "" {
		return nil
	}
	b, err := os.ReadFile(s.config.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load flags: %w", err)
	}
	if err := json.Unmarshal(b, &s.state); err != nil {
		return fmt.Errorf("load flags: %s: %w", s.config.State, err)
	}
	return nil
}

// save replaces the state file as a whole.
func (s *Server) save() error {
	if s.config.State == "" {
		return nil
	}
	b, err := json.MarshalIndent(s.state, "", "  ")
	if err != nil {
		return fmt.Errorf("save flags: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.config.State), filepath.Base(s.config.State)+".*")
	if err != nil {
		return fmt.Errorf("save flags: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), s.config.State)
	}
	if err != nil {
		return fmt.Errorf("save flags: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
