package semantic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Source answers questions from published tables. It is safe for concurrent use.
type Source struct {
	Layer    *metric.Layer
	Objects  lake.Objects
	Engine   lake.Engine
	Catalog  lake.Catalog
	MaxBytes int64 // that one question may read

	mu      sync.Mutex
	sizes   map[string]int64 // of partitions, by location
	sizesOf string           // the table's version that they are of
}

// MaxDays is how many days one question may span: two years, to compare one with the other.
const MaxDays = 731

// Plan is a question made ready: what it reads, and a version that changes with the answer only.
type Plan struct {
	Question
	Definition metric.Definition
	SQL        string
	Bytes      int64  // of the files of all days asked for; the engine reads the columns that it needs
	Version    string // hash of the SQL and of the partitions that it reads
	Through    string // the last day asked for that there are events of; empty: there are none
}

// Row is one line of an answer.
type Row struct {
	Period      string // first day of the period; empty for a total
	Dimensions  []*string
	Value       *float64 // nil: undefined, as a ratio to nothing
	Numerator   *float64 // of a ratio
	Denominator *float64
}

// Plan checks and compiles a question, and refuses what would read too much.
func (s *Source) Plan(ctx context.Context, q Question) (*Plan, error) {
	sql, err := Compile(s.Layer, q)
	if err != nil {
		return nil, err
	}
	if days := int(q.To.Sub(q.From) / (24 * time.Hour)); days > MaxDays {
		return nil, fault.New(fault.Invalid, "%d days are more than the %d that one question may span", days, MaxDays)
	}
	table, err := s.Catalog.Table(ctx, s.Layer.Table.Name)
	if err != nil {
		return nil, err
	}
	parts := partitions(table, q)
	p := &Plan{Question: q, SQL: sql, Version: version(sql, parts)}
	if p.Definition, err = s.Layer.Find(q.Metric); err != nil {
		return nil, err
	}
	if p.Bytes, err = s.bytes(ctx, table, parts); err != nil {
		return nil, err
	}
	if len(parts) > 0 {
		p.Through = parts[len(parts)-1].Values[0] // the catalog orders them
	}
	if p.Bytes > s.MaxBytes {
		return nil, fault.New(fault.Invalid, "the days from %s to %s hold %.1f GB, and one question may read %.1f GB: ask for fewer days",
			q.From.Format(time.DateOnly), q.To.Format(time.DateOnly), float64(p.Bytes)/1e9, float64(s.MaxBytes)/1e9)
	}
	return p, nil
}

// Rows runs a plan and returns some of its rows from an offset on.
func (s *Source) Rows(ctx context.Context, p *Plan, offset, limit int) ([]Row, error) {
	result, err := s.Engine.Query(ctx, fmt.Sprintf("%s\noffset %d\nlimit %d", p.SQL, offset, limit))
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	out := make([]Row, len(result.Rows))
	for i, cells := range result.Rows {
		if out[i], err = p.row(cells); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *Plan) row(cells []*string) (Row, error) {
	var r Row
	if p.Grain != Total {
		r.Period = *cells[0]
		cells = cells[1:]
	}
	r.Dimensions, cells = cells[:len(p.By)], cells[len(p.By):]
	for i, into := range []**float64{&r.Value, &r.Numerator, &r.Denominator}[:len(cells)] {
		if cells[i] == nil {
			continue
		}
		x, err := strconv.ParseFloat(*cells[i], 64)
		if err != nil {
			return r, fmt.Errorf("read answer: %w", err)
		}
		*into = &x
	}
	return r, nil
}

func partitions(table lake.Table, q Question) []lake.Partition {
	from, to := q.From.UTC().Format(time.DateOnly), q.To.UTC().Format(time.DateOnly)
	var out []lake.Partition
	for _, p := range table.Partitions {
		if len(p.Values) == 1 && p.Values[0] >= from && p.Values[0] < to {
			out = append(out, p)
		}
	}
	return out
}

func version(sql string, parts []lake.Partition) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s", len(sql), sql)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p.Location), p.Location) // a location is written once
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// bytes adds up the files of partitions. Files never change, so their sizes are asked for once per version of the table.
func (s *Source) bytes(ctx context.Context, table lake.Table, parts []lake.Partition) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if current := version("", table.Partitions); s.sizesOf != current {
		sizes, err := lake.Sizes(ctx, s.Objects, table)
		if err != nil {
			return 0, err
		}
		s.sizes, s.sizesOf = sizes, current
	}
	var total int64
	for _, p := range parts {
		total += s.sizes[p.Location]
	}
	return total, nil
}
