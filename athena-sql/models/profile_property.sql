-- grain: one row per day, namespace, event, version, property, type and bucket of its values
-- key: event_date, namespace, event_name, schema_version, property, type, bucket
-- late data: a day is rebuilt when its events change
-- owner: data platform
with event as (
    select
        event_date,
        namespace,
        event_name,
        schema_version,
        cast(json_parse(properties) as map(varchar, json)) as properties
    from ref('fact_event')
    where not is_bot
),

pair as (
    select
        e.event_date,
        e.namespace,
        e.event_name,
        e.schema_version,
        p.property,
        json_format(element_at(e.properties, p.property)) as value
    from event as e
    cross join unnest(map_keys(e.properties)) as p(property)
),

typed as (
    select
        event_date,
        namespace,
        event_name,
        schema_version,
        property,
        value,
        case
            when value = 'null' then 'null'
            when value = 'true' or value = 'false' then 'boolean'
            when substr(value, 1, 1) = '"' then 'string'
            when substr(value, 1, 1) = '[' then 'array'
            when substr(value, 1, 1) = '{' then 'object'
            else 'number'
        end as type
    from pair
),

bucketed as (
    select
        event_date,
        namespace,
        event_name,
        schema_version,
        property,
        type,
        case
            when type = 'number' and try_cast(value as double) > 0e0 then cast(cast(floor(2e0 * log10(cast(value as double))) as bigint) as varchar)
            when type = 'number' then 'not above 0'
            when type = 'array' or type = 'object' then ''
            else substr(value, 1, 64)
        end as bucket,
        count(*) as events
    from typed
    group by 1, 2, 3, 4, 5, 6, 7
),

common as (
    select
        event_date,
        namespace,
        event_name,
        schema_version,
        property,
        type,
        case
            when cast(events as double) >= 1e-2 * cast(sum(events) over (partition by event_date, namespace, event_name, property) as double) then bucket
            else 'rare'
        end as bucket,
        events
    from bucketed
)

select
    namespace,
    event_name,
    schema_version,
    property,
    type,
    bucket,
    sum(events) as events,
    event_date
from common
group by event_date, namespace, event_name, schema_version, property, type, bucket
union all
select
    namespace,
    event_name,
    schema_version,
    '' as property,
    'event' as type,
    '' as bucket,
    count(*) as events,
    event_date
from event
group by event_date, namespace, event_name, schema_version
