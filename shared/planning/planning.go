// Package planning says, before an experiment runs, what it would find, how long that takes and what it costs to
// read; and, while it runs, what a change to its definition would make of the readout. It changes nothing.
package planning

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// longest is how many days of daily looks are worked out: nobody plans for more than three years.
const longest = 3 * 365

// Planner plans over a lake.
type Planner struct {
	Objects   lake.Objects
	Engine    lake.Engine
	Catalog   lake.Catalog
	Evaluator *evaluate.Evaluator
}

// Question is what is to be planned.
type Question struct {
	Experiment *experiment.Experiment
	Metrics    []metric.Metric // of the project
	Population measure.Population
	Entered    []experiment.Stage // how the population's own traffic grew, as days from its first and shares of its last; none: it did not
	Share      float64            // of the population's units that would enter, once the experiment's own ramp is through
	Power      float64            // wanted for each answer
}

// Plan is what to expect.
type Plan struct {
	ExperimentID  string    `json:"experiment_id"`
	From          string    `json:"from"` // of the traffic it rests on
	To            string    `json:"to"`
	Like          string    `json:"like,omitempty"` // experiment whose units these were; empty: everybody who was seen
	UnitsSeen     int64     `json:"units_seen"`
	Share         float64   `json:"share"`
	Power         float64   `json:"power"`
	PlannedDays   int       `json:"planned_days"`
	PlannedUnits  int64     `json:"planned_units"`
	RampDays      int       `json:"ramp_days,omitempty"` // until the ramp is through, if nothing holds it up
	ExpectedUnits int64     `json:"expected_units"`      // by the planned end, if traffic stays
	Metrics       []Outlook `json:"metrics"`
	Reading       Reading   `json:"reading"`
}

// Outlook is what one metric can show. Of a goal it is about an improvement of the least effect of interest, judged by
// the rule's last look; of a guardrail about showing, when nothing changes, that it is not worse by its margin. Lifts
// are relative. The smallest treatment counts. Infinite figures are null: no sample will do.
type Outlook struct {
	Metric     string          `json:"metric"`
	Label      string          `json:"label"`
	Role       experiment.Role `json:"role"`
	Units      int64           `json:"units"` // measured
	Mean       float64         `json:"mean"`
	Deviation  float64         `json:"deviation"`                  // of one unit's value
	Removed    float64         `json:"variance_removed,omitempty"` // by covariates, out of the deviation already
	Lift       float64         `json:"lift,omitempty"`             // to find: the experiment's least effect of interest, or the margin
	PowerAtEnd float64         `json:"power_at_end"`
	Detectable *float64        `json:"detectable_at_end"` // lift, or margin, that the planned end shows with the power
	Needed     *float64        `json:"units_needed"`      // in all arms
	Days       *float64        `json:"days"`              // until the last of them has its whole window
	Weeks      *float64        `json:"whole_weeks"`
	Expected   *float64        `json:"expected_days"` // of a goal: mean days until it is decided, looked at daily
	Reason     string          `json:"reason,omitempty"`
}

// Plan works out what an experiment would show on traffic like its population's.
func (p *Planner) Plan(ctx context.Context, q Question) (Plan, error) {
	e := q.Experiment
	measurer := &measure.Measurer{Engine: p.Engine}
	statistics, traffic, err := measurer.Rehearse(ctx, e, q.Metrics, q.Population)
	if err != nil {
		return Plan{}, err
	}
	used, err := measure.Select(e, q.Metrics)
	if err != nil {
		return Plan{}, err
	}
	seen := accumulate(traffic, q.Population.From, q.Population.To)
	stages := e.Stages()
	come := arrivals(steady(seen, q.Entered), stages, q.Share)
	out := Plan{
		ExperimentID: e.ID, From: q.Population.From.Format(time.DateOnly), To: q.Population.To.Format(time.DateOnly), Like: q.Population.Like,
		UnitsSeen: int64(seen.Units(float64(len(seen)))), Share: q.Share, Power: q.Power, PlannedDays: e.PlannedDays, PlannedUnits: e.PlannedUnits,
		RampDays: stages[len(stages)-1].Day, ExpectedUnits: int64(math.Round(come.Units(float64(e.PlannedDays)))),
	}
	if out.UnitsSeen == 0 {
		return out, fault.New(fault.NotFound, "plan %s: nobody was seen from %s to %s; plan on other days (--as-of, --days)", e.ID, out.From, out.To)
	}
	in := evaluate.Input{Experiment: e, Metrics: used, Statistics: statistics, Traffic: traffic, AsOf: q.Population.To}
	rule := evaluate.Rule(e)
	for i, m := range e.Metrics {
		out.Metrics = append(out.Metrics, outlook(q, in, m, used[i], come, rule))
	}
	out.Reading, err = p.reading(ctx, q, used)
	return out, err
}

// accumulate counts how many different units have come by the end of each day.
func accumulate(traffic []measure.Exposure, from, to time.Time) stats.Accumulation {
	out := make(stats.Accumulation, int(to.Sub(from).Hours()/24))
	for _, t := range traffic {
		day, err := time.Parse(time.DateOnly, t.ExposureDate)
		if i := int(day.Sub(from).Hours() / 24); err == nil && i >= 0 && i < len(out) {
			out[i] += float64(t.Units)
		}
	}
	for i := 1; i < len(out); i++ {
		out[i] += out[i-1]
	}
	return out
}

// arrivals is how many different units an experiment has by the end of each day, if so many of the population's are seen
// by then. Who is included stays included, and who is added by a step of the ramp enters when next seen: those whom a
// step adds come as all came from the first day on.
func arrivals(seen stats.Accumulation, stages []experiment.Stage, share float64) stats.Accumulation {
	out := make(stats.Accumulation, longest)
	last, before := stages[len(stages)-1].Traffic, 0.0
	for _, s := range stages {
		for i := s.Day; i < len(out); i++ {
			out[i] += (s.Traffic - before) / last * share * seen.Units(float64(i+1-s.Day))
		}
		before = s.Traffic
	}
	return out
}

// steady undoes arrivals: how many would have been seen had all traffic been included from the first day on.
func steady(seen stats.Accumulation, entered []experiment.Stage) stats.Accumulation {
	if len(entered) < 2 {
		return seen
	}
	out := make(stats.Accumulation, len(seen))
	last := entered[len(entered)-1].Traffic
	for i := range seen {
		n, before := seen[i], entered[0].Traffic
		for _, s := range entered[1:] {
			if i >= s.Day {
				n -= (s.Traffic - before) / last * out.Units(float64(i+1-s.Day))
			}
			before = s.Traffic
		}
		out[i] = n * last / entered[0].Traffic
		if i > 0 {
			out[i] = max(out[i], out[i-1])
		}
	}
	return out
}

// shares gives the control's share of the units and that of the smallest treatment.
func shares(e *experiment.Experiment) (control, treatment float64) {
	treatment = 1
	for _, v := range e.Variants {
		if v.Key == e.Control {
			control = v.Share
		} else {
			treatment = min(treatment, v.Share)
		}
	}
	return control, treatment
}

func outlook(q Question, in evaluate.Input, used experiment.Metric, m metric.Metric, come stats.Accumulation, rule stats.Hybrid) Outlook {
	e := q.Experiment
	arm, removed := in.Baseline(m, e.Control)
	o := Outlook{Metric: m.Name, Label: m.Label, Role: used.Role, Units: arm.N, Mean: arm.Mean, Deviation: math.Sqrt(arm.Variance), Removed: removed, Reason: arm.Reason}
	if arm.Status == stats.OK && arm.Mean == 0 {
		o.Reason = "its mean is 0: a relative change says nothing"
	}
	if o.Reason != "" || used.Role == experiment.Secondary {
		return o
	}
	relative := arm.Variance / (arm.Mean * arm.Mean)
	control, treatment := shares(e)
	planned := float64(e.PlannedUnits)
	end := come.Units(float64(e.PlannedDays - m.Window.End())) // those whose windows are complete
	var critical func(n float64) float64
	if o.Lift = e.MDE; used.Role == experiment.Guardrail {
		o.Lift = used.Margin
		mixture := stats.TuneOneSided(e.Alpha, e.PlannedUnits)
		critical = func(n float64) float64 { return mixture.CriticalGreater(int64(max(n, 1)), e.Alpha) }
	} else {
		critical = func(float64) float64 { return rule.FinalZ }
	}
	// The variance of a lift r is vC(1+r)^2 + vT (stats.DetectableLift); of a margin it is taken where the margin is.
	r := o.Lift
	if used.Role == experiment.Guardrail {
		r = -r
	}
	const base = 1000 // units, of which the standard error is scaled
	se := math.Sqrt(relative / base * ((1+r)*(1+r)/control + 1/treatment))
	projection := stats.Projection{N: base, SE: se, Effect: o.Lift, Needs: critical}
	o.PowerAtEnd = projection.Power(end / base)
	if end > 0 {
		o.Detectable = finite(stats.DetectableLift(relative/(control*end), relative/(treatment*end), level(critical(end)), q.Power))
	}
	needed := needs(projection, q.Power)
	o.Needed = finite(needed)
	window := float64(m.Window.End())
	days := come.Days(needed) + window
	if used.Role == experiment.Goal {
		days = max(days, float64(shippable(e)))
	}
	o.Days = finite(days)
	o.Weeks = finite(stats.WholeWeeks(days) / 7)
	if used.Role == experiment.Goal && days < longest {
		run := stats.PlanRuntime(come, shippable(e)-m.Window.End(), needed, 1, stats.DetectableEffect(1, level(rule.FinalZ), q.Power),
			func(times []float64) []float64 { return rule.Bounds(times, int64(planned)) })
		o.Expected = finite(run.Expected + window)
	}
	return o
}

// shippable is the first day on which a variant may ship: after the minimum run, and after the look that finds the ramp
// through.
func shippable(e *experiment.Experiment) int {
	first := e.MinimumDays
	if len(e.Ramp) > 0 {
		stages := e.Stages()
		first = max(first, stages[len(stages)-1].Day+1)
	}
	return first
}

// needs is how many units have the power.
func needs(p stats.Projection, power float64) float64 {
	small := p // More says 0 where there are enough: begin with next to none
	small.N, small.SE = 1, p.SE*math.Sqrt(float64(p.N))
	return 1 + small.More(power)
}

// level is that of a two-sided fixed test with this critical value.
func level(z float64) float64 { return math.Erfc(z / math.Sqrt2) }

func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// Reading is what evaluations read, before columns that are not needed are skipped.
type Reading struct {
	Last int64    `json:"last_bytes"` // the evaluation at the planned end
	Run  int64    `json:"run_bytes"`  // one a day, up to then
	Day  int64    `json:"day_bytes"`  // of events, on average
	Over []string `json:"tables"`
}

// reading sums the files that an evaluation reads: of tables by day those from the start on, of others all.
func (p *Planner) reading(ctx context.Context, q Question, used []metric.Metric) (Reading, error) {
	var perDay, always float64
	tables := append(measure.Tables(used), "ledger_session")
	slices.Sort(tables)
	tables = slices.Compact(tables)
	var out Reading
	for _, name := range tables {
		table, err := p.Catalog.Table(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("look up %s: %w", name, err)
		}
		byDay := slices.Equal(table.PartitionBy, []string{"event_date"})
		from, to := q.Population.From.Format(time.DateOnly), q.Population.To.Format(time.DateOnly)
		for _, part := range table.Partitions {
			if byDay && (part.Values[0] < from || part.Values[0] >= to) {
				continue
			}
			files, err := p.Objects.List(ctx, part.Location)
			if err != nil {
				return out, fmt.Errorf("list files of %s: %w", name, err)
			}
			for _, f := range files {
				if byDay {
					perDay += float64(f.Size)
				} else {
					always += float64(f.Size)
				}
			}
		}
		out.Over = append(out.Over, name)
	}
	perDay /= math.Max(1, q.Population.To.Sub(q.Population.From).Hours()/24)
	days := float64(q.Experiment.PlannedDays)
	out.Day, out.Last = int64(perDay), int64(perDay*days+always)
	out.Run = int64(perDay*days*(days+1)/2 + always*days)
	return out, nil
}
