-- {{.Metric.Label}} under other rules of identity. If the verdict depends on the rule, it rests on who was taken for whom.
--   resolved     ids of one person are one unit; who saw several variants is left out (the readout)
--   first_touch  the same units; who saw several variants counts for the first
--   last_touch   the same units; who saw several variants counts for the last
--   strict       every id is a unit of its own; ids that saw several variants are left out
with exposure as (
    select
        json_extract_scalar(e.properties, '$.variant') as variant,
        e.entity_id,
        u.unit_id,
        e.event_ts,
        e.event_id
    from fact_event as e
    join dim_user as u
        on u.entity_id = e.entity_id
        and u.valid_to is null
    where e.event_name = 'experiment_exposed'
        and json_extract_scalar(e.properties, '$.experiment_id') = {{text .Experiment.ID}}
        and not e.is_bot
),

touch as (
    select
        unit_id,
        variant,
        min(event_ts) over (partition by unit_id) as first_exposure_ts,
        row_number() over (partition by unit_id order by event_ts, event_id) as from_first,
        row_number() over (partition by unit_id order by event_ts desc, event_id desc) as from_last
    from exposure
),

chosen as (
    select
        'resolved' as rule,
        unit_id,
        min(variant) as variant,
        min(event_ts) as first_exposure_ts
    from exposure
    group by unit_id
    having count(distinct variant) = 1
    union all
    select
        'first_touch' as rule,
        unit_id,
        variant,
        first_exposure_ts
    from touch
    where from_first = 1
    union all
    select
        'last_touch' as rule,
        unit_id,
        variant,
        first_exposure_ts
    from touch
    where from_last = 1
    union all
    select
        'strict' as rule,
        entity_id as unit_id,
        min(variant) as variant,
        min(event_ts) as first_exposure_ts
    from exposure
    group by entity_id
    having count(distinct variant) = 1
),

complete as (
    select
        rule,
        unit_id,
        variant,
        first_exposure_ts
    from chosen
    where first_exposure_ts >= timestamp {{text (moment .Experiment.Start.Time)}}
        and first_exposure_ts < timestamp {{text (moment .Complete)}}
),

entity as (
    select
        c.rule,
        c.unit_id,
        c.variant,
        c.first_exposure_ts,
        u.entity_id
    from complete as c
    join dim_user as u
        on u.unit_id = c.unit_id
        and u.valid_to is null
    where c.rule <> 'strict'
    union all
    select
        rule,
        unit_id,
        variant,
        first_exposure_ts,
        unit_id as entity_id
    from complete
    where rule = 'strict'
),

unit_value as (
    select
        x.rule,
        x.unit_id,
        x.variant,
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
    group by x.rule, x.unit_id, x.variant
)

select
    rule,
    variant,
    {{template "moments.sql"}}
from unit_value
group by rule, variant
order by rule, variant
