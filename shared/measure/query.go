package measure

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Query is the SELECT that reduces an experiment to sufficient statistics: one scan of each table of facts
// for all its metrics, one row per variant and day of first exposure. Each unit stands in exactly
// one cell, so that cells add up to any range of cohorts, which sums by event day would not.
//
// A metric's columns carry its position: y<i>_mean, y<i>_ss (centred sum of squares), y<i>_nonzero, and with a
// denominator d<i> or covariates x<i> and z<i> their means and the centred sums of products, as yd<i>_sp. Centred
// sums keep the variance of a mean of 1e9 with a deviation of 1, which sums of squares lose. A quantile has
// y<i>_quantile, _low and _high where the cell has that value, and y<i>_ranked, the units of the cell that took part.
func Query(e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) string {
	return QueryUnder(Resolved, e, metrics, asOf)
}

// QueryUnder is Query under a policy of identity.
func QueryUnder(p Policy, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) string {
	return newQuery(p, e, metrics, asOf).text()
}

func newQuery(p Policy, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) *query {
	q := &query{experiment: e, metrics: metrics, asOf: asOf.UTC(), until: asOf.UTC(), of: p.source(e)}
	if end := e.End(); q.until.After(end) {
		q.until = end
	}
	q.ctes = q.of.ctes
	return q
}

// query is being written: a list of named SELECTs, each over the one before.
type query struct {
	experiment *experiment.Experiment
	metrics    []metric.Metric
	asOf       time.Time
	until      time.Time // asOf, or the planned end: no window is longer
	of         source
	population string // SELECT of the units; empty: those of the experiment
	ctes       []string
	last       string // name of the last
}

func (q *query) with(name, format string, args ...any) {
	q.ctes = append(q.ctes, name+" as (\n"+fmt.Sprintf(format, args...)+"\n)")
	q.last = name
}

func (q *query) text() string {
	q.values()
	q.rank()
	return "with " + strings.Join(q.ctes, ",\n\n") + "\n\n" + q.cells("")
}

// values has a row per unit, with its value of each metric.
func (q *query) values() {
	q.units()
	tables := q.tables()
	for i, t := range tables {
		suffix := ""
		if i > 0 {
			suffix = "_" + t.Name
		}
		q.happened(t, suffix)
		q.walk(t)
		q.value(t, suffix)
	}
	q.join(tables)
}

// tables lists the tables of facts that the metrics are over.
func (q *query) tables() []metric.Table {
	var out []metric.Table
	seen := map[metric.Table]bool{}
	for _, m := range q.metrics {
		for _, t := range m.Terms() {
			if !seen[t.Table] {
				seen[t.Table] = true
				out = append(out, t.Table)
			}
		}
	}
	return out
}

// units are those of the experiment, with all ids that are theirs.
func (q *query) units() {
	population := q.population
	if population == "" {
		population = fmt.Sprintf(`    select
        unit_id,
        variant,
        exposure_date,
        first_exposure_ts
    from %s
    where %s
        and not is_multi_variant`, q.of.exposure, cohort(q.experiment, q.asOf))
	}
	q.with("unit", "%s", population)
	q.with("entity", `    select
        u.entity_id,
        x.unit_id,
        x.variant,
        x.exposure_date,
        x.first_exposure_ts
    from unit as x
    join %s as u on u.unit_id = x.unit_id and u.valid_to is null`, q.of.user)
}

// cohort selects the units that came into the experiment by a moment.
func cohort(e *experiment.Experiment, asOf time.Time) string {
	end := e.End()
	if asOf.Before(end) {
		end = asOf
	}
	return fmt.Sprintf("experiment_id = %s\n        and exposure_date >= %s\n        and exposure_date < %s", lake.Quote(e.ID), day(e.Start.Time), day(end))
}

func day(t time.Time) string { return lake.Quote(t.UTC().Format(time.DateOnly)) }

func moment(t time.Time) string { return "timestamp " + lake.Quote(t.UTC().Format(time.DateTime)) }

// happened has a row per unit and fact, with what the fact is to each metric: NULL when nothing.
func (q *query) happened(t metric.Table, suffix string) {
	var columns strings.Builder
	add := func(name, sql string) { fmt.Fprintf(&columns, ",\n        %s as %s", sql, name) }
	if q.inOrder(t) {
		add("ts", "e."+t.Time)
	}
	for i, m := range q.metrics {
		for _, p := range q.parts(i, m, t) {
			for k, s := range m.Steps {
				add(p.column+"_"+strconv.Itoa(k+1), "case when "+both(s.Filter, p.window)+" then e."+t.Time+" end")
			}
			if m.Kind != metric.Funnel {
				add(p.column, fact(m, p.term, p.window))
			}
		}
	}
	whose := "e." + t.Entity
	if q.of.id != "" && t == metric.Events() {
		whose = q.of.id
	}
	q.with("happened"+suffix, `    select
        x.variant,
        x.exposure_date,
        x.unit_id%s
    from entity as x
    left join %s as e
        on %s = x.entity_id%s`, columns.String(), t.Name, whose, q.reach(t))
}

// span is how many days before its first exposure and how many hours after it, or for ever, facts count for a unit.
func (q *query) span() (before, hours int, ever bool) {
	for _, m := range q.metrics {
		before = max(before, m.Covariate)
		hours = max(hours, (m.Window.Delay+m.Window.Length)*m.Window.Hours())
		if m.Window.TimeZone != "" {
			hours = max(hours, (m.Window.Delay+m.Window.Length)*24+1) // a day can have 25 hours
		}
		ever = ever || m.Window.Lookback > 0
	}
	return before, hours, ever
}

// reach keeps the scan to the facts that any metric can need.
func (q *query) reach(t metric.Table) string {
	before, hours, ever := q.span()
	var out strings.Builder
	and := func(format string, args ...any) { fmt.Fprintf(&out, "\n        and "+format, args...) }
	if t.Date != "" {
		and("e.%s >= %s", t.Date, day(q.experiment.Start.AddDate(0, 0, -before)))
		and("e.%s < %s", t.Date, day(q.asOf))
	} else {
		and("e.%s < %s", t.Time, moment(q.asOf))
	}
	from := "x.first_exposure_ts"
	if before > 0 {
		from += " - " + interval(before, "day")
	}
	and("e.%s >= %s", t.Time, from)
	if !ever {
		and("e.%s < x.first_exposure_ts + %s", t.Time, length(hours))
	}
	if t.Bot != "" {
		and("not e.%s", t.Bot)
	}
	return out.String()
}

func interval(n int, unit string) string { return fmt.Sprintf("interval '%d' %s", n, unit) }

func length(hours int) string {
	if hours%24 == 0 {
		return interval(hours/24, "day")
	}
	return interval(hours, "hour")
}

// part is one column of a metric: y its value, d the denominator, x and z the same before exposure.
type part struct {
	column string
	term   metric.Term
	window string // condition on x and e
}

// parts lists a metric's columns that come from a table.
func (q *query) parts(i int, m metric.Metric, t metric.Table) []part {
	var out []part
	for n, term := range m.Terms() {
		if term.Table != t {
			continue
		}
		at := strconv.Itoa(i)
		out = append(out, part{"yd"[n:n+1] + at, term, q.window(m, t)})
		if m.Covariate > 0 {
			before := fmt.Sprintf("e.%[1]s >= x.first_exposure_ts - %[2]s and e.%[1]s < x.first_exposure_ts", t.Time, interval(m.Covariate, "day"))
			out = append(out, part{"xz"[n:n+1] + at, term, before})
		}
	}
	return out
}

// window is the condition that a fact counts for a metric.
func (q *query) window(m metric.Metric, t metric.Table) string {
	w, ts := m.Window, "e."+t.Time
	var out []string
	since := func(s string) { out = append(out, ts+" >= "+s) }
	switch {
	case w.Lookback > 0:
		since("x.first_exposure_ts")
		since(moment(q.until.AddDate(0, 0, -w.Lookback)))
		out = append(out, ts+" < "+moment(q.until))
	case w.TimeZone != "":
		since("x.first_exposure_ts")
		age := "date_diff('day', " + q.localDate("x.first_exposure_ts", w.TimeZone) + ", " + q.localDate(ts, w.TimeZone) + ")"
		if w.Delay > 0 {
			out = append(out, age+" >= "+strconv.Itoa(w.Delay))
		}
		out = append(out, age+" < "+strconv.Itoa(w.Delay+w.Length))
	default:
		if w.Delay > 0 {
			since("x.first_exposure_ts + " + length(w.Delay*w.Hours()))
		} else if q.covariates() {
			since("x.first_exposure_ts")
		}
		out = append(out, ts+" < x.first_exposure_ts + "+length((w.Delay+w.Length)*w.Hours()))
	}
	return strings.Join(out, " and ")
}

func (q *query) covariates() bool {
	for _, m := range q.metrics {
		if m.Covariate > 0 {
			return true
		}
	}
	return false
}

// localDate is the calendar day of a UTC timestamp in a time zone. Trino and DuckDB mean opposite things by "at time
// zone"; the zone's few changes of clock while an experiment runs can be said as they are.
func (q *query) localDate(ts, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC // metric.Load refuses such a zone
	}
	var cases strings.Builder
	at := q.experiment.Start.AddDate(0, 0, -1).In(location)
	for {
		_, seconds := at.Zone()
		local := ts
		if seconds > 0 {
			local += " + " + interval(seconds/60, "minute")
		} else if seconds < 0 {
			local += " - " + interval(-seconds/60, "minute")
		}
		_, next := at.ZoneBounds()
		if next.IsZero() || next.After(q.asOf) {
			if cases.Len() == 0 {
				return "cast(" + local + " as date)"
			}
			return "cast(case" + cases.String() + " else " + local + " end as date)"
		}
		fmt.Fprintf(&cases, " when %s < %s then %s", ts, moment(next), local)
		at = next
	}
}

func both(filter, condition string) string {
	if filter == "" {
		return condition
	}
	return "(" + filter + ") and " + condition // a filter may hold an or
}

// fact is what one fact is to a metric.
func fact(m metric.Metric, t metric.Term, window string) string {
	condition := both(t.Filter, window)
	value := "1e0"
	switch {
	case m.Kind == metric.Conversion || m.Kind == metric.Retention:
	case m.Kind == metric.TimeToEvent:
		value = fmt.Sprintf("cast(date_diff('millisecond', x.first_exposure_ts, e.%s) as double) / %de0", t.Table.Time, m.Window.Hours()*3_600_000)
	case t.Aggregation == "sum" || t.Aggregation == "max":
		value = "cast(" + t.Expression + " as double)"
	case t.Aggregation == "count_distinct":
		value = t.Expression
	case t.Expression != "1":
		condition += " and " + t.Expression + " is not null"
	}
	return "case when " + condition + " then " + value + " end"
}

// complete is the condition that a unit's window was complete at the look.
func (q *query) complete(m metric.Metric) string {
	return "exposure_date < " + day(q.until.AddDate(0, 0, -m.Window.End()))
}

// value reduces the facts of each unit to its values.
func (q *query) value(t metric.Table, suffix string) {
	var columns strings.Builder
	for i, m := range q.metrics {
		for _, p := range q.parts(i, m, t) {
			fmt.Fprintf(&columns, ",\n        %s as %s", total(m, p), p.column)
			if m.Kind == metric.Quantile && m.OfEvents {
				fmt.Fprintf(&columns, ",\n        cast(count(%[1]s) as double) as d%[2]d,\n        max(%[1]s_quantile) as %[1]s_quantile,\n        max(%[1]s_low) as %[1]s_low,\n        max(%[1]s_high) as %[1]s_high", p.column, i)
			}
		}
	}
	q.with("value"+suffix, `    select
        variant,
        exposure_date,
        unit_id%s
    from %s
    group by variant, exposure_date, unit_id`, columns.String(), q.last)
}

// total is a unit's value of all its facts.
func total(m metric.Metric, p part) string {
	c := p.column
	counted := c
	once := m.Kind == metric.Conversion || m.Kind == metric.Retention || m.Kind == metric.TimeToEvent
	if m.Touch != metric.AllTouches && !once && (c[0] == 'y' || c[0] == 'd') {
		counted = "case when " + c + "_touch = 1 then " + c + " end"
	}
	switch {
	case m.Kind == metric.Funnel:
		return "max(case when " + reached(c, len(m.Steps)) + " is not null then 1e0 else 0e0 end)"
	case m.Kind == metric.Quantile && m.OfEvents:
		return fmt.Sprintf("cast(count(case when %[1]s <= %[1]s_quantile then 1 end) as double)", c)
	case once && m.Kind != metric.TimeToEvent:
		return "case when count(" + c + ") > 0 then 1e0 else 0e0 end" // cheaper than the largest of doubles
	case p.term.Aggregation == "count" && !once:
		return finish(m, "cast(count("+counted+") as double)")
	case p.term.Aggregation == "count_distinct" && !once:
		return finish(m, "cast(count(distinct "+counted+") as double)")
	}
	return finish(m, combine(m, p.term)+"("+counted+")")
}

// combine is the aggregate that reduces a unit's facts: NULL when there is none.
func combine(m metric.Metric, t metric.Term) string {
	switch {
	case m.Kind == metric.TimeToEvent:
		return "min"
	case m.Kind == metric.Conversion || m.Kind == metric.Retention || t.Aggregation == "max":
		return "max"
	}
	return "sum"
}

// finish makes a unit's value of what its facts were reduced to.
func finish(m metric.Metric, reduced string) string {
	none := "0e0"
	if m.Kind == metric.TimeToEvent {
		none = strconv.Itoa(m.Window.Length) + "e0"
	}
	value := "coalesce(" + reduced + ", " + none + ")"
	if m.Cap > 0 {
		value = "least(" + value + ", " + strconv.FormatFloat(m.Cap, 'e', -1, 64) + ")"
	}
	return value
}

// join puts the values of a unit from several tables beside each other.
func (q *query) join(tables []metric.Table) {
	if len(tables) < 2 {
		return
	}
	var columns, from strings.Builder
	from.WriteString("value as t0")
	for n, t := range tables {
		if n > 0 {
			fmt.Fprintf(&from, "\n    join value_%s as t%d on t%[2]d.unit_id = t0.unit_id", t.Name, n)
		}
		for i, m := range q.metrics {
			for _, p := range q.parts(i, m, t) {
				fmt.Fprintf(&columns, ",\n        t%d.%s", n, p.column)
				if m.Kind == metric.Quantile && m.OfEvents {
					fmt.Fprintf(&columns, ",\n        t%[1]d.d%[2]d,\n        t%[1]d.y%[2]d_quantile,\n        t%[1]d.y%[2]d_low,\n        t%[1]d.y%[2]d_high", n, i)
				}
			}
		}
	}
	q.with("joined", "    select\n        t0.variant,\n        t0.exposure_date,\n        t0.unit_id%s\n    from %s", columns.String(), from.String())
}

// cells merges the units of each variant and day.
func (q *query) cells(more string) string {
	var columns strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&columns, ",\n    "+format, args...) }
	for i, m := range q.metrics {
		y := "y" + strconv.Itoa(i)
		if m.CapQuantile > 0 {
			y += "_capped"
		}
		add("count(case when %s <> 0 then 1 end) as y%d_nonzero", y, i)
		letters, names := shape(m), map[byte]string{'y': y}
		for a := range len(letters) {
			name := names[letters[a]]
			if name == "" {
				name = letters[a:a+1] + strconv.Itoa(i)
			}
			names[letters[a]] = name
			add("avg(%s) as %c%d_mean", name, letters[a], i)
			add("var_pop(%s) * count(*) as %c%d_ss", name, letters[a], i)
			for b := range a {
				add("covar_pop(%s, %s) * count(*) as %c%c%d_sp", names[letters[b]], name, letters[b], letters[a], i)
			}
		}
		if m.Kind == metric.Quantile {
			for _, r := range []string{"quantile", "low", "high"} {
				add("max(y%d_%s) as y%[1]d_%[2]s", i, r)
			}
			add("count(case when %s then 1 end) as y%d_ranked", q.complete(m), i)
		}
	}
	return fmt.Sprintf(`select
    variant,
    exposure_date,
    count(*) as units%s%s
from %s
group by variant, exposure_date
order by variant, exposure_date`, columns.String(), more, q.last)
}

// shape names the columns of a metric's moments: its value, denominator, and covariates.
func shape(m metric.Metric) string {
	out := "y"
	if m.Kind == metric.Ratio || m.Kind == metric.Quantile && m.OfEvents {
		out += "d"
	}
	if m.Covariate > 0 {
		out += "x"
		if m.Kind == metric.Ratio {
			out += "z"
		}
	}
	return out
}
