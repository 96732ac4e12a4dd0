-- grain: one row per namespace, day of the event, hour of arrival, and area where the line landed
-- key: namespace, event_date, received_hour, area
-- late data: a day is rebuilt when a file arrives for it, or when its facts or those of a day beside it change. An
--     event whose fact fell on the day beside it, because a retry corrected the clock anew, counts as elsewhere.
-- owner: data platform
with landed as (
    select
        namespace,
        event_date,
        event_id,
        substr(received_ts, 1, 13) as received_hour,
        count(*) as lines
    from ref('raw_event')
    where source is null
    group by namespace, event_date, event_id, substr(received_ts, 1, 13)
),

event as (
    select
        *,
        row_number() over (
            partition by namespace, event_date, event_id
            order by received_hour
        ) as copy
    from landed
)

select
    l.namespace,
    l.received_hour,
    'raw' as area,
    sum(l.lines) as lines,
    count(case when l.copy = 1 then 1 end) as events,
    count(case when l.copy = 1 and f.event_date = l.event_date then 1 end) as facts,
    count(case when l.copy = 1 and f.event_date <> l.event_date then 1 end) as elsewhere,
    count(case when l.copy = 1 and f.event_date is null then 1 end) as lost,
    l.event_date
from event as l
left join ref('fact_event') as f
    on f.namespace = l.namespace
    and f.event_id = l.event_id
group by l.namespace, l.event_date, l.received_hour
union all
select
    namespace,
    substr(received_ts, 1, 13) as received_hour,
    'quarantine' as area,
    count(*) as lines,
    count(*) as events,
    0 as facts,
    0 as elsewhere,
    0 as lost,
    event_date
from ref('quarantine_event')
group by namespace, event_date, substr(received_ts, 1, 13)
