-- {{.Metric.Label}} by segment: {{.Segment}}
-- A unit's segment is what it said last at or before its first exposure: later words may be the treatment's doing.
with unit_value as (
{{template "unit.sql" .}}
),

said as (
    select
        v.unit_id,
        {{.Segment}} as segment,
        row_number() over (partition by v.unit_id order by e.event_ts desc, e.event_id) as nth
    from unit_value as v
    join dim_user as u
        on u.unit_id = v.unit_id
        and u.valid_to is null
    join fact_event as e
        on e.entity_id = u.entity_id
        and e.event_ts <= v.first_exposure_ts
        and not e.is_bot
    where {{.Segment}} is not null
),

segmented as (
    select
        coalesce(s.segment, '(unknown)') as segment,
        v.variant,
        v.y,
        v.d
    from unit_value as v
    left join said as s
        on s.unit_id = v.unit_id
        and s.nth = 1
)

select
    segment,
    variant,
    {{template "moments.sql"}}
from segmented
group by segment, variant
order by segment, variant
