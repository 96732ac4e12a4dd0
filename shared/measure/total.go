package measure

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"verdict/shared/lake"
	"verdict/shared/metric"
)

// additive tells whether a metric's value is a function of totals over the facts of each day, and the same at
// every look. days says whether a table is partitioned by the day of its facts.
func additive(m metric.Metric, days func(metric.Table) bool) bool {
	if m.Kind == metric.Funnel || m.Kind == metric.Quantile || m.Touch != metric.AllTouches || m.CapQuantile > 0 || m.Window.Lookback > 0 {
		return false
	}
	for _, t := range m.Terms() {
		if t.Aggregation == "count_distinct" || !days(t.Table) {
			return false
		}
	}
	return true
}

// The last days of an experiment's facts that may still change as a matter of course: a model that reads a day around
// makes a day anew when the next one lands (fact_event).
const settling = 1

// dated are the days whose facts can count for the units of a cohort: from before its day to after it.
func dated(metrics []metric.Metric) (before, after int) {
	q := &query{metrics: metrics}
	before, hours, _ := q.span()
	return before, (hours + 23) / 24
}

// A cohort is the units that were first exposed on a day.
type cohortPlan struct {
	date string
	from time.Time // the first day of facts to add
	old  bool      // to what its partition holds
}

// closed tells whether the windows of a cohort had ended when its partition was written: there are no facts to add.
func (c cohortPlan) closed(metrics []metric.Metric) bool {
	_, after := dated(metrics)
	return c.old && c.from.After(dateOf(c.date).AddDate(0, 0, after))
}

// totals is the SELECT of the new rows of some cohorts: a row per unit, known by its fingerprint, the day of first exposure last. A part stands in
// two columns, y0 of the settled days and y0_last of those from settled on.
//
// since is the first day that the row's facts are of, counted from the cohort's. Of a unit without an old row in a cohort
// that has old rows it is later than it should be.
func (q *query) totals(cohorts []cohortPlan, settled time.Time) string {
	var open, closed []cohortPlan
	for _, c := range cohorts {
		if c.closed(q.metrics) {
			closed = append(closed, c)
		} else {
			open = append(open, c)
		}
	}
	var selects []string
	if open != nil {
		selects = append(selects, q.added(open, settled))
	}
	if closed != nil {
		selects = append(selects, q.kept(closed))
	}
	with := ""
	if q.ctes != nil {
		with = "with " + strings.Join(q.ctes, ",\n\n") + "\n\n"
	}
	return with + strings.Join(selects, "\nunion all\n")
}

// kept are the rows of closed cohorts whose units are still what they were. To read the units' ids would cost more than all
// else about these cohorts.
func (q *query) kept(cohorts []cohortPlan) string {
	var columns strings.Builder
	for _, p := range q.allParts() {
		fmt.Fprintf(&columns, ",\n    s.%[1]s,\n    cast(null as double) as %[1]s_last", p.column)
	}
	in := "exposure_date in (" + dates(cohorts, everyCohort) + ")"
	return fmt.Sprintf(`select
    coalesce(s.variant, '') as variant,
    x.fingerprint,
    coalesce(s.since, 1) as since%s,
    x.exposure_date
from fact_experiment_exposure as x
left join %s as s
    on s.exposure_date = x.exposure_date
    and s.fingerprint = x.fingerprint
    and s.%s
where x.experiment_id = %s
    and x.%s
    and not x.is_multi_variant`, columns.String(), Totals(q.experiment.ID), in, lake.Quote(q.experiment.ID), in)
}

// added are the rows of cohorts with the facts since they were written.
func (q *query) added(cohorts []cohortPlan, settled time.Time) string {
	q.members(cohorts)
	all := q.allParts()
	var sums, columns strings.Builder
	var branches []string
	for n, t := range q.tables() {
		suffix := ""
		if n > 0 {
			suffix = "_" + t.Name
		}
		q.fresh(t, suffix, cohorts, settled)
		var own strings.Builder
		for _, p := range all {
			column, value := p.column, "cast(null as double)"
			if p.term.Table == t {
				value = combine(p.metric, p.term) + "(" + column + ")"
			}
			fmt.Fprintf(&own, ",\n        case when is_last then %[2]s end as %[1]s_last,\n        case when not is_last then %[2]s end as %[1]s", column, value)
		}
		branches = append(branches, fmt.Sprintf("    select\n        unit_id%s\n    from %s\n    group by unit_id, is_last", own.String(), q.last))
	}
	old := dates(cohorts, func(c cohortPlan) bool { return c.old })
	for _, p := range all {
		f := combine(p.metric, p.term)
		fmt.Fprintf(&sums, ",\n        %[1]s(%[2]s) as %[2]s,\n        %[1]s(%[2]s_last) as %[2]s_last", f, p.column)
		value := "t." + p.column
		if old != "" {
			value = either(f, value, "s."+p.column)
		}
		fmt.Fprintf(&columns, ",\n    %[2]s as %[1]s,\n    t.%[1]s_last", p.column, value)
	}
	q.with("added", "%s", strings.Join(branches, "\n    union all\n"))
	q.with("total", "    select\n        unit_id%s\n    from added\n    group by unit_id", sums.String())
	since, join := "x.since", ""
	if old != "" {
		since = "coalesce(s.since, x.since)"
		join = fmt.Sprintf(`
left join %s as s
    on s.exposure_date = x.exposure_date
    and s.fingerprint = x.fingerprint
    and s.exposure_date in (%s)`, Totals(q.experiment.ID), old)
	}
	return `select
    x.variant,
    x.fingerprint,
    ` + since + ` as since` + columns.String() + `,
    x.exposure_date
from unit as x
left join total as t on t.unit_id = x.unit_id` + join
}

// either reduces two values one of which or both may be NULL, which is no fact at all.
func either(combine, a, b string) string {
	both := a + " + " + b
	if combine != "sum" {
		both = fmt.Sprintf("case when %[1]s %[2]s %[3]s then %[1]s else %[3]s end", a, map[string]string{"min": "<", "max": ">"}[combine], b)
	}
	return fmt.Sprintf("case when %[1]s is null then %[2]s when %[2]s is null then %[1]s else %[3]s end", a, b, both)
}

// members are the units of some cohorts.
func (q *query) members(cohorts []cohortPlan) {
	var from, since strings.Builder
	first := cohorts[0].date
	for _, c := range cohorts {
		first = min(first, c.date)
		date := lake.Quote(c.date)
		fmt.Fprintf(&from, "\n            when x.exposure_date = %s then %s", date, day(c.from))
		fmt.Fprintf(&since, "\n            when x.exposure_date = %s then %d", date, int(c.from.Sub(dateOf(c.date)).Hours()/24))
	}
	q.with("unit", `    select
        x.unit_id,
        x.variant,
        x.exposure_date,
        x.first_exposure_ts,
        x.fingerprint,
        case%s
        end as from_date,
        case%s
        end as since
    from fact_experiment_exposure as x
    where x.experiment_id = %s
        and x.exposure_date >= %s
        and x.exposure_date in (%s)
        and not x.is_multi_variant`, from.String(), since.String(), lake.Quote(q.experiment.ID), lake.Quote(first), dates(cohorts, everyCohort))
}

// fresh are the facts to add to the totals, those of the unsettled days marked. Whose they are tells identity_map, which
// dim_user is made from: it holds only what was merged. An engine may read the units as often as they are named.
func (q *query) fresh(t metric.Table, suffix string, cohorts []cohortPlan, settled time.Time) {
	var columns strings.Builder
	for i, m := range q.metrics {
		for _, p := range q.parts(i, m, t) {
			fmt.Fprintf(&columns, ",\n        %s as %s", fact(m, p.term, p.window), p.column)
		}
	}
	before, after := dated(q.metrics)
	read := map[string]bool{}
	for _, c := range cohorts {
		for d := laterOf(c.from, dateOf(c.date).AddDate(0, 0, -before)); !d.After(dateOf(c.date).AddDate(0, 0, after)) && d.Before(q.asOf); d = d.AddDate(0, 0, 1) {
			read[d.Format(time.DateOnly)] = true
		}
	}
	in := "1 = 0"
	if len(read) > 0 {
		in = "e." + t.Date + " in (" + lake.QuoteList(sortedKeys(read)) + ")"
	}
	q.with("happened"+suffix, `    select
        x.unit_id,
        e.%[1]s >= %[2]s as is_last%[3]s
    from %[4]s as e
    left join identity_map as m on m.entity_id = e.%[5]s
    join unit as x
        on x.unit_id = coalesce(m.unit_id, e.%[5]s)
        and %[6]s
        and e.%[1]s >= x.from_date%[7]s`, t.Date, day(settled), columns.String(), t.Name, t.Entity, in, q.reach(t))
}

// totalCells is the query of the cells of some cohorts over their totals. Its columns are those of Query, and unknown:
// the number of units whose rows lack days.
func (q *query) totalCells(table string, cohorts []cohortPlan) string {
	before, _ := dated(q.metrics)
	var columns strings.Builder
	for _, p := range q.allParts() {
		f := combine(p.metric, p.term)
		whole := either(f, p.column, p.column+"_last")
		fmt.Fprintf(&columns, ",\n        %s as %s", finish(p.metric, whole), p.column)
	}
	q.with("value", `    select
        variant,
        exposure_date,
        since%s
    from %s
    where exposure_date in (%s)`, columns.String(), table, dates(cohorts, everyCohort))
	unknown := fmt.Sprintf(",\n    count(case when since > %d then 1 end) as unknown", -before)
	return "with " + strings.Join(q.ctes, ",\n\n") + "\n\n" + q.cells(unknown)
}

// partOf is a part with its metric.
type partOf struct {
	part
	metric metric.Metric
}

func (q *query) allParts() []partOf {
	var out []partOf
	for i, m := range q.metrics {
		for _, t := range q.tables() {
			for _, p := range q.parts(i, m, t) {
				out = append(out, partOf{p, m})
			}
		}
	}
	return out
}

// totalColumns are the columns of the table of totals.
func (q *query) totalColumns() []lake.Column {
	out := []lake.Column{
		{Name: "variant", Type: "varchar"},
		{Name: "fingerprint", Type: "bigint"},
		{Name: "since", Type: "bigint"},
	}
	for _, p := range q.allParts() {
		out = append(out, lake.Column{Name: p.column, Type: "double"}, lake.Column{Name: p.column + "_last", Type: "double"})
	}
	return out
}

// population is one row of a query: what the units of a cohort are.
type population struct {
	Experiment  string `lake:"experiment_id"`
	Date        string `lake:"exposure_date"`
	Units       int64  `lake:"units"`
	Fingerprint int64  `lake:"fingerprint"` // the sum of the last 30 bits of theirs
}

// populations is the query of the checksums of cohorts, of all experiments at once: it reads all their units.
func populations(cohorts []string) string {
	return `select
    experiment_id,
    exposure_date,
    count(*) as units,
    cast(sum(fingerprint % 1073741824) as bigint) as fingerprint
from fact_experiment_exposure
where not is_multi_variant
    and (` + strings.Join(cohorts, "\n        or ") + `)
group by experiment_id, exposure_date`
}

func everyCohort(cohortPlan) bool { return true }

// dates lists days of cohorts as SQL.
func dates(cohorts []cohortPlan, which func(cohortPlan) bool) string {
	var out []string
	for _, c := range cohorts {
		if which(c) {
			out = append(out, c.date)
		}
	}
	return lake.QuoteList(out)
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func dateOf(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic("measure: " + strconv.Quote(text) + " is no day")
	}
	return t
}
