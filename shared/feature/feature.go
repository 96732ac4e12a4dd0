// Package feature holds what a flag platform says about an experiment: which flag and rule serve it,
// to what share of the traffic, and in what proportions. It is the vocabulary of dim_feature and of
// rollout changes; it knows no platform.
package feature

// Flag is one feature flag in one environment, as last read from the platform.
type Flag struct {
	Key         string
	Environment string
	Revision    string // the platform's revision of the whole configuration
	Enabled     bool
	Rules       []Rule // in evaluation order
}

// RuleKind tells an experiment from a plain delivery.
type RuleKind string

// The kinds of rule that Verdict reads and writes.
const (
	Experiment RuleKind = "a/b"
	Delivery   RuleKind = "targeted_delivery"
)

// Rule is one rule of a flag. For an experiment its key is the experiment's id.
type Rule struct {
	Key      string
	Kind     RuleKind
	Included float64 // share of matching users that the rule serves, 0 to 1
	Variants []Variant
}

// Variant is one arm of a rule; the shares of a rule's arms add up to 1.
type Variant struct {
	Key   string
	Share float64
}
