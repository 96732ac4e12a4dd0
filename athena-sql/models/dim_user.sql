-- grain: one row per entity, an anonymous or a signed-in id
-- key: entity_id
-- late data: rebuilt from all days whenever one of them, or the identity map, changes
-- owner: data platform
with entity as (
    select
        entity_id,
        count(*) as events,
        min(event_ts) as first_seen,
        max(event_ts) as last_seen
    from ref('fact_event')
    where entity_id is not null
        and not is_bot
    group by entity_id
)

select
    e.entity_id,
    coalesce(m.unit_id, e.entity_id) as unit_id,
    coalesce(m.method, 'itself') as method,
    coalesce(m.confidence, 1e0) as confidence,
    e.events,
    e.first_seen,
    e.last_seen
from entity as e
left join ref('identity_map') as m on m.entity_id = e.entity_id
