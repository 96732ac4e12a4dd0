package privacy

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/land"
)

// The areas of the lake that hold lines.
const (
	raw           = "raw"
	quarantine    = "quarantine"
	inbox         = "inbox"
	undeliverable = "errors"
)

// touched is a file with lines of the person, and how many.
type touched struct {
	Key   string `json:"key"`
	Lines int64  `json:"lines"`
	Hours []Hour `json:"hours,omitempty"`
}

func (t touched) area() string { area, _, _ := strings.Cut(t.Key, "/"); return area }

// files lists the files that hold lines of the person: landed ones of the partitions that the engine names, and all
// that no table shows.
func (o *Officer) files(ctx context.Context, p person) ([]touched, error) {
	keys, err := o.candidates(ctx, p)
	if err != nil {
		return nil, err
	}
	var out []touched
	for _, key := range keys {
		body, err := o.Store.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		_, found, err := o.without(ctx, p, key, body)
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", key, err)
		}
		if found.Lines > 0 {
			out = append(out, found)
		}
	}
	return out, nil
}

// candidates lists the files that may hold lines of the person.
func (o *Officer) candidates(ctx context.Context, p person) ([]string, error) {
	var prefixes []string
	for area, table := range map[string]string{raw: rawTable, quarantine: quarantineTable} {
		type partition struct {
			Namespace string `lake:"namespace"`
			Day       string `lake:"event_date"`
		}
		found, err := lake.Read[partition](ctx, o.Engine, "select distinct namespace, event_date from "+table+" where "+p.landing(table))
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", area, err)
		}
		for _, f := range found {
			prefixes = append(prefixes, fmt.Sprintf("%s/namespace=%s/event_date=%s/", area, f.Namespace, f.Day))
		}
	}
	var out []string
	for _, prefix := range append(prefixes, inbox+"/", undeliverable+"/") {
		objects, err := o.Store.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			out = append(out, object.Key)
		}
	}
	slices.Sort(out)
	return out, nil
}

// rewrite takes the person's lines out of a file. A file that was cut off in between is whole: either as it was or as
// it shall be.
func (o *Officer) rewrite(ctx context.Context, p person, key string) error {
	body, err := o.Store.Get(ctx, key)
	if fault.Is(err, fault.NotFound) {
		return nil // retention was first
	}
	if err != nil {
		return err
	}
	rest, found, err := o.without(ctx, p, key, body)
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", key, err)
	}
	if found.Lines > 0 {
		if err := o.Store.Put(ctx, key, rest, lake.Overwrite); err != nil {
			return err
		}
	}
	return o.Store.Prune(ctx, key)
}

// without is a file without the person's lines, in the same form, and what was taken out. Parquet becomes lines of
// JSON: a replay reads either by what it is, not by its name.
func (o *Officer) without(ctx context.Context, p person, key string, body []byte) (rest []byte, found touched, err error) {
	found.Key = key
	area := found.area()
	lines, packed, err := o.unpack(ctx, body)
	if err != nil {
		return nil, found, err
	}
	hours := map[Hour]int64{}
	var parser fastjson.Parser
	var kept [][]byte
	for _, line := range lines {
		mine, hour := p.owns(&parser, area, line)
		if !mine {
			kept = append(kept, line)
			continue
		}
		found.Lines++
		if hour.Hour != "" {
			hours[hour]++
		}
	}
	found.Hours = sortedHours(hours)
	if packed {
		rest, err = land.Compress(kept...)
	} else {
		rest = bytes.Join(kept, nil)
	}
	return rest, found, err
}

// sortedHours lists hours, each with how many lines it has.
func sortedHours(hours map[Hour]int64) (out []Hour) {
	for hour, n := range hours {
		hour.Lines = n
		out = append(out, hour)
	}
	slices.SortFunc(out, func(a, b Hour) int { return strings.Compare(a.Area+a.Namespace+a.Hour, b.Area+b.Namespace+b.Hour) })
	return out
}

// owns tells whether a line is the person's, and under which hour the collector has counted it, if it has. A line
// that cannot be read is nobody's.
func (p person) owns(parser *fastjson.Parser, area string, line []byte) (mine bool, hour Hour) {
	v, err := parser.ParseBytes(line)
	if err != nil {
		return false, hour
	}
	switch area {
	case inbox:
		return p.exported(v), hour
	case undeliverable:
		return p.undelivered(v), hour
	}
	return p.landed(v), counted(v, area)
}

// counted is the hour under which the collector has counted a landed line; none of one that was replayed.
func counted(v *fastjson.Value, area string) (hour Hour) {
	received := v.GetStringBytes("received_ts")
	if at := len("2006-01-02T15"); !v.Exists("source") && len(received) >= at {
		hour = Hour{Namespace: string(v.GetStringBytes("namespace")), Hour: string(received[:at]), Area: area}
	}
	return hour
}

// undelivered looks into what Firehose could not deliver: a record that it kept as it was, and says why.
func (p person) undelivered(v *fastjson.Value) bool {
	record, err := base64.StdEncoding.DecodeString(string(v.GetStringBytes("rawData")))
	if err != nil {
		return false
	}
	var parser fastjson.Parser
	for line := range bytes.Lines(record) {
		if inner, err := parser.ParseBytes(line); err == nil && p.landed(inner) {
			return true
		}
	}
	return false
}

// unpack takes a file apart into lines, each with its end.
func (o *Officer) unpack(ctx context.Context, body []byte) (lines [][]byte, packed bool, err error) {
	switch {
	case bytes.HasPrefix(body, []byte("PAR1")):
		err = o.Parquet(ctx, bytes.NewReader(body), int64(len(body)), func(row []byte, _ float64) error {
			lines = append(lines, append(bytes.Clone(row), '\n'))
			return nil
		})
		return lines, true, err
	case bytes.HasPrefix(body, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, true, fault.New(fault.Invalid, "read gzip: %w", err)
		}
		if body, err = io.ReadAll(z); err != nil {
			return nil, true, fault.New(fault.Invalid, "read gzip: %w", err)
		}
		packed = true
	}
	for line := range bytes.Lines(body) {
		lines = append(lines, line)
	}
	return lines, packed, nil
}
