-- How much of {{.Metric.Label}} hangs on few units: the largest values, and the moments when the largest share of all
-- values is set to the value at its edge (winsorized).
with unit_value as (
{{template "unit.sql" .}}
),

ranked as (
    select
        variant,
        y,
        d,
        row_number() over (order by y desc, unit_id) as place,
        count(*) over () as everybody
    from unit_value
),

winsorized as (
    select
        0e0 as share,
        variant,
        y,
        d
    from ranked
{{- range .Shares}}
    union all
    select
        {{.}} as share,
        variant,
        least(y, (select min(y) from ranked where place <= 1 + floor({{.}} * everybody))) as y,
        d
    from ranked
{{- end}}
)

select
    share,
    variant,
    max(y) as largest,
    {{template "moments.sql"}}
from winsorized
group by share, variant
order by share, variant
