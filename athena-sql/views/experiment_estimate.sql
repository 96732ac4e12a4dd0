select
    r.experiment_id,
    r.metric,
    r.variant,
    r.as_of,
    cast(r.as_of as date) as day,
    r.label,
    r.role,
    r.kind,
    r.direction,
    r.format,
    r.control,
    r.units_control,
    r.units_treatment,
    f.experiment_id is not null as is_withheld,
    case when f.experiment_id is null then r.mean_control end as mean_control,
    case when f.experiment_id is null then r.mean_treatment end as mean_treatment,
    case when f.experiment_id is null and abs(r.effect) < 1e300 then r.effect end as effect,
    case when f.experiment_id is null and abs(r.effect_low) < 1e300 then r.effect_low end as effect_low,
    case when f.experiment_id is null and abs(r.effect_high) < 1e300 then r.effect_high end as effect_high,
    case when f.experiment_id is null and abs(r.lift) < 1e300 then r.lift end as lift,
    case when f.experiment_id is null and abs(r.lift_low) < 1e300 then r.lift_low end as lift_low,
    case when f.experiment_id is null and abs(r.lift_high) < 1e300 then r.lift_high end as lift_high,
    case when f.experiment_id is null then r.anytime_p end as anytime_p,
    case when f.experiment_id is null then r.chance_to_beat end as chance_to_beat,
    case when f.experiment_id is null then r.significance end as significance,
    case when f.experiment_id is null then r.guardrail end as guardrail,
    r.margin,
    r.status,
    r.definition
from ref('fact_experiment_results') as r
left join (
    select distinct
        experiment_id,
        as_of
    from ref('fact_experiment_check')
    where status = 'fail'
) as f on f.experiment_id = r.experiment_id and f.as_of = r.as_of
