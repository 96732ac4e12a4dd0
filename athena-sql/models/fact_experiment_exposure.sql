-- grain: one row per experiment and unit
-- key: experiment_id, unit_id
-- late data: rebuilt whenever an event day, the identity map or the flags change
-- owner: experimentation
with exposure as (
    select
        json_extract_scalar(properties, '$.experiment_id') as experiment_id,
        json_extract_scalar(properties, '$.variant') as variant,
        entity_id,
        coalesce('u:' || user_id, 'a:' || anonymous_id) as shown_to,
        event_ts
    from ref('fact_event')
    where event_name = 'experiment_exposed'
        and entity_id is not null
        and not is_bot
),

shown as (
    select
        x.experiment_id,
        u.unit_id,
        x.shown_to,
        x.variant,
        min(x.event_ts) as first_exposure_ts,
        max(x.event_ts) as last_exposure_ts,
        count(*) as exposures,
        count(*) over (partition by x.experiment_id, u.unit_id, x.shown_to) as variants_of_id
    from exposure as x
    join ref('dim_user') as u on u.entity_id = x.entity_id and u.valid_to is null
    group by x.experiment_id, u.unit_id, x.shown_to, x.variant
),

unit as (
    select
        experiment_id,
        unit_id,
        min(variant) as variant,
        min(first_exposure_ts) as first_exposure_ts,
        max(last_exposure_ts) as last_exposure_ts,
        sum(exposures) as exposures,
        count(distinct variant) as variants,
        max(variants_of_id) as variants_of_id
    from shown
    group by experiment_id, unit_id
),

-- At most a hundred ids of 52 bits each are no more than a bigint.
ids as (
    select
        unit_id,
        cast(sum(from_base(substr(to_hex(md5(to_utf8(entity_id))), 1, 13), 16)) as bigint) as ids
    from ref('identity_map')
    group by unit_id
)

select
    a.experiment_id,
    a.unit_id,
    a.variant,
    f.flag_key,
    f.revision as flag_revision,
    a.exposures,
    a.variants,
    f.included * f.share as allocation,
    a.variants > 1 as is_multi_variant,
    a.variants > 1 and a.variants_of_id = 1 as is_identity_conflict,
    a.first_exposure_ts,
    a.last_exposure_ts,
    from_base(substr(to_hex(md5(to_utf8(a.unit_id || ' ' || a.variant || ' '
        || cast(date_diff('millisecond', timestamp '1970-01-01 00:00:00', a.first_exposure_ts) as varchar) || ' '
        || cast(coalesce(i.ids, 0) as varchar)))), 1, 15), 16) as fingerprint,
    cast(cast(a.first_exposure_ts as date) as varchar) as exposure_date
from unit as a
left join ids as i on i.unit_id = a.unit_id
left join ref('dim_feature') as f
    on f.rule_key = a.experiment_id
    and f.variant = a.variant
    and f.rule_kind = 'a/b'
    and a.first_exposure_ts >= f.valid_from
    and (f.valid_to is null or a.first_exposure_ts < f.valid_to)
-- A look reads a few days of one experiment: an engine that keeps the order leaves out the rest.
order by a.experiment_id, exposure_date, a.unit_id
