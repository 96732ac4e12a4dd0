-- What each unit of the experiment did: {{.Metric.Label}}.
-- One row per unit whose window is complete: its variant, its value (y) and, of a ratio, its denominator (d).
with unit as (
    select
        unit_id,
        variant,
        exposure_date,
        first_exposure_ts
    from fact_experiment_exposure
    where experiment_id = {{text .Experiment.ID}}
        and exposure_date >= {{day .Experiment.Start.Time}}
        and exposure_date < {{day .Complete}}
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
    join dim_user as u
        on u.unit_id = x.unit_id
        and u.valid_to is null
)

select
    x.unit_id,
    x.variant,
    x.exposure_date,
    x.first_exposure_ts,
    {{.Numerator}} as y,
    {{.Denominator}} as d
from entity as x
left join fact_event as e
    on e.entity_id = x.entity_id
    and e.event_date >= {{day .Experiment.Start.Time}}
    and e.event_date < {{day .AsOf}}
    and e.event_ts >= x.first_exposure_ts + interval '{{.Metric.Window.Delay}}' day
    and e.event_ts < x.first_exposure_ts + interval '{{.Metric.Window.End}}' day
    and not e.is_bot
group by x.unit_id, x.variant, x.exposure_date, x.first_exposure_ts
