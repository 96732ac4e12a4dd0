package dashboard

import (
	"context"
	"slices"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/spend"
)

// some reads rows of a table that may not be published yet; its name is then added to missing.
func some[T any](ctx context.Context, engine lake.Engine, missing *[]string, table, sql string) ([]T, error) {
	rows, err := lake.Read[T](ctx, engine, sql)
	if unpublished(err) {
		*missing = append(*missing, table)
		return nil, nil
	}
	return rows, err
}

// unpublished tells whether a query failed because its table is not there yet: both engines call
// it invalid SQL, in words of their own that share these three.
func unpublished(err error) bool {
	return fault.Is(err, fault.NotFound) ||
		fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "does not exist")
}

// absence says what tables that are not published yet wait for.
type absence struct {
	Tables []string
	First  string // what publishes them
	Howto  string // command or sentence
}

// absences groups tables that are not published yet by what they wait for.
func (s *server) absences(missing []string) []absence {
	var out []absence
	for _, t := range missing {
		first, howto := "the first evaluation", s.Howto
		switch {
		case t == monitor.ReadingTable || t == ledger.BalanceTable:
			first, howto = "the first reading of the pipeline's pulse", "verdict health, or the monitor's schedule"
		case t == spend.Table:
			first = "the first run that counts what it reads"
		case t == "fact_event":
			first = "the first run that makes facts of landed events"
		case strings.HasPrefix(t, "identity_"):
			first = "the first run that finds out who is who"
		}
		i := slices.IndexFunc(out, func(a absence) bool { return a.First == first })
		if i < 0 {
			out, i = append(out, absence{First: first, Howto: howto}), len(out)
		}
		out[i].Tables = append(out[i].Tables, t)
	}
	return out
}
