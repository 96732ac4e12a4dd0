package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
)

// health is `verdict health`.
func (p program) health(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asOfText := flags.String("as-of", "", "look at the day before this one, UTC, and its week (default: today)")
	all := flags.Bool("all", false, "show the drift of every property, not only what is above its limit")
	asJSON := flags.Bool("json", false, "print the readings as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	asOf, err := p.day("as-of", *asOfText, 0)
	if err != nil {
		return err
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	readings, err := h.pipeline().Monitor(ctx, h.counter, asOf)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(readings)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tREADING\tOF\tVALUE\tLIMIT\tMEANS")
	calm := 0
	for _, r := range readings {
		mark := "ok"
		if r.High() {
			mark = "HIGH"
		} else if drift := map[string]bool{"psi": true, "null_shift": true, "version_shift": true}; drift[r.Name] && !*all {
			calm++
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%.4g\t%.4g\t%s\n", mark, r.Name, r.Of, r.Value, r.Limit, r.Says)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if calm > 0 {
		fmt.Fprintf(p.out, "%d comparisons with the week before are calm (--all shows them).\n", calm)
	}
	return nil
}
