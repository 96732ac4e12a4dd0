package measure

import (
	"context"
	"fmt"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Population is who might have been in an experiment, in days before it: everybody who was seen, or the units of an
// experiment, which may be the same one.
type Population struct {
	Like     string // id of an experiment; empty: everybody
	From, To time.Time
}

// units is the SELECT of them, all in one arm.
func (p Population) units(arm string) string {
	if p.Like != "" {
		return fmt.Sprintf(`    select
        unit_id,
        %s as variant,
        exposure_date,
        first_exposure_ts
    from fact_experiment_exposure
    where experiment_id = %s
        and exposure_date >= %s
        and exposure_date < %s
        and not is_multi_variant`, lake.Quote(arm), lake.Quote(p.Like), day(p.From), day(p.To))
	}
	return fmt.Sprintf(`    select
        u.unit_id,
        %s as variant,
        cast(cast(min(f.event_ts) as date) as varchar) as exposure_date,
        min(f.event_ts) as first_exposure_ts
    from fact_event as f
    join dim_user as u on u.entity_id = f.entity_id and u.valid_to is null
    where f.event_date >= %s
        and f.event_date < %s
        and not f.is_bot
    group by u.unit_id`, lake.Quote(arm), day(p.From), day(p.To))
}

// Rehearse measures the metrics of an experiment on a population that it did not treat, as if all were in the control
// from when they were first seen on; and counts who came new on which day.
func (m *Measurer) Rehearse(ctx context.Context, e *experiment.Experiment, metrics []metric.Metric, p Population) ([]Statistic, []Exposure, error) {
	used, err := Select(e, metrics)
	if err != nil {
		return nil, nil, err
	}
	result, err := m.Engine.Query(ctx, p.Query(e, used))
	if err != nil {
		return nil, nil, fmt.Errorf("rehearse %s: %w", e.ID, err)
	}
	statistics, err := Decode(e.ID, used, result)
	if err != nil {
		return nil, nil, err
	}
	traffic, err := lake.Read[Exposure](ctx, m.Engine, `with unit as (
`+p.units(e.Control)+`
)

select
    `+lake.Quote(e.ID)+` as experiment_id,
    variant,
    exposure_date,
    count(*) as units,
    0 as units_multiple,
    0 as units_tracked,
    0 as units_lossy,
    `+day(p.To)+` as as_of
from unit
group by variant, exposure_date
order by exposure_date`)
	if err != nil {
		return nil, nil, fmt.Errorf("count traffic: %w", err)
	}
	return statistics, traffic, nil
}

// Query is the SELECT that Rehearse runs.
func (p Population) Query(e *experiment.Experiment, metrics []metric.Metric) string {
	rehearsal := *e
	rehearsal.Start = experiment.Date{Time: p.From}
	rehearsal.PlannedDays = int(p.To.Sub(p.From).Hours() / 24)
	q := &query{experiment: &rehearsal, metrics: metrics, asOf: p.To, until: p.To, of: Resolved.source(nil), population: p.units(e.Control)}
	return q.text()
}

// Tables names what Query reads.
func Tables(metrics []metric.Metric) []string {
	out := []string{"dim_user", "fact_experiment_exposure"}
	for _, t := range (&query{metrics: metrics}).tables() {
		out = append(out, t.Name)
	}
	return out
}
