package measure

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Young is for how many days an experiment is measured whole: keeping totals takes two statements and a file for each
// cohort, which a scan of so few days does not.
const Young = 28

// mostPartitions is how many cohorts one statement writes: Athena's limit is 100 partitions.
const mostPartitions = 90

// Totals names the table of an experiment's running totals per unit.
func Totals(experimentID string) string {
	if plainName.MatchString(experimentID) {
		return "fact_user_metric_" + experimentID
	}
	return "fact_user_metric_" + digest(experimentID)
}

var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// increments brings the totals of one experiment up to date.
type increments struct {
	*Measurer
	query      *query
	definition string
	population map[string]population
	facts      map[string]map[string]string // table of facts, day: what its partition is and was made from
	settled    time.Time                    // totals are of the days before
}

// measured is what the cells of a cohort were made from, and the cells.
type measured struct {
	Source string
	Cells  []Statistic
}

// populations asks for the units of all experiments whose totals are kept.
func (m *Measurer) populations(ctx context.Context, experiments []*experiment.Experiment, asOf time.Time) (map[string]map[string]population, error) {
	out := map[string]map[string]population{}
	var cohorts []string
	for _, e := range experiments {
		if m.keepsTotals(e, asOf) {
			out[e.ID] = map[string]population{}
			cohorts = append(cohorts, "("+cohort(e, asOf)+")")
		}
	}
	if cohorts == nil {
		return out, nil
	}
	rows, err := lake.Read[population](ctx, m.Engine, populations(cohorts))
	if err != nil {
		return nil, fmt.Errorf("tell what changed: %w", err)
	}
	for _, r := range rows {
		out[r.Experiment][r.Date] = r
	}
	return out, nil
}

func (m *Measurer) keepsTotals(e *experiment.Experiment, asOf time.Time) bool {
	return asOf.After(e.Start.AddDate(0, 0, m.Young))
}

// increment returns the cells of metrics that add up by days.
func (m *Measurer) increment(ctx context.Context, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time, units map[string]population) ([]Statistic, error) {
	definition, err := json.Marshal([]any{e.ID, metrics, version})
	if err != nil {
		return nil, fmt.Errorf("write definitions: %w", err)
	}
	in := &increments{
		Measurer: m, query: newQuery(Resolved, e, metrics, asOf), definition: digest(string(definition)), population: units,
		facts: map[string]map[string]string{}, settled: asOf.UTC().AddDate(0, 0, -settling),
	}
	for _, t := range in.query.tables() {
		table, err := m.Catalog.Table(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		in.facts[t.Name] = table.Made()
	}
	cells, err := in.load(ctx)
	if err != nil {
		return nil, err
	}
	todo, err := in.outdated(ctx, cells)
	if err != nil {
		return nil, err
	}
	if len(todo) > 0 {
		for len(todo) > 0 {
			n := min(len(todo), mostPartitions)
			again, err := in.advance(ctx, todo[:n], cells)
			if err != nil {
				return nil, err
			}
			todo = append(todo[n:], again...)
		}
		if err := in.save(ctx, cells); err != nil {
			return nil, err
		}
	}
	var out []Statistic
	for _, date := range slices.Sorted(maps.Keys(units)) {
		out = append(out, cells[date].Cells...)
	}
	return out, nil
}

// version changes when the SQL of totals comes to mean something else.
const version = 3

// byDays tells whether a table is partitioned by the day of its facts. It asks for each once.
func (m *Measurer) byDays(ctx context.Context) func(metric.Table) bool {
	known := map[metric.Table]bool{}
	return func(t metric.Table) bool {
		is, ok := known[t]
		if !ok && t.Date != "" {
			table, err := m.Catalog.Table(ctx, t.Name)
			is = err == nil && slices.Equal(table.PartitionBy, []string{t.Date})
			known[t] = is
		}
		return is
	}
}

// absorbed is what the totals of a cohort are made from when they hold the days before until.
func (in *increments) absorbed(date string, until time.Time) string {
	before, after := dated(in.query.metrics)
	parts := []string{in.definition}
	for _, t := range in.query.tables() {
		for n := -before; n <= after; n++ {
			d := dateOf(date).AddDate(0, 0, n)
			if d.Before(until) {
				day := d.Format(time.DateOnly)
				parts = append(parts, t.Name, day, in.facts[t.Name][day])
			}
		}
	}
	return digest(parts...)
}

// source is what the cells of a cohort are made from.
func (in *increments) source(date string) string {
	p := in.population[date]
	return digest(in.absorbed(date, in.query.asOf), fmt.Sprint(p.Units, p.Fingerprint))
}

// outdated lists the cohorts whose cells are made from something else than they would be now.
func (in *increments) outdated(ctx context.Context, cells map[string]measured) ([]cohortPlan, error) {
	table, err := in.Catalog.Table(ctx, Totals(in.query.experiment.ID))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	totals := map[string]string{}
	for _, p := range table.Partitions {
		totals[p.Values[0]] = p.Source
	}
	var out []cohortPlan
	for _, date := range slices.Sorted(maps.Keys(in.population)) {
		if cells[date].Source == in.source(date) {
			continue
		}
		plan := in.anew(date)
		first := plan.from
		// The partition holds the days before some day; of each it would say so.
		for until := in.settled; totals[date] != "" && !until.Before(first); until = until.AddDate(0, 0, -1) {
			if totals[date] == in.absorbed(date, until) {
				plan.from, plan.old = until, true
				break
			}
		}
		if !plan.old && totals[date] != "" {
			in.say("the cohort of " + date + " is measured anew: its facts or a definition changed")
		}
		out = append(out, plan)
	}
	return out, nil
}

// anew is the plan to make a cohort of its facts.
func (in *increments) anew(date string) cohortPlan {
	before, _ := dated(in.query.metrics)
	return cohortPlan{date: date, from: dateOf(date).AddDate(0, 0, -before)}
}

func (in *increments) say(what string) {
	if in.Say != nil {
		in.Say(in.query.experiment.ID, what)
	}
}

// advance writes the totals of some cohorts, measures them where nobody reads them yet, and publishes those that are
// whole. It returns the plan for the others.
func (in *increments) advance(ctx context.Context, cohorts []cohortPlan, cells map[string]measured) (again []cohortPlan, err error) {
	e := in.query.experiment
	name, by := Totals(e.ID), []string{"exposure_date"}
	prefix := "warehouse/" + name + "/run=" + in.NewRun() + "/"
	sql := newQuery(Resolved, e, in.query.metrics, in.query.asOf).totals(cohorts, in.settled)
	if err := in.Engine.Unload(ctx, sql, prefix, by); err != nil {
		return nil, fmt.Errorf("write totals: %w", err)
	}
	table := lake.Table{Name: name, Columns: in.query.totalColumns(), PartitionBy: by}
	for _, c := range cohorts {
		table.Partitions = append(table.Partitions, lake.Partition{
			Values: []string{c.date}, Location: prefix + "exposure_date=" + c.date + "/", Source: in.absorbed(c.date, in.settled),
		})
	}
	audited := table
	audited.Name = name + "__audit"
	if err := in.Catalog.Publish(ctx, audited); err != nil {
		return nil, err
	}
	result, err := in.Engine.Query(ctx, newQuery(Resolved, e, in.query.metrics, in.query.asOf).totalCells(audited.Name, cohorts))
	if err != nil {
		return nil, fmt.Errorf("measure totals: %w", err)
	}
	statistics, err := Decode(e.ID, in.query.metrics, result)
	if err != nil {
		return nil, err
	}
	broken, err := unknownUnits(result)
	if err != nil {
		return nil, err
	}
	fine := map[string][]Statistic{}
	for _, s := range statistics {
		fine[s.ExposureDate] = append(fine[s.ExposureDate], s)
	}
	var whole []lake.Partition
	for i, c := range cohorts {
		if broken[c.date] {
			in.say("the cohort of " + c.date + " is measured anew: a unit came in late, or has other ids")
			again = append(again, in.anew(c.date))
			continue
		}
		whole = append(whole, table.Partitions[i])
		cells[c.date] = measured{in.source(c.date), fine[c.date]}
	}
	table.Partitions = whole
	if len(whole) == 0 {
		return again, nil
	}
	return again, in.Catalog.Publish(ctx, table)
}

// unknownUnits are the cohorts that have units without a whole row.
func unknownUnits(result lake.Result) (map[string]bool, error) {
	at := map[string]int{}
	for i, c := range result.Columns {
		at[c] = i
	}
	out := map[string]bool{}
	for _, row := range result.Rows {
		cell := reader{row: row, at: at}
		if cell.number("unknown") > 0 {
			out[cell.text("exposure_date")] = true
		}
		if cell.err != nil {
			return nil, cell.err
		}
	}
	return out, nil
}

// The cells of all cohorts of an experiment are one small object: there is a file to write anyway for each look.
func (in *increments) key() string {
	return "measured/" + Totals(in.query.experiment.ID) + ".json.gz"
}

func (in *increments) load(ctx context.Context) (map[string]measured, error) {
	out := map[string]measured{}
	body, err := in.Objects.Get(ctx, in.key())
	if fault.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.key(), err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", in.key(), err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("read %s: %w", in.key(), err)
	}
	return out, nil
}

func (in *increments) save(ctx context.Context, cells map[string]measured) error {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if err := json.NewEncoder(z).Encode(cells); err != nil {
		return fmt.Errorf("write %s: %w", in.key(), err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write %s: %w", in.key(), err)
	}
	return in.Objects.Put(ctx, in.key(), body.Bytes(), lake.Overwrite)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
