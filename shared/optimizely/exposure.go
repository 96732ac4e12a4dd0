package optimizely

import (
	"slices"

	"github.com/optimizely/go-sdk/v2/pkg/notification"

	"verdict/shared/feature"
)

// Exposed is one decision of an experiment, as a server's Optimizely client made it.
type Exposed struct {
	User     string
	Flag     string
	Rule     string // of an experiment, its id
	Variant  string
	Included float64 // share of users that the rule was given
}

// OnDecision makes a handler for the decisions of an Optimizely client: register it with its notification
// center under notification.Decision. It passes on what an experiment decided; deliveries, and decisions that
// the caller asked not to be counted (DisableDecisionEvent), are no exposures. flags gives the flags in
// force, since a decision does not say what kind of rule made it.
func OnDecision(flags func() []feature.Flag, exposed func(Exposed)) func(any) {
	return func(n any) {
		made, ok := n.(notification.DecisionNotification)
		if !ok || made.Type != notification.Flag {
			return
		}
		text := func(key string) string { s, _ := made.DecisionInfo[key].(string); return s }
		if counted, ok := made.DecisionInfo["decisionEventDispatched"].(bool); ok && !counted {
			return
		}
		e := Exposed{User: made.UserContext.ID, Flag: text("flagKey"), Rule: text("ruleKey"), Variant: text("variationKey")}
		if rule, ok := experimentRule(flags(), e.Flag, e.Rule); ok && e.Variant != "" {
			e.Included = rule.Included
			exposed(e)
		}
	}
}

func experimentRule(flags []feature.Flag, flag, rule string) (feature.Rule, bool) {
	for _, f := range flags {
		if f.Key != flag {
			continue
		}
		i := slices.IndexFunc(f.Rules, func(r feature.Rule) bool { return r.Key == rule && r.Kind == feature.Experiment })
		if i >= 0 {
			return f.Rules[i], true
		}
	}
	return feature.Rule{}, false
}
