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

// Query is the SELECT that reduces an experiment to sufficient statistics: one scan of the events
// for all its metrics, one row per variant and day of first exposure. Each unit stands in exactly
// one cell, so that cells add up to any range of cohorts, which sums by event day would not.
//
// A metric's columns carry its position: y<i>_mean, y<i>_ss (centred sum of squares), y<i>_nonzero,
// and for a ratio d<i>_mean, d<i>_ss and yd<i>_sp (centred sum of products). Centred sums keep the
// variance of a mean of 1e9 with a deviation of 1, which sums of squares lose.
func Query(e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) string {
	var unit, cells strings.Builder
	last := 0
	for i, m := range metrics {
		last = max(last, m.Window.End())
		fmt.Fprintf(&unit, ",\n        %s as y%d", unitValue(m, m.Numerator), i)
		fmt.Fprintf(&cells, ",\n    avg(y%[1]d) as y%[1]d_mean,\n    var_pop(y%[1]d) * count(*) as y%[1]d_ss,\n    count(case when y%[1]d <> 0 then 1 end) as y%[1]d_nonzero", i)
		if m.Kind == metric.Ratio {
			fmt.Fprintf(&unit, ",\n        %s as d%d", unitValue(m, m.Denominator), i)
			fmt.Fprintf(&cells, ",\n    avg(d%[1]d) as d%[1]d_mean,\n    var_pop(d%[1]d) * count(*) as d%[1]d_ss,\n    covar_pop(y%[1]d, d%[1]d) * count(*) as yd%[1]d_sp", i)
		}
	}
	return fmt.Sprintf(`with unit as (
    select
        unit_id,
        variant,
        exposure_date,
        first_exposure_ts
    from fact_experiment_exposure
    where %s
        and not is_multi_variant
),

entity as (
    select
        u.entity_id,
        x.unit_id,
        x.variant,
        x.exposure_date,
        x.first_exposure_ts
    from unit as x
    join dim_user as u on u.unit_id = x.unit_id and u.valid_to is null
),

value as (
    select
        x.variant,
        x.exposure_date,
        x.unit_id%s
    from entity as x
    left join fact_event as e
        on e.entity_id = x.entity_id
        and e.event_date >= %s
        and e.event_date < %s
        and e.event_ts >= x.first_exposure_ts
        and e.event_ts < x.first_exposure_ts + interval '%d' day
        and not e.is_bot
    group by x.variant, x.exposure_date, x.unit_id
)

select
    variant,
    exposure_date,
    count(*) as units%s
from value
group by variant, exposure_date
order by variant, exposure_date`,
		cohort(e, asOf), unit.String(), day(e.Start.Time), day(asOf), last, cells.String())
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

// unitValue aggregates the events of one unit within the metric's window.
func unitValue(m metric.Metric, t metric.Term) string {
	condition := fmt.Sprintf("e.event_ts < x.first_exposure_ts + interval '%d' day", m.Window.End())
	if m.Window.Delay > 0 {
		condition = fmt.Sprintf("e.event_ts >= x.first_exposure_ts + interval '%d' day and %s", m.Window.Delay, condition)
	}
	if t.Filter != "" {
		condition = "(" + t.Filter + ") and " + condition // a filter may hold an or
	}
	if m.Kind == metric.Conversion || m.Kind == metric.Retention {
		return "max(case when " + condition + " then 1e0 else 0e0 end)"
	}
	term := "1e0"
	switch {
	case t.Aggregation == "sum":
		term = "coalesce(cast(e." + t.Expression + " as double), 0e0)"
	case t.Expression != "1":
		condition += " and e." + t.Expression + " is not null"
	}
	value := "sum(case when " + condition + " then " + term + " else 0e0 end)"
	if m.Cap > 0 {
		value = "least(" + value + ", " + strconv.FormatFloat(m.Cap, 'e', -1, 64) + ")"
	}
	return value
}
