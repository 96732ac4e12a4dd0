-- {{.Metric.Label}} by day of a unit's life in the experiment: does the effect wear off, or have to be learned?
-- Each day stands alone: events of that day, of the same units on every day.
with day_of_life as (
{{- range $i, $day := .Days}}
{{- if $i}}
    union all{{end}}
    select {{$day}} as n
{{- end}}
),

entity as (
    select
        u.entity_id,
        x.unit_id,
        x.variant,
        x.first_exposure_ts,
        l.n
    from fact_experiment_exposure as x
    join dim_user as u
        on u.unit_id = x.unit_id
        and u.valid_to is null
    cross join day_of_life as l
    where x.experiment_id = {{text .Experiment.ID}}
        and x.exposure_date >= {{day .Experiment.Start.Time}}
        and x.exposure_date < {{day .Complete}}
        and not x.is_multi_variant
),

daily as (
    select
        x.unit_id,
        x.variant,
        x.n,
        {{.Numerator}} as y,
        {{.Denominator}} as d
    from entity as x
    left join fact_event as e
        on e.entity_id = x.entity_id
        and e.event_date >= {{day .Experiment.Start.Time}}
        and e.event_date < {{day .AsOf}}
        and e.event_ts >= x.first_exposure_ts + x.n * interval '1' day
        and e.event_ts < x.first_exposure_ts + (x.n + 1) * interval '1' day
        and not e.is_bot
    group by x.unit_id, x.variant, x.n
)

select
    n as day_of_life,
    variant,
    {{template "moments.sql"}}
from daily
group by n, variant
order by n, variant
