package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Described is one table, to read.
type Described struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Grain       string   `json:"grain"`
	Key         []string `json:"key"`
	Partitions  []string `json:"partitioned_by"`
	MadeBy      string   `json:"made_by"`
	LateData    string   `json:"late_data,omitempty"`
	Owner       string   `json:"owner,omitempty"`
	Columns     []Column `json:"columns"`
}

// Tables describes all tables, by name.
func (p *Project) Tables() []Described {
	var all []Described
	for _, m := range p.Models {
		d := Described{
			Name: m.Name, Description: m.Description, Grain: m.Grain, Key: m.Key, Columns: m.Columns,
			MadeBy: "athena-sql/models/" + m.Name + ".sql", LateData: m.LateData, Owner: m.Owner,
		}
		if m.PartitionBy != "" {
			d.Partitions = []string{m.PartitionBy}
		}
		all = append(all, d)
	}
	for _, s := range p.Sources {
		all = append(all, Described{Name: s.Name, Description: s.Description, Grain: s.Grain, Key: s.Key, Partitions: s.PartitionBy, MadeBy: s.MadeBy, Columns: s.Columns})
	}
	slices.SortFunc(all, func(a, b Described) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Page is all tables and their columns to read: docs/tables.md.
func (p *Project) Page() string {
	var b strings.Builder
	b.WriteString("# Tables\n\nMade from `athena-sql/models/*.yml` and `athena-sql/sources/*.yml` by `verdict tables page`. Do not edit: a test holds it to them.\n\n" +
		"These files are the one schema: Glue's tables, the types that a model's columns are cast to, and the tests for NULL, keys and\n" +
		"accepted values come from them. Types are Trino's; times are UTC. A column that is *never null* is tested.\n\n")
	all := p.Tables()
	b.WriteString("| table | grain | made by |\n|---|---|---|\n")
	for _, d := range all {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", d.Name, d.Name, cell(d.Grain), cell(linked(d.MadeBy)))
	}
	for _, d := range all {
		b.WriteString("\n" + d.Page())
	}
	return b.String()
}

// linked makes a link of what made a table, seen from docs, if it is a file.
func linked(madeBy string) string {
	if strings.HasSuffix(madeBy, ".sql") {
		return "[" + madeBy + "](../" + madeBy + ")"
	}
	return madeBy
}

// Page is the table and its columns to read.
func (d Described) Page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n\n", d.Name, d.Description)
	fact := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "- **%s**: %s\n", name, text)
		}
	}
	fact("Grain", d.Grain)
	fact("Key", code(d.Key))
	fact("Partitioned by", code(d.Partitions))
	fact("Made by", linked(d.MadeBy))
	fact("Late data", d.LateData)
	fact("Owner", d.Owner)
	b.WriteString("\n| column | type | never null | meaning |\n|---|---|---|---|\n")
	for _, c := range d.Columns {
		never := ""
		if slices.Contains(c.Tests, "not_null") {
			never = "yes"
		}
		meaning := c.Description
		if len(c.Accepted) > 0 {
			meaning += " One of " + code(c.Accepted) + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Name, c.Type, never, cell(meaning))
	}
	for _, name := range d.Partitions {
		fmt.Fprintf(&b, "| `%s` | varchar | yes | %s |\n", name, partitionMeaning(name))
	}
	return b.String()
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
