package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Page is all tables and their columns to read: docs/tables.md.
func (p *Project) Page() string {
	var b strings.Builder
	b.WriteString("# Tables\n\nMade from `athena-sql/models/*.yml` and `athena-sql/sources/*.yml` by `verdict tables page`. Do not edit: a test holds it to them.\n\n" +
		"These files are the one schema: Glue's tables, the types that a model's columns are cast to, and the tests for NULL, keys and\n" +
		"accepted values come from them. Types are Trino's; times are UTC. A column that is *never null* is tested.\n\n")
	var all []entry
	for _, m := range p.Models {
		e := entry{m.Name, m.Description, m.Grain, m.Key, nil, m.Columns, "[athena-sql/models/" + m.Name + ".sql](../athena-sql/models/" + m.Name + ".sql)", m.LateData, m.Owner}
		if m.PartitionBy != "" {
			e.partitions = []string{m.PartitionBy}
		}
		all = append(all, e)
	}
	for _, s := range p.Sources {
		all = append(all, entry{s.Name, s.Description, s.Grain, s.Key, s.PartitionBy, s.Columns, s.MadeBy, "", ""})
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	b.WriteString("| table | grain | made by |\n|---|---|---|\n")
	for _, e := range all {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", e.name, e.name, cell(e.grain), cell(e.madeBy))
	}
	for _, e := range all {
		e.write(&b)
	}
	return b.String()
}

// entry is one table of the page.
type entry struct {
	name, description, grain string
	key, partitions          []string
	columns                  []Column
	madeBy, lateData, owner  string
}

func (e entry) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", e.name, e.description)
	fact := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "- **%s**: %s\n", name, text)
		}
	}
	fact("Grain", e.grain)
	fact("Key", code(e.key))
	fact("Partitioned by", code(e.partitions))
	fact("Made by", e.madeBy)
	fact("Late data", e.lateData)
	fact("Owner", e.owner)
	b.WriteString("\n| column | type | never null | meaning |\n|---|---|---|---|\n")
	for _, c := range e.columns {
		never := ""
		if slices.Contains(c.Tests, "not_null") {
			never = "yes"
		}
		meaning := c.Description
		if len(c.Accepted) > 0 {
			meaning += " One of " + code(c.Accepted) + "."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", c.Name, c.Type, never, cell(meaning))
	}
	for _, name := range e.partitions {
		fmt.Fprintf(b, "| `%s` | varchar | yes | %s |\n", name, partitionMeaning(name))
	}
}

// partitionMeaning says what the folders of a table are named by.
func partitionMeaning(name string) string {
	return map[string]string{
		"namespace":     "Whose events these are; from the write key.",
		"step":          "The step of the pipeline that read.",
		"event_date":    "Day (UTC): of the event where a row is one, of its arrival in quarantine, else as the grain says.",
		"as_of":         "Day (UTC) at whose start this was known.",
		"experiment_id": "The experiment.",
	}[name]
}

func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

// cell keeps a text in its cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
