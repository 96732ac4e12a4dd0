package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/identity"
	"verdict/shared/identity/linkage"
)

// scored is what `verdict identity score` prints.
type scored struct {
	Records   int             `json:"records"`
	Compared  int             `json:"compared_pairs"`
	Reached   int             `json:"reached_pairs"` // true pairs that share a block
	Held      int             `json:"held_by_guards"`
	Threshold float64         `json:"threshold"`
	Blocking  []linkage.Block `json:"blocking"`
	Model     *linkage.Model  `json:"model"`
	Matches   []linkage.Point `json:"matches"`
	Units     linkage.Quality `json:"units"`
}

// identity is `verdict identity score|log|veto|allow|sensitivity`.
func (p program) identity(ctx context.Context, flags *flag.FlagSet, args []string) error {
	flags.Usage = func() {
		fmt.Fprint(p.err, `verdict identity score --truth COLUMN [--config FILE] [--seed N] [--json] DATA.csv|DATA.parquet
  link the records of a labelled table without its labels, and say how well
verdict identity log [--lake DIR] [--json]
  list the merges of ids, and what ended them
verdict identity veto [--lake DIR] --reason TEXT [--json] ID ID
  keep two ids apart, from the next run on: undoes their merge
verdict identity allow [--lake DIR] [--json] ID ID
  take a veto back
verdict identity sensitivity [--lake DIR] [--project DIR] [--as-of DATE] [--json] EXPERIMENT
  measure an experiment anew under other rules of who is who, and say whether the verdict depends on them

`)
		flags.PrintDefaults()
	}
	if len(args) == 0 {
		flags.Usage()
		return wrongUse("identity wants one of score, log, veto, allow, sensitivity")
	}
	verb, rest := args[0], args[1:]
	switch verb {
	case "score":
		return p.scoreIdentity(ctx, flags, rest)
	case "log":
		return p.identityLog(ctx, flags, rest)
	case "veto", "allow":
		return p.veto(ctx, flags, verb, rest)
	case "sensitivity":
		return p.sensitivity(ctx, flags, rest)
	}
	flags.Usage()
	return wrongUse("identity wants one of score, log, veto, allow, sensitivity, not %q", verb)
}

// veto keeps two ids of a lake apart, or lets them be one again.
func (p program) veto(ctx context.Context, flags *flag.FlagSet, verb string, args []string) error {
	dir := flags.String("lake", ".verdict/lake", "folder of the lake")
	reason := flags.String("reason", "", "why the two are not one person (veto)")
	asJSON := flags.Bool("json", false, "print the vetoes that stand as JSON")
	if err := parse(flags, args, 2); err != nil {
		return err
	}
	if _, err := os.Stat(*dir); err != nil {
		return fmt.Errorf("open lake: %w", err)
	}
	a, b := flags.Arg(0), flags.Arg(1)
	for _, id := range []string{a, b} {
		if kind, _, ok := strings.Cut(id, ":"); !ok || kind != "a" && kind != "u" {
			return fmt.Errorf("%q is no id: want a:… for an anonymous one, u:… for a user", id)
		}
	}
	store, says := &directory.Store{Root: *dir}, "%s and %s are kept apart from the next run on.\n"
	var err error
	switch {
	case verb == "allow":
		err, says = identity.Permit(ctx, store, a, b), "%s and %s may be one again from the next run on.\n"
	case *reason == "":
		return errors.New("veto wants --reason TEXT: somebody will ask")
	default:
		err = identity.Forbid(ctx, store, identity.Veto{A: a, B: b, Reason: *reason, At: p.now().UTC()})
	}
	if err != nil {
		return err
	}
	if *asJSON {
		stand, err := identity.Vetoes(ctx, store)
		if err != nil {
			return err
		}
		return p.printJSON(append([]identity.Veto{}, stand...))
	}
	fmt.Fprintf(p.out, says, a, b)
	return nil
}

// identityLog prints identity_merge.
func (p program) identityLog(ctx context.Context, flags *flag.FlagSet, args []string) error {
	dir := flags.String("lake", ".verdict/lake", "folder of the lake")
	asJSON := flags.Bool("json", false, "print every entry as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if _, err := os.Stat(*dir); err != nil {
		return fmt.Errorf("open lake: %w", err)
	}
	w, err := duck.Open(ctx, &directory.Store{Root: *dir})
	if err != nil {
		return err
	}
	defer w.Close() //nolint:errcheck // it was only read
	entries, err := identity.Log(ctx, w, w)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(entries)
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tCHANGE\tLINK\t\tBECAUSE\tCONFIDENCE\tFIRST SEEN")
	for _, m := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.4f\t%s\n", m.At.Format(time.DateTime), m.Change, m.A, m.B, m.Reason, m.Confidence, m.FirstSeen.Format(time.DateTime))
	}
	return t.Flush()
}

// scoreIdentity links a table without its labels and compares.
func (p program) scoreIdentity(ctx context.Context, flags *flag.FlagSet, args []string) error {
	truth := flags.String("truth", "", "column that says whose a record is; the matcher does not see it")
	file := flags.String("config", "", "YAML file with fields, blocking and threshold (default: chosen from the table)")
	seed := flags.Uint64("seed", 1, "of the random pairs")
	asJSON := flags.Bool("json", false, "print all figures as JSON")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if *truth == "" {
		return errors.New("identity score wants --truth COLUMN: without the truth there is nothing to score")
	}
	config := &linkage.Config{}
	if *file != "" {
		source, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		if config, err = linkage.Load(*file, source); err != nil {
			return err
		}
	}
	table, err := readTable(ctx, flags.Arg(0))
	if err != nil {
		return err
	}
	at, err := table.Column(*truth)
	if err != nil {
		return err
	}
	if err := config.Complete(table, *truth); err != nil {
		return err
	}
	r, err := linkage.Link(table, config, *seed)
	if err != nil {
		return err
	}
	persons := make([]string, len(table.Rows))
	for i, row := range table.Rows {
		persons[i] = row[at]
	}
	out := scored{
		Records: len(table.Rows), Compared: r.Compared, Reached: r.Reached(persons), Held: r.Held, Threshold: config.Threshold,
		Blocking: r.Blocking, Model: r.Model, Matches: r.Curve(persons, 0.5, 0.9, 0.99, 0.999), Units: linkage.Score(persons, r.Unit),
	}
	if *asJSON {
		return p.printJSON(out)
	}
	return p.printScored(&out)
}

// readTable reads a whole file as text.
func readTable(ctx context.Context, path string) (*linkage.Table, error) {
	file, err := duck.OpenFile(ctx, path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	t := &linkage.Table{}
	if t.Columns, err = file.Columns(ctx); err != nil {
		return nil, err
	}
	err = file.Each(ctx, "select columns(*)::varchar from data", func(values []*string) error {
		row := make([]string, len(values))
		for i, v := range values {
			if v != nil {
				row[i] = *v
			}
		}
		t.Rows = append(t.Rows, row)
		return nil
	})
	return t, err
}

func (p program) printScored(s *scored) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d records of %d persons; %d pairs compared, among them %d of %d true ones\n\n", s.Units.Records, s.Units.Persons, s.Compared, s.Reached, s.Units.TruePairs)
	fmt.Fprintln(w, "BLOCKING\tPAIRS\tLEFT OUT")
	for _, b := range s.Blocking {
		fmt.Fprintf(w, "%s\t%d\t%d\n", strings.Join(b.Rule, " + "), b.Pairs, b.LeftOut)
	}
	fmt.Fprintln(w, "\nFIELD\tLEVEL\tONE PERSON\tTWO\tBITS")
	for _, f := range s.Model.Fields {
		name := f.Column
		if f.Beside != "" {
			name += " (beside " + f.Beside + ")"
		}
		for _, l := range f.Levels {
			fmt.Fprintf(w, "%s\t%s\t%.4f\t%.4f\t%+.1f\n", name, l.Name, l.M, l.U, l.Weight)
			name = ""
		}
	}
	fmt.Fprintln(w, "\nFOUND\tPAIRS\tPRECISION\tRECALL\tF1")
	for _, m := range s.Matches {
		fmt.Fprintf(w, "matches from %g\t%d\t%.4f\t%.4f\t%.4f\n", m.Threshold, m.Matches, m.Pairwise.Precision, m.Pairwise.Recall, m.Pairwise.F1)
	}
	for i, rates := range []linkage.Rates{s.Units.Pairwise, s.Units.BCubed} {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\t%.4f\n", [...]string{"units, by pair", "units, B-cubed"}[i], s.Units.Found, rates.Precision, rates.Recall, rates.F1)
	}
	fmt.Fprintf(w, "\n%d units, the largest of %d records, from probability %g on; guards kept %d pairs apart.\n", s.Units.Units, s.Units.Largest, s.Threshold, s.Held)
	return w.Flush()
}
