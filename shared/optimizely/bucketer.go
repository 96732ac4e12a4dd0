package optimizely

import (
	"github.com/optimizely/go-sdk/v2/pkg/config"
	"github.com/optimizely/go-sdk/v2/pkg/decide"
	"github.com/optimizely/go-sdk/v2/pkg/decision"
	"github.com/optimizely/go-sdk/v2/pkg/entities"

	"verdict/shared/fault"
	"verdict/shared/feature"
)

// Decision is what one user gets.
type Decision struct {
	Flag      string
	Rule      string           // the rule that decided; for an experiment, its id
	Kind      feature.RuleKind // only an experiment's decision is an exposure
	Variation string
	Enabled   bool
}

// Bucketer decides flags as any Optimizely SDK given the same datafile would. It is built from the
// decision services of the Go SDK instead of its client: those hash and compare, and nothing else,
// while the client also starts event, polling and telemetry machinery. It is safe for concurrent use.
type Bucketer struct {
	config      config.ProjectConfig
	flags       map[string]*entities.Feature
	experiments decision.FeatureService
	deliveries  decision.FeatureService
}

// NewBucketer reads a datafile.
func NewBucketer(datafile []byte) (*Bucketer, error) {
	project, err := parse(datafile)
	if err != nil {
		return nil, err
	}
	b := &Bucketer{
		config: project,
		flags:  make(map[string]*entities.Feature),
		experiments: decision.NewFeatureExperimentService(silent{}, allowedOrHashed{
			allowed: decision.NewExperimentWhitelistService(),
			hashed:  decision.NewExperimentBucketerService(silent{}),
		}),
		// The SDK lets nobody silence this one alone; it speaks only of audience conditions that
		// are newer than the SDK. An empty key leaves no trace in the SDK's registries.
		deliveries: decision.NewRolloutService(""),
	}
	for _, f := range project.GetFeatureList() {
		b.flags[f.Key] = &f
	}
	return b, nil
}

// Decide returns what the flag gives to the user; attributes, which may be nil, are what audiences
// look at. A flag that the datafile lacks is a fault.NotFound.
func (b *Bucketer) Decide(flag, user string, attributes map[string]any) (Decision, error) {
	f, ok := b.flags[flag]
	if !ok {
		return Decision{}, fault.New(fault.NotFound, "decide flag %q: not in the datafile", flag)
	}
	where := decision.FeatureDecisionContext{Feature: f, ProjectConfig: b.config}
	who := entities.UserContext{ID: user, Attributes: attributes}
	kind := feature.Experiment
	got, _, err := b.experiments.GetDecision(where, who, &decide.Options{})
	if err == nil && got.Variation == nil {
		kind = feature.Delivery
		got, _, err = b.deliveries.GetDecision(where, who, &decide.Options{})
	}
	if err != nil {
		return Decision{}, fault.New(fault.Invalid, "decide flag %q: %w", flag, err)
	}
	if got.Variation == nil { // no rule and no default
		return Decision{Flag: flag}, nil
	}
	return Decision{
		Flag: flag, Rule: got.Experiment.Key, Kind: kind,
		Variation: got.Variation.Key, Enabled: got.Variation.FeatureEnabled,
	}, nil
}

// Variation implements bucketing.Bucketer: the variation that an experiment gives a user by allow list and hash, without
// asking its audience, whose attributes nobody kept.
func (b *Bucketer) Variation(rule, user string) (string, error) {
	e, err := b.config.GetExperimentByKey(rule)
	if err != nil {
		return "", fault.New(fault.NotFound, "bucket into %q: not in the datafile", rule)
	}
	e.AudienceConditionTree = nil
	got, _, err := allowedOrHashed{allowed: decision.NewExperimentWhitelistService(), hashed: decision.NewExperimentBucketerService(silent{})}.
		GetDecision(decision.ExperimentDecisionContext{Experiment: &e, ProjectConfig: b.config}, entities.UserContext{ID: user}, &decide.Options{})
	if err != nil {
		return "", fault.New(fault.Invalid, "bucket into %q: %w", rule, err)
	}
	if got.Variation == nil {
		return "", nil
	}
	return got.Variation.Key, nil
}

// room is the share of users that an experiment can include at most.
func (b *Bucketer) room(rule string) float64 {
	e, err := b.config.GetExperimentByKey(rule)
	if err != nil {
		return 1 // not in the datafile
	}
	return groupShare(b.config, e)
}

// allowedOrHashed decides one experiment: first its allow list, then the hash. It is the SDK's own composite
// service without its logger.
type allowedOrHashed struct {
	allowed, hashed decision.ExperimentService
}

func (r allowedOrHashed) GetDecision(where decision.ExperimentDecisionContext, who entities.UserContext, options *decide.Options) (decision.ExperimentDecision, decide.DecisionReasons, error) {
	got, reasons, err := r.allowed.GetDecision(where, who, options)
	if err == nil && got.Variation != nil {
		return got, reasons, nil
	}
	return r.hashed.GetDecision(where, who, options)
}
