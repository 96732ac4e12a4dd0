select e.*
from ref('experiment_estimate') as e
join (
    select
        experiment_id,
        max(as_of) as as_of
    from ref('fact_experiment_results')
    group by experiment_id
) as latest on latest.experiment_id = e.experiment_id and latest.as_of = e.as_of
