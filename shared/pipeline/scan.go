package pipeline

import (
	"context"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/monitor"
	"verdict/shared/spend"
)

// Book is what queries have read.
func (p *Pipeline) Book() *spend.Book {
	return &spend.Book{Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun}
}

// affordable lists the experiments that have not used up a budget which blocks them before this day: what a day
// measures it also evaluates.
func (p *Pipeline) affordable(ctx context.Context, asOf time.Time) ([]*experiment.Experiment, error) {
	accounts, err := p.Book().Accounts(ctx, p.Project.Experiments, asOf)
	if err != nil {
		return nil, err
	}
	var out []*experiment.Experiment
	for _, a := range accounts {
		if !a.Blocked() {
			out = append(out, a.Experiment)
		}
	}
	return out, nil
}

// record keeps what a step has read of each experiment, and warns of budgets that it used up. Where the engine bills
// nothing, the files that were there to read stand for it.
func (p *Pipeline) record(ctx context.Context, asOf time.Time, step string, read []spend.Scan) error {
	for i, s := range read {
		if s.Billed || s.Kind != spend.Experiment {
			continue
		}
		size, err := p.Footprint(ctx, p.experiment(s.Name), asOf)
		if err != nil {
			return err
		}
		read[i].Read = size
	}
	if err := p.Book().Add(ctx, asOf, step, read); err != nil {
		return err
	}
	accounts, err := p.Book().Accounts(ctx, p.Project.Experiments, asOf.AddDate(0, 0, 1))
	if err != nil || p.Warn == nil {
		return err
	}
	for _, a := range accounts {
		if a.Over() && a.Experiment.Budget.Over != experiment.Allow {
			p.Warn(a.Says())
		}
	}
	return nil
}

func (p *Pipeline) experiment(id string) *experiment.Experiment {
	for _, e := range p.Project.Experiments {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// Footprint is the size of the facts, in bytes of files, that an evaluation of an experiment as of a day reads of.
func (p *Pipeline) Footprint(ctx context.Context, e *experiment.Experiment, asOf time.Time) (int64, error) {
	facts, err := p.Catalog.Table(ctx, "fact_event")
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	sizes, err := lake.Sizes(ctx, p.Objects, facts)
	if err != nil {
		return 0, err
	}
	until := e.End()
	if asOf.Before(until) {
		until = asOf
	}
	from, to := e.Start.Format(time.DateOnly), until.UTC().Format(time.DateOnly)
	var total int64
	for _, part := range facts.Partitions {
		if day := part.Values[0]; from <= day && day < to {
			total += sizes[part.Location]
		}
	}
	return total, nil
}

// spent reads how much of its budget each experiment has used that wants to hear of it.
func (p *Pipeline) spent(ctx context.Context, asOf time.Time) ([]monitor.Reading, error) {
	accounts, err := p.Book().Accounts(ctx, p.Project.Experiments, asOf.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	var out []monitor.Reading
	for _, a := range accounts {
		if a.Limit > 0 && a.Experiment.Budget.Over != experiment.Allow {
			out = append(out, monitor.Reading{Name: "budget_spent_share", Of: a.Experiment.ID, Value: float64(a.Read) / float64(a.Limit), Limit: 1, Says: a.Says()})
		}
	}
	return out, nil
}
