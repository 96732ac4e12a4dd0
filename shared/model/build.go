package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// maxPartitions is how many partitions one statement writes: Athena's limit is 100.
const maxPartitions = 90

// Builder brings models up to date.
type Builder struct {
	Project *Project
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string // a name never used before
	AsOf    time.Time     // the moment that late_days and freshness count from
	Selection
	Observe func(ctx context.Context, w Writing) (ended func(Outcome)) // is told of every write; may be nil
}

// Selection is what to build, of what is asked for. The zero Selection is what is out of date.
type Selection struct {
	Since string // event days from this one on, such as 2006-01-02, also those that are held; empty: all
	Full  bool   // also what is up to date
}

// Built says what one model's build did.
type Built struct {
	Model      string   `json:"model"`
	Partitions int      `json:"partitions"`         // that were made anew
	Held       []Held   `json:"held,omitempty"`     // that would be made anew, had they not ended longer ago than the model's late_days
	Warnings   []string `json:"warnings,omitempty"` // of data tests, which hold nothing back
	Scanned    int64    `json:"scanned_bytes"`      // that the engine bills for; 0 of one that bills nothing
}

// Held is an event day that something arrived for after the model's late_days: it waits in the landed files until
// somebody asks for the day.
type Held struct {
	Day    string `json:"day"`
	Source string `json:"source"` // fingerprint of what the day would be made from
}

// Build brings the named models up to date, in the order of what they read.
func (b *Builder) Build(ctx context.Context, names ...string) ([]Built, error) {
	for _, name := range names {
		if b.Project.Find(name) == nil {
			return nil, fault.New(fault.NotFound, "build models: there is no model %s", name)
		}
	}
	var out []Built
	for _, m := range b.Project.Models {
		if !slices.Contains(names, m.Name) {
			continue
		}
		built, err := b.build(ctx, m)
		if err != nil {
			return out, fmt.Errorf("build %s: %w", m.Name, err)
		}
		out = append(out, built)
	}
	return out, nil
}

func (b *Builder) build(ctx context.Context, m *Model) (Built, error) {
	ctx, scan := lake.Metered(ctx)
	out := Built{Model: m.Name}
	stale, held, err := b.stale(ctx, m)
	if err != nil {
		return out, err
	}
	out.Held = held
	for chunk := range slices.Chunk(stale, maxPartitions) {
		warnings, err := b.watched(ctx, m, chunk)
		if err != nil {
			return out, err
		}
		out.Partitions += len(chunk)
		out.Warnings = append(out.Warnings, warnings...)
	}
	out.Scanned = scan.Bytes()
	return out, nil
}

// outdated is one partition to make, and the fingerprint of what it is made from now.
type outdated struct {
	day    string // empty: the model is not partitioned
	source string
}

// stale compares what each partition was made from with what it would be made from now.
func (b *Builder) stale(ctx context.Context, m *Model) (out []outdated, held []Held, err error) {
	inputs := map[string]map[string]string{} // table -> day -> fingerprint
	for _, ref := range m.Refs {
		prints, err := b.fingerprints(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		inputs[ref] = prints
	}
	published, err := b.published(ctx, m.Name)
	if err != nil {
		return nil, nil, err
	}
	if m.PartitionBy == "" {
		source := fingerprint(m, inputs, nil)
		if published[""] == source && !b.Full {
			return nil, nil, nil
		}
		return []outdated{{source: source}}, nil, nil
	}
	for _, day := range daysOf(inputs) {
		source := fingerprint(m, inputs, func(table, d string) bool {
			return d == "" || slices.Contains(around(day, m.Reads[table].DaysAround), d)
		})
		switch {
		case day < b.Since || published[day] == source && !b.Full:
		case b.isHeld(m, day, published[day]):
			held = append(held, Held{day, source})
		default:
			out = append(out, outdated{day, source})
		}
	}
	return out, held, nil
}

// isHeld tells whether a day is past the time in which what arrives late is taken in by itself: one stray event would
// have the day, and all that follows from it, made again. A day that was never made, or by another definition, is not.
func (b *Builder) isHeld(m *Model, day, published string) bool {
	if m.LateDays == 0 || b.Since != "" || b.Full || !strings.HasPrefix(published, m.mark()) {
		return false
	}
	return day < b.AsOf.UTC().AddDate(0, 0, -m.LateDays).Format(time.DateOnly)
}

// mark begins the fingerprint of whatever this definition of the model made.
func (m *Model) mark() string { return m.version[:12] + "-" }

// fingerprints tells, per day, what a table holds now.
func (b *Builder) fingerprints(ctx context.Context, name string) (map[string]string, error) {
	for _, s := range b.Project.Sources {
		if s.Name == name && s.Location != "" {
			return b.landed(ctx, s.Location)
		}
	}
	table, err := b.Catalog.Table(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "%s has not been made yet", name)
	}
	if err != nil {
		return nil, err
	}
	return table.Made(), nil
}

// landed fingerprints the files of each event day of a landing table.
func (b *Builder) landed(ctx context.Context, location string) (map[string]string, error) {
	objects, err := b.Objects.List(ctx, location)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, o := range objects {
		_, rest, ok := strings.Cut(o.Key, "/event_date=")
		if !ok {
			continue
		}
		day, _, _ := strings.Cut(rest, "/")
		out[day] = digest(out[day], o.Key, o.ETag)
	}
	return out, nil
}

func (b *Builder) published(ctx context.Context, name string) (map[string]string, error) {
	table, err := b.Catalog.Table(ctx, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range table.Partitions {
		out[strings.Join(p.Values, "/")] = p.Source
	}
	return out, nil
}

// daysOf lists the days for which any partitioned input has something.
func daysOf(inputs map[string]map[string]string) []string {
	var out []string
	for _, prints := range inputs {
		for day := range prints {
			if day != "" {
				out = append(out, day)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// around lists the days within n days of day, which stays as it is when it is none.
func around(day string, n int) []string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil || n == 0 {
		return []string{day}
	}
	var out []string
	for i := -n; i <= n; i++ {
		out = append(out, t.AddDate(0, 0, i).Format(time.DateOnly))
	}
	return out
}

func fingerprint(m *Model, inputs map[string]map[string]string, uses func(table, day string) bool) string {
	var parts []string
	for _, table := range m.Refs {
		days := make([]string, 0, len(inputs[table]))
		for day := range inputs[table] {
			if uses == nil || uses(table, day) {
				days = append(days, day)
			}
		}
		slices.Sort(days)
		for _, day := range days {
			parts = append(parts, table, day, inputs[table][day])
		}
	}
	return m.mark() + digest(parts...)
}

func digest(parts ...string) string {
	var all strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&all, "%d:%s", len(p), p)
	}
	sum := sha256.Sum256([]byte(all.String()))
	return hex.EncodeToString(sum[:16])
}

// publish writes partitions under a fresh prefix, audits them there, and only then shows them to
// readers. Whatever fails or is killed in between leaves the published table as it was.
func (b *Builder) publish(ctx context.Context, m *Model, parts []outdated, out *Outcome) (warnings []string, err error) {
	var days []string
	if m.PartitionBy != "" {
		for _, p := range parts {
			days = append(days, p.day)
		}
	}
	prefix, err := b.write(ctx, m, parts, days)
	if err != nil {
		return nil, err
	}
	out.Location = prefix
	table := lake.Table{Name: m.Name, Columns: plain(m.Columns)}
	if m.PartitionBy == "" {
		table.Partitions = []lake.Partition{{Location: prefix, Source: parts[0].source}}
	} else {
		table.PartitionBy = []string{m.PartitionBy}
		for _, p := range parts {
			location := prefix + m.PartitionBy + "=" + p.day + "/"
			table.Partitions = append(table.Partitions, lake.Partition{Values: []string{p.day}, Location: location, Source: p.source})
		}
	}
	audited := table
	audited.Name = m.Name + "__audit"
	if err := b.Catalog.Publish(ctx, audited); err != nil {
		return nil, err
	}
	if warnings, err = b.audit(ctx, m, audited.Name, days, out); err != nil {
		return nil, err
	}
	return warnings, b.Catalog.Publish(ctx, table)
}

// write runs the model's SELECT into a prefix that is named for what it is made from, so that a run that was cut off
// while the engine went on finds what it had begun (lake.Engine). Where an attempt has left something the next begins.
func (b *Builder) write(ctx context.Context, m *Model, parts []outdated, days []string) (prefix string, err error) {
	var partitionBy, sources []string
	if m.PartitionBy != "" {
		partitionBy = []string{m.PartitionBy}
	}
	for _, p := range parts {
		sources = append(sources, p.day, p.source)
	}
	if b.Full { // what was made of the same before is what somebody wants replaced
		sources = append(sources, b.NewRun())
	}
	name := digest(sources...)
	for attempt := 1; ; attempt++ {
		prefix = fmt.Sprintf("warehouse/%s/run=%s-%d/", m.Name, name, attempt)
		err = b.Engine.Unload(ctx, m.Select(days), prefix, partitionBy)
		if !fault.Is(err, fault.Conflict) {
			return prefix, err
		}
	}
}

// Select is the model's SELECT for some days, reading no more days of its inputs than it needs.
func (m *Model) Select(days []string) string {
	if m.PartitionBy == "" {
		return "select " + m.columnList() + " from (\n" + m.Render(func(table string) string { return table }) + "\n) as model"
	}
	body := m.Render(func(table string) string {
		var read []string
		for _, day := range days {
			read = append(read, around(day, m.Reads[table].DaysAround)...)
		}
		slices.Sort(read)
		return "(select * from " + table + " where event_date in (" + lake.QuoteList(slices.Compact(read)) + "))"
	})
	return fmt.Sprintf("select %s, %s from (\n%s\n) as model\nwhere %s in (%s)", m.columnList(), m.PartitionBy, body, m.PartitionBy, lake.QuoteList(days))
}

func (m *Model) columnList() string {
	names := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		names[i] = fmt.Sprintf("cast(%s as %s) as %s", c.Name, c.Type, c.Name)
	}
	return strings.Join(names, ", ")
}
