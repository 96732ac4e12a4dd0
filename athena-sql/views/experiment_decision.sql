select
    d.decision_id,
    d.experiment_id,
    d.as_of,
    d.verdict,
    d.variant,
    d.headline,
    d.reasons,
    d.action,
    d.included,
    d.flag,
    d.mode,
    d.decided_at,
    d.applied_at,
    d.definition,
    row_number() over (partition by d.experiment_id order by d.decided_at desc, d.decision_id desc) = 1 as is_latest
from ref('fact_decision') as d
