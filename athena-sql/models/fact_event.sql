-- grain: one row per event
-- key: namespace, event_id
-- late data: a day is rebuilt whole when a file arrives for it or for a day beside it. Copies of an
--     event can fall on both sides of midnight, because each attempt corrects the clock anew: the
--     copy that was received first counts, wherever it fell. A session that goes on for more than a day beyond
--     midnight is seen a day around the event.
-- owner: data platform
with copies as (
    select
        *,
        row_number() over (
            partition by namespace, event_id
            order by received_ts, event_ts
        ) as copy,
        min(user_id) over (partition by namespace, anonymous_id, session_id) as least_user_id,
        max(user_id) over (partition by namespace, anonymous_id, session_id) as greatest_user_id
    from ref('raw_event')
),

event as (
    select
        *,
        -- Who signed in in the session, if it is one person and no placeholder (identity.DefaultGuards).
        case
            when session_id is not null
                and least_user_id = greatest_user_id
                and lower(least_user_id) not in ('', '0', '-1', 'null', 'nil', 'none', 'nan', 'undefined', 'unknown', 'anonymous', 'guest', 'test', '00000000-0000-0000-0000-000000000000')
                then least_user_id
        end as session_user_id
    from copies
    where copy = 1
)

select
    namespace,
    event_id,
    event_name,
    schema_version,
    anonymous_id,
    user_id,
    coalesce('u:' || user_id, 'u:' || session_user_id, 'a:' || anonymous_id) as entity_id,
    session_id,
    properties,
    context,
    consent,
    seq,
    cast(json_extract_scalar(properties, '$.value') as double) as value,
    is_bot,
    cast(from_iso8601_timestamp(event_ts) as timestamp(3)) as event_ts,
    cast(from_iso8601_timestamp(received_ts) as timestamp(3)) as received_ts,
    event_date
from event
