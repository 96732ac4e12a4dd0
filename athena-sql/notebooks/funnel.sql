-- How far units come, in order, within the window after their first exposure.
with unit_value as (
{{template "unit.sql" .}}
),

step_0 as (
    select
        unit_id,
        variant,
        first_exposure_ts,
        first_exposure_ts as reached_ts
    from unit_value
)
{{- range $i, $step := .Funnel}},

step_{{inc $i}} as (
    select
        s.unit_id,
        s.variant,
        s.first_exposure_ts,
        min(e.event_ts) as reached_ts
    from step_{{$i}} as s
    join dim_user as u
        on u.unit_id = s.unit_id
        and u.valid_to is null
    join fact_event as e
        on e.entity_id = u.entity_id
        and e.event_name = {{text $step}}
        and e.event_date < {{day $.AsOf}}
        and e.event_ts >= s.reached_ts
        and e.event_ts < s.first_exposure_ts + interval '{{$.Metric.Window.End}}' day
        and not e.is_bot
    group by s.unit_id, s.variant, s.first_exposure_ts
)
{{- end}}

select
    0 as position,
    'exposed' as step,
    variant,
    count(*) as units
from step_0
group by variant
{{- range $i, $step := .Funnel}}
union all
select
    {{inc $i}} as position,
    {{text $step}} as step,
    variant,
    count(*) as units
from step_{{inc $i}}
group by variant
{{- end}}
order by position, variant
