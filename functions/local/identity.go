package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"verdict/shared/embedded/duck"
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

// identity is `verdict identity score`.
func (p program) identity(ctx context.Context, flags *flag.FlagSet, args []string) error {
	truth := flags.String("truth", "", "column that says whose a record is; the matcher does not see it")
	file := flags.String("config", "", "YAML file with fields, blocking and threshold (default: chosen from the table)")
	seed := flags.Uint64("seed", 1, "of the random pairs")
	asJSON := flags.Bool("json", false, "print all figures as JSON")
	if len(args) == 0 || args[0] != "score" {
		flags.Usage()
		return errors.New("identity wants score")
	}
	if err := parse(flags, args[1:], 1); err != nil {
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
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		return e.Encode(out)
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
