// Package modeltest runs the cases of athena-sql/cases on an engine: whichever it is, a model makes the wanted rows of
// the given ones.
package modeltest

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"verdict/shared/lake"
	"verdict/shared/model"
)

// Engine answers a SELECT.
type Engine interface {
	Query(ctx context.Context, sql string) (lake.Result, error)
}

type sqlCase struct {
	Case  string                          `yaml:"case"`
	Given map[string][]map[string]*string `yaml:"given"`
	Want  []map[string]*string            `yaml:"want"`
}

// Run runs all cases: given rows, wanted rows. A case names only the columns that matter to it; what it leaves out of a
// given row is NULL.
func Run(t *testing.T, files fs.FS, project *model.Project, engine Engine) {
	t.Helper()
	for _, m := range project.Models {
		source, err := fs.ReadFile(files, "cases/"+m.Name+".yml")
		if err != nil {
			t.Errorf("%s has no cases: %v", m.Name, err)
			continue
		}
		var list []sqlCase
		if err := yaml.UnmarshalWithOptions(source, &list, yaml.Strict()); err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		for _, c := range list {
			t.Run(m.Name+"/"+c.Case, func(t *testing.T) { runCase(t, project, engine, m, c) })
		}
	}
}

func runCase(t *testing.T, project *model.Project, engine Engine, m *model.Model, c sqlCase) {
	t.Helper()
	sql := m.Render(func(table string) string { return "(" + givenTable(t, project, table, c.Given[table]) + ")" })
	columns := slices.Sorted(maps.Keys(c.Want[0])) // the first wanted row says which columns matter
	result, err := engine.Query(t.Context(), "select "+strings.Join(columns, ", ")+" from (\n"+sql+"\n) as model")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, row := range result.Rows {
		got = append(got, show(columns, func(i int) *string { return row[i] }))
	}
	for _, row := range c.Want {
		want = append(want, show(columns, func(i int) *string { return row[columns[i]] }))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func show(columns []string, value func(int) *string) string {
	var b strings.Builder
	for i, c := range columns {
		v := value(i)
		if v == nil {
			fmt.Fprintf(&b, "%s=NULL ", c)
		} else {
			fmt.Fprintf(&b, "%s=%s ", c, *v)
		}
	}
	return b.String()
}

// givenTable is a SELECT that yields the given rows with the columns and types of a table.
func givenTable(t *testing.T, project *model.Project, name string, rows []map[string]*string) string {
	t.Helper()
	columns := project.ColumnsOf(name)
	if columns == nil {
		t.Fatalf("the project has no table %s", name)
	}
	for _, row := range rows {
		for given := range row {
			if !slices.ContainsFunc(columns, func(c lake.Column) bool { return c.Name == given }) {
				t.Fatalf("%s has no column %s", name, given)
			}
		}
	}
	selects := make([]string, 0, len(rows)+1)
	for _, row := range append(rows, nil) {
		values := make([]string, len(columns))
		for i, c := range columns {
			literal := "null"
			if v := row[c.Name]; v != nil {
				literal = lake.Quote(*v)
			}
			values[i] = fmt.Sprintf("cast(%s as %s) as %s", literal, c.Type, c.Name)
		}
		selects = append(selects, "select "+strings.Join(values, ", "))
	}
	selects[len(selects)-1] += " where 1 = 0"
	return strings.Join(selects, " union all ")
}
