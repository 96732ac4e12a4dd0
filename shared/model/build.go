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
	NewRun  func() string                                              // a name never used before; names the location of what is written
	Observe func(ctx context.Context, w Writing) (ended func(Outcome)) // is told of every write; may be nil
}

// Built says what one model's build did.
type Built struct {
	Model      string
	Partitions int // that were out of date and made anew
}

// Build brings the named models up to date, in the order of what they read.
func (b *Builder) Build(ctx context.Context, names ...string) ([]Built, error) {
	for _, name := range names {
		if !slices.ContainsFunc(b.Project.Models, func(m *Model) bool { return m.Name == name }) {
			return nil, fault.New(fault.NotFound, "build models: there is no model %s", name)
		}
	}
	var out []Built
	for _, m := range b.Project.Models {
		if !slices.Contains(names, m.Name) {
			continue
		}
		n, err := b.build(ctx, m)
		if err != nil {
			return out, fmt.Errorf("build %s: %w", m.Name, err)
		}
		out = append(out, Built{m.Name, n})
	}
	return out, nil
}

func (b *Builder) build(ctx context.Context, m *Model) (int, error) {
	stale, err := b.stale(ctx, m)
	if err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(stale, maxPartitions) {
		if err := b.watched(ctx, m, chunk); err != nil {
			return 0, err
		}
	}
	return len(stale), nil
}

// outdated is one partition to make, and the fingerprint of what it is made from now.
type outdated struct {
	day    string // empty: the model is not partitioned
	source string
}

// stale compares what each partition was made from with what it would be made from now.
func (b *Builder) stale(ctx context.Context, m *Model) ([]outdated, error) {
	inputs := map[string]map[string]string{} // table -> day -> fingerprint
	for _, ref := range m.Refs {
		prints, err := b.fingerprints(ctx, ref)
		if err != nil {
			return nil, err
		}
		inputs[ref] = prints
	}
	published, err := b.published(ctx, m.Name)
	if err != nil {
		return nil, err
	}
	if m.PartitionBy == "" {
		source := fingerprint(m, inputs, nil)
		if published[""] == source {
			return nil, nil
		}
		return []outdated{{source: source}}, nil
	}
	var out []outdated
	for _, day := range daysOf(inputs) {
		source := fingerprint(m, inputs, func(table, d string) bool {
			return d == "" || slices.Contains(around(day, m.Reads[table].DaysAround), d)
		})
		if published[day] != source {
			out = append(out, outdated{day, source})
		}
	}
	return out, nil
}

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
	out := map[string]string{}
	for _, p := range table.Partitions {
		out[strings.Join(p.Values, "/")] = p.Location + " " + p.Source
	}
	return out, nil
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
	parts := []string{m.version}
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
	return digest(parts...)
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
func (b *Builder) publish(ctx context.Context, m *Model, parts []outdated, out *Outcome) error {
	prefix := "warehouse/" + m.Name + "/run=" + b.NewRun() + "/"
	table := lake.Table{Name: m.Name, Columns: plain(m.Columns)}
	var days []string
	if m.PartitionBy == "" {
		table.Partitions = []lake.Partition{{Location: prefix, Source: parts[0].source}}
	} else {
		table.PartitionBy = []string{m.PartitionBy}
		for _, p := range parts {
			days = append(days, p.day)
			location := prefix + m.PartitionBy + "=" + p.day + "/"
			table.Partitions = append(table.Partitions, lake.Partition{Values: []string{p.day}, Location: location, Source: p.source})
		}
	}
	out.Location = prefix
	if err := b.Engine.Unload(ctx, m.Select(days), prefix, table.PartitionBy); err != nil {
		return err
	}
	audited := table
	audited.Name = m.Name + "__audit"
	if err := b.Catalog.Publish(ctx, audited); err != nil {
		return err
	}
	if err := b.audit(ctx, m, audited.Name, days, out); err != nil {
		return err
	}
	return b.Catalog.Publish(ctx, table)
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

// audit runs all data tests of a model in one query.
func (b *Builder) audit(ctx context.Context, m *Model, table string, days []string, out *Outcome) error {
	sql, names := m.Audit(table, days)
	result, err := b.Engine.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	out.tested(names, result.Rows[0])
	var broken []string
	for i, value := range result.Rows[0] {
		if value != nil && *value != "0" {
			broken = append(broken, *value+" rows where "+names[i])
		}
	}
	if len(broken) > 0 {
		return fault.New(fault.Invalid, "audit: %s; the table stays as it was", strings.Join(broken, ", "))
	}
	return nil
}

// Audit is the query of all data tests of a model on a table: a column for each, with the number of offending rows,
// and what such a row means.
func (m *Model) Audit(table string, days []string) (sql string, says []string) {
	tests := m.tests(table, days)
	counts := make([]string, len(tests))
	for i, t := range tests {
		says = append(says, t.says)
		counts[i] = fmt.Sprintf("(%s) as test_%d", t.sql, i)
	}
	return "select " + strings.Join(counts, ",\n"), says
}

type dataTest struct{ says, sql string }

// tests lists a model's data tests: each counts offending rows.
func (m *Model) tests(table string, days []string) []dataTest {
	from := table
	if m.PartitionBy != "" {
		from = "(select * from " + table + " where " + m.PartitionBy + " in (" + lake.QuoteList(days) + ")) as part"
	}
	key := strings.Join(m.Key, ", ")
	out := []dataTest{{
		key + " is not unique",
		"select count(*) from (select 1 as one from " + from + " group by " + key + " having count(*) > 1) as twice",
	}}
	for _, c := range m.Columns {
		if slices.Contains(c.Tests, "not_null") {
			out = append(out, dataTest{c.Name + " is null", "select count(*) from " + from + " where " + c.Name + " is null"})
		}
		if len(c.Accepted) > 0 {
			out = append(out, dataTest{
				c.Name + " is none of " + strings.Join(c.Accepted, ", "),
				"select count(*) from " + from + " where " + c.Name + " not in (" + lake.QuoteList(c.Accepted) + ")",
			})
		}
	}
	return out
}
