package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"verdict/shared/cost"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/planning"
	"verdict/shared/register"
)

// planned is what `verdict experiment plan --json` prints.
type planned struct {
	Plan   planning.Plan    `json:"plan"`
	USD    float64          `json:"run_usd"` // of Athena, for all that evaluations read
	Change *planning.Change `json:"change,omitempty"`
}

// planExperiment is `verdict experiment plan`.
func (p program) planExperiment(ctx context.Context, flags *flag.FlagSet, projectDir *string, asJSON *bool, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	days := flags.Int("days", 28, "how many days of traffic to plan on")
	like := flags.String("like", "", "plan on the units of this experiment (default: its own; before it starts, everybody who was seen)")
	power := flags.Float64("power", 0.8, "chance of an answer to plan for")
	asOfText := flags.String("as-of", "", "plan as of the start of this day, UTC (default: today)")
	id, err := parseNamed(flags, args, "experiment")
	if err != nil {
		return err
	}
	asOf, err := p.day("as-of", *asOfText, 0)
	if err != nil {
		return err
	}
	if *days < 1 || !(*power > 0 && *power < 1) {
		return wrongUse("--days wants at least 1, and --power a share between 0 and 1")
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // nothing is written
	e, err := experimentNamed(h.project.Experiments, id)
	if err != nil {
		return err
	}
	history, err := register.History(ctx, h.store, id)
	if err != nil {
		return err
	}
	question, err := h.question(ctx, e, history, *like, asOf.AddDate(0, 0, -*days), asOf)
	if err != nil {
		return err
	}
	question.Power = *power
	planner := &planning.Planner{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Evaluator: &evaluate.Evaluator{Engine: h.warehouse, Catalog: h.warehouse}}
	var out planned
	if out.Plan, err = planner.Plan(ctx, question); err != nil {
		return err
	}
	if out.USD, err = athenaCost(out.Plan.Reading.Run); err != nil {
		return err
	}
	if len(history) > 0 && asOf.After(e.Start.Time) {
		change, err := planner.Change(ctx, history[len(history)-1], e, h.project.Metrics, asOf)
		if err != nil {
			return err
		}
		out.Change = &change
	}
	if *asJSON {
		return p.printJSON(out)
	}
	return printPlan(p.out, e, out)
}

func experimentNamed(all []*experiment.Experiment, id string) (*experiment.Experiment, error) {
	i := slices.IndexFunc(all, func(e *experiment.Experiment) bool { return e.ID == id })
	if i < 0 {
		return nil, unknownExperiment(id)
	}
	return all[i], nil
}

// question chooses whose traffic to plan on.
func (h *home) question(ctx context.Context, e *experiment.Experiment, history []register.Registration, like string, from, to time.Time) (planning.Question, error) {
	q := planning.Question{Experiment: e, Metrics: h.project.Metrics, Share: e.Traffic, Population: measure.Population{Like: like, From: from, To: to}}
	if like == "" {
		n, err := lake.Read[struct {
			Units int64 `lake:"units"`
		}](ctx, h.warehouse, "select count(*) as units from fact_experiment_exposure where experiment_id = "+lake.Quote(e.ID))
		if err != nil && !fault.Is(err, fault.Invalid) { // no table yet
			return q, err
		}
		if len(n) == 0 || n[0].Units == 0 {
			return q, nil
		}
		q.Population.Like = e.ID
	}
	other := e
	if like != "" && like != e.ID {
		var err error
		if other, err = experimentNamed(h.project.Experiments, like); err != nil {
			return q, err
		}
	} else if len(history) > 0 {
		other = history[len(history)-1].Experiment
	}
	q.Share = e.Traffic / other.Traffic
	if other.Start.After(from) {
		q.Population.From = other.Start.Time
	}
	for _, s := range other.Stages() { // as they were in force from the first day that is planned on
		s.Day = max(0, s.Day-int(q.Population.From.Sub(other.Start.Time).Hours()/24))
		if n := len(q.Entered); n > 0 && q.Entered[n-1].Day == s.Day {
			q.Entered = q.Entered[:n-1]
		}
		q.Entered = append(q.Entered, s)
	}
	if other.End().Before(to) {
		q.Population.To = other.End()
	}
	if !q.Population.To.After(q.Population.From) {
		return q, fault.New(fault.NotFound, "plan %s: %s has no traffic between %s and %s; plan on another day (--as-of)", e.ID, other.ID, from.Format(time.DateOnly), to.Format(time.DateOnly))
	}
	return q, nil
}

// athenaCost prices what queries read.
func athenaCost(bytes int64) (float64, error) {
	prices, err := cost.Load("", nil)
	if err != nil {
		return 0, err
	}
	const terabyte = 1e12
	return float64(bytes) / terabyte * prices.Prices["athena_tb"].USD, nil
}

func printPlan(w io.Writer, e *experiment.Experiment, out planned) error {
	plan := out.Plan
	whose := "everybody who was seen"
	if plan.Like != "" {
		whose = "the units of " + plan.Like
	}
	fmt.Fprintf(w, "%s on %s from %s to %s: %d units, of which %g %% would enter\n", e.ID, whose, plan.From, plan.To, plan.UnitsSeen, 100*plan.Share)
	fmt.Fprintf(w, "planned: %d days, %d units; on this traffic %d units come in %d days\n", plan.PlannedDays, plan.PlannedUnits, plan.ExpectedUnits, plan.PlannedDays)
	if len(e.Ramp) > 0 {
		fmt.Fprintf(w, "ramp: from %g %% of users to %g %% in %d days, if nothing holds it up; nothing ships before\n", 100*e.FirstTraffic(), 100*e.Traffic, plan.RampDays)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "METRIC\tROLE\tBASELINE\tTO SHOW\tPOWER AT END\tSHOWS AT END\tUNITS FOR %g %%\tDAYS\tWEEKS\tDECIDED AFTER\n", 100*plan.Power)
	for _, m := range plan.Metrics {
		if m.Role == experiment.Secondary || m.Reason != "" {
			fmt.Fprintf(t, "%s\t%s\t%.4g ± %.3g\t%s\t\t\t\t\t\t\n", m.Metric, m.Role, m.Mean, m.Deviation, m.Reason)
			continue
		}
		what := "+" + percentage(&m.Lift)
		if m.Role == experiment.Guardrail {
			what = "above -" + percentage(&m.Lift)
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g ± %.3g\t%s\t%.0f %%\t%s\t%s\t%s\t%s\t%s\n", m.Metric, m.Role, m.Mean, m.Deviation, what, 100*m.PowerAtEnd,
			percentage(m.Detectable), rounded(m.Needed, "never"), rounded(m.Days, "never"), rounded(m.Weeks, "never"), strings.TrimSuffix(rounded(m.Expected, "")+" days", " days"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nAn evaluation at the planned end reads up to %s, one a day until then %s in all (%.2f USD on Athena): %s.\n",
		size(plan.Reading.Last), size(plan.Reading.Run), out.USD, strings.Join(plan.Reading.Over, ", "))
	if out.Change != nil {
		return printChange(w, *out.Change)
	}
	return nil
}

func printChange(w io.Writer, c planning.Change) error {
	if len(c.Changes) == 0 {
		fmt.Fprintf(w, "\nThe definition is as registered. As of %s: %s.\n", c.AsOf, c.After.Headline)
		return nil
	}
	fmt.Fprintf(w, "\nThis definition differs from the registered one:\n")
	for _, change := range c.Changes {
		fmt.Fprintf(w, "  %s from %s to %s\n", change.Field, orNothing(change.From), orNothing(change.To))
	}
	fmt.Fprintf(w, "\nThe same events, as of %s\n", c.AsOf)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "METRIC\tVARIANT\tAS REGISTERED\tAS CHANGED\n")
	for _, key := range results(c) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", key[0], key[1], line(c.Before, key), line(c.After, key))
	}
	fmt.Fprintf(t, "decision\t\t%s\t%s\n", c.Before.Headline, c.After.Headline)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range c.After.Reasons {
		fmt.Fprintf(w, "  - %s\n", r.Text)
	}
	fmt.Fprintln(w, "\nTo change what decides while numbers are known is to choose among answers: the readout lists every change.")
	return nil
}

// results are the metrics and variants of both readouts.
func results(c planning.Change) [][2]string {
	var out [][2]string
	for _, r := range slices.Concat(c.Before.Results, c.After.Results) {
		if key := [2]string{r.Metric, r.Variant}; !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

func line(of planning.Readout, key [2]string) string {
	for _, r := range of.Results {
		if [2]string{r.Metric, r.Variant} != key {
			continue
		}
		if r.Status != "ok" {
			return r.Status
		}
		says := strings.Trim(r.Significance+", "+strings.ReplaceAll(r.Guardrail, "_", " "), ", ")
		return fmt.Sprintf("%+.1f %% [%s, %s] %s", 100*r.Lift, limit(r.Low, "-∞"), limit(r.High, "+∞"), says)
	}
	return "not measured"
}

func limit(x *float64, none string) string {
	if x == nil {
		return none
	}
	return fmt.Sprintf("%+.1f", 100**x)
}

func percentage(x *float64) string {
	if x == nil {
		return "nothing"
	}
	return fmt.Sprintf("%.3g %%", 100**x)
}

func rounded(x *float64, none string) string {
	if x == nil {
		return none
	}
	return fmt.Sprintf("%.0f", math.Ceil(*x-1e-9))
}

// size writes bytes for people.
func size(bytes int64) string {
	x, units := float64(bytes), []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for ; x >= 1000 && i < len(units)-1; i++ {
		x /= 1000
	}
	return fmt.Sprintf("%.3g %s", x, units[i])
}
