package monitor

import (
	"context"
	"time"

	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/table"
)

// The tables of what was read, by as_of: for who looks at the pipeline without touching it.
const (
	ReadingTable = "pipeline_reading"
	BalanceTable = "ledger_balance" // of the week before as_of
)

// Publish keeps the readings and the ledger as of a day. Reading the same day again replaces them.
func (m *Monitor) Publish(ctx context.Context, objects lake.Objects, run string, asOf time.Time, readings []Reading, entries []ledger.Entry) error {
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: run, PartitionBy: []string{"as_of"}, Values: []string{asOf.UTC().Format(time.DateOnly)}}
	}
	if err := table.Write(ctx, objects, m.Catalog, place(BalanceTable), entries); err != nil {
		return err
	}
	return table.Write(ctx, objects, m.Catalog, place(ReadingTable), readings)
}
