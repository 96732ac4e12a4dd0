package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// HandOver writes all that the lake holds about a person, and notes in the trail that it did.
func (o *Officer) HandOver(ctx context.Context, r Request, to io.Writer) (Audit, error) {
	if err := errors.Join(r.check(), o.Key.Check()); err != nil {
		return Audit{}, err
	}
	p, err := o.find(ctx, r.IDs)
	if err != nil {
		return Audit{}, err
	}
	a := Audit{Action: Export, By: r.By, At: r.At, Persons: o.hashes(p.sorted())}
	if a.Rows, err = o.copy(ctx, p, r, to); err != nil {
		return a, err
	}
	a.Done = o.Now().UTC()
	return a, o.audit(ctx, r, a)
}

// copy writes all that the lake holds about a person as JSON Lines: first what it is, then a row of a table on each
// line, landed events first. It returns how many rows of each table that were.
func (o *Officer) copy(ctx context.Context, p person, r Request, to io.Writer) (rows map[string]int64, err error) {
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	if err := out.Encode(map[string]any{"about": p.sorted(), "by": r.By, "at": r.At.UTC()}); err != nil {
		return nil, fmt.Errorf("write export: %w", err)
	}
	rows = map[string]int64{}
	for _, name := range []string{rawTable, quarantineTable} {
		if rows[name], err = o.copyRows(ctx, out, name, p.landing(name)); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Tables {
		t, err := o.Catalog.Table(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if mine := p.condition(t.Columns); mine != "" {
			if rows[name], err = o.copyRows(ctx, out, name, mine); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// copyRows writes the rows of a table for which a condition holds.
func (o *Officer) copyRows(ctx context.Context, out *json.Encoder, name, where string) (int64, error) {
	found, err := o.Engine.Query(ctx, "select * from "+name+" where "+where)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	for _, row := range found.Rows {
		line := map[string]any{}
		for i, v := range row {
			if v != nil {
				line[found.Columns[i]] = readable(*v)
			}
		}
		if err := out.Encode(map[string]any{"table": name, "row": line}); err != nil {
			return 0, fmt.Errorf("write export: %w", err)
		}
	}
	return int64(len(found.Rows)), nil
}

// readable shows JSON that a column keeps as text as what it is.
func readable(text string) any {
	if (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	return text
}

// handOver does a request for a copy: into the lake, for people to fetch.
func (o *Officer) handOver(ctx context.Context, r Request) (Audit, error) {
	var body bytes.Buffer
	a, err := o.HandOver(ctx, r, &body)
	if err != nil {
		return a, err
	}
	return a, o.Store.Put(ctx, exports+o.name(r)+".jsonl", body.Bytes(), lake.Overwrite)
}
