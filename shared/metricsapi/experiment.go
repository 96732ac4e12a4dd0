package metricsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/register"
)

// tables are those that have been published.
type tables struct {
	engine  lake.Engine
	there   map[string]bool
	version string // changes when any of them does
}

// published looks tables up; a table that nobody has published yet has no rows.
func (a *api) published(ctx context.Context, names ...string) (tables, error) {
	out, found := tables{a.Source.Engine, map[string]bool{}, ""}, make([]string, len(names))
	for i, name := range names {
		t, err := a.Source.Catalog.Table(ctx, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return out, err
		}
		out.there[name] = err == nil
		for _, p := range t.Partitions {
			found[i] += p.Location + "\n" // a location is written once
		}
	}
	out.version = hash(found...)
	return out, nil
}

func rowsOf[T any](ctx context.Context, t tables, table, sql string) ([]T, error) {
	if !t.there[table] {
		return nil, nil
	}
	rows, err := lake.Read[T](ctx, t.engine, sql)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	return rows, nil
}

// summary is an experiment in a list.
type summary struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Owner       string          `json:"owner"`
	Hypothesis  string          `json:"hypothesis"`
	Start       experiment.Date `json:"start"`
	PlannedDays int             `json:"planned_days"`
	Mode        experiment.Mode `json:"mode"`
	Hash        string          `json:"definition_hash"`
	Verdict     *decide.Verdict `json:"verdict"` // null: nothing is decided yet
	Variant     *string         `json:"variant"` // that is shipped or rolled back to
	Headline    *string         `json:"headline"`
	DecidedAsOf *string         `json:"decided_as_of"`
	Withheld    []string        `json:"withheld"` // why nobody should read the effects, which are then null; empty: they may be read
	Links       links           `json:"links"`
}

type links struct {
	Self    string `json:"self"`
	Results string `json:"results"`
}

// detail is an experiment by itself.
type detail struct {
	summary
	AsOf          *string                `json:"as_of"` // day of the latest look
	Definition    *experiment.Experiment `json:"definition"`
	Results       []result               `json:"results"`       // of the latest look
	Checks        []check                `json:"checks"`        // of the latest look
	Decisions     []decide.Decision      `json:"decisions"`     // oldest first
	Registrations []register.Entry       `json:"registrations"` // oldest first; the first is the pre-registration
}

func summarize(e *experiment.Experiment, decisions []decide.Decision, checks []evaluate.Check) summary {
	out := summary{
		ID: e.ID, Name: e.Name, Owner: e.Owner, Hypothesis: e.Hypothesis, Start: e.Start, PlannedDays: e.PlannedDays, Mode: e.Mode, Hash: e.Hash(),
		Withheld: append([]string{}, decide.Withheld(last(decisions), checks)...), Links: links{Base + "/experiments/" + e.ID, Base + "/experiments/" + e.ID + "/results"},
	}
	if d := last(decisions); d != nil {
		out.Verdict, out.Headline, out.DecidedAsOf = &d.Verdict, &d.Headline, &d.AsOf
		if d.Variant != "" {
			out.Variant = &d.Variant
		}
	}
	return out
}

func last(decisions []decide.Decision) *decide.Decision {
	if len(decisions) == 0 {
		return nil
	}
	return &decisions[len(decisions)-1]
}

// latest selects the rows of each experiment's latest look.
func latest(table string) string {
	return "select r.* from " + table + " as r join (select experiment_id, max(as_of) as as_of from " + table +
		" group by experiment_id) as l on r.experiment_id = l.experiment_id and r.as_of = l.as_of"
}

func (a *api) listExperiments(r request) (answer, error) {
	verdict, err := r.oneOf("verdict", verdicts()...)
	if err != nil {
		return answer{}, err
	}
	t, err := a.published(r.ctx, decide.Table, evaluate.CheckTable)
	if err != nil {
		return answer{}, err
	}
	// Which experiments there are is known before their decisions are, and so is the version of the whole.
	owner := r.query.Get("owner")
	var some []*experiment.Experiment
	version := []string{"experiments", verdict, owner, t.version}
	for _, e := range a.Project.Experiments {
		if owner == "" || e.Owner == owner {
			some, version = append(some, e), append(version, e.Hash(), e.Name, e.Owner)
		}
	}
	whole := hash(version...)
	if _, err := paged[summary](r, nil, whole); err != nil { // what is malformed is so without a query
		return answer{}, err
	}
	return answer{whole, func() (any, string, error) {
		all, err := summaries(r.ctx, t, some)
		if err != nil {
			return nil, "", err
		}
		cut, err := paged(r, slices.DeleteFunc(all, func(s summary) bool {
			return verdict != "" && (s.Verdict == nil || string(*s.Verdict) != verdict)
		}), whole)
		if err != nil {
			return nil, "", err
		}
		return cut.body()
	}}, nil
}

func verdicts() []string {
	var out []string
	for _, v := range []decide.Verdict{decide.Running, decide.Ship, decide.RollBack, decide.Stop, decide.Extend, decide.Blocked} {
		out = append(out, string(v))
	}
	return out
}

func summaries(ctx context.Context, t tables, some []*experiment.Experiment) ([]summary, error) {
	var decisions []decide.Decision
	var checks []evaluate.Check
	err := together(
		func() (err error) {
			decisions, err = rowsOf[decide.Decision](ctx, t, decide.Table, "select * from "+decide.Table+" order by as_of, decided_at")
			return err
		},
		func() (err error) {
			checks, err = rowsOf[evaluate.Check](ctx, t, evaluate.CheckTable, latest(evaluate.CheckTable)+" order by r.name")
			return err
		},
	)
	out := []summary{}
	for _, e := range some {
		out = append(out, summarize(e,
			only(decisions, func(d decide.Decision) bool { return d.ExperimentID == e.ID }),
			only(checks, func(c evaluate.Check) bool { return c.ExperimentID == e.ID })))
	}
	return out, err
}

func only[T any](all []T, keep func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return !keep(x) })
}

// together runs queries at once: on Athena each takes about a second, whatever its size.
func together(work ...func() error) error {
	errs := make([]error, len(work))
	var all sync.WaitGroup
	for i, do := range work {
		all.Go(func() { errs[i] = do() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (a *api) experiment(r request) (*experiment.Experiment, error) {
	i := slices.IndexFunc(a.Project.Experiments, func(e *experiment.Experiment) bool { return e.ID == r.named })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "there is no experiment %s", r.named)
	}
	return a.Project.Experiments[i], nil
}

func (a *api) oneExperiment(r request) (answer, error) {
	e, err := a.experiment(r)
	if err != nil {
		return answer{}, err
	}
	t, err := a.published(r.ctx, evaluate.ResultTable, evaluate.CheckTable, decide.Table, register.Table)
	if err != nil {
		return answer{}, err
	}
	definition, err := fixed(e)
	if err != nil {
		return answer{}, err
	}
	return answer{hash(t.version, definition.version), func() (any, string, error) {
		out, err := detailed(r.ctx, t, e)
		return out, "", err
	}}, nil
}

func detailed(ctx context.Context, t tables, e *experiment.Experiment) (detail, error) {
	where := " where r.experiment_id = " + lake.Quote(e.ID)
	all := func(table string) string { return "select r.* from " + table + " as r" + where }
	var results []evaluate.Result
	var checks []evaluate.Check
	var decisions []decide.Decision
	var registrations []register.Entry
	err := together(
		func() (err error) {
			results, err = rowsOf[evaluate.Result](ctx, t, evaluate.ResultTable, latest(evaluate.ResultTable)+where)
			return err
		},
		func() (err error) {
			checks, err = rowsOf[evaluate.Check](ctx, t, evaluate.CheckTable, latest(evaluate.CheckTable)+where+" order by r.name")
			return err
		},
		func() (err error) {
			decisions, err = rowsOf[decide.Decision](ctx, t, decide.Table, all(decide.Table)+" order by r.as_of, r.decided_at")
			return err
		},
		func() (err error) {
			registrations, err = rowsOf[register.Entry](ctx, t, register.Table, all(register.Table)+" order by r.as_of")
			return err
		},
	)
	out := detail{summary: summarize(e, decisions, checks), Definition: e, Results: []result{}, Checks: []check{}, Decisions: empty(decisions), Registrations: empty(registrations)}
	slices.SortFunc(results, func(x, y evaluate.Result) int {
		return strings.Compare(x.Metric+"\x00"+x.Variant, y.Metric+"\x00"+y.Variant)
	})
	for _, x := range results {
		out.Results = append(out.Results, resultOf(x, len(out.Withheld) > 0))
		out.AsOf = &x.AsOf
	}
	for _, c := range checks {
		out.Checks = append(out.Checks, check{c.AsOf, c.Name, c.Status, figure(c.Value), figure(c.Threshold), c.Detail})
	}
	return out, err
}

// history is one page of what an experiment's looks found.
type history struct {
	Experiment string   `json:"experiment"`
	Items      []result `json:"items"`
	Next       *string  `json:"next"`
}

func (a *api) results(r request) (answer, error) {
	e, err := a.experiment(r)
	if err != nil {
		return answer{}, err
	}
	where, err := r.looks(e)
	if err != nil {
		return answer{}, err
	}
	p, err := r.page(usualRows, maxRows)
	if err != nil {
		return answer{}, err
	}
	t, err := a.published(r.ctx, evaluate.ResultTable, evaluate.CheckTable, decide.Table)
	if err != nil {
		return answer{}, err
	}
	version := hash(t.version, where)
	if err := p.of(version); err != nil {
		return answer{}, err
	}
	return answer{version, func() (any, string, error) {
		found, doubted, err := looked(r.ctx, t, e, where, p)
		if err != nil {
			return nil, "", err
		}
		out := history{Experiment: e.ID, Items: []result{}}
		for i, x := range found {
			if i == p.limit {
				next := r.next(p.offset+i, version)
				out.Next = &next
				return out, next, nil
			}
			out.Items = append(out.Items, resultOf(x, doubted(x.AsOf)))
		}
		return out, "", nil
	}}, nil
}

// looks is the condition that the rows asked for meet.
func (r request) looks(e *experiment.Experiment) (string, error) {
	out := " where experiment_id = " + lake.Quote(e.ID)
	if name := r.query.Get("metric"); name != "" {
		if !slices.ContainsFunc(e.Metrics, func(m experiment.Metric) bool { return m.Name == name }) {
			return "", fault.New(fault.NotFound, "%s has no metric %s", e.ID, name)
		}
		out += " and metric = " + lake.Quote(name)
	}
	if key := r.query.Get("variant"); key != "" {
		if !slices.ContainsFunc(e.Variants, func(v experiment.Variant) bool { return v.Key == key }) {
			return "", fault.New(fault.NotFound, "%s has no variant %s", e.ID, key)
		}
		out += " and variant = " + lake.Quote(key)
	}
	from, err := r.date("from", false)
	if err != nil {
		return "", err
	}
	to, err := r.date("to", false)
	if err != nil {
		return "", err
	}
	if !from.IsZero() {
		out += " and as_of >= " + lake.Quote(from.Format(time.DateOnly))
	}
	if !to.IsZero() {
		out += " and as_of < " + lake.Quote(to.Format(time.DateOnly))
	}
	return out, nil
}

// looked reads a page of results and one more, and tells which looks nobody should read.
func looked(ctx context.Context, t tables, e *experiment.Experiment, where string, p page) (rows []evaluate.Result, doubted func(asOf string) bool, err error) {
	var checks []evaluate.Check
	var decisions []decide.Decision
	own := " where experiment_id = " + lake.Quote(e.ID)
	err = together(
		func() (err error) {
			rows, err = rowsOf[evaluate.Result](ctx, t, evaluate.ResultTable,
				fmt.Sprintf("select * from %s%s\norder by as_of, metric, variant\noffset %d\nlimit %d", evaluate.ResultTable, where, p.offset, p.limit+1))
			return err
		},
		func() (err error) {
			checks, err = rowsOf[evaluate.Check](ctx, t, evaluate.CheckTable, "select * from "+evaluate.CheckTable+own+" and status = 'fail'")
			return err
		},
		func() (err error) {
			decisions, err = rowsOf[decide.Decision](ctx, t, decide.Table, "select * from "+decide.Table+own+" order by as_of, decided_at")
			return err
		},
	)
	return rows, func(asOf string) bool {
		return len(decide.Withheld(last(decisions), only(checks, func(c evaluate.Check) bool { return c.AsOf == asOf }))) > 0
	}, err
}
