package optimizely

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/optimizely/go-sdk/v2/pkg/config"
	"github.com/optimizely/go-sdk/v2/pkg/config/datafileprojectconfig"
	"github.com/optimizely/go-sdk/v2/pkg/entities"

	"verdict/shared/fault"
	"verdict/shared/feature"
)

// fullRange is the number of buckets a user id is hashed into; Optimizely counts shares in
// hundredths of a percent, in the datafile and in the REST API alike.
const fullRange = 10000

// defaultRule is how the key of the rule begins that gives the flag's default variation to everybody
// no other rule serves. It stands in every datafile and in no ruleset, so it is no rule to us.
const defaultRule = "default-rollout-"

// silent keeps the SDK from writing to standard output.
type silent struct{}

func (silent) Debug(string)      {}
func (silent) Info(string)       {}
func (silent) Warning(string)    {}
func (silent) Error(string, any) {}

// ReadDatafile lists the flags of a datafile, by key, with the rules it serves: experiments, then
// deliveries, each in evaluation order. A datafile holds only what runs, so a flag without rules
// reads as not enabled. The environment may be empty; else it must be the datafile's own.
func ReadDatafile(b []byte, environment string) ([]feature.Flag, error) {
	config, err := parse(b)
	if err != nil {
		return nil, err
	}
	if own := config.GetEnvironmentKey(); own != "" {
		if environment != "" && environment != own {
			return nil, fault.New(fault.Invalid, "read datafile: it is of environment %q, not %q: check the SDK key", own, environment)
		}
		environment = own
	}
	var flags []feature.Flag
	for _, f := range config.GetFeatureList() {
		var rules []feature.Rule
		for _, e := range f.FeatureExperiments {
			rules = append(rules, ruleOf(e, feature.Experiment, groupShare(config, e)))
		}
		for _, e := range f.Rollout.Experiments {
			if !strings.HasPrefix(e.Key, defaultRule) {
				rules = append(rules, ruleOf(e, feature.Delivery, 1))
			}
		}
		flags = append(flags, feature.Flag{
			Key: f.Key, Environment: environment, Revision: config.GetRevision(),
			Enabled: len(rules) > 0, Rules: rules,
		})
	}
	slices.SortFunc(flags, func(a, b feature.Flag) int { return cmp.Compare(a.Key, b.Key) })
	return flags, nil
}

func parse(b []byte) (*datafileprojectconfig.DatafileProjectConfig, error) {
	// The SDK panics on the document null and reports a wrong version without the version.
	var head struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fault.New(fault.Invalid, "parse datafile: %w", err)
	}
	if head.Version != "4" {
		return nil, fault.New(fault.Invalid, "parse datafile: version is %q, want \"4\"", head.Version)
	}
	config, err := datafileprojectconfig.NewDatafileProjectConfig(b, silent{})
	if err != nil {
		return nil, fault.New(fault.Invalid, "parse datafile: %w", err)
	}
	return config, nil
}

// ruleOf turns bucket ranges into shares. Ranges that name no variation of the rule serve nobody:
// they keep room, so that raising the rule's traffic leaves users where they are.
func ruleOf(e entities.Experiment, kind feature.RuleKind, within float64) feature.Rule {
	buckets := make(map[string]int, len(e.Variations))
	served, start := 0, 0
	for _, r := range e.TrafficAllocation {
		if _, ok := e.Variations[r.EntityID]; ok {
			buckets[r.EntityID] += r.EndOfRange - start
			served += r.EndOfRange - start
		}
		start = r.EndOfRange
	}
	rule := feature.Rule{Key: e.Key, Kind: kind, Included: within * float64(served) / fullRange}
	for id, v := range e.Variations {
		rule.Variants = append(rule.Variants, feature.Variant{Key: v.Key, Share: float64(buckets[id]) / float64(max(served, 1))})
	}
	sortVariants(rule.Variants)
	return rule
}

// groupShare is the part of the traffic that a mutual exclusion group leaves to an experiment.
func groupShare(project config.ProjectConfig, e entities.Experiment) float64 {
	group, err := project.GetGroupByID(e.GroupID)
	if err != nil || group.Policy != "random" {
		return 1 // in no group, or in one whose experiments may overlap
	}
	share, start := 0, 0
	for _, r := range group.TrafficAllocation {
		if r.EntityID == e.ID {
			share += r.EndOfRange - start
		}
		start = r.EndOfRange
	}
	return float64(share) / fullRange
}

// sortVariants gives one order to what the datafile and the REST API both hold as maps.
func sortVariants(v []feature.Variant) {
	slices.SortFunc(v, func(a, b feature.Variant) int { return cmp.Compare(a.Key, b.Key) })
}
