// Package mapping turns a file that somebody else wrote into events of the tracking plan. What goes
// where is written as SQL expressions over the file's columns. The id of an event is derived from
// what its row says, so that importing a file twice, or again after it has grown, doubles nothing.
package mapping

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"verdict/shared/definition"
	"verdict/shared/fault"
	"verdict/shared/plan"
)

// Mapping says which events the rows of a file stand for.
type Mapping struct {
	Name   string  `yaml:"name"` // of the data; goes into the ids of its events
	Events []Event `yaml:"events"`

	doc definition.Document
}

// Event says when a row stands for an event, and what the event says. All but Name are SQL
// expressions in the dialect of athena-sql/README.md.
type Event struct {
	Name        string            `yaml:"event"`
	Where       string            `yaml:"where"` // empty: every row
	Time        string            `yaml:"ts"`    // a timestamp in UTC, or text like one
	UserID      string            `yaml:"user_id"`
	AnonymousID string            `yaml:"anonymous_id"`
	Properties  map[string]string `yaml:"properties"` // NULL leaves a property out

	schema string
	nth    int // among the events of this name: two of them may stand for one row
}

// Rows is the file: a table named data.
type Rows interface {
	// Each runs a SELECT and hands over its rows; NULL is nil. What the SELECT itself is wrong
	// about is fault.Invalid.
	Each(ctx context.Context, query string, row func(values []*string) error) error
}

// Load reads a mapping and checks it against the tracking plan. A broken one is fault.Invalid with
// file, line and reason.
func Load(file string, source []byte, p *plan.Plan) (*Mapping, error) {
	m := &Mapping{}
	var err error
	if m.doc, err = definition.Decode(filepath.ToSlash(file), source, m); err != nil {
		return nil, err
	}
	switch {
	case strings.TrimSpace(m.Name) == "":
		return nil, m.doc.Errorf("$.name", "name is missing: it goes into the ids of the events")
	case len(m.Events) == 0:
		return nil, m.doc.Errorf("$.events", "a mapping needs events")
	}
	count := map[string]int{}
	for i := range m.Events {
		e := &m.Events[i]
		e.nth = count[e.Name]
		count[e.Name]++
		if err := m.check(e, fmt.Sprintf("$.events[%d]", i), p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Mapping) check(e *Event, at string, p *plan.Plan) (err error) {
	known, required, err := p.Contract(e.Name)
	if err != nil {
		return m.doc.Errorf(at+".event", "%v", err)
	}
	if e.schema, err = p.Version(e.Name); err != nil {
		return err
	}
	switch {
	case e.Time == "":
		return m.doc.Errorf(at, "%s needs ts: when it happened", e.Name)
	case e.UserID == "" && e.AnonymousID == "":
		return m.doc.Errorf(at, "%s needs user_id or anonymous_id: whose event it is", e.Name)
	}
	for _, name := range e.names() {
		if !slices.Contains(known, name) {
			return m.doc.Errorf(at+".properties."+name, "%s has no property %s; it has %s", e.Name, name, strings.Join(known, ", "))
		}
	}
	for _, name := range required {
		if e.Properties[name] == "" {
			return m.doc.Errorf(at+".properties", "%s needs the property %s", e.Name, name)
		}
	}
	return nil
}

// names lists the mapped properties in order.
func (e *Event) names() []string { return slices.Sorted(maps.Keys(e.Properties)) }

// Try refuses expressions that do not fit the file, before any event is made.
func (m *Mapping) Try(ctx context.Context, rows Rows) error {
	for i := range m.Events {
		e := &m.Events[i]
		parts := map[string]string{"where": e.keep(), "ts": e.time(), "user_id": e.UserID, "anonymous_id": e.AnonymousID}
		for name, expression := range e.Properties {
			parts["properties."+name] = expression
		}
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			if parts[part] == "" {
				continue
			}
			err := rows.Each(ctx, "select "+parts[part]+" from data limit 0", func([]*string) error { return nil })
			if fault.Is(err, fault.Invalid) {
				reason, _, _ := strings.Cut(err.Error(), "\n") // what follows draws the spot in our query, not in the file
				return m.doc.Errorf(fmt.Sprintf("$.events[%d].%s", i, part), "%s of %s: %s", part, e.Name, reason)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Event) keep() string {
	if e.Where == "" {
		return "true"
	}
	return "coalesce((" + e.Where + "), false)"
}

func (e *Event) time() string { return "cast((" + e.Time + ") as timestamp)" }

// Count tells how many events the file gives.
func (m *Mapping) Count(ctx context.Context, rows Rows) (int, error) {
	total := 0
	for i := range m.Events {
		err := rows.Each(ctx, "select count(*) from (select "+m.Events[i].keep()+" as keep from data) as d where keep", func(values []*string) error {
			var n int
			_, err := fmt.Sscan(*values[0], &n)
			total += n
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("count %s: %w", m.Events[i].Name, err)
		}
	}
	return total, nil
}

// event is an event as the collector takes it.
type event struct {
	EventID     string          `json:"event_id"`
	Event       string          `json:"event"`
	Schema      string          `json:"schema"`
	Time        string          `json:"ts"`
	UserID      string          `json:"user_id,omitempty"`
	AnonymousID string          `json:"anonymous_id,omitempty"`
	Properties  json.RawMessage `json:"properties"`
}

// Each makes the events of a file, one kind after the other.
func (m *Mapping) Each(ctx context.Context, rows Rows, made func(event json.RawMessage) error) error {
	for i := range m.Events {
		e := &m.Events[i]
		err := rows.Each(ctx, e.query(), func(v []*string) error {
			out := event{EventID: m.id(e, text(v[0]), text(v[1])), Event: e.Name, Schema: e.schema, Time: text(v[2]), UserID: text(v[3]), AnonymousID: text(v[4]), Properties: json.RawMessage(text(v[5]))}
			body, err := json.Marshal(out)
			if err != nil {
				return fmt.Errorf("make event: %w", err)
			}
			return made(body)
		})
		if err != nil {
			return fmt.Errorf("read rows for %s: %w", e.Name, err)
		}
	}
	return nil
}

// query selects, for each row that stands for the event, what the row says, how many rows before it
// say exactly the same, and the event's parts.
func (e *Event) query() string {
	optional := func(expression string) string {
		if expression == "" {
			return "null"
		}
		return "cast((" + expression + ") as varchar)"
	}
	properties := make([]string, 0, len(e.Properties))
	for _, name := range e.names() {
		properties = append(properties, fmt.Sprintf("%q := (%s)", name, e.Properties[name]))
	}
	object := "'{}'"
	if len(properties) > 0 { // a merge patch leaves out what is null (RFC 7396)
		object = "cast(json_merge_patch('{}', to_json(struct_pack(" + strings.Join(properties, ", ") + "))) as varchar)"
	}
	return `select
    cast(to_json(data) as varchar) as says,
    row_number() over (partition by cast(to_json(data) as varchar)) as nth,
    strftime(` + e.time() + `, '%Y-%m-%dT%H:%M:%S.%gZ') as ts,
    ` + optional(e.UserID) + ` as user_id,
    ` + optional(e.AnonymousID) + ` as anonymous_id,
    ` + object + ` as properties
from data
qualify ` + e.keep()
}

// id is a UUIDv5 of all that tells the event from others.
func (m *Mapping) id(e *Event, says, nth string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "verdict:import:%s:%s:%d:%s:%s", m.Name, e.Name, e.nth, nth, says)).String()
}

func text(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}
