package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"verdict/shared/metricsapi"
)

// defaultAddress is loopback only: the collector's key is built in, so nobody else may reach it.
const defaultAddress = "127.0.0.1:8321"

// serve is `verdict serve`: collector, dashboard, and the pipeline on a schedule.
func (p program) serve(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	address := flags.String("addr", defaultAddress, "where to listen")
	every := flags.Duration("every", 10*time.Minute, "how often the pipeline runs")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	at, err := h.listen(ctx, *address, h.front(p.actions(h)))
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "Dashboard  http://%s\nCollector  http://%s/v1/events (write key %s)\nMetrics    http://%s%s (read key %s)\nPipeline   every %s; Ctrl-C ends\n", at, at, writeKey, at, metricsapi.Base, readKey, *every)
	steps := h.steps(h.senders(p)...)
	for {
		asOf := p.now().UTC().Truncate(24 * time.Hour)
		if err := bringUp(ctx, steps, newBoard(p.err, false, 2), asOf); err != nil && ctx.Err() == nil {
			fmt.Fprintln(p.err, "verdict: "+err.Error())
		}
		if wait(ctx, *every) != nil {
			return nil // Ctrl-C
		}
	}
}
