package pipeline

import (
	"context"
	"time"

	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/table"
)

// PublishReadings keeps the readings and the ledger as of a day. Reading the same day again replaces them.
func (p *Pipeline) PublishReadings(ctx context.Context, asOf time.Time, readings []monitor.Reading, entries []ledger.Entry) error {
	run := p.NewRun()
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: run, PartitionBy: []string{"as_of"}, Values: []string{asOf.UTC().Format(time.DateOnly)}}
	}
	if err := table.Write(ctx, p.Objects, p.Catalog, place(ledger.BalanceTable), entries); err != nil {
		return err
	}
	return table.Write(ctx, p.Objects, p.Catalog, place(monitor.ReadingTable), readings)
}
