-- grain: one row per entity, an anonymous or a signed-in id, and unit that it was of
-- key: entity_id, valid_from
-- late data: rebuilt from all days whenever one of them, or the identity map, changes
-- owner: data platform
with seen as (
    select
        entity_id,
        event_ts,
        event_ts as own_ts
    from ref('fact_event')
    where entity_id is not null
        and not is_bot
    union all
    -- A device stands here also where all of its events are its users'.
    select
        'a:' || anonymous_id as entity_id,
        event_ts,
        cast(null as timestamp(3)) as own_ts
    from ref('fact_event')
    where anonymous_id is not null
        and entity_id <> 'a:' || anonymous_id
        and not is_bot
),

entity as (
    select
        entity_id,
        count(own_ts) as events,
        coalesce(min(own_ts), min(event_ts)) as first_seen,
        coalesce(max(own_ts), max(event_ts)) as last_seen
    from seen
    group by entity_id
),

resolved as (
    select
        e.entity_id,
        coalesce(m.unit_id, e.entity_id) as unit_id,
        coalesce(m.method, 'itself') as method,
        coalesce(m.confidence, 1e0) as confidence,
        e.events,
        e.first_seen,
        e.last_seen,
        case when m.since > e.first_seen then m.since end as since
    from entity as e
    left join ref('identity_map') as m on m.entity_id = e.entity_id
)

select
    entity_id,
    unit_id,
    method,
    confidence,
    events,
    first_seen,
    last_seen,
    coalesce(since, first_seen) as valid_from,
    cast(null as timestamp(3)) as valid_to
from resolved
union all
select
    entity_id,
    entity_id as unit_id,
    'itself' as method,
    1e0 as confidence,
    events,
    first_seen,
    last_seen,
    first_seen as valid_from,
    since as valid_to
from resolved
where since is not null
