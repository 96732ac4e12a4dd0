package dashboard

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	athenasql "verdict/athena-sql"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/notebook"
	"verdict/shared/stats"
)

const statisticTable = "fact_experiment_statistic"

// cut is one way to split the units of an experiment into groups that have no unit in common.
type cut struct {
	Key    string         `json:"key"`
	Title  string         `json:"title"`
	Omni   stats.Segments `json:"-"`
	Differ bool           `json:"differ"` // the effects differ, by the anytime-valid omnibus test
	P      number         `json:"anytime_p"`
	Says   string         `json:"says"`
	Slices []slice        `json:"slices"`
	Axis   []tick         `json:"-"`
}

// slice is the effect in one group. Lifts are as measured; Shrunk is what to expect of the group, pulled towards the
// common effect. Only where the groups differ at all is one of them called Significant.
type slice struct {
	Name        string `json:"name"`
	Units       int64  `json:"units"`
	Lift        number `json:"lift"`
	Interval    bounds `json:"lift_interval"` // simultaneous over the slices: anytime-valid at alpha by Bonferroni
	Effect      number `json:"effect"`
	Shrunk      number `json:"shrunk_effect"`
	Significant bool   `json:"significant"`
	Reason      string `json:"reason,omitempty"`
	Bar         *bar   `json:"-"`
}

// drill is the page of one metric in an experiment.
type drill struct {
	*Report
	Variant  string
	Result   evaluate.Result
	Metric   metric.Metric
	SQL      string
	Cuts     []cut
	Trend    *stats.Trend
	Bayes    *bayes
	Segments []string // that the experiment declares
	By       string
	Missing  []string
}

// grouped adds up statistics by the group of their day.
func grouped(in evaluate.Input, m metric.Metric, variant string, group func(day time.Time) string) (names []string, contrasts []stats.Contrast) {
	by := map[string][]measure.Statistic{}
	for _, s := range in.Statistics {
		day, err := time.Parse(time.DateOnly, s.ExposureDate)
		if s.Metric != m.Name || err != nil {
			continue
		}
		name := group(day)
		if len(by[name]) == 0 {
			names = append(names, name)
		}
		by[name] = append(by[name], s)
	}
	slices.Sort(names)
	for _, name := range names {
		part := in
		part.Statistics = by[name]
		contrasts = append(contrasts, part.Contrast(m, variant))
	}
	return names, contrasts
}

// cutOf judges groups in two steps, as stats.CompareSegments says.
func cutOf(e *experiment.Experiment, result evaluate.Result, key, title string, names []string, contrasts []stats.Contrast) cut {
	mixture := stats.Tune(e.Alpha, e.PlannedUnits)
	c := cut{Key: key, Title: title, Omni: stats.CompareSegments(contrasts, mixture, e.Alpha)}
	c.Differ, c.P = c.Omni.Differ, number(min(1, stats.PValue(c.Omni.LogE)))
	switch {
	case c.Omni.Status != stats.OK:
		c.Says, c.P = "Too few groups can be judged to compare them: "+c.Omni.Reason+".", 1
	case c.Differ:
		c.Says = "The effects differ between the groups (anytime-valid p " + equals(probability(float64(c.P))) + "). Groups marked ● have an effect of their own, by e-BH at " + share(e.Alpha) + "."
	default:
		c.Says = "No evidence that the effects differ between the groups (anytime-valid p " + equals(probability(float64(c.P))) + "): no group is judged alone, and the common effect is the best estimate for each."
	}
	alpha := e.Alpha / float64(max(1, len(names)))
	var drawn []evaluate.Result
	for i, name := range names {
		x := contrasts[i]
		s := slice{Name: name, Units: x.N, Reason: x.Reason, Lift: number(math.NaN()), Effect: number(math.NaN()), Shrunk: number(math.NaN()), Interval: bounds{number(math.Inf(-1)), number(math.Inf(1))}}
		row := result
		row.Label, row.Status = name, x.Status.String()
		if x.Status == stats.OK {
			within := x.Relative(mixture.Critical(max(x.N, 1), alpha))
			fixed := x.Relative(x.WelchCritical(e.Alpha))
			row.Lift, row.LiftLow, row.LiftHigh = x.Lift(), hull(within).Low, hull(within).High
			row.FixedLiftLow, row.FixedLiftHigh = hull(fixed).Low, hull(fixed).High
			row.Significance, row.Guardrail, row.Margin = "", "", 0
			s.Lift, s.Interval, s.Effect = number(x.Lift()), bounds{number(row.LiftLow), number(row.LiftHigh)}, number(x.Effect())
		}
		if c.Omni.Status == stats.OK {
			s.Shrunk, s.Significant = number(c.Omni.Effects[i].Mean), c.Omni.Rejected[i]
		}
		drawn, c.Slices = append(drawn, row), append(c.Slices, s)
	}
	axis := forestScale(drawn)
	c.Axis = axis.labels(5)
	for i := range drawn {
		c.Slices[i].Bar = axis.draw(drawn[i], forestWidth, forestHeight-16)
	}
	return c
}

func hull(i stats.Interval) stats.Interval {
	if i.Shape != stats.Bounded {
		return stats.Interval{Low: math.Inf(-1), High: math.Inf(1)}
	}
	return i
}

// drill answers /experiments/{id}/metrics/{metric}.
func (s *server) drill(w http.ResponseWriter, r *http.Request) {
	report, f, ok := s.one(w, r, r.PathValue("id"))
	if !ok {
		return
	}
	e, name := report.Experiment, r.PathValue("metric")
	variant := r.URL.Query().Get("variant")
	at := slices.IndexFunc(report.Latest(), func(x evaluate.Result) bool {
		return x.Metric == name && (variant == "" || x.Variant == variant)
	})
	m, err := metric.Find(s.Project.Metrics, name)
	if err != nil || at < 0 {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "Experiment " + e.ID + " has no result of metric " + name + "."})
		return
	}
	d := drill{Report: report, Result: report.Latest()[at], Metric: m, Segments: e.Segments, By: r.URL.Query().Get("by"), Missing: f.missing}
	d.Variant = d.Result.Variant
	asOf, err := time.Parse(time.DateOnly, report.AsOf())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d.SQL = measure.Query(e, []metric.Metric{m}, asOf)
	if err := s.cut(r.Context(), &d, asOf); err != nil {
		if fault.Is(err, fault.Invalid) && d.By != "" {
			s.problem(w, r, problem{Status: http.StatusBadRequest, Detail: err.Error()})
			return
		}
		s.fail(w, r, err)
		return
	}
	if r.URL.Query().Get("format") == "json" {
		s.writeJSON(w, r, struct {
			Experiment string         `json:"experiment"`
			Result     []metricResult `json:"result"`
			Cuts       []cut          `json:"cuts"`
			Bayes      *bayes         `json:"bayes"`
			SQL        string         `json:"sql"`
		}{e.ID, resultsJSON([]evaluate.Result{d.Result}), d.Cuts, d.Bayes, d.SQL})
		return
	}
	s.render(w, r, http.StatusOK, "drill", d)
}

// cut splits the metric by time, from the sums that stand per day of first exposure, and by a declared segment if one
// is asked for.
func (s *server) cut(ctx context.Context, d *drill, asOf time.Time) error {
	e := d.Experiment
	rows, err := lake.Read[measure.Statistic](ctx, s.Engine, "SELECT * FROM "+statisticTable+" WHERE as_of = "+lake.Quote(d.AsOf())+
		" AND experiment_id = "+lake.Quote(e.ID)+" AND metric = "+lake.Quote(d.Metric.Name))
	if unpublished(err) {
		d.Missing, err = append(d.Missing, statisticTable), nil
	}
	if err != nil {
		return err
	}
	in := evaluate.Input{Experiment: e, Metrics: []metric.Metric{d.Metric}, Statistics: rows, AsOf: asOf}
	d.Bayes = bayesOf(in, d.Metric)
	if d.Metric.Kind != metric.Quantile && len(rows) > 0 {
		days, daily := grouped(in, d.Metric, d.Variant, func(day time.Time) string { return day.Format(time.DateOnly) })
		d.Cuts = append(d.Cuts, cutOf(e, d.Result, "day", "By day of first exposure", days, daily))
		weeks, weekly := grouped(in, d.Metric, d.Variant, func(day time.Time) string {
			n := int(day.Sub(e.Start.Time).Hours() / (24 * 7))
			return fmt.Sprintf("Week %02d, from %s", n+1, e.Start.AddDate(0, 0, 7*n).Format("2 Jan"))
		})
		d.Cuts = append(d.Cuts, cutOf(e, d.Result, "week", "By week of first exposure", weeks, weekly))
		halves, half := grouped(in, d.Metric, d.Variant, func(day time.Time) string {
			if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
				return "Weekend"
			}
			return "Monday to Friday"
		})
		d.Cuts = append(d.Cuts, cutOf(e, d.Result, "weekday", "By part of the week", halves, half))
		at := make([]float64, len(days))
		for i := range at {
			at[i] = float64(i)
		}
		if t := stats.FitTrend(at, daily); t.Status == stats.OK {
			d.Trend = &t
		}
	}
	if d.By == "" {
		return nil
	}
	return s.segment(ctx, d, asOf)
}

type segmentCell struct {
	Segment string  `lake:"segment"`
	Variant string  `lake:"variant"`
	Units   int64   `lake:"units"`
	MeanY   float64 `lake:"mean_y"`
	MeanD   float64 `lake:"mean_d"`
	YY      float64 `lake:"yy"`
	YD      float64 `lake:"yd"`
	DD      float64 `lake:"dd"`
}

// segment splits by what units said of themselves before their first exposure. Only segments that were declared in the
// experiment: who may choose afterwards always finds one.
func (s *server) segment(ctx context.Context, d *drill, asOf time.Time) error {
	e := d.Experiment
	if !slices.Contains(e.Segments, d.By) {
		return fault.New(fault.Invalid, "%s is no segment that experiment %s declares", d.By, e.ID)
	}
	by, err := s.Project.Layer.Dimension(d.By)
	if err != nil {
		return fault.New(fault.Invalid, "no semantic model has the dimension %s", d.By)
	}
	sql, err := notebook.SegmentQuery(notebook.Subject{Experiment: e, Metrics: []metric.Metric{d.Metric}, Metric: d.Metric, AsOf: asOf, Segment: by.Expression, Templates: athenasql.Files})
	if err != nil {
		return err
	}
	cells, err := lake.Read[segmentCell](ctx, s.Engine, sql)
	if err != nil {
		return err
	}
	grams := map[string]map[string]stats.Gram{}
	var names []string
	for _, c := range cells {
		if grams[c.Segment] == nil {
			grams[c.Segment] = map[string]stats.Gram{}
			names = append(names, c.Segment)
		}
		grams[c.Segment][c.Variant] = stats.Gram{N: c.Units, MeanY: c.MeanY, MeanD: c.MeanD, YY: c.YY, YD: c.YD, DD: c.DD}
	}
	contrasts := make([]stats.Contrast, len(names))
	for i, name := range names {
		contrasts[i] = evaluate.Compare(d.Metric, grams[name][e.Control], grams[name][d.Variant])
	}
	d.Cuts = append([]cut{cutOf(e, d.Result, d.By, "By "+d.By+", as it was before the first exposure", names, contrasts)}, d.Cuts...)
	return nil
}
