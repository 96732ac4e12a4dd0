package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"verdict/shared/embedded/duck"
	"verdict/shared/mapping"
	"verdict/shared/tracking"
)

// importFile is `verdict import`.
func (p program) importFile(ctx context.Context, flags *flag.FlagSet, args []string) error {
	mappingFile := flags.String("mapping", "", "YAML file that says which events the rows stand for (docs/import.md)")
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	collector := flags.String("collector", "", "send to this collector, as https://host/v1/events, instead of one of our own")
	key := flags.String("write-key", writeKey, "write key of the collector")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if *mappingFile == "" {
		return errors.New("import wants --mapping FILE; docs/import.md says how to write one")
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	source, err := os.ReadFile(*mappingFile)
	if err != nil {
		return fmt.Errorf("read mapping: %w", err)
	}
	m, err := mapping.Load(*mappingFile, source, d.Plan)
	if err != nil {
		return err
	}
	rows, err := duck.OpenFile(ctx, flags.Arg(0))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // it was only read
	if err := m.Try(ctx, rows); err != nil {
		return err
	}
	sender := &tracking.Sender{Name: "verdict-import", URL: *collector, Key: *key, Client: &http.Client{Timeout: 30 * time.Second}, Wait: wait}
	if *collector != "" {
		if err := p.send(ctx, m, rows, sender); err != nil {
			return err
		}
		p.imported(sender.Sent())
		return nil
	}
	h, err := open(ctx, *lakeDir, d, p.now, p.log)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	at, err := h.listen(ctx, "127.0.0.1:0", h.front(nil))
	if err != nil {
		return err
	}
	sender.URL = "http://" + at + "/v1/events"
	if err := p.send(ctx, m, rows, sender); err != nil {
		return err
	}
	if err := h.land(ctx); err != nil {
		return err
	}
	p.imported(sender.Sent())
	fmt.Fprintf(p.out, "Next: bin/verdict run --lake %s --as-of DAY, the day after the last that counts.\n", *lakeDir)
	return nil
}

// send makes the events and sends them, with a bar that moves.
func (p program) send(ctx context.Context, m *mapping.Mapping, rows *duck.File, sender *tracking.Sender) error {
	total, err := m.Count(ctx, rows)
	if err != nil {
		return err
	}
	b := newBoard(p.err, p.live, total, "import")
	sent := 0
	err = m.Each(ctx, rows, func(event json.RawMessage) error {
		sent++
		b.moved("import", sent)
		return sender.Add(ctx, event)
	})
	if err != nil {
		return err
	}
	return sender.Flush(ctx)
}

// imported says what became of the events.
func (p program) imported(sent tracking.Sent) {
	fmt.Fprintf(p.out, "%d events accepted, %d in quarantine.\n", sent.Accepted, sent.Quarantined)
	for _, q := range sent.Failures {
		for _, f := range q.Failures {
			fmt.Fprintf(p.out, "  event %s: %s %s\n", q.EventID, f.Path, f.Message)
		}
	}
	if sent.Quarantined > 0 {
		fmt.Fprintln(p.out, "Mend the mapping and import again: events that are there already stay single.")
	}
}
