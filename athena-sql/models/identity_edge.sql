-- grain: one row per anonymous id and user id that were seen together
-- key: anonymous_id, user_id
-- late data: rebuilt from all days whenever one of them changes
-- owner: data platform
select
    anonymous_id,
    user_id,
    count(*) as events,
    min(event_ts) as first_seen,
    max(event_ts) as last_seen
from ref('fact_event')
where anonymous_id is not null
    and user_id is not null
    and not is_bot
group by anonymous_id, user_id
