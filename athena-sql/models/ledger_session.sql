-- grain: one row per namespace and session whose events are numbered
-- key: namespace, session_id
-- late data: a day is rebuilt when its events or those of a day beside it change. A session stands on the day when it
--     began; of one that goes on for more than a day, what came later is not seen.
-- owner: data platform
with numbered as (
    select
        namespace,
        session_id,
        seq,
        entity_id,
        event_ts, -- of facts only: what is in quarantine may have a time that is broken, and stands on its day of arrival
        is_bot
    from ref('fact_event')
    where session_id is not null
        and seq is not null
    union all
    select
        namespace,
        json_extract_scalar(event, '$.session_id') as session_id,
        try_cast(json_extract_scalar(event, '$.seq') as bigint) as seq,
        null as entity_id,
        cast(null as timestamp(3)) as event_ts,
        is_bot
    from ref('quarantine_event')
    where json_extract_scalar(event, '$.session_id') is not null
        and try_cast(json_extract_scalar(event, '$.seq') as bigint) between 0 and 100000
)

select
    namespace,
    session_id,
    max(entity_id) as entity_id,
    max(case when is_bot then 1 else 0 end) = 1 as is_bot,
    max(seq) + 1 as sent,
    count(distinct seq) as arrived,
    max(seq) + 1 - count(distinct seq) as lost,
    min(event_ts) as first_ts,
    max(event_ts) as last_ts,
    cast(cast(min(event_ts) as date) as varchar) as event_date
from numbered
group by namespace, session_id
having min(event_ts) is not null
