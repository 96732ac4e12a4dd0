select
    c.experiment_id,
    c.name,
    c.as_of,
    cast(c.as_of as date) as day,
    c.status,
    case when abs(c.value) < 1e300 then c.value end as value,
    c.threshold,
    c.detail,
    c.as_of = max(c.as_of) over (partition by c.experiment_id) as is_latest
from ref('fact_experiment_check') as c
