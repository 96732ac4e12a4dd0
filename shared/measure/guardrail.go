package measure

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

const guardrailTable = "fact_experiment_guardrail"

// guardrailColumns are those of a row per assigned unit and guardrail (docs/adr/0013).
func guardrailColumns() []lake.Column {
	return []lake.Column{
		{Name: "unit_id", Type: "varchar"},
		{Name: "variant", Type: "varchar"},
		{Name: "exposure_date", Type: "varchar"},
		{Name: "metric", Type: "varchar"},
		{Name: "value", Type: "double"},
		{Name: "denominator", Type: "double"},
		{Name: "is_complete", Type: "boolean"},
	}
}

// GuardrailQuery is the SELECT of what each unit of an experiment is worth to each of its guardrails: one scan of each
// table of facts for all of them. A cap that is a quantile of all units is not applied: it belongs to their sum.
// It is empty for an experiment without guardrails.
func GuardrailQuery(e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) string {
	var guardrails []metric.Metric
	for i, used := range e.Metrics {
		if used.Role == experiment.Guardrail {
			guardrails = append(guardrails, metrics[i])
		}
	}
	if guardrails == nil {
		return ""
	}
	q := newQuery(Resolved, e, guardrails, asOf)
	q.values()
	var names, values, denominators, complete []string
	for i, m := range guardrails {
		names = append(names, fmt.Sprintf("(%d, %s)", i, lake.Quote(m.Name)))
		values = append(values, fmt.Sprintf("when %d then v.y%[1]d", i))
		if len(shape(m)) > 1 && shape(m)[1] == 'd' {
			denominators = append(denominators, fmt.Sprintf("when %d then v.d%[1]d", i))
		}
		complete = append(complete, fmt.Sprintf("when %d then v.%s", i, q.complete(m)))
	}
	denominator := "cast(null as double)"
	if denominators != nil {
		denominator = "case g.n " + strings.Join(denominators, " ") + " end"
	}
	return "with " + strings.Join(q.ctes, ",\n\n") + fmt.Sprintf(`

select
    v.unit_id,
    v.variant,
    v.exposure_date,
    g.metric,
    case g.n %s end as value,
    %s as denominator,
    case g.n %s end as is_complete
from %s as v
cross join (values %s) as g(n, metric)`, strings.Join(values, " "), denominator, strings.Join(complete, " "), q.last, strings.Join(names, ", "))
}

// guardrails brings an experiment's partition of fact_experiment_guardrail up to date. It is left alone while nothing
// that it is made from has changed: an experiment that is over costs no scan.
func (m *Measurer) guardrails(ctx context.Context, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) error {
	used, err := Select(e, metrics)
	if err != nil {
		return err
	}
	query := GuardrailQuery(e, used, asOf)
	if query == "" {
		return nil
	}
	source, err := m.guardrailSource(ctx, e, used, asOf)
	if err != nil {
		return err
	}
	published, err := m.Catalog.Table(ctx, guardrailTable)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, p := range published.Partitions {
		if p.Values[0] == e.ID && p.Source == source {
			return nil
		}
	}
	location := "warehouse/" + guardrailTable + "/run=" + m.NewRun() + "/experiment_id=" + e.ID + "/"
	if err := m.Engine.Unload(ctx, query, location, nil); err != nil {
		return err
	}
	return m.Catalog.Publish(ctx, lake.Table{
		Name: guardrailTable, Columns: guardrailColumns(), PartitionBy: []string{"experiment_id"},
		Partitions: []lake.Partition{{Values: []string{e.ID}, Location: location, Source: source}},
	})
}

// guardrailSource fingerprints what the rows are made from: the query, as of the last day that can change them, and the
// tables that it reads.
func (m *Measurer) guardrailSource(ctx context.Context, e *experiment.Experiment, used []metric.Metric, asOf time.Time) (string, error) {
	last := e.End()
	for _, u := range used {
		if end := e.End().AddDate(0, 0, u.Window.End()+1); end.After(last) {
			last = end
		}
	}
	if asOf.After(last) {
		asOf = last
	}
	parts, names := []string{GuardrailQuery(e, used, asOf)}, []string{"fact_experiment_exposure", "dim_user"}
	for _, u := range used {
		for _, t := range u.Terms() {
			if !slices.Contains(names, t.Table.Name) {
				names = append(names, t.Table.Name)
			}
		}
	}
	for _, name := range names {
		t, err := m.Catalog.Table(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue // somebody's view
		}
		if err != nil {
			return "", err
		}
		for _, p := range t.Partitions {
			parts = append(parts, p.Location)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(parts, "\x00")))), nil
}
