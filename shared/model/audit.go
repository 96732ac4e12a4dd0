package model

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/definition"
	"verdict/shared/dialect"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// audit runs all data tests of a model in one query.
func (b *Builder) audit(ctx context.Context, m *Model, table string, days []string) (warnings []string, err error) {
	sql, tests := m.Audit(table, days, b.AsOf)
	result, err := b.Engine.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var broken []string
	for i, value := range result.Rows[0] {
		if value == nil || *value == "0" {
			continue
		}
		says := *value + " rows where " + tests[i].Says
		if tests[i].Severity == Warn {
			warnings = append(warnings, says)
		} else {
			broken = append(broken, says)
		}
	}
	if len(broken) > 0 {
		return nil, fault.New(fault.Invalid, "audit: %s; the table stays as it was", strings.Join(broken, ", "))
	}
	return warnings, nil
}

// Test is one data test of a model.
type Test struct {
	Says     string // what a row is that should not be
	Severity Severity
	sql      string // counts such rows
}

// Audit is the query of all data tests of a model on a table: a column for each, with the number of offending rows.
// Without days the whole table is meant.
func (m *Model) Audit(table string, days []string, asOf time.Time) (sql string, tests []Test) {
	tests = m.tests(table, days, asOf)
	return query(tests), tests
}

// Audit is Model.Audit of a table that no model makes.
func (s Source) Audit() (sql string, tests []Test) {
	tests = basic(s.Name+" as part", s.Key, s.Columns)
	return query(tests), tests
}

func query(tests []Test) string {
	counts := make([]string, len(tests))
	for i, t := range tests {
		counts[i] = fmt.Sprintf("(%s) as test_%d", t.sql, i)
	}
	return "select " + strings.Join(counts, ",\n")
}

// tests lists a model's data tests.
func (m *Model) tests(table string, days []string, asOf time.Time) []Test {
	from := table
	if m.PartitionBy != "" {
		from = "(select * from " + table + " where " + m.PartitionBy + " in (" + lake.QuoteList(days) + "))"
	}
	from += " as part"
	out := basic(from, m.Key, m.Columns)
	add := func(severity Severity, says, sql string, args ...any) {
		out = append(out, counting(severity, says, sql, args...))
	}
	for _, t := range m.Tests {
		add(t.Severity, t.Name, "(%s) as found", refCall.ReplaceAllStringFunc(t.SQL, func(call string) string {
			if name := refCall.FindStringSubmatch(call)[1]; name != "this" {
				return name
			}
			return strings.TrimSuffix(from, " as part")
		}))
	}
	if f := m.Freshness; f != nil && covers(days, asOf) {
		add(Warn, fmt.Sprintf("the newest %s is older than %s", f.Column, f.Within), "(select max(%s) as newest from %s) as last where newest < timestamp '%s'",
			f.Column, from, asOf.UTC().Add(-f.Within).Format(lake.TimeLayout))
	}
	return out
}

// counting is a test that counts the rows of what stands after "from".
func counting(severity Severity, says, sql string, args ...any) Test {
	return Test{says, severity, "select count(*) from " + fmt.Sprintf(sql, args...)}
}

// basic lists the tests of a key and of columns.
func basic(from string, key []string, columns []Column) []Test {
	var out []Test
	add := func(severity Severity, says, sql string, args ...any) {
		out = append(out, counting(severity, says, sql, args...))
	}
	unique := func(key string) {
		add(Refuse, key+" is not unique", "(select 1 as one from %s group by %s having count(*) > 1) as twice", from, key)
	}
	if len(key) > 0 {
		unique(strings.Join(key, ", "))
	}
	for _, c := range columns {
		if slices.Contains(c.Tests, "not_null") {
			add(Refuse, c.Name+" is null", "%s where %s is null", from, c.Name)
		}
		if slices.Contains(c.Tests, "unique") {
			unique(c.Name)
		}
		if len(c.Accepted) > 0 {
			add(Refuse, c.Name+" is none of "+strings.Join(c.Accepted, ", "), "%s where %s not in (%s)", from, c.Name, lake.QuoteList(c.Accepted))
		}
		if p := c.In; p != nil {
			add(p.Severity, fmt.Sprintf("%s is in no %s of %s", c.Name, p.Field, p.To),
				"%s left join (select distinct %s as known from %s) as parent on parent.known = part.%s where part.%[4]s is not null and parent.known is null", from, p.Field, p.To, c.Name)
		}
	}
	return out
}

// covers tells whether the newest row may be among some days: to rebuild an old day says nothing of freshness.
func covers(days []string, asOf time.Time) bool {
	return days == nil || slices.Max(days) >= asOf.UTC().AddDate(0, 0, -1).Format(time.DateOnly)
}

// checkTests complains of a model's data tests.
func (m *Model) checkTests(doc definition.Document) error {
	known := func(severity Severity) bool { return slices.Contains([]Severity{"", Refuse, Warn}, severity) }
	has := func(column, kind string) bool {
		return slices.ContainsFunc(m.Columns, func(c Column) bool { return c.Name == column && (kind == "" || c.Type == kind) })
	}
	if m.LateDays != 0 && (m.PartitionBy == "" || m.LateDays < 0) {
		return doc.Errorf("$.late_days", "late_days are a positive number, of a model that is partitioned by day")
	}
	if f := m.Freshness; f != nil && (!has(f.Column, "timestamp(3)") || f.Within <= 0) {
		return doc.Errorf("$.freshness", "freshness wants a timestamp(3) column of the model, and within: how old its newest value may be, such as 26h")
	}
	for i, c := range m.Columns {
		if p := c.In; p != nil && (!slices.Contains(m.Refs, p.To) || p.Field == "" || !known(p.Severity)) {
			return doc.Errorf(fmt.Sprintf("$.columns[%d].relationships", i), "relationships wants {to, field, severity}: a table that the model reads, its column, and error or warn")
		}
	}
	for i, t := range m.Tests {
		at := fmt.Sprintf("$.tests[%d]", i)
		if t.Name == "" || t.SQL == "" || !known(t.Severity) {
			return doc.Errorf(at, "a test wants a name that says what is wrong, sql, and severity error or warn")
		}
		for _, found := range dialect.Check(t.SQL) {
			return doc.Errorf(at+".sql", "%q is not in the dialect (athena-sql/README.md): write %s", found.Found, found.Instead)
		}
		for _, ref := range refCall.FindAllStringSubmatch(t.SQL, -1) {
			if ref[1] != "this" && !slices.Contains(m.Refs, ref[1]) {
				return doc.Errorf(at+".sql", "a test reads ref('this') and what its model reads, not %s", ref[1])
			}
		}
	}
	return nil
}
