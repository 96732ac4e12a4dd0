// Package export says our metric definitions again in the words of other systems: MetricFlow, Eppo and GrowthBook.
// What another system has no words for is left out of its export or said differently there, and a note says so: none
// is changed in silence.
package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"verdict/shared/fault"
	"verdict/shared/metric"
)

// Export is definitions in another system's words.
type Export struct {
	Text  []byte
	Notes []Note
}

// Note is what the other system cannot say of a metric; of all metrics when it names none.
type Note struct {
	Metric  string `json:"metric,omitempty"`
	Left    bool   `json:"left_out"` // the metric is not in the export at all
	Because string `json:"because"`
}

func (n Note) String() string {
	switch {
	case n.Metric == "":
		return n.Because
	case n.Left:
		return n.Metric + " is left out: " + n.Because
	default:
		return n.Metric + ": " + n.Because
	}
}

// comments are notes as lines of YAML.
func comments(title string, notes []Note) string {
	var b strings.Builder
	b.WriteString("# " + title + "\n")
	for _, n := range notes {
		b.WriteString("#   " + n.String() + "\n")
	}
	return b.String()
}

func document(v any) (string, error) {
	text, err := yaml.MarshalWithOptions(v, yaml.UseSingleQuote(false), yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("write YAML: %w", err)
	}
	return string(text), nil
}

// unfiltered is a filter that keeps every row.
const unfiltered = "true"

// condition is a filter over the columns that rows gives, one for each dimension.
func condition(filter string) string {
	if strings.TrimSpace(filter) == "" {
		return unfiltered
	}
	return metric.Rename(filter, func(name string) string { return name })
}

// rows is the SELECT of a table's rows as experiments count them: no bots, each with the unit that it belongs to, its
// time as named, and a column for each dimension and measure.
func rows(m metric.Model, time string) (string, error) {
	columns := []string{"u.unit_id", "e." + m.Table.Time + " as " + time}
	said := []string{"unit_id", time}
	for _, e := range slices.Concat(m.Dimensions, m.Measures) {
		if e.Type == "time" {
			continue
		}
		if slices.Contains(said, e.Name) {
			return "", fault.New(fault.Invalid, "export %s: two of its columns would be named %s", m.Name, e.Name)
		}
		said = append(said, e.Name)
		columns = append(columns, e.SQL+" as "+e.Name)
	}
	sql := "select\n    " + strings.Join(columns, ",\n    ") + "\nfrom " + m.Table.Name + " as e\njoin dim_user as u on u.entity_id = e." + m.Table.Entity + " and u.valid_to is null"
	if m.Table.Bot != "" {
		sql += "\nwhere not e." + m.Table.Bot
	}
	return sql, nil
}
