-- What each readout so far said of {{.Metric.Label}}.
select
    as_of,
    variant,
    units_control + units_treatment as units,
    lift,
    lift_low,
    lift_high
from fact_experiment_results
where experiment_id = {{text .Experiment.ID}}
    and metric = {{text .Metric.Name}}
    and status = 'ok'
    and as_of <= {{day .AsOf}}
order by as_of, variant
