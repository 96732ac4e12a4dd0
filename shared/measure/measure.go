// Package measure reduces events to what the statistics engine needs: per experiment, variant,
// metric and day of first exposure, the number of units and the centred moments of their values.
// It is the last step that sees single units.
package measure

import (
	"context"
	"fmt"
	"math"
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
// day. Cells merge (stats.Moments), but for those of a quantile: it has one cell of all complete days,
// under the last of them.
type Statistic struct {
	ExperimentID string  `lake:"experiment_id"`
	Metric       string  `lake:"metric"`
	Variant      string  `lake:"variant"`
	ExposureDate string  `lake:"exposure_date"`
	Units        int64   `lake:"units"`
	Nonzero      int64   `lake:"nonzero"` // units whose value is not 0
	MeanY        float64 `lake:"mean_y"`  // the value, or a ratio's numerator
	MeanD        float64 `lake:"mean_d"`  // a ratio's denominator
	MeanX        float64 `lake:"mean_x"`  // the value before exposure, of a metric with a covariate
	MeanZ        float64 `lake:"mean_z"`  // the denominator before exposure
	YY           float64 `lake:"yy"`      // centred sums of squares and products
	YD           float64 `lake:"yd"`
	DD           float64 `lake:"dd"`
	YX           float64 `lake:"yx"`
	DX           float64 `lake:"dx"`
	XX           float64 `lake:"xx"`
	YZ           float64 `lake:"yz"`
	DZ           float64 `lake:"dz"`
	XZ           float64 `lake:"xz"`
	ZZ           float64 `lake:"zz"`
	Quantile     float64 `lake:"quantile"`      // of a quantile: its value
	QuantileLow  float64 `lake:"quantile_low"`  // the values at the ranks that tell its error (stats.QuantileRanks)
	QuantileHigh float64 `lake:"quantile_high"` // of events, y counts a unit's events up to the quantile, and d its events
	AsOf         string  `lake:"as_of"`         // partition
}

// Gram is the cell without covariates, as the statistics engine takes it.
func (s Statistic) Gram() stats.Gram {
	return stats.Gram{N: s.Units, MeanY: s.MeanY, MeanD: s.MeanD, YY: s.YY, YD: s.YD, DD: s.DD}
}

// Moments is the cell with its covariates: the value before exposure, and a ratio's denominator.
func (s Statistic) Moments(covariates int) stats.Moments {
	means, centred := []float64{s.MeanY, s.MeanD, s.MeanX, s.MeanZ}, [][]float64{
		{s.YY, s.YD, s.YX, s.YZ}, {s.YD, s.DD, s.DX, s.DZ}, {s.YX, s.DX, s.XX, s.XZ}, {s.YZ, s.DZ, s.XZ, s.ZZ},
	}
	k := 2 + min(covariates, 2)
	for i := range centred {
		centred[i] = centred[i][:k]
	}
	m, err := stats.MomentsOfCentred(s.Units, means[:k], centred[:k])
	if err != nil {
		panic("measure: a cell is no square: " + err.Error()) // it is, by the lines above
	}
	return m
}

// Merge takes in a cell of other units of the same metric and variant; the quantiles of the two are not merged.
func (s Statistic) Merge(o Statistic) Statistic {
	if s.Units == 0 {
		return o
	}
	const both = 2
	m := s.Moments(both)
	m.Merge(o.Moments(both))
	s.Units, s.Nonzero, s.ExposureDate = m.N, s.Nonzero+o.Nonzero, max(s.ExposureDate, o.ExposureDate)
	for i, letter := range letters {
		*s.field(letters[i : i+1]) = m.Mean[i]
		for j := i; j < len(letters); j++ {
			*s.field(string(letter) + letters[j:j+1]) = m.Cross[0]
			m.Cross = m.Cross[1:]
		}
	}
	return s
}

// letters are the columns of a cell: value, denominator, and both before exposure.
const letters = "ydxz"

// field is where a column of the query's goes: a mean by its letter, a sum of products by its two.
func (s *Statistic) field(letters string) *float64 {
	return map[string]*float64{
		"y": &s.MeanY, "d": &s.MeanD, "x": &s.MeanX, "z": &s.MeanZ,
		"yy": &s.YY, "yd": &s.YD, "dd": &s.DD, "yx": &s.YX, "dx": &s.DX, "xx": &s.XX, "yz": &s.YZ, "dz": &s.DZ, "xz": &s.XZ, "zz": &s.ZZ,
	}[letters]
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
	Scanned func(e *experiment.Experiment, bytes int64) // is told what an experiment's queries have read; may be nil
}

// Run measures the experiments that have started, as of the start of a day (UTC), and publishes
// fact_experiment_statistic and fact_experiment_traffic for that day, and fact_experiment_guardrail.
func (m *Measurer) Run(ctx context.Context, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) error {
	var statistics []Statistic
	var cohorts []string
	for _, e := range experiments {
		if !asOf.After(e.Start.Time) {
			continue
		}
		metered, scan := lake.Metered(ctx)
		cells, err := m.statistics(metered, Resolved, e, metrics, asOf)
		if err != nil {
			return fmt.Errorf("measure %s: %w", e.ID, err)
		}
		if err := m.guardrails(metered, e, metrics, asOf); err != nil {
			return fmt.Errorf("measure guardrails of %s per unit: %w", e.ID, err)
		}
		if m.Scanned != nil {
			m.Scanned(e, scan.Bytes())
		}
		statistics = append(statistics, cells...)
		cohorts = append(cohorts, "("+cohort(e, asOf)+")")
	}
	traffic, err := m.traffic(ctx, Resolved.source(nil), cohorts, asOf)
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

// Under measures one experiment under a policy of identity, and publishes nothing.
func (m *Measurer) Under(ctx context.Context, p Policy, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Statistic, []Exposure, error) {
	statistics, err := m.statistics(ctx, p, e, metrics, asOf)
	if err != nil {
		return nil, nil, fmt.Errorf("measure %s under %s: %w", e.ID, p, err)
	}
	traffic, err := m.traffic(ctx, p.source(e), []string{"(" + cohort(e, asOf) + ")"}, asOf)
	if err != nil {
		return nil, nil, fmt.Errorf("count traffic of %s under %s: %w", e.ID, p, err)
	}
	return statistics, traffic, nil
}

func (m *Measurer) statistics(ctx context.Context, p Policy, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]Statistic, error) {
	used, err := Select(e, metrics)
	if err != nil {
		return nil, err
	}
	result, err := m.Engine.Query(ctx, QueryUnder(p, e, used, asOf))
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
	quantiles := map[[2]string]int{} // metric and variant to the place in out
	for _, row := range result.Rows {
		cell := reader{row: row, at: at}
		for i, m := range metrics {
			s := cell.statistic(i, m)
			s.ExperimentID = experimentID
			if m.Kind != metric.Quantile {
				out = append(out, s)
				continue
			}
			if cell.number("y"+strconv.Itoa(i)+"_ranked") == 0 {
				continue
			}
			key := [2]string{m.Name, s.Variant}
			if place, ok := quantiles[key]; ok {
				out[place] = out[place].mergeQuantile(s)
			} else {
				quantiles[key] = len(out)
				out = append(out, s)
			}
		}
		if cell.err != nil {
			return nil, cell.err
		}
	}
	return out, nil
}

// mergeQuantile merges a later cell in. A rank's value stands in one of them.
func (s Statistic) mergeQuantile(later Statistic) Statistic {
	s = s.Merge(later)
	s.Quantile = known(s.Quantile, later.Quantile)
	s.QuantileLow = known(s.QuantileLow, later.QuantileLow)
	s.QuantileHigh = known(s.QuantileHigh, later.QuantileHigh)
	return s
}

func known(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return a
}

// statistic reads one metric's part of a cell.
func (r *reader) statistic(i int, m metric.Metric) Statistic {
	n := strconv.Itoa(i)
	s := Statistic{
		Metric: m.Name, Variant: r.text("variant"), ExposureDate: r.text("exposure_date"),
		Units: int64(r.number("units")), Nonzero: int64(r.number("y" + n + "_nonzero")),
	}
	letters := shape(m)
	for a := range len(letters) {
		one := letters[a : a+1]
		*s.field(one) = r.number(one + n + "_mean")
		*s.field(one + one) = r.number(one + n + "_ss")
		for b := range a {
			*s.field(letters[b:b+1] + one) = r.number(letters[b:b+1] + one + n + "_sp")
		}
	}
	if m.Kind == metric.Quantile {
		s.Quantile, s.QuantileLow, s.QuantileHigh = r.maybe("y"+n+"_quantile"), r.maybe("y"+n+"_low"), r.maybe("y"+n+"_high")
	}
	return s
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

// maybe is NaN for NULL.
func (r *reader) maybe(column string) float64 {
	if i, ok := r.at[column]; ok && r.row[i] == nil {
		return math.NaN()
	}
	return r.number(column)
}

func (m *Measurer) traffic(ctx context.Context, of source, cohorts []string, asOf time.Time) ([]Exposure, error) {
	if len(cohorts) == 0 {
		return nil, nil
	}
	rows, err := lake.Read[Exposure](ctx, m.Engine, `with `+strings.Join(append(of.ctes, ""), ",\n\n")+`unit as (
    select *
    from `+of.exposure+`
    where `+strings.Join(cohorts, "\n        or ")+`
),

loss as (
    select
        x.experiment_id,
        x.unit_id,
        max(case when s.lost > 0 then 1 else 0 end) as lossy
    from unit as x
    join `+of.user+` as u
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
