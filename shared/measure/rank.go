package measure

import (
	"fmt"
	"strconv"
	"strings"

	"verdict/shared/metric"
	"verdict/shared/stats"
)

// inOrder tells whether any metric asks which fact came first.
func (q *query) inOrder(t metric.Table) bool {
	for _, m := range q.metrics {
		for _, term := range m.Terms() {
			if term.Table == t && (m.Kind == metric.Funnel || m.Touch != metric.AllTouches) {
				return true
			}
		}
	}
	return false
}

// walk adds, over the facts of each unit in their order, what depends on it: the steps of funnels, touches, and the
// ranks of events.
func (q *query) walk(t metric.Table) {
	from := q.last
	for step := 2; ; step++ {
		var columns []string
		for i, m := range q.metrics {
			if m.Kind != metric.Funnel || m.Numerator.Table != t || len(m.Steps) < step {
				continue
			}
			y, within := "y"+strconv.Itoa(i), ""
			before := fmt.Sprintf("max(%s) over (partition by unit_id order by ts)", reached(y, step-1))
			if w := m.Steps[step-1].Within; w > 0 {
				within = fmt.Sprintf(" and date_diff('millisecond', %s, ts) <= %d", before, w)
			}
			// The latest way to the step before is the best: whatever an earlier one allows, it allows.
			columns = append(columns, fmt.Sprintf("case when %s_%d is not null and %s is not null%s then ts end as %s", y, step, before, within, reached(y, step)))
		}
		if columns == nil {
			break
		}
		q.with(fmt.Sprintf("%s_step_%d", from, step), "    select\n        *,\n        %s\n    from %s", strings.Join(columns, ",\n        "), q.last)
	}
	var ranks, marks []string
	for i, m := range q.metrics {
		for _, p := range q.parts(i, m, t) {
			switch {
			case p.column[0] != 'y' && p.column[0] != 'd':
			case m.Touch != metric.AllTouches:
				order := "ts, " + p.column
				if m.Touch == metric.LastTouch {
					order = "ts desc, " + p.column + " desc"
				}
				ranks = append(ranks, fmt.Sprintf("row_number() over (partition by unit_id, %[1]s is null order by %[2]s) as %[1]s_touch", p.column, order))
			case m.Kind == metric.Quantile && m.OfEvents:
				complete := q.complete(m)
				ranks = append(ranks,
					fmt.Sprintf("row_number() over (partition by variant, %[1]s, %[2]s is null order by %[2]s) as %[2]s_rank", complete, p.column),
					fmt.Sprintf("count(%[1]s) over (partition by variant, %[2]s) as %[1]s_n", p.column, complete))
				for _, r := range ranksOf(m.Level, p.column) {
					marks = append(marks, fmt.Sprintf("max(case when %[1]s and %[2]s is not null and %[2]s_rank = %[3]s then %[2]s end) over (partition by variant) as %[2]s_%[4]s", complete, p.column, r.at, r.name))
				}
			}
		}
	}
	if ranks != nil {
		q.with(from+"_ranked", "    select\n        *,\n        %s\n    from %s", strings.Join(ranks, ",\n        "), q.last)
	}
	if marks != nil {
		q.with(from+"_marked", "    select\n        *,\n        %s\n    from %s", strings.Join(marks, ",\n        "), q.last)
	}
}

func reached(y string, step int) string {
	if step == 1 {
		return y + "_1"
	}
	return y + "_reached_" + strconv.Itoa(step)
}

// rank adds what depends on the values of all units: quantiles of units, and caps that are quantiles.
func (q *query) rank() {
	var ranks, marks []string
	for i, m := range q.metrics {
		y, complete := "y"+strconv.Itoa(i), q.complete(m)
		switch {
		case m.Kind == metric.Quantile && !m.OfEvents:
			ranks = append(ranks,
				fmt.Sprintf("row_number() over (partition by variant, %[1]s order by %[2]s) as %[2]s_rank", complete, y),
				fmt.Sprintf("count(*) over (partition by variant, %s) as %s_n", complete, y))
			for _, r := range ranksOf(m.Level, y) {
				marks = append(marks, fmt.Sprintf("case when %[1]s and %[2]s_rank = %[3]s then %[2]s end as %[2]s_%[4]s", complete, y, r.at, r.name))
			}
		case m.CapQuantile > 0:
			ranks = append(ranks,
				fmt.Sprintf("row_number() over (partition by %[1]s order by %[2]s) as %[2]s_rank", complete, y),
				fmt.Sprintf("count(*) over (partition by %s) as %s_n", complete, y))
			limit := fmt.Sprintf("max(case when %[1]s and %[2]s_rank = %[3]s then %[2]s end) over ()", complete, y, rankAt(m.CapQuantile, 0, y))
			marks = append(marks, fmt.Sprintf("least(%[1]s, coalesce(%[2]s, %[1]s)) as %[1]s_capped", y, limit))
		}
	}
	if ranks == nil {
		return
	}
	q.with("ranked", "    select\n        *,\n        %s\n    from %s", strings.Join(ranks, ",\n        "), q.last)
	q.with("marked", "    select\n        *,\n        %s\n    from %s", strings.Join(marks, ",\n        "), q.last)
}

type rank struct{ name, at string }

// ranksOf lists the ranks that tell a quantile and its error: those of stats.QuantileRanks, of y_n values.
func ranksOf(level float64, y string) []rank {
	return []rank{{"quantile", rankAt(level, 0, y)}, {"low", rankAt(level, -1, y)}, {"high", rankAt(level, 1, y)}}
}

// rankAt is the position, from 1 to y_n, of a quantile plus so many times the half width of its interval.
func rankAt(level float64, sign int, y string) string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'e', -1, 64) }
	n := "cast(" + y + "_n as double)"
	at := n + " * " + number(level)
	switch sign {
	case -1:
		at += " - sqrt(" + n + ") * " + number(stats.RankWidth(level))
	case 1:
		at += " + sqrt(" + n + ") * " + number(stats.RankWidth(level))
	}
	return "greatest(1e0, least(" + n + ", ceil(" + at + ")))"
}
