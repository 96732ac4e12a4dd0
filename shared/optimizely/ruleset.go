package optimizely

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

// ruleset is what we read of a flag's rules in one environment (schema Ruleset of the reference).
type ruleset struct {
	Enabled    bool                   `json:"enabled"`
	Revision   int64                  `json:"revision"`
	Rules      map[string]rulesetRule `json:"rules"`
	Priorities []string               `json:"rule_priorities"`
}

type rulesetRule struct {
	Type       string                   `json:"type"`
	Enabled    bool                     `json:"enabled"`
	Archived   bool                     `json:"archived"`
	Status     string                   `json:"status"` // draft, running, paused or concluded
	Included   int                      `json:"percentage_included"`
	Audience   json.RawMessage          `json:"audience_conditions"`
	Variations map[string]ruleVariation `json:"variations"`
}

type ruleVariation struct {
	Included int `json:"percentage_included"`
}

// newRule is a delivery as it is sent (schema RulesetRule).
type newRule struct {
	Key         string                  `json:"key"`
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	Type        string                  `json:"type"`
	Enabled     bool                    `json:"enabled"`
	Included    int                     `json:"percentage_included"`
	Audience    json.RawMessage         `json:"audience_conditions"`
	Variations  map[string]newVariation `json:"variations"`
}

type newVariation struct {
	Key      string `json:"key"`
	Included int    `json:"percentage_included"`
}

// request is what plan asks for: a patch of the ruleset, or its switch.
type request struct {
	Method string // none: nothing is left to do
	Path   string // below the ruleset
	Patch  []operation
}

// text is what people read of a request.
func (r request) text() (string, error) {
	if r.Patch == nil {
		return r.Method + " ruleset/" + r.Path, nil
	}
	b, err := json.Marshal(r.Patch)
	if err != nil {
		return "", fmt.Errorf("write down patch: %w", err)
	}
	return string(b), nil
}

// operation is one step of a JSON Patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// DeliveryKey is the key of the rule that delivers an experiment's variant once the experiment has
// ended. It is not the experiment's own, so that its decisions are never taken for exposures.
func DeliveryKey(experiment string) string { return experiment + "_delivery" }

// runs tells whether a rule stands in the datafile while its ruleset is on.
func (r rulesetRule) runs() bool {
	return r.Enabled && !r.Archived && r.Status != "paused" && r.Status != "concluded"
}

func (r rulesetRule) delivers(variant string) bool {
	return r.Included == fullRange && r.Variations[variant].Included == fullRange
}

func (r ruleset) flag(key, environment string) feature.Flag {
	f := feature.Flag{Key: key, Environment: environment, Revision: strconv.FormatInt(r.Revision, 10), Enabled: r.Enabled}
	for _, key := range r.Priorities {
		rule := r.Rules[key]
		if !rule.runs() {
			continue
		}
		kind := feature.Experiment
		if rule.Type == string(feature.Delivery) {
			kind = feature.Delivery
		}
		out := feature.Rule{Key: key, Kind: kind, Included: float64(rule.Included) / fullRange}
		for key, v := range rule.Variations {
			out.Variants = append(out.Variants, feature.Variant{Key: key, Share: float64(v.Included) / fullRange})
		}
		sortVariants(out.Variants)
		f.Rules = append(f.Rules, out)
	}
	return f
}

// plan returns the request that brings about a change, or why people have to look first.
func plan(r ruleset, change decide.Change) (request, error) {
	switch change.Action {
	case decide.Enable, decide.Disable:
		return turn(r, change.Action == decide.Enable), nil
	case decide.Ramp, decide.Conclude, decide.Rollback:
	}
	patch, err := patchOf(r, change)
	if err != nil || len(patch) == 0 {
		return request{}, err
	}
	return request{Method: http.MethodPatch, Patch: patch}, nil
}

// turn switches a flag. It needs no guard: it asks for the same whatever the rules are.
func turn(r ruleset, on bool) request {
	switch {
	case r.Enabled == on:
		return request{}
	case on:
		return request{Method: http.MethodPost, Path: "enabled"}
	default:
		return request{Method: http.MethodPost, Path: "disabled"}
	}
}

func patchOf(r ruleset, change decide.Change) ([]operation, error) {
	experiment, ok := r.Rules[change.Rule]
	if !ok {
		return nil, fault.New(fault.NotFound, "change rule %q: flag %q has no such rule; an experiment's rule has the experiment's id as its key", change.Rule, change.Flag)
	}
	if !r.Enabled {
		return nil, fault.New(fault.Conflict, "change rule %q: flag %q is switched off; switch it on, or leave it off and withdraw the decision", change.Rule, change.Flag)
	}
	delivery, ended := r.Rules[DeliveryKey(change.Rule)]
	switch {
	case !ended && !experiment.runs():
		return nil, fault.New(fault.Conflict, "change rule %q: somebody paused or archived it; run it again, or withdraw the decision", change.Rule)
	case !ended && change.Action == decide.Ramp:
		return ramp(r, experiment, change)
	case !ended:
		return end(r, experiment, change)
	case experiment.runs():
		return nil, fault.New(fault.Conflict, "change rule %q: somebody started it again after it had ended; pause it, or give the new run an id of its own", change.Rule)
	case !delivery.runs() || !sameAudience(delivery.Audience, experiment.Audience):
		return nil, fault.New(fault.Conflict, "change rule %q: somebody changed its delivery %q; restore it, or withdraw the decision", change.Rule, DeliveryKey(change.Rule))
	case change.Action == decide.Ramp:
		return nil, fault.New(fault.Conflict, "ramp rule %q: it has ended", change.Rule)
	case delivery.delivers(change.Variant):
		return nil, nil
	case change.Action == decide.Rollback:
		return redeliver(r, experiment, delivery, change)
	default:
		return nil, fault.New(fault.Conflict, "conclude rule %q on %q: it has ended with %q; roll back first, or withdraw the decision", change.Rule, change.Variant,
			strings.Join(slices.Sorted(maps.Keys(delivery.Variations)), ", "))
	}
}

// ramp lets an experiment include another share of users. More of them moves nobody: a rule gives
// each variation a stretch of buckets of its own and fills it from its start. Less takes users out,
// and any change of the variations' own shares, which is never made here, moves the stretches.
func ramp(r ruleset, experiment rulesetRule, change decide.Change) ([]operation, error) {
	want := int(math.Round(change.Included * fullRange))
	switch {
	case want < 1 || want > fullRange:
		return nil, fault.New(fault.Invalid, "ramp rule %q: a share of %g cannot be meant: above 0 and not above 1, in steps of 0.0001", change.Rule, change.Included)
	case experiment.Type != string(feature.Experiment):
		return nil, fault.New(fault.Invalid, "ramp rule %q: it is a %s, not an experiment", change.Rule, experiment.Type)
	case experiment.Included == want:
		return nil, nil
	case want < experiment.Included && !change.Rebucket:
		return nil, fault.New(fault.Invalid, "ramp rule %q from %g %% down to %g %%: users would lose their variant; stop the experiment, or say that they may",
			change.Rule, float64(experiment.Included)/100, float64(want)/100)
	}
	return append(guard(r, change.Rule, experiment),
		operation{"replace", pointer("rules", change.Rule, "percentage_included"), want}), nil
}

// end switches the experiment off and puts a delivery after the experiments, in one patch, so that
// nobody is served by both or by neither. Switching off is how the vendor's cookbook concludes an
// experiment (optimizely/fx-api-cookbook, step 8); status "concluded" could never be undone.
func end(r ruleset, experiment rulesetRule, change decide.Change) ([]operation, error) {
	if experiment.Type == string(feature.Delivery) {
		return nil, fault.New(fault.Invalid, "change rule %q: it is a delivery, not an experiment", change.Rule)
	}
	if _, ok := experiment.Variations[change.Variant]; !ok {
		return nil, unknownVariant(experiment, change)
	}
	// SDKs try every experiment before any delivery, so users of a later one would fall into it.
	at := slices.Index(r.Priorities, change.Rule)
	for _, key := range r.Priorities[at+1:] {
		if other := r.Rules[key]; other.runs() && other.Type != string(feature.Delivery) {
			return nil, fault.New(fault.Conflict, "change rule %q: experiment %q runs behind it and would take over its users; end that one first", change.Rule, key)
		}
	}
	first := slices.IndexFunc(r.Priorities, func(key string) bool { return r.Rules[key].Type == string(feature.Delivery) })
	if first < 0 {
		first = len(r.Priorities)
	}
	key := DeliveryKey(change.Rule)
	return append(guard(r, change.Rule, experiment),
		operation{"replace", pointer("rules", change.Rule, "enabled"), false},
		operation{"add", pointer("rules", key), newRule{
			Key: key, Name: "Delivery of " + change.Rule, Description: note(change),
			Type: string(feature.Delivery), Enabled: true, Included: fullRange, Audience: audience(experiment.Audience),
			Variations: only(change.Variant),
		}},
		operation{"add", pointer("rule_priorities", strconv.Itoa(first)), key},
	), nil
}

// redeliver takes back the variant that an ended experiment delivers.
func redeliver(r ruleset, experiment, delivery rulesetRule, change decide.Change) ([]operation, error) {
	if _, ok := experiment.Variations[change.Variant]; !ok {
		return nil, unknownVariant(experiment, change)
	}
	key := DeliveryKey(change.Rule)
	return append(guard(r, key, delivery),
		operation{"replace", pointer("rules", key, "variations"), only(change.Variant)},
		operation{"replace", pointer("rules", key, "percentage_included"), fullRange},
		operation{"replace", pointer("rules", key, "description"), note(change)},
	), nil
}

func unknownVariant(experiment rulesetRule, change decide.Change) error {
	return fault.New(fault.Invalid, "change rule %q: it has no variant %q, only %s", change.Rule, change.Variant,
		strings.Join(slices.Sorted(maps.Keys(experiment.Variations)), ", "))
}

// guard makes a patch fail as a whole unless what it was planned on still holds.
func guard(r ruleset, key string, rule rulesetRule) []operation {
	tests := []operation{
		{"test", "/enabled", true},
		{"test", "/rule_priorities", r.Priorities},
		{"test", pointer("rules", key, "enabled"), true},
		{"test", pointer("rules", key, "type"), rule.Type},
		{"test", pointer("rules", key, "percentage_included"), rule.Included},
	}
	if len(rule.Audience) > 0 {
		tests = append(tests, operation{"test", pointer("rules", key, "audience_conditions"), rule.Audience})
	}
	for _, v := range slices.Sorted(maps.Keys(rule.Variations)) {
		tests = append(tests, operation{"test", pointer("rules", key, "variations", v, "percentage_included"), rule.Variations[v].Included})
	}
	return tests
}

func note(change decide.Change) string {
	return fmt.Sprintf("Verdict decision %s: %s %s", change.DecisionID, change.Action, change.Variant)
}

func only(variant string) map[string]newVariation {
	return map[string]newVariation{variant: {Key: variant, Included: fullRange}}
}

// pointer joins the steps of a JSON Pointer (RFC 6901).
func pointer(steps ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, s := range steps {
		b.WriteString("/" + escape.Replace(s))
	}
	return b.String()
}

// sameAudience compares two audiences as the platform writes them.
func sameAudience(a, b json.RawMessage) bool { return bytes.Equal(audience(a), audience(b)) }

// audience is a rule's audience without white space; to leave it out is to match everybody.
func audience(conditions json.RawMessage) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, conditions); err != nil || out.String() == "null" {
		return json.RawMessage("[]")
	}
	return out.Bytes()
}
