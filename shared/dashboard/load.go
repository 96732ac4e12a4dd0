package dashboard

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/register"
	"verdict/shared/restate"
	"verdict/shared/spend"
)

// found is what the lake knows about some experiments.
type found struct {
	results       []evaluate.Result
	checks        []evaluate.Check
	decisions     []decide.Decision
	registrations []register.Entry
	restatements  []restate.Restatement
	read          int64    // bytes that an experiment's queries have read
	missing       []string // tables nobody has published yet
}

// latest reads what is known now about every experiment, and all decisions: few, and the last one
// of each experiment is its verdict.
func (s *server) latest(ctx context.Context) (found, error) {
	last := func(table string) string {
		return "SELECT r.* FROM " + table + " r JOIN (SELECT experiment_id, max(as_of) AS as_of FROM " + table +
			" GROUP BY experiment_id) l ON r.experiment_id = l.experiment_id AND r.as_of = l.as_of"
	}
	return s.read(ctx, last(evaluate.ResultTable), last(evaluate.CheckTable), "SELECT * FROM "+decide.Table, "SELECT * FROM "+restate.Table, "")
}

// history reads all that was ever known about one experiment.
func (s *server) history(ctx context.Context, id string) (found, error) {
	where := " WHERE experiment_id = " + lake.Quote(id)
	f, err := s.read(ctx, "SELECT * FROM "+evaluate.ResultTable+where, "SELECT * FROM "+evaluate.CheckTable+where, "SELECT * FROM "+decide.Table+where,
		"SELECT * FROM "+restate.Table+where, "SELECT * FROM "+register.Table+where)
	if err != nil {
		return f, err
	}
	var unread []string // where nothing was counted, nothing is shown
	cost, err := some[stepCost](ctx, s.Engine, &unread, spend.Table, "SELECT '' AS step, coalesce(sum(bytes), 0) AS bytes, coalesce(sum(usd), 0) AS usd FROM "+spend.Table+" WHERE kind = "+lake.Quote(string(spend.Experiment))+" AND name = "+lake.Quote(id))
	if len(cost) > 0 {
		f.read = cost[0].Read
	}
	return f, err
}

// read runs the queries at once: on Athena each takes about a second, whatever its size.
func (s *server) read(ctx context.Context, results, checks, decisions, restatements, registrations string) (found, error) {
	var f found
	var errs [5]error
	var work sync.WaitGroup
	work.Go(func() { f.results, errs[0] = lake.Read[evaluate.Result](ctx, s.Engine, results) })
	work.Go(func() { f.checks, errs[1] = lake.Read[evaluate.Check](ctx, s.Engine, checks) })
	work.Go(func() { f.decisions, errs[2] = lake.Read[decide.Decision](ctx, s.Engine, decisions) })
	work.Go(func() { f.restatements, errs[3] = lake.Read[restate.Restatement](ctx, s.Engine, restatements) })
	if registrations != "" {
		work.Go(func() { f.registrations, errs[4] = lake.Read[register.Entry](ctx, s.Engine, registrations) })
	}
	work.Wait()
	for i := 3; i < len(errs); i++ {
		if unpublished(errs[i]) { // there is none yet
			errs[i] = nil
		}
	}
	for i, table := range []string{evaluate.ResultTable, evaluate.CheckTable, decide.Table} {
		if unpublished(errs[i]) {
			f.missing = append(f.missing, table)
			errs[i] = nil
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return f, err
	}
	slices.SortStableFunc(f.decisions, func(a, b decide.Decision) int {
		return cmp.Or(strings.Compare(a.AsOf, b.AsOf), a.DecidedAt.Compare(b.DecidedAt))
	})
	return f, s.hear(ctx, f.decisions)
}

// hear adds answers that the decider has not written into fact_decision yet: who has answered shall see it at once.
// Only an experiment's last decision can be answered.
func (s *server) hear(ctx context.Context, decisions []decide.Decision) (err error) {
	last := map[string]int{}
	for i, d := range decisions {
		last[d.ExperimentID] = i
	}
	for _, i := range last {
		if decisions[i], err = decide.Heard(ctx, s.Objects, decisions[i]); err != nil {
			return err
		}
	}
	return nil
}

// report picks what belongs to one experiment, in the order in which people read it.
func (f found) report(e *experiment.Experiment, today time.Time) *Report {
	r := &Report{
		Experiment: e, Read: f.read, today: today,
		Results:       only(f.results, func(x evaluate.Result) bool { return x.ExperimentID == e.ID }),
		Checks:        only(f.checks, func(x evaluate.Check) bool { return x.ExperimentID == e.ID }),
		Decisions:     only(f.decisions, func(x decide.Decision) bool { return x.ExperimentID == e.ID }),
		Restatements:  only(f.restatements, func(x restate.Restatement) bool { return x.ExperimentID == e.ID }),
		Registrations: only(f.registrations, func(x register.Entry) bool { return x.ExperimentID == e.ID }),
	}
	slices.SortStableFunc(r.Registrations, func(a, b register.Entry) int { return strings.Compare(a.AsOf, b.AsOf) })
	slices.SortFunc(r.Results, func(a, b evaluate.Result) int {
		return cmp.Or(strings.Compare(a.AsOf, b.AsOf), cmp.Compare(place(e, a.Metric), place(e, b.Metric)), strings.Compare(a.Variant, b.Variant))
	})
	slices.SortFunc(r.Checks, func(a, b evaluate.Check) int {
		return cmp.Or(strings.Compare(a.AsOf, b.AsOf), -strings.Compare(a.Name, b.Name)) // srm first
	})
	return r
}

func only[T any](all []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return !keep(x) })
}

// place orders metrics by role, then as the definition lists them; unknown ones come last.
func place(e *experiment.Experiment, metric string) int {
	for i, m := range e.Metrics {
		if m.Name == metric {
			return slices.Index([]experiment.Role{experiment.Goal, experiment.Guardrail, experiment.Secondary}, m.Role)*len(e.Metrics) + i
		}
	}
	return 3 * len(e.Metrics)
}
