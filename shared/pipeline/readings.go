package pipeline

import (
	"context"
	"time"

	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/table"
)

// The tables of what was read, by as_of: for who looks at the pipeline without touching it.
const (
	ReadingTable = "pipeline_reading"
	BalanceTable = "ledger_balance" // of the week before as_of
)

// PublishReadings keeps the readings and the ledger as of a day. Reading the same day again replaces them.
func (p *Pipeline) PublishReadings(ctx context.Context, asOf time.Time, readings []monitor.Reading, entries []ledger.Entry) error {
	run := p.NewRun()
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: run, PartitionBy: []string{"as_of"}, Values: []string{asOf.UTC().Format(time.DateOnly)}}
	}
	if err := table.Write(ctx, p.Objects, p.Catalog, place(BalanceTable), entries); err != nil {
		return err
	}
	return table.Write(ctx, p.Objects, p.Catalog, place(ReadingTable), readings)
}
