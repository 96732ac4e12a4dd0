package view

import (
	"fmt"
	"strings"
)

// Page describes views for people, in Markdown.
func Page(views []Source) string {
	var b strings.Builder
	b.WriteString(`# Views

Made from the definitions by ` + "`go test ./shared/view -update`" + `; a test holds it to them.

What analysts, notebooks and QuickSight read by name: metrics by day and dimension, and what experiments found and
decided. A view holds no rows: it is a SELECT over the published tables, made from the same definitions as the
statistics and the metrics API. The evaluator publishes a view as soon as the tables that it reads are there, and anew
when its definition changes: on AWS as an entry of the Glue catalog that Athena reads as its own ` + "`CREATE VIEW`" + ` would
write it, on one machine as a view of DuckDB's. A view whose metric is gone stays until somebody drops it.

- Days are days in UTC. Filter by ` + "`event_date` or `as_of`" + `, which are text and the partition: Athena then reads these days
  only. ` + "`day`" + ` is the same as a date, for charts.
- Metrics are of everybody, bots left out, by calendar day: not by experiment and not within a window. A funnel, a
  quantile and a time to an event mean nothing by day, and have no view.
- Numbers of an experiment whose validity check failed are NULL, as everywhere.

`)
	for _, v := range views {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| column | type | |\n|---|---|---|\n", v.Name, v.Description)
		for _, c := range v.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, c.Type, v.Says[c.Name])
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Statement is what makes a view by hand.
func (v View) Statement() string {
	return "create or replace view " + v.Name + " as\n" + v.SQL
}
