package launchdarkly

import (
	"math"
	"reflect"

	"verdict/shared/decide"
	"verdict/shared/fault"
)

// instruction is one step of a semantic patch.
type instruction struct {
	Kind        string         `json:"kind"`
	RuleIDs     []string       `json:"ruleIds,omitzero"`
	RuleID      string         `json:"ruleId,omitempty"`
	Before      string         `json:"beforeRuleId,omitempty"`
	Description string         `json:"description,omitempty"`
	Clauses     []clause       `json:"clauses,omitempty"`
	Variation   string         `json:"variationId,omitempty"`
	Weights     map[string]int `json:"rolloutWeights,omitempty"`
	BucketBy    string         `json:"rolloutBucketBy,omitempty"`
	ContextKind string         `json:"rolloutContextKind,omitempty"`
}

// plan returns the instructions that bring about a change, none if nothing is left to do, or why
// people have to look first.
func plan(f flag, change decide.Change) ([]instruction, error) {
	switch change.Action {
	case decide.Enable, decide.Disable:
		return turn(f, change.Action == decide.Enable), nil
	case decide.Ramp, decide.Conclude, decide.Rollback:
	}
	experiment, ok := f.experiment(change.Rule)
	if !ok {
		return nil, fault.New(fault.NotFound,
			"change rule %q: flag %q has no such rule; name an experiment's rule by the experiment's id, or tag the flag with it if its default rule runs the experiment", change.Rule, change.Flag)
	}
	if !f.On || f.Archived {
		return nil, fault.New(fault.Conflict, "change rule %q: flag %q is switched off or archived; switch it on, or leave it off and withdraw the decision", change.Rule, change.Flag)
	}
	d := f.delivery(change.Rule)
	switch {
	case d < 0 && experiment.Rollout == nil:
		return nil, fault.New(fault.Conflict, "change rule %q: it serves one variation, so somebody has ended it; make it a rollout again, or withdraw the decision", change.Rule)
	case d < 0 && experiment.Rollout.foreign():
		return nil, fault.New(fault.Conflict, "change rule %q: LaunchDarkly runs an experiment of its own on it; stop that one first", change.Rule)
	case d < 0 && change.Action == decide.Ramp:
		return ramp(f, experiment, change)
	case d < 0:
		return end(f, experiment, change)
	}
	delivery := f.Rules[d]
	switch {
	case !f.shadowed(change.Rule) || delivery.Variation == nil || !sameAudience(delivery.Clauses, experiment.Clauses):
		return nil, fault.New(fault.Conflict, "change rule %q: somebody changed its delivery %q; restore it, or withdraw the decision", change.Rule, delivery.Description)
	case change.Action == decide.Ramp:
		return nil, fault.New(fault.Conflict, "ramp rule %q: it has ended", change.Rule)
	case f.key(*delivery.Variation) == change.Variant:
		return nil, nil
	case change.Action == decide.Rollback:
		return redeliver(f, experiment, delivery, change)
	default:
		return nil, fault.New(fault.Conflict, "conclude rule %q on %q: it has ended with %q; roll back first, or withdraw the decision", change.Rule, change.Variant, f.key(*delivery.Variation))
	}
}

func turn(f flag, on bool) []instruction {
	switch {
	case f.On == on:
		return nil
	case on:
		return []instruction{{Kind: "turnFlagOn"}}
	default:
		return []instruction{{Kind: "turnFlagOff"}}
	}
}

// end puts a delivery right before the experiment's rule, or after all rules for an experiment on
// the default rule.
func end(f flag, experiment rule, change decide.Change) ([]instruction, error) {
	id, err := f.variant(experiment, change)
	if err != nil {
		return nil, err
	}
	return []instruction{guard(f), {
		Kind: "addRule", Before: experiment.ID, Description: DeliveryName(change.Rule), Clauses: experiment.Clauses, Variation: id,
	}}, nil
}

// redeliver takes back the variant that an ended experiment delivers.
func redeliver(f flag, experiment, delivery rule, change decide.Change) ([]instruction, error) {
	id, err := f.variant(experiment, change)
	if err != nil {
		return nil, err
	}
	return []instruction{guard(f), {Kind: "updateRuleVariationOrRollout", RuleID: delivery.ID, Variation: id}}, nil
}

// guard makes a patch fail as a whole unless the flag still has the rules that were read: the
// platform refuses to reorder any others. So a rule that is there is never added again.
func guard(f flag) instruction {
	ids := []string{}
	for _, r := range f.Rules {
		ids = append(ids, r.ID)
	}
	return instruction{Kind: "reorderRules", RuleIDs: ids}
}

// variant is the id of the variation that a change names, which must be one of the experiment's.
func (f flag) variant(experiment rule, change decide.Change) (string, error) {
	if i := f.position(change.Variant); i >= 0 && experiment.Rollout != nil && !f.excluded(i) {
		if shares, _ := f.shares(experiment.serve); shares[i] > 0 {
			return f.Variations[i].ID, nil
		}
	}
	return "", fault.New(fault.Invalid, "change rule %q: its rollout has no variation %q", change.Rule, change.Variant)
}

// sameAudience compares two rules' clauses as the platform writes them; none match everybody.
func sameAudience(a, b []clause) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

// foreign tells whether LaunchDarkly itself runs an experiment on a rollout.
func (r rollout) foreign() bool {
	for _, w := range r.Variations {
		if w.Untracked {
			return true
		}
	}
	return len(r.Allocation) > 0 && string(r.Allocation) != "null"
}

func ramp(f flag, experiment rule, change decide.Change) ([]instruction, error) {
	want := int(math.Round(change.Included * fullRange))
	_, included := f.shares(experiment.serve)
	has := int(math.Round(included * fullRange))
	switch {
	case want < 1 || want > fullRange:
		return nil, fault.New(fault.Invalid, "ramp rule %q: a share of %g cannot be meant: above 0 and not above 1, in steps of 0.00001", change.Rule, change.Included)
	case want == has:
		return nil, nil
	}
	weights, still := f.layOut(*experiment.Rollout, want)
	switch {
	case weights == nil:
		return nil, fault.New(fault.Invalid, "ramp rule %q: the flag has no variation named %q to take the users that it does not include", change.Rule, Excluded)
	case !still && !change.Rebucket:
		return nil, fault.New(fault.Invalid,
			"ramp rule %q from %g %% to %g %%: users would lose their variant; ramp up only, with an %q variation beside each variant, or say that they may lose it",
			change.Rule, 100*included, 100*change.Included, Excluded)
	}
	next := instruction{Kind: "updateFallthroughVariationOrRollout", Weights: map[string]int{}, BucketBy: experiment.Rollout.BucketBy, ContextKind: experiment.Rollout.ContextKind}
	if experiment.ID != "" {
		next.Kind, next.RuleID = "updateRuleVariationOrRollout", experiment.ID
	}
	for i, w := range weights {
		next.Weights[f.Variations[i].ID] = w
	}
	return []instruction{next}, nil
}
