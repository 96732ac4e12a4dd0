package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"verdict/shared/decide"
	"verdict/shared/embedded/shop"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/lake"
	"verdict/shared/register"
)

// outcome is what the demo and run print as JSON.
type outcome struct {
	Experiments []outcomeOf  `json:"experiments"`
	Traffic     *shop.Counts `json:"traffic,omitempty"` // of the simulated shop
}

type outcomeOf struct {
	ID            string            `json:"id"`
	Verdict       decide.Verdict    `json:"verdict"`
	Variant       string            `json:"variant,omitempty"`
	DecidedOn     string            `json:"decided_on"`
	Headline      string            `json:"headline"`
	Reasons       []decide.Reason   `json:"reasons"`
	Decisions     []decide.Decision `json:"decisions"`
	Registrations []register.Entry  `json:"registrations"`
	Results       []resultLine      `json:"results"`
	Checks        []evaluate.Check  `json:"checks"`
}

type resultLine struct {
	Metric         string   `json:"metric"`
	Role           string   `json:"role"`
	Variant        string   `json:"variant"`
	UnitsControl   int64    `json:"units_control"`
	UnitsTreatment int64    `json:"units_treatment"`
	MeanControl    float64  `json:"mean_control"`
	MeanTreatment  float64  `json:"mean_treatment"`
	Lift           float64  `json:"lift"`
	LiftLow        *float64 `json:"lift_low"` // null: unbounded
	LiftHigh       *float64 `json:"lift_high"`
	AnytimeP       float64  `json:"anytime_p"`
	ChanceToBeat   float64  `json:"chance_to_beat"`
	Guardrail      string   `json:"guardrail,omitempty"`
	Status         string   `json:"status"`
}

// report prints each experiment's decision and latest results.
func (h *home) report(ctx context.Context, w io.Writer, asJSON bool, traffic *shop.Counts) error {
	const latest = " where as_of = (select max(as_of) from fact_experiment_results)"
	results, err := lake.Read[evaluate.Result](ctx, h.warehouse, "select * from fact_experiment_results"+latest+" order by experiment_id, role, metric, variant")
	if err != nil {
		return fmt.Errorf("read results: %w", err)
	}
	checks, err := lake.Read[evaluate.Check](ctx, h.warehouse, "select * from fact_experiment_check"+latest+" order by experiment_id, name")
	if err != nil {
		return fmt.Errorf("read checks: %w", err)
	}
	out := outcome{Traffic: traffic}
	for _, e := range h.project.Experiments {
		history, err := decide.History(ctx, h.store, e.ID)
		if err != nil {
			return err
		}
		if len(history) == 0 {
			continue
		}
		last := history[len(history)-1]
		log, err := registrations(ctx, h.store, e.ID)
		if err != nil {
			return err
		}
		one := outcomeOf{Registrations: log, ID: e.ID, Verdict: last.Verdict, Variant: last.Variant, DecidedOn: last.AsOf, Headline: last.Headline, Reasons: last.Reasons, Decisions: history}
		for _, r := range results {
			if r.ExperimentID == e.ID {
				one.Results = append(one.Results, lineOf(r))
			}
		}
		for _, c := range checks {
			if c.ExperimentID == e.ID {
				one.Checks = append(one.Checks, c)
			}
		}
		out.Experiments = append(out.Experiments, one)
	}
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(out)
	}
	return printTable(w, out)
}

func lineOf(r evaluate.Result) resultLine {
	line := resultLine{
		Metric: r.Metric, Role: r.Role, Variant: r.Variant, UnitsControl: r.UnitsControl, UnitsTreatment: r.UnitsTreatment,
		MeanControl: r.MeanControl, MeanTreatment: r.MeanTreatment, Lift: r.Lift,
		AnytimeP: r.AnytimeP, ChanceToBeat: r.ChanceToBeat, Guardrail: r.Guardrail, Status: r.Status,
	}
	if r.LiftLow > -1e300 {
		line.LiftLow = &r.LiftLow
	}
	if r.LiftHigh < 1e300 {
		line.LiftHigh = &r.LiftHigh
	}
	return line
}

// printTable writes the report for people: one line an experiment, and below it why.
func printTable(w io.Writer, out outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nEXPERIMENT\tVERDICT\tSINCE\tUNITS\tGOAL\tLIFT")
	for _, e := range out.Experiments {
		units, goal, lift := "", "", ""
		for _, r := range e.Results {
			if r.Role == string(experiment.Goal) {
				units, goal = strconv.FormatInt(r.UnitsControl+r.UnitsTreatment, 10), r.Metric
				lift = fmt.Sprintf("%+.1f %% [%s, %s]", 100*r.Lift, bound(r.LiftLow), bound(r.LiftHigh))
			}
		}
		if e.Verdict == decide.Blocked {
			lift = "withheld" // as on the dashboard: nobody should read its effects
		}
		verdict := strings.ReplaceAll(string(e.Verdict), "_", " ")
		if e.Verdict == decide.Ship {
			verdict += " " + e.Variant
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, strings.ToUpper(verdict), e.DecidedOn, units, goal, lift)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	for _, e := range out.Experiments {
		fmt.Fprintf(w, "\n%s\n", e.Headline)
		for _, r := range e.Reasons {
			fmt.Fprintf(w, "  - %s\n", r.Text)
		}
		printChanges(w, "  ", e.Registrations)
	}
	return nil
}

func bound(x *float64) string {
	if x == nil {
		return "unbounded"
	}
	return fmt.Sprintf("%+.1f", 100**x)
}
