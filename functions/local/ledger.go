package main

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"verdict/shared/fault"
	"verdict/shared/ledger"
)

// ledger is `verdict ledger`.
func (p program) ledger(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	until := flags.String("until", "", "balance the days before this one, UTC (default: tomorrow)")
	days := flags.Int("days", 7, "how many days")
	hours := flags.Bool("hours", false, "show every hour, not only those that do not balance")
	asJSON := flags.Bool("json", false, "print the entries as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	to, err := p.day("until", *until, 1)
	if err != nil {
		return err
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	entries, err := h.pipeline().Balance(ctx, h.counter, to.AddDate(0, 0, -*days), to)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := p.printJSON(entries); err != nil {
			return err
		}
	} else if err := p.balance(entries, *hours); err != nil {
		return err
	}
	var lost int64
	for _, e := range entries {
		if e.Ours() {
			lost += e.Lost
		}
	}
	if lost > 0 {
		return fault.New(fault.Internal, "the ledger does not balance: we lost %d events", lost)
	}
	return nil
}

// balance prints the total of each link, and below it the hours that tell something.
func (p program) balance(entries []ledger.Entry, all bool) error {
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "LINK\tIN\tOUT\tERASED\tLOST")
	for _, link := range []ledger.Link{ledger.Sending, ledger.Landing, ledger.Quarantine, ledger.Modelling} {
		t := ledger.Total(entries, link)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", link, t.In, t.Out, t.Erased, t.Lost)
		for _, e := range entries {
			if e.Link == link && (all || e.Ours()) {
				fmt.Fprintf(w, "  %s %s\t%d\t%d\t%d\t%d\n", e.Namespace, e.Hour, e.In, e.Out, e.Erased, e.Lost)
			}
		}
	}
	return w.Flush()
}
