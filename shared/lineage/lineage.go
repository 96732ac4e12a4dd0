// Package lineage says where numbers come from: which columns and event properties a column, a model or a metric is
// made of, which personal data it thereby touches, and, as OpenLineage events, what each run read and wrote.
package lineage

import (
	"cmp"
	"slices"
	"strings"

	"verdict/shared/metric"
	"verdict/shared/model"
	"verdict/shared/plan"
)

// Origin is a column of a table, or a field of the JSON text in it.
type Origin struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	Field  string `json:"field,omitempty"` // of JSON text, such as value or page.path
}

// Property is a property of an event, with its class in the tracking plan.
type Property struct {
	Event string     `json:"event"`
	Name  string     `json:"property"`
	Class plan.Class `json:"pii_class"`
}

// Graph knows how everything in a project comes about.
type Graph struct {
	models *model.Project
	plan   *plan.Plan
	made   map[string]map[string][]Origin // model -> column -> what it is made of, one step back
}

// New reads the models' SQL.
func New(models *model.Project, p *plan.Plan) *Graph {
	g := &Graph{models: models, plan: p, made: map[string]map[string][]Origin{}}
	for _, m := range models.Models {
		tables := map[string][]string{}
		for _, ref := range m.Refs {
			tables[ref] = g.columns(ref)
		}
		g.made[m.Name] = made(m.Render(func(table string) string { return table }), tables)
	}
	return g
}

func (g *Graph) columns(table string) []string {
	var out []string
	for _, c := range g.models.ColumnsOf(table) {
		out = append(out, c.Name)
	}
	return out
}

// Column lists what a column of a model is made of, one step back.
func (g *Graph) Column(table, column string) []Origin { return g.made[table][column] }

// Landed follows columns back to the tables that no model makes.
func (g *Graph) Landed(from ...Origin) []Origin {
	var out []Origin
	for _, o := range from {
		before, ok := g.made[o.Table]
		if !ok {
			out = append(out, o)
			continue
		}
		var steps []Origin
		for _, b := range before[o.Column] {
			b.Field = cmp.Or(b.Field, o.Field)
			steps = append(steps, b)
		}
		out = append(out, g.Landed(steps...)...)
	}
	return unique(out)
}

// Metric lists the columns of a table that the parts of a metric read.
func (g *Graph) Metric(table string, terms ...metric.Term) []Origin {
	var out []Origin
	for _, t := range terms {
		s := scope{"e": relation{base: table, columns: g.columns(table)}}
		out = append(out, s.origins(tokens(t.Expression+" , "+t.Filter))...)
	}
	return unique(out)
}

// Properties lists the properties of events that the parts of a metric read, by the tracking plan in force.
func (g *Graph) Properties(table string, terms ...metric.Term) []Property {
	var out []Property
	for _, t := range terms {
		names := events(t.Filter)
		for _, o := range g.Landed(g.Metric(table, t)...) {
			if o.Column != "properties" {
				continue
			}
			for _, e := range g.plan.Events {
				if names == nil || slices.Contains(names, e.Name) {
					out = append(out, properties(e, o.Field)...)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Property) int { return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Name, b.Name)) })
	return slices.Compact(out)
}

// properties are those of an event that a field names; no field stands for all of them.
func properties(e plan.Event, field string) []Property {
	name, _, _ := strings.Cut(field, ".")
	var out []Property
	for class, fields := range e.PII {
		for _, f := range fields {
			if field == "" || f == name {
				out = append(out, Property{e.Name, f, class})
			}
		}
	}
	return out
}

// events are those that a filter names; nil: it may be any.
func events(filter string) []string {
	var out []string
	all := tokens(filter)
	for i, t := range all {
		if t.text != "event_name" {
			continue
		}
		rest := all[i+1:]
		for len(rest) > 0 && (rest[0].text == "=" || rest[0].text == "in" || rest[0].text == "(" || rest[0].text == "," || rest[0].kind == literal) {
			if rest[0].kind == literal {
				out = append(out, rest[0].text)
			}
			rest = rest[1:]
		}
	}
	return out
}

// Class is the nearest to a person of some properties' classes.
func Class(properties []Property) plan.Class {
	order := []plan.Class{plan.None, plan.Pseudonymous, plan.Personal}
	nearest := 0
	for _, p := range properties {
		nearest = max(nearest, slices.Index(order, p.Class))
	}
	return order[nearest]
}

func unique(origins []Origin) []Origin {
	slices.SortFunc(origins, func(a, b Origin) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field))
	})
	return slices.Compact(origins)
}
