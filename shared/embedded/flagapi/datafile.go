package flagapi

import (
	"encoding/json"
	"strconv"

	"verdict/shared/feature"
)

// datafile is the part of format version 4 that says something here; the rest is empty.
type datafile struct {
	Version        string     `json:"version"`
	Revision       string     `json:"revision"`
	ProjectID      string     `json:"projectId"`
	AccountID      string     `json:"accountId"`
	SDKKey         string     `json:"sdkKey"`
	EnvironmentKey string     `json:"environmentKey"`
	FeatureFlags   []fileFlag `json:"featureFlags"`
	Experiments    []fileRule `json:"experiments"`
	Rollouts       []rollout  `json:"rollouts"`
	Groups         []any      `json:"groups"`
	Audiences      []any      `json:"audiences"`
	TypedAudiences []any      `json:"typedAudiences"`
	Attributes     []any      `json:"attributes"`
	Events         []any      `json:"events"`
	Variables      []string   `json:"variables"`
	AnonymizeIP    bool       `json:"anonymizeIP"`
	BotFiltering   bool       `json:"botFiltering"`
	SendDecisions  bool       `json:"sendFlagDecisions"`
}

type fileFlag struct {
	ID            string   `json:"id"`
	Key           string   `json:"key"`
	RolloutID     string   `json:"rolloutId"`
	ExperimentIDs []string `json:"experimentIds"`
	Variables     []any    `json:"variables"`
}

type rollout struct {
	ID          string     `json:"id"`
	Experiments []fileRule `json:"experiments"`
}

type fileRule struct {
	ID         string            `json:"id"`
	Key        string            `json:"key"`
	LayerID    string            `json:"layerId"`
	Status     string            `json:"status"`
	Variations []fileVariation   `json:"variations"`
	Traffic    []allocation      `json:"trafficAllocation"`
	AudienceID []string          `json:"audienceIds"`
	Audience   any               `json:"audienceConditions"`
	Forced     map[string]string `json:"forcedVariations"`
}

type fileVariation struct {
	ID        string `json:"id"`
	Key       string `json:"key"`
	Enabled   bool   `json:"featureEnabled"`
	Variables []any  `json:"variables"`
}

type allocation struct {
	Variation string `json:"entityId"`
	End       int    `json:"endOfRange"`
}

// datafile holds what runs in an environment, as the platform's does: no trace of paused rules, and
// for a flag that is off only its default variation.
func (s *state) datafile(project, environment string) ([]byte, error) {
	d := datafile{
		Version: "4", Revision: strconv.FormatInt(s.Revision, 10), ProjectID: project, AccountID: project,
		SDKKey: SDKKey(environment), EnvironmentKey: environment,
		FeatureFlags: []fileFlag{}, Experiments: []fileRule{}, Rollouts: []rollout{},
		Groups: []any{}, Audiences: []any{}, TypedAudiences: []any{}, Attributes: []any{}, Events: []any{}, Variables: []string{},
	}
	for _, f := range s.Flags {
		if f.Environment != environment {
			continue
		}
		id := text(number("flag", environment, f.Key))
		flag := fileFlag{ID: id, Key: f.Key, RolloutID: "rollout-" + id, ExperimentIDs: []string{}, Variables: []any{}}
		deliveries := []fileRule{}
		for _, key := range f.Ruleset.RulePriorities {
			r := f.Ruleset.Rules[key]
			switch {
			case !f.Ruleset.Enabled || !r.Enabled || r.Archived:
			case r.Type == string(feature.Delivery):
				deliveries = append(deliveries, f.fileRule(r))
			default:
				one := f.fileRule(r)
				d.Experiments = append(d.Experiments, one)
				flag.ExperimentIDs = append(flag.ExperimentIDs, one.ID)
			}
		}
		fallback := f.fileRule(rule{Included: fullRange, Audience: []any{}, Variations: map[string]variation{
			f.Ruleset.Default: {Key: f.Ruleset.Default, Included: fullRange},
		}})
		fallback.ID, fallback.Key, fallback.LayerID = "default-rollout-"+id, "default-rollout-"+id, "default-layer-rollout-"+id
		d.FeatureFlags = append(d.FeatureFlags, flag)
		d.Rollouts = append(d.Rollouts, rollout{ID: flag.RolloutID, Experiments: append(deliveries, fallback)})
	}
	return json.Marshal(d)
}

// fileRule gives every variation its own stretch of buckets, of which the rule's traffic fills the
// same part from the start. More traffic then never moves a user from one variation to another.
func (f *flag) fileRule(r rule) fileRule {
	id := text(f.experimentID(r.Key))
	out := fileRule{
		ID: id, Key: r.Key, LayerID: id, Status: "Running", Traffic: []allocation{},
		AudienceID: []string{}, Audience: conditions(r.Audience), Forced: map[string]string{},
	}
	start := 0
	for _, key := range f.Variations {
		v, ok := r.Variations[key]
		if !ok {
			continue
		}
		id := text(number("variation", f.Environment, f.Key, key))
		// Every variation turns its feature on but the one the platform creates as "off".
		out.Variations = append(out.Variations, fileVariation{ID: id, Key: key, Enabled: key != "off", Variables: []any{}})
		out.Traffic = append(out.Traffic, allocation{id, start + v.Included*r.Included/fullRange})
		start += v.Included
		if r.Included < fullRange {
			out.Traffic = append(out.Traffic, allocation{"", start})
		}
	}
	return out
}

func (f *flag) experimentID(rule string) int64 { return number("rule", f.Environment, f.Key, rule) }

// conditions writes audiences by id, as datafiles do: {"audience_id": 7} becomes "7".
func conditions(from any) any {
	switch c := from.(type) {
	case []any:
		out := make([]any, len(c))
		for i := range c {
			out[i] = conditions(c[i])
		}
		return out
	case map[string]any:
		if id, ok := c["audience_id"].(float64); ok {
			return text(int64(id))
		}
		return c
	case string:
		if c == "everyone" {
			return []any{}
		}
	}
	return from
}

func text(id int64) string { return strconv.FormatInt(id, 10) }
