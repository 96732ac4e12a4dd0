// Package measure reduces events to what the statistics engine needs: per experiment, variant,
// metric and day of first exposure, the number of units and the centred moments of their values.
// It is the last step that sees single units.
package measure

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
	"verdict/shared/stats"
	"verdict/shared/table"
)

// Statistic is one row of fact_experiment_statistic: a cell of units that were first exposed on one
// day. Cells merge (stats.Gram).
type Statistic struct {
	ExperimentID string  `lake:"experiment_id"`
	Metric       string  `lake:"metric"`
	Variant      string  `lake:"variant"`
	ExposureDate string  `lake:"exposure_date"`
	Units        int64   `lake:"units"`
	Nonzero      int64   `lake:"nonzero"` // units whose value is not 0
	MeanY        float64 `lake:"mean_y"`  // the value, or a ratio's numerator
	MeanD        float64 `lake:"mean_d"`  // a ratio's denominator
	YY           float64 `lake:"yy"`      // centred sums of squares and products
	YD           float64 `lake:"yd"`
	DD           float64 `lake:"dd"`
	AsOf         string  `lake:"as_of"` // partition
}

// Gram is the cell as the statistics engine takes it.
func (s Statistic) Gram() stats.Gram {
	return stats.Gram{N: s.Units, MeanY: s.MeanY, MeanD: s.MeanD, YY: s.YY, YD: s.YD, DD: s.DD}
}

// Exposure is one row of fact_experiment_traffic: how many units stand in a variant.
type Exposure struct {
	ExperimentID string `lake:"experiment_id"`
	Variant      string `lake:"variant"`
	ExposureDate string `lake:"exposure_date"`
	Units        int64  `lake:"units"`          // that saw this variant only
	Crossed      int64  `lake:"units_multiple"` // that saw other variants too
	Tracked      int64  `lake:"units_tracked"`  // of which numbered sessions are known
	Lossy        int64  `lake:"units_lossy"`    // of which an event got lost on the way to the collector
	AsOf         string `lake:"as_of"`          // partition
}

// Measurer writes the statistics of experiments.
type Measurer struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string
}

// Run measures the experiments that have started, as of the start of a day (UTC), and publishes
// fact_experiment_statistic and fact_experiment_traffic for that day.
func (m *Measurer) Run(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) error {
	var statistics []Statistic
	var cohorts []string
	for _, e := range experiments {
		if !asOf.After(e.Start.Time) {
			continue
		}
		cells, err := m.statistics(ctx, e, metrics, asOf)
		if err != nil {
			return fmt.Errorf("measure %s: %w", e.ID, err)
		}
		statistics = append(statistics, cells...)
		cohorts = append(cohorts, "("+cohort(e, asOf)+")")
	}
	traffic, err := m.traffic(ctx, cohorts, asOf)
	if err != nil {
		return fmt.Errorf("count traffic: %w", err)
	}
	run, partition := m.NewRun(), asOf.UTC().Format(time.DateOnly)
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: run, PartitionBy: []string{"as_of"}, Values: []string{partition}}
	}
	if err := table.Write(ctx, m.Objects, m.Catalog, place("fact_experiment_statistic"), statistics); err != nil {
		return err
	}
	return table.Write(ctx, m.Objects, m.Catalog, place("fact_experiment_traffic"), traffic)
}

// Select returns the definitions of an experiment's metrics, in its order.
func Select(e *experiment.Experiment, metrics []metric.Metric) ([]metric.Metric, error) {
	out := make([]metric.Metric, len(e.Metrics))
	for i, used := range e.Metrics {
		m, err := metric.Find(metrics, used.Name)
		if err != nil {
			return nil, err
		}
		out[i] = m
	}
	return out, nil
}

func (m *Measurer) statistics(ctx context.Context, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Statistic, error) {
	used, err := Select(e, metrics)
	if err != nil {
		return nil, err
	}
	result, err := m.Engine.Query(ctx, Query(e, used, asOf))
	if err != nil {
		return nil, err
	}
	return Decode(e.ID, used, result)
}

// Decode turns the result of Query into one statistic per cell and metric.
func Decode(experimentID string, metrics []metric.Metric, result lake.Result) ([]Statistic, error) {
	at := make(map[string]int, len(result.Columns))
	for i, c := range result.Columns {
		at[c] = i
	}
	var out []Statistic
	for _, row := range result.Rows {
		cell := reader{row: row, at: at}
		base := Statistic{ExperimentID: experimentID, Variant: cell.text("variant"), ExposureDate: cell.text("exposure_date"), Units: int64(cell.number("units"))}
		for i, m := range metrics {
			n := strconv.Itoa(i)
			s := base
			s.Metric = m.Name
			s.MeanY, s.YY, s.Nonzero = cell.number("y"+n+"_mean"), cell.number("y"+n+"_ss"), int64(cell.number("y"+n+"_nonzero"))
			if m.Kind == metric.Ratio {
				s.MeanD, s.DD, s.YD = cell.number("d"+n+"_mean"), cell.number("d"+n+"_ss"), cell.number("yd"+n+"_sp")
			}
			out = append(out, s)
		}
		if cell.err != nil {
			return nil, cell.err
		}
	}
	return out, nil
}

// reader takes values out of a row and remembers the first thing that was wrong.
type reader struct {
	row []*string
	at  map[string]int
	err error
}

func (r *reader) text(column string) string {
	i, ok := r.at[column]
	if !ok || r.row[i] == nil {
		if r.err == nil {
			r.err = fault.New(fault.Invalid, "the query gives no %s", column)
		}
		return ""
	}
	return *r.row[i]
}

func (r *reader) number(column string) float64 {
	text := r.text(column)
	if r.err != nil {
		return 0
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		r.err = fault.New(fault.Invalid, "read %s: %w", column, err)
	}
	return x
}

func (m *Measurer) traffic(ctx context.Context, cohorts []string, asOf time.Time) ([]Exposure, error) {
	if len(cohorts) == 0 {
		return nil, nil
	}
	rows, err := lake.Read[Exposure](ctx, m.Engine, `with unit as (
    select *
    from fact_experiment_exposure
    where `+strings.Join(cohorts, "\n        or ")+`
),

loss as (
    select
        x.experiment_id,
        x.unit_id,
        max(case when s.lost > 0 then 1 else 0 end) as lossy
    from unit as x
    join dim_user as u
        on u.unit_id = x.unit_id
        and u.valid_to is null
    join ledger_session as s
        on s.entity_id = u.entity_id
        and s.event_date >= x.exposure_date
        and s.event_date < `+day(asOf)+`
    where not x.is_multi_variant
        and not s.is_bot
    group by x.experiment_id, x.unit_id
)

select
    x.experiment_id,
    x.variant,
    x.exposure_date,
    count(case when not x.is_multi_variant then 1 end) as units,
    count(case when x.is_multi_variant then 1 end) as units_multiple,
    count(l.lossy) as units_tracked,
    coalesce(sum(l.lossy), 0) as units_lossy,
    '' as as_of
from unit as x
left join loss as l
    on l.experiment_id = x.experiment_id
    and l.unit_id = x.unit_id
group by x.experiment_id, x.variant, x.exposure_date
order by x.experiment_id, x.variant, x.exposure_date`)
	for i := range rows {
		rows[i].AsOf = asOf.UTC().Format(time.DateOnly)
	}
	return rows, err
}
