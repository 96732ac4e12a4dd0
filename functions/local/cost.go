package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"verdict/shared/cost"
	"verdict/shared/fault"
)

// cost is `verdict cost`.
func (p program) cost(_ context.Context, flags *flag.FlagSet, args []string) error {
	u := cost.Usage{}
	flags.Float64Var(&u.EventsPerDay, "events-per-day", 1e6, "events a day, as 1e6")
	flags.Float64Var(&u.Experiments, "experiments", 10, "experiments that run at a time")
	flags.Float64Var(&u.Batch, "batch", 10, "events a request")
	flags.Float64Var(&u.EventBytes, "event-bytes", 1100, "bytes of an event as it lands")
	flags.Float64Var(&u.Namespaces, "namespaces", 1, "namespaces")
	flags.Float64Var(&u.RawDays, "raw-days", 90, "days that raw events are kept")
	flags.BoolVar(&u.Container, "container", false, "the collector in containers behind a load balancer")
	file := flags.String("prices", "", "price list (default: the built-in one, shared/cost/prices.yaml)")
	asJSON := flags.Bool("json", false, "print as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	if u.EventsPerDay <= 0 || u.Batch < 1 || u.EventBytes <= 0 || u.Namespaces < 1 || u.Experiments < 0 || u.RawDays < 0 {
		return fault.New(fault.Invalid, "cost wants positive numbers")
	}
	var source []byte
	if *file != "" {
		var err error
		if source, err = os.ReadFile(*file); err != nil {
			return fmt.Errorf("read prices: %w", err)
		}
	}
	prices, err := cost.Load(*file, source)
	if err != nil {
		return err
	}
	lines, quotas := prices.Monthly(u), cost.Quotas(u)
	if *asJSON {
		return p.printJSON(map[string]any{
			"prices_as_of": prices.AsOf, "monthly": lines, "total": cost.Total(lines), "per_experiment_day": prices.PerExperimentDay(u), "quotas": quotas,
		})
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "USD a month\t\t\n")
	for _, l := range lines {
		fmt.Fprintf(w, "%.2f\t  %s\t\n", l.USD, l.Service+": "+l.How)
	}
	fmt.Fprintf(w, "%.2f\t  together\t\n", cost.Total(lines))
	fmt.Fprintf(w, "%.2f\t  one more experiment, a day\t\n", prices.PerExperimentDay(u))
	if err := w.Flush(); err != nil {
		return err
	}
	for _, q := range quotas {
		fmt.Fprintf(p.out, "Quota: %s: %.0f at a peak of three times the average, %.0f by default: %s.\n", q.Name, q.Needs, q.Has, q.Raise)
	}
	fmt.Fprintf(p.out, "Prices as of %s, from memory of AWS's pages: check them (shared/cost/prices.yaml).\n", prices.AsOf)
	return nil
}
