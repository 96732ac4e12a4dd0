package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"verdict/shared/measure"
	"verdict/shared/pipeline"
)

// sensitivity is `verdict identity sensitivity`.
func (p program) sensitivity(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asOfText := flags.String("as-of", "", "the readout of this day (default: the latest)")
	asJSON := flags.Bool("json", false, "print JSON")
	id, err := parseNamed(flags, args, "EXPERIMENT")
	if err != nil {
		return err
	}
	asOf, err := p.readoutDay(ctx, *lakeDir, id, *asOfText)
	if err != nil {
		return err
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // it was only read
	pipe := &pipeline.Pipeline{Project: h.project, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun, Now: p.now}
	s, err := pipe.Sensitivity(ctx, id, asOf)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(s)
	}
	return p.printSensitivity(s)
}

func (p program) printSensitivity(s pipeline.Sensitivity) error {
	fmt.Fprintf(p.out, "%s as of %s: %d units saw several variants, %d of them only because their ids were merged.\n\n", s.ExperimentID, s.AsOf, s.Multiple, s.Conflicts)
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IDENTITY\tVERDICT\tUNITS\tLEFT OUT\tMETRIC\tLIFT\t\tIN SHORT")
	var others []string
	for i, r := range s.Readings {
		verdict := strings.ReplaceAll(string(r.Verdict), "_", " ")
		if r.Variant != "" {
			verdict += " " + r.Variant
		}
		if i > 0 && (r.Verdict != s.Readings[0].Verdict || r.Variant != s.Readings[0].Variant) {
			others = append(others, string(r.Policy))
		}
		head := fmt.Sprintf("%s\t%s\t%d\t%d", r.Policy, verdict, r.Units, r.LeftOut)
		for _, m := range r.Metrics {
			short := strings.TrimPrefix(strings.TrimSuffix(m.Significance+", "+m.Guardrail, ", "), ", ")
			if m.Status != "ok" {
				short = m.Status
			}
			fmt.Fprintf(w, "%s\t%s of %s\t%+.1f %%\t[%s, %s]\t%s\n", head, m.Metric, m.Variant, 100*m.Lift, percentOr(m.Low, -1), percentOr(m.High, 1), strings.ReplaceAll(short, "_", " "))
			head = "\t\t\t"
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	for _, policy := range measure.Policies() {
		for _, r := range s.Readings {
			if r.Policy == policy {
				fmt.Fprintf(p.out, "%-12s %s\n", policy, r.Says)
			}
		}
	}
	if s.Depends {
		fmt.Fprintf(p.out, "\nThe verdict DEPENDS on identity: it is another under %s.\n", strings.Join(others, ", "))
		return nil
	}
	fmt.Fprintln(p.out, "\nThe verdict does not depend on identity.")
	return nil
}

// percentOr spells a bound; one that does not exist is infinite.
func percentOr(x *float64, sign int) string {
	if x == nil {
		return fmt.Sprintf("%+f", math.Inf(sign))
	}
	return fmt.Sprintf("%+.1f", 100**x)
}
