package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"text/tabwriter"

	"verdict/shared/embedded/directory"
	"verdict/shared/notify"
)

// notifications is `verdict notifications`: what became of each message.
func (p program) notifications(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	all := flags.Bool("all", false, "also what was delivered")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	deliveries, err := notify.Deliveries(ctx, &directory.Store{Root: *lakeDir})
	if err != nil {
		return err
	}
	sent := len(deliveries)
	if !*all {
		deliveries = slices.DeleteFunc(deliveries, notify.Delivery.Sent)
	}
	sent -= len(deliveries)
	slices.SortStableFunc(deliveries, func(a, b notify.Delivery) int { return a.LastAttempt.Compare(b.LastAttempt) })
	if *asJSON {
		return p.printJSON(append([]notify.Delivery{}, deliveries...))
	}
	if len(deliveries) == 0 {
		fmt.Fprintf(p.out, "All %d messages were delivered.\n", sent)
		return nil
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MESSAGE\tCHANNEL\tSEVERITY\tATTEMPTS\tSTATE\tSUBJECT")
	for _, d := range deliveries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", d.MessageID, d.Channel, d.Severity, d.Attempts, state(d), d.Subject)
	}
	return w.Flush()
}

func state(d notify.Delivery) string {
	const minute = "2006-01-02 15:04"
	switch {
	case d.Sent():
		return "delivered " + d.SentAt.Format(minute)
	case d.LastError != "":
		return fmt.Sprintf("failed: %s; next try after %s", d.LastError, d.NextAttempt.Format(minute))
	default:
		return "held until " + d.HeldUntil.Format(minute)
	}
}
