package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"verdict/shared/decide"
	"verdict/shared/definition"
	"verdict/shared/embedded/directory"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
	"verdict/shared/project"
	"verdict/shared/register"
	"verdict/shared/restate"
)

// experiment is `verdict experiment check|list|show|plan`.
func (p program) experiment(ctx context.Context, flags *flag.FlagSet, args []string) error {
	flags.Usage = func() {
		fmt.Fprint(p.err, `verdict experiment check [--project DIR] [--json] [FILE…]
  say everything that is wrong with the experiments, or with these files
verdict experiment list [--lake DIR] [--project DIR] [--json]
  list the experiments and where each is
verdict experiment show [--lake DIR] [--project DIR] [--json] ID
  show a definition, what was registered at its start and changed since, and the decisions
verdict experiment plan [--lake DIR] [--project DIR] [--days N] [--like OTHER] [--power P] [--as-of DATE] [--json] ID
  what it would find, how long that takes and what it reads, on recent traffic; of a running experiment also what
  its readout becomes under the definition in the project, beside the registered one

`)
		flags.PrintDefaults()
	}
	const verbs = "experiment wants one of check, list, show, plan"
	if len(args) == 0 {
		flags.Usage()
		return wrongUse("%s", verbs)
	}
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asJSON := flags.Bool("json", false, "print JSON")
	verb, rest := args[0], args[1:]
	switch verb {
	case "check":
		if err := arguments(flags, rest); err != nil {
			return err
		}
		return p.checkExperiments(*projectDir, *asJSON, flags.Args())
	case "plan":
		return p.planExperiment(ctx, flags, projectDir, asJSON, rest)
	case "list", "show":
		lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
		if err := parse(flags, rest, map[string]int{"list": 0, "show": 1}[verb]); err != nil {
			return err
		}
		d, err := load(*projectDir)
		if err != nil {
			return err
		}
		of, err := standings(ctx, &directory.Store{Root: *lakeDir}, d.Experiments)
		if err != nil {
			return err
		}
		if verb == "list" {
			return p.listExperiments(of, *asJSON)
		}
		return p.showExperiment(of, flags.Arg(0), *asJSON)
	}
	flags.Usage()
	return wrongUse("%s, not %q", verbs, verb)
}

// checked is what `verdict experiment check --json` prints.
type checked struct {
	Experiments int                    `json:"experiments"` // that are sound
	Complaints  []definition.Complaint `json:"complaints"`
}

func (p program) checkExperiments(projectDir string, asJSON bool, files []string) error {
	read, err := readExperiments(projectDir, files)
	complaints := definition.Complaints(err)
	if err != nil && complaints == nil {
		return err
	}
	if asJSON {
		if err := p.printJSON(checked{len(read), append([]definition.Complaint{}, complaints...)}); err != nil {
			return err
		}
	} else {
		for _, c := range complaints {
			fmt.Fprintf(p.out, "%s:%d:%d: %s\n", c.File, c.Line, c.Column, c.Text)
		}
	}
	if n := len(complaints); n > 0 {
		return fault.New(fault.Invalid, "the experiments have %d mistake(s)", n)
	}
	if !asJSON {
		fmt.Fprintf(p.out, "ok, %d experiments\n", len(read))
	}
	return nil
}

// readExperiments reads those of a project, or files beside it.
func readExperiments(projectDir string, files []string) ([]*experiment.Experiment, error) {
	if len(files) == 0 {
		d, err := load(projectDir)
		if err != nil {
			return nil, err
		}
		return d.Experiments, nil
	}
	metrics, err := metricsOf(projectDir)
	if err != nil {
		return nil, err
	}
	var sources []experiment.Source
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sources = append(sources, experiment.Source{File: filepath.ToSlash(name), Text: text})
	}
	return experiment.Read(sources, metric.Known(metrics))
}

func metricsOf(projectDir string) ([]metric.Metric, error) {
	if projectDir == "" {
		builtIn, err := project.BuiltIn()
		if err != nil {
			return nil, err
		}
		return builtIn.Metrics, nil
	}
	return project.Metrics(os.DirFS(projectDir))
}

// standing is where an experiment is.
type standing struct {
	ID            string                 `json:"id"`
	Mode          experiment.Mode        `json:"mode"`
	Start         experiment.Date        `json:"start"`
	End           experiment.Date        `json:"planned_end"`
	Verdict       decide.Verdict         `json:"verdict"` // empty: nothing is decided yet
	Hash          string                 `json:"definition_hash"`
	Definition    *experiment.Experiment `json:"definition"`
	Registrations []register.Entry       `json:"registrations"`
	Decisions     []decide.Decision      `json:"decisions"`
	Restatements  []restate.Restatement  `json:"restatements,omitempty"`
}

// Changes counts what changed since the start.
func (s standing) changes() int {
	n := 0
	for _, r := range s.Registrations {
		n += len(r.Changes)
	}
	return n
}

func standings(ctx context.Context, objects lake.Objects, experiments []*experiment.Experiment) ([]standing, error) {
	out := make([]standing, len(experiments))
	for i, e := range experiments {
		out[i] = standing{ID: e.ID, Mode: e.Mode, Start: e.Start, End: experiment.Date{Time: e.End()}, Hash: e.Hash(), Definition: e}
		var err error
		if out[i].Registrations, err = registrations(ctx, objects, e.ID); err != nil {
			return nil, err
		}
		if out[i].Decisions, err = decide.History(ctx, objects, e.ID); err != nil {
			return nil, err
		}
		if out[i].Restatements, err = restate.All(ctx, objects, e.ID); err != nil {
			return nil, err
		}
		if n := len(out[i].Decisions); n > 0 {
			out[i].Verdict = out[i].Decisions[n-1].Verdict
		}
	}
	return out, nil
}

func registrations(ctx context.Context, objects lake.Objects, id string) ([]register.Entry, error) {
	history, err := register.History(ctx, objects, id)
	if err != nil {
		return nil, err
	}
	return register.Log(history)
}

func (p program) listExperiments(all []standing, asJSON bool) error {
	if asJSON {
		return p.printJSON(all)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EXPERIMENT\tFLAG\tMODE\tSTART\tPLANNED END\tVERDICT\tREGISTERED\tCHANGES SINCE")
	for _, s := range all {
		verdict, registered := "none yet", "not yet"
		if s.Verdict != "" {
			verdict = strings.ReplaceAll(string(s.Verdict), "_", " ")
		}
		if len(s.Registrations) > 0 {
			registered = s.Registrations[0].AsOf
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", s.ID, s.Definition.Flag, s.Mode, day(s.Start), day(s.End), verdict, registered, s.changes())
	}
	return w.Flush()
}

func (p program) showExperiment(all []standing, id string, asJSON bool) error {
	i := slices.IndexFunc(all, func(s standing) bool { return s.ID == id })
	if i < 0 {
		return unknownExperiment(id)
	}
	s := all[i]
	if asJSON {
		return p.printJSON(s)
	}
	e := s.Definition
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", e.ID, e.Name)
	fmt.Fprintf(w, "hypothesis\t%s\nowner\t%s\nflag\t%s, mode %s, %g %% of the traffic\n", e.Hypothesis, e.Owner, e.Flag, e.Mode, 100*e.Traffic)
	fmt.Fprintf(w, "runs\t%s to %s, %d days; ships from day %d on\n", day(s.Start), day(s.End), e.PlannedDays, e.MinimumDays)
	fmt.Fprintf(w, "plan\t%d units, alpha %g, least effect of interest %g %%\n", e.PlannedUnits, e.Alpha, 100*e.MDE)
	for _, v := range e.Variants {
		fmt.Fprintf(w, "variant\t%s, %g %%\n", v.Key, 100*v.Share)
	}
	for _, m := range e.Metrics {
		fmt.Fprintf(w, "%s\t%s\n", m.Role, strings.TrimSuffix(fmt.Sprintf("%s, margin %g %%", m.Name, 100*m.Margin), ", margin 0 %"))
	}
	fmt.Fprintf(w, "hash\t%s\n", s.Hash)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	printChanges(p.out, "", s.Registrations)
	for _, d := range s.Decisions {
		fmt.Fprintf(p.out, "%s  %s  %s%s\n", d.AsOf, d.ID, d.Headline, answerTo(d))
		printRestated(p.out, d, s.Restatements)
	}
	return nil
}

// answerTo is what people said to a proposal.
func answerTo(d decide.Decision) string {
	switch {
	case d.Answer != "":
		return fmt.Sprintf(" (%s by %s)", d.Answer, d.AnsweredBy)
	case d.Answerable():
		return " (proposed: verdict approve " + d.ID + ", or reject)"
	}
	return ""
}

// printRestated says what late events would have made of a decision.
func printRestated(w io.Writer, d decide.Decision, restated []restate.Restatement) {
	for _, r := range restated {
		if r.DecisionID != d.ID {
			continue
		}
		fmt.Fprintf(w, "            %s (%d units then, %d now)\n", r.Headline, r.Units, r.RestatedUnits)
		for _, e := range r.Estimates {
			if r.Flipped && e.Was != e.Is {
				fmt.Fprintf(w, "              %s of %s: was %s; is %s\n", e.Metric, e.Variant, e.Was, e.Is)
			}
		}
	}
}

func unknownExperiment(id string) error {
	return fault.New(fault.NotFound, "there is no experiment %q; verdict experiment list names them", id)
}

func day(d experiment.Date) string { return d.Format("2006-01-02") }

// printChanges says what was registered and what changed since.
func printChanges(w io.Writer, indent string, log []register.Entry) {
	for i, r := range log {
		if i == 0 {
			late := ""
			if r.DaysLate > 1 { // one is the first look that sees a day
				late = fmt.Sprintf(", %d days after its start", r.DaysLate)
			}
			fmt.Fprintf(w, "%sregistered as of %s%s: %s\n", indent, r.AsOf, late, r.Hash)
			continue
		}
		for _, c := range r.Changes {
			foreseen := ""
			if c.Foreseen {
				foreseen = " (foreseen)"
			}
			fmt.Fprintf(w, "%schanged as of %s: %s from %s to %s%s\n", indent, r.AsOf, c.Field, orNothing(c.From), orNothing(c.To), foreseen)
		}
	}
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

func (p program) printJSON(v any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // it goes to a terminal or a program, and SQL has signs in it
	return encoder.Encode(v)
}
