package privacy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/redact"
	"verdict/shared/replay"
)

// person is all ids of one person, as entities: a:… and u:….
type person struct {
	ids map[string]bool
	key redact.Key
}

// find gathers the ids that the identity graph holds for the person of some of them. An id that the plan hashes stands
// for itself as it came, too: exports have it so.
func (o *Officer) find(ctx context.Context, ids []string) (person, error) {
	p := person{map[string]bool{}, o.Key}
	for _, id := range ids {
		p.ids[id] = true
		p.ids[id[:2]+o.Key.Value(id[2:])] = true
	}
	_, err := o.Catalog.Table(ctx, "identity_map")
	if fault.Is(err, fault.NotFound) {
		return p, nil // nobody was linked to anybody yet
	}
	if err != nil {
		return p, fmt.Errorf("find person: %w", err)
	}
	type member struct {
		Entity string `lake:"entity_id"`
		Unit   string `lake:"unit_id"`
	}
	listed := lake.QuoteList(p.sorted())
	members, err := lake.Read[member](ctx, o.Engine, `select entity_id, unit_id from identity_map where entity_id in (`+listed+`) or unit_id in (`+listed+`)
or unit_id in (select unit_id from identity_map where entity_id in (`+listed+`))`)
	if err != nil {
		return p, fmt.Errorf("find person: %w", err)
	}
	for _, m := range members {
		p.ids[m.Entity], p.ids[m.Unit] = true, true
	}
	return p, nil
}

func (p person) sorted() []string {
	var out []string
	for id := range p.ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// named lists the ids of a kind, without it.
func (p person) named(kind string) []string {
	var out []string
	for _, id := range p.sorted() {
		if text, ok := strings.CutPrefix(id, kind); ok {
			out = append(out, text)
		}
	}
	return out
}

// is tells whether a pair of ids, as they stand on a line, is the person's.
func (p person) is(anonymous, user string) bool {
	return anonymous != "" && p.ids["a:"+anonymous] || user != "" && p.ids["u:"+user]
}

// landed tells whether a line of raw or quarantine is about the person.
func (p person) landed(line *fastjson.Value) bool {
	event := line
	if inner := line.Get("event"); inner != nil && inner.Type() == fastjson.TypeObject {
		event = inner
	}
	return p.is(string(event.GetStringBytes("anonymous_id")), string(event.GetStringBytes("user_id")))
}

// exported tells whether a row of somebody else's export is about the person.
func (p person) exported(row *fastjson.Value) bool {
	anonymous, user := replay.IDs(row)
	return p.is(anonymous, user) || p.is(p.key.Value(anonymous), p.key.Value(user))
}

// The tables over landed files.
const (
	rawTable        = "raw_event"
	quarantineTable = "quarantine_event"
)

// landing is true for the rows of a table over landed files that are about the person.
func (p person) landing(table string) string {
	var about []string
	for _, name := range []string{"anonymous_id", "user_id"} {
		column := name
		if table == quarantineTable {
			column = "json_extract_scalar(event, '$." + name + "')"
		}
		if ids := p.named(name[:1] + ":"); ids != nil {
			about = append(about, column+" in ("+lake.QuoteList(ids)+")")
		}
	}
	return "(" + strings.Join(about, " or ") + ")"
}

// condition is true for the rows of a table that are about the person; "" when none can be.
func (p person) condition(columns []lake.Column) string {
	kinds := map[string][]string{"anonymous_id": p.named("a:"), "user_id": p.named("u:")}
	for _, name := range []string{"entity_id", "unit_id", "entity_a", "entity_b", "left_unit", "right_unit"} {
		kinds[name] = p.sorted()
	}
	var about []string
	for _, c := range columns {
		if ids := kinds[c.Name]; len(ids) > 0 {
			about = append(about, "coalesce("+c.Name+" in ("+lake.QuoteList(ids)+"), false)")
		}
	}
	if about == nil {
		return ""
	}
	return "(" + strings.Join(about, " or ") + ")"
}
