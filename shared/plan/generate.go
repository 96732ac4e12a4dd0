package plan

import (
	"fmt"
	"slices"
	"strings"
)

// TypeScript is the plan as types for the browser SDK: a wrong event or property does not compile.
func TypeScript(documents []Document) string {
	var b strings.Builder
	b.WriteString("// Made from events/plan.yaml by `verdict plan types`. Do not edit: a test holds it to the plan.\n\n")
	b.WriteString("/** The properties of every event of the tracking plan. */\nexport interface PlanEvents {\n")
	var other []string
	for _, d := range documents {
		fmt.Fprintf(&b, "  /** %s */\n  %s: {", comment(d.Description), d.Name)
		for _, f := range d.Fields {
			optional := "?"
			if f.Required {
				optional = ""
			}
			b.WriteString("\n")
			if f.Description != "" {
				fmt.Fprintf(&b, "    /** %s */\n", comment(f.Description))
			}
			fmt.Fprintf(&b, "    %s%s: %s", f.Name, optional, f.TypeScript)
		}
		if len(d.Fields) > 0 {
			b.WriteString("\n  ")
		}
		b.WriteString("}\n")
		if d.Schema != firstVersion {
			other = append(other, fmt.Sprintf("%s: '%s'", d.Name, d.Schema))
		}
	}
	b.WriteString("}\n\n/** Versions in force other than " + firstVersion + ". */\nexport const versions: Record<string, string> = {" + strings.Join(other, ", ") + "}\n")
	return b.String()
}

// firstVersion is what the SDK sends for an event that versions does not name.
const firstVersion = "1-0-0"

func comment(text string) string { return strings.ReplaceAll(text, "*/", "* /") }

// Page is the plan to read: docs/plan.md.
func Page(documents []Document) string {
	var b strings.Builder
	b.WriteString("# Tracking plan\n\nMade from `events/plan.yaml` and its schemas by `verdict plan page`; a test holds it to them. " +
		"PII class of a field: none; pseudonymous (an identifier, or content that a table elsewhere ties to a person); personal (names or reaches a person).\n\n" +
		"| event | version | owner | |\n|---|---|---|---|\n")
	for _, d := range documents {
		fmt.Fprintf(&b, "| [%[1]s](#%[1]s) | %[2]s | %[3]s | %[4]s |\n", d.Name, d.Schema, d.Owner, d.Description)
	}
	for _, d := range documents {
		fmt.Fprintf(&b, "\n## %s\n\n%s Version %s", d.Name, d.Description, d.Schema)
		if len(d.Versions) > 1 {
			fmt.Fprintf(&b, " (also accepted: %s)", strings.Join(slices.DeleteFunc(slices.Clone(d.Versions), func(v string) bool { return v == d.Schema }), ", "))
		}
		fmt.Fprintf(&b, ", owner %s.\n", d.Owner)
		if len(d.Fields) == 0 {
			b.WriteString("\nNo properties.\n")
			continue
		}
		b.WriteString("\n| property | | type | PII | |\n|---|---|---|---|---|\n")
		for _, f := range d.Fields {
			required := ""
			if f.Required {
				required = "required"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, required, strings.ReplaceAll(f.Type, "|", "\\|"), f.Class, f.Description)
		}
		fmt.Fprintf(&b, "\n```json\n%s\n```\n", d.Example)
	}
	return b.String()
}
