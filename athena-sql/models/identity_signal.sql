-- grain: one row per day and device, and per network, browser, language, time zone and time of week that it was seen with
-- key: event_date, anonymous_id, network, browser, locale, time_zone, slot
-- late data: a day is rebuilt when a file arrives for it
-- owner: data platform
with signal as (
    select
        event_date,
        anonymous_id,
        coalesce(ip, '') as network,
        coalesce(regexp_replace(user_agent, '[0-9._]+', ''), '')
            || ' ' || coalesce(json_extract_scalar(context, '$.device.type'), '')
            || ' ' || coalesce(json_extract_scalar(context, '$.device.screen'), '')
            || ' ' || coalesce(json_extract_scalar(context, '$.device.dpr'), '') as browser,
        coalesce(json_extract_scalar(context, '$.device.locale'), '') as locale,
        coalesce(json_extract_scalar(context, '$.device.time_zone'), '') as time_zone,
        cast(from_iso8601_timestamp(event_ts) as timestamp(3)) as seen_ts
    from ref('raw_event')
    where anonymous_id is not null
        and not is_bot
        and json_extract_scalar(consent, '$.analytics_storage') = 'granted'
)

select
    anonymous_id,
    network,
    browser,
    locale,
    time_zone,
    cast(floor(cast(hour(seen_ts) as double) / 3e0) as bigint) + case when day_of_week(seen_ts) > 5 then 8 else 0 end as slot,
    count(*) as events,
    min(seen_ts) as first_seen,
    max(seen_ts) as last_seen,
    event_date
from signal
group by
    event_date,
    anonymous_id,
    network,
    browser,
    locale,
    time_zone,
    cast(floor(cast(hour(seen_ts) as double) / 3e0) as bigint) + case when day_of_week(seen_ts) > 5 then 8 else 0 end
