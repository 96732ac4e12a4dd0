package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"verdict/shared/analyze"
)

// analyze is `verdict analyze`: cases on standard input, results on standard output.
func (p program) analyze(_ context.Context, flags *flag.FlagSet, args []string) error {
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	return analyze.Analyses().Run(p.in, p.out)
}

// power is `verdict power`: plans on standard input, sample sizes, power and run times on standard output.
func (p program) power(_ context.Context, flags *flag.FlagSet, args []string) error {
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	return analyze.Plans().Run(p.in, p.out)
}

// replayStatistics is `verdict replay-statistics`.
func (p program) replayStatistics(_ context.Context, flags *flag.FlagSet, args []string) error {
	r := analyze.Replay{}
	flags.Float64Var(&r.Alpha, "alpha", 0.05, "error rate of every method")
	flags.BoolVar(&r.Daily, "daily", false, "a row counts the units of its day alone (default: all so far)")
	flags.StringVar(&r.Control, "control", "", "the arm that is control (default: the one called control, c, a or 0, else the first)")
	asJSON := flags.Bool("json", false, "print every outcome as JSON")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if !(r.Alpha > 0 && r.Alpha < 0.5) {
		return fmt.Errorf("--alpha wants a number between 0 and 0.5, not %g", r.Alpha)
	}
	f, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	replayed, err := r.ReadStatistics(f)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(replayed)
	}
	return p.printReplay(replayed)
}

func (p program) printReplay(replayed []analyze.Replayed) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EXPERIMENT\tMETRIC\tTREATMENT\tLOOKS\tUNITS\tEND P\tMETHOD\tSTOPPED\tSAMPLE\tSAYS\tEND AGREES")
	type total struct {
		stopped, agree, n int
		share             float64
	}
	totals, order := map[string]*total{}, []string{}
	for _, r := range replayed {
		for _, m := range r.Methods {
			day := "-"
			if m.Stopped {
				day = m.Day
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%.4f\t%s\t%s\t%.0f %%\t%s\t%s\n", r.Experiment, r.Metric, r.Treatment, r.Looks, r.Units, float64(r.EndP),
				m.Method, day, 100*m.Share, [...]string{"down", "no effect", "up"}[m.Direction+1], map[bool]string{true: "yes", false: "no"}[m.Agrees])
			if !slices.Contains(order, m.Method) {
				order = append(order, m.Method)
				totals[m.Method] = &total{}
			}
			t := totals[m.Method]
			t.n++
			t.share += m.Share
			if m.Stopped {
				t.stopped++
			}
			if m.Agrees {
				t.agree++
			}
		}
	}
	fmt.Fprintln(w, "\nMETHOD\tSTOPPED\tMEAN SAMPLE\tEND AGREES")
	for _, name := range order {
		t := totals[name]
		fmt.Fprintf(w, "%s\t%d of %d\t%.0f %%\t%.1f %%\n", name, t.stopped, t.n, 100*t.share/float64(t.n), 100*float64(t.agree)/float64(t.n))
	}
	return w.Flush()
}
