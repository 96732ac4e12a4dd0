// Package pipeline is the way from landed events to told people: which step does what, and in which
// order. One machine runs all steps in a row; on AWS a Lambda runs each. Every step is idempotent
// and picks up where an earlier run was interrupted.
package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"verdict/shared/bucketing"
	"verdict/shared/bundle"
	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/lineage"
	"verdict/shared/measure"
	"verdict/shared/model"
	"verdict/shared/monitor"
	"verdict/shared/notify"
	"verdict/shared/privacy"
	"verdict/shared/project"
	"verdict/shared/redact"
	"verdict/shared/register"
	"verdict/shared/replay"
	"verdict/shared/restate"
	"verdict/shared/spend"
	"verdict/shared/view"
)

// Pipeline is what the steps work on. A step uses what it needs and leaves the rest alone.
type Pipeline struct {
	Project *project.Project
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string // a name never used before, later names sorting later
	Now     func() time.Time

	ReadFlags func(context.Context) ([]feature.Flag, error) // Model
	// Audit recomputes assignments, and Datafile fetches what they follow from; either may be nil.
	Audit     *bucketing.Auditor                    // Model and Measure
	Datafile  func(context.Context) ([]byte, error) // Model
	Flags     decide.Flags                          // Decide
	Senders   []notify.Sender                       // Notify
	Policies  map[string]notify.Policy              // Notify: what each channel wants to be spared
	Dashboard string                                // Notify: address for links, may be empty
	Select    model.Selection                       // Model and Resolve
	Built     func(model.Built)                     // is told of each model that was brought up to date; may be nil
	Warn      func(says string)                     // is told what somebody should look into; may be nil

	Lineage *lineage.Recorder // is told of steps and models; may be nil
	Views   view.Publisher    // Evaluate; may be nil

	evaluator *evaluate.Evaluator // keeps what it planned
}

// Step is one step and its name. asOf is the start of a day, UTC: what was known then counts.
type Step struct {
	Name string
	Run  func(ctx context.Context, asOf time.Time) error
}

// Steps lists all steps in order.
func (p *Pipeline) Steps() []Step {
	return []Step{
		{"model", p.Model},
		{"resolve", p.Resolve},
		{"measure", p.Measure},
		{"evaluate", p.Evaluate},
		{"decide", p.Decide},
		{"notify", p.Notify},
	}
}

// model records the flags that are on, and makes events and identity edges of what has landed.
func (p *Pipeline) model(ctx context.Context, asOf time.Time) error {
	flags := &feature.Recorder{Read: p.ReadFlags, Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun, Now: p.Now}
	if _, err := flags.Run(ctx); err != nil {
		return err
	}
	if p.Audit != nil && p.Datafile != nil {
		body, err := p.Datafile(ctx)
		if err != nil {
			return err
		}
		if body != nil {
			if err := p.Audit.Keep(ctx, body, p.Now()); err != nil {
				return err
			}
		}
	}
	return p.events(ctx, asOf)
}

// events makes events and identity edges of what has landed.
func (p *Pipeline) events(ctx context.Context, asOf time.Time) error {
	built, err := p.Build(ctx, asOf, "fact_event")
	if err != nil {
		return err
	}
	if err := p.holdBack(ctx, asOf, built[0]); err != nil {
		return err
	}
	_, err = p.Build(ctx, asOf, "identity_edge")
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "no events have arrived in this lake yet: send some to the collector (on one machine: verdict serve, import or demo)")
	}
	return err
}

// resolve finds out who is who, and who saw what.
func (p *Pipeline) resolve(ctx context.Context, asOf time.Time) error {
	if p.Project.Identity.LinkDevices {
		if _, err := p.Build(ctx, asOf, "identity_signal"); err != nil {
			return err
		}
	}
	resolver := &identity.Resolver{
		Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun, Now: p.Now, Settings: p.Project.Identity,
	}
	if _, err := resolver.Run(ctx); err != nil {
		return err
	}
	_, err := p.Build(ctx, asOf, "dim_user", "fact_experiment_exposure", "ledger_session")
	return err
}

// Officer answers for the persons in the lake.
func (p *Pipeline) Officer(store privacy.Store, key redact.Key, parquet replay.Parquet) *privacy.Officer {
	tables := []string{"identity_map", "identity_merge", "identity_veto", "fact_experiment_guardrail"}
	for _, m := range p.Project.Models.Models {
		tables = append(tables, m.Name)
	}
	for _, e := range p.Project.Experiments {
		tables = append(tables, measure.Totals(e.ID))
	}
	return &privacy.Officer{
		Store: store, Engine: p.Engine, Catalog: p.Catalog, Tables: tables, Key: key, NewRun: p.NewRun, Now: p.Now, Rebuild: p.rebuild, Parquet: parquet,
	}
}

// rebuild brings all that is made of landed events up to date, less statistics and what follows from them: they hold
// sums, and stand as they were published.
func (p *Pipeline) rebuild(ctx context.Context) error {
	all := *p
	all.Select = model.Selection{Since: "0000-01-01"} // also days that are held: what is erased must leave them
	now := p.Now()
	if err := all.events(ctx, now); err != nil {
		return err
	}
	if err := all.resolve(ctx, now); err != nil {
		return err
	}
	_, err := all.Build(ctx, now, "ledger_hour", "profile_property")
	return err
}

// Balance brings the ledger up to date and reads it, for the whole days from one moment up to another.
func (p *Pipeline) Balance(ctx context.Context, collected ledger.Collected, from, to time.Time) ([]ledger.Entry, error) {
	if _, err := p.Build(ctx, to, "ledger_session", "ledger_hour"); err != nil {
		return nil, err
	}
	return (&ledger.Ledger{Engine: p.Engine, Catalog: p.Catalog, Collected: collected, Erased: privacy.Trail{Objects: p.Objects}}).Balance(ctx, from, to)
}

// Monitor brings the ledger and the profiles up to date, takes the pipeline's pulse of the week before asOf, and
// publishes both.
func (p *Pipeline) Monitor(ctx context.Context, collected ledger.Collected, asOf time.Time) ([]monitor.Reading, error) {
	if _, err := p.Build(ctx, asOf, "profile_property"); err != nil {
		return nil, err
	}
	const week = 7
	entries, err := p.Balance(ctx, collected, asOf.AddDate(0, 0, -week), asOf)
	if err != nil {
		return nil, err
	}
	m := &monitor.Monitor{Engine: p.Engine, Catalog: p.Catalog, Now: p.Now}
	readings, err := m.Read(ctx, asOf, entries)
	if err != nil {
		return nil, err
	}
	waiting, err := p.waiting(ctx)
	if err != nil {
		return nil, err
	}
	spent, err := p.spent(ctx, asOf)
	if err != nil {
		return nil, err
	}
	readings = slices.Concat(readings, waiting, spent)
	return readings, p.PublishReadings(ctx, asOf, readings, entries)
}

// Build brings some models up to date, and keeps what that read. What they read is taken as it is.
func (p *Pipeline) Build(ctx context.Context, asOf time.Time, names ...string) ([]model.Built, error) {
	built, err := p.builder(asOf).Build(ctx, names...)
	var read []spend.Scan
	for _, m := range built {
		read = append(read, spend.Scan{Kind: spend.Model, Name: m.Model, Read: m.Scanned, Billed: true})
		if p.Built != nil {
			p.Built(m)
		}
	}
	return built, errors.Join(err, p.Book().Add(ctx, asOf, "model", read))
}

func (p *Pipeline) builder(asOf time.Time) *model.Builder {
	return &model.Builder{
		Project: p.Project.Models, Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun, AsOf: asOf, Selection: p.Select,
		Observe: p.observe(),
	}
}

// measure reduces events to sufficient statistics.
func (p *Pipeline) measure(ctx context.Context, asOf time.Time) error {
	if err := p.keeper().Mark(ctx, asOf); err != nil {
		return err
	}
	experiments, err := p.affordable(ctx, asOf)
	if err != nil {
		return err
	}
	var read []spend.Scan
	measurer := &measure.Measurer{
		Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun, Young: measure.Young,
		Scanned: func(e *experiment.Experiment, bytes int64) {
			read = append(read, spend.Scan{Kind: spend.Experiment, Name: e.ID, Read: bytes, Billed: bytes > 0})
		},
	}
	err = measurer.Run(ctx, experiments, p.Project.Metrics, asOf)
	if err := errors.Join(err, p.record(ctx, asOf, "measure", read)); err != nil || p.Audit == nil {
		return err
	}
	return p.Audit.Run(ctx, experiments, asOf)
}

// evaluate turns statistics into results and validity checks. What is evaluated is registered before its numbers are.
func (p *Pipeline) evaluate(ctx context.Context, asOf time.Time) error {
	registrar := &register.Registrar{Objects: p.Objects, Catalog: p.Catalog, NewRun: p.NewRun}
	experiments, err := p.affordable(ctx, asOf)
	if err != nil {
		return err
	}
	if err := registrar.Run(ctx, experiments, p.Project.Metrics, asOf); err != nil {
		return err
	}
	_, _, err = p.evaluation().Run(ctx, experiments, p.Project.Metrics, asOf)
	return err
}

// decide decides on the results, keeps what each decision rests on, moves the rollouts, and looks back at earlier
// decisions for which events came late.
func (p *Pipeline) decide(ctx context.Context, asOf time.Time) error {
	decider := &decide.Decider{
		Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, Flags: p.Flags, Archive: p.keeper(), NewRun: p.NewRun, Now: p.Now,
	}
	_, err := decider.Run(ctx, p.Project.Experiments, asOf)
	restater := &restate.Restater{Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, Keeper: p.keeper(), NewRun: p.NewRun, Now: p.Now}
	_, problem := restater.Run(ctx, p.Project.Experiments, asOf)
	return errors.Join(err, problem)
}

func (p *Pipeline) evaluation() *evaluate.Evaluator {
	if p.evaluator == nil {
		p.evaluator = &evaluate.Evaluator{Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun}
	}
	return p.evaluator
}

func (p *Pipeline) keeper() *bundle.Keeper {
	return &bundle.Keeper{
		Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, Evaluator: p.evaluation(), Experiments: p.Project.Experiments, Metrics: p.Project.Metrics,
	}
}

// notify tells people what they have not been told yet.
func (p *Pipeline) notify(ctx context.Context, _ time.Time) error {
	notifier := &notify.Notifier{Objects: p.Objects, Senders: p.Senders, Policies: p.Policies, DashboardURL: p.Dashboard, Now: p.Now}
	_, err := notifier.Run(ctx)
	return err
}
