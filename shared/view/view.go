// Package view is what analysts and dashboards read by name: metrics by day and dimension, and what experiments found
// and decided. A view is a SELECT made from the same definitions as everything else, and holds no rows of its own.
package view

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"verdict/shared/definition"
	"verdict/shared/dialect"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metric"
)

// View is a SELECT under a name.
type View struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	SQL         string        `json:"sql"`
	Columns     []lake.Column `json:"columns"`
}

// Publisher shows views to readers.
type Publisher interface {
	// View returns a view as last published, or fault.NotFound. A table is not a view.
	View(ctx context.Context, name string) (View, error)
	// PublishView makes readers see the view, in place of one of its name. Where a table has the name it is
	// fault.Conflict.
	PublishView(ctx context.Context, v View) error
}

// Source is a view and the tables and views that it reads.
type Source struct {
	View
	Refs []string
	Says map[string]string // of columns
}

// All are the views of the files under views/ and of the metrics, each after those that it reads.
func All(files fs.FS, l *metric.Layer) ([]Source, error) {
	out, err := load(files)
	if err != nil {
		return nil, err
	}
	metrics, err := ofMetrics(l)
	if err != nil {
		return nil, err
	}
	return append(metrics, out...), nil
}

// Publish shows the views whose tables are there, and tells how many it had to change. The others wait for their tables.
func Publish(ctx context.Context, to Publisher, catalog lake.Catalog, views []Source) (int, error) {
	changed := 0
	shown := map[string]bool{}
	for _, v := range views {
		ready, err := ready(ctx, catalog, v.Refs, shown)
		if err != nil {
			return changed, err
		}
		if !ready {
			continue
		}
		shown[v.Name] = true
		current, err := to.View(ctx, v.Name)
		if err == nil && same(current, v.View) {
			continue
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			return changed, err
		}
		if err := to.PublishView(ctx, v.View); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

func same(a, b View) bool {
	return a.SQL == b.SQL && a.Description == b.Description && slices.Equal(a.Columns, b.Columns)
}

func ready(ctx context.Context, catalog lake.Catalog, refs []string, shown map[string]bool) (bool, error) {
	for _, ref := range refs {
		if shown[ref] {
			continue
		}
		if _, err := catalog.Table(ctx, ref); fault.Is(err, fault.NotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

var refCall = regexp.MustCompile(`ref\('([a-z][a-z0-9_]*)'\)`)

// load reads views/*.sql with their *.yml.
func load(files fs.FS) ([]Source, error) {
	names, err := fs.Glob(files, "views/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	var out []Source
	for _, file := range names {
		v, err := loadOne(files, file)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return inOrder(out)
}

func loadOne(files fs.FS, file string) (Source, error) {
	sql, err := fs.ReadFile(files, file)
	if err != nil {
		return Source{}, fmt.Errorf("read view: %w", err)
	}
	described := strings.TrimSuffix(file, ".sql") + ".yml"
	text, err := fs.ReadFile(files, described)
	if err != nil {
		return Source{}, fault.New(fault.Invalid, "%s:1: the view needs a description in %s", file, described)
	}
	var d struct {
		Description string `yaml:"description"`
		Columns     []struct {
			Name        string `yaml:"name"`
			Type        string `yaml:"type"`
			Description string `yaml:"description"`
		} `yaml:"columns"`
	}
	if _, err := definition.Decode(described, text, &d); err != nil {
		return Source{}, err
	}
	for _, f := range dialect.Check(string(sql)) {
		return Source{}, fault.New(fault.Invalid, "%s:%d: %q is not in the dialect (athena-sql/README.md): write %s", file, f.Line, f.Found, f.Instead)
	}
	v := Source{View: View{Name: strings.TrimSuffix(path.Base(file), ".sql"), Description: d.Description}, Says: map[string]string{}}
	for _, c := range d.Columns {
		v.Columns = append(v.Columns, lake.Column{Name: c.Name, Type: c.Type})
		v.Says[c.Name] = c.Description
	}
	body := refCall.ReplaceAllStringFunc(string(sql), func(call string) string {
		ref := refCall.FindStringSubmatch(call)[1]
		if !slices.Contains(v.Refs, ref) {
			v.Refs = append(v.Refs, ref)
		}
		return ref
	})
	v.SQL = typed(body, v.Columns)
	return v, nil
}

// typed is a SELECT that gives the columns as they are described: a catalog is told types and believes them.
func typed(sql string, columns []lake.Column) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = fmt.Sprintf("cast(%s as %s) as %s", c.Name, c.Type, c.Name)
	}
	return "select\n    " + strings.Join(list, ",\n    ") + "\nfrom (\n" + strings.TrimSpace(sql) + "\n) as v"
}

// inOrder puts each view after those that it reads.
func inOrder(views []Source) ([]Source, error) {
	var out []Source
	for len(out) < len(views) {
		before := len(out)
		for _, v := range views {
			has := func(name string) bool { return slices.ContainsFunc(out, func(o Source) bool { return o.Name == name }) }
			waits := slices.ContainsFunc(v.Refs, func(ref string) bool {
				return !has(ref) && slices.ContainsFunc(views, func(o Source) bool { return o.Name == ref })
			})
			if !has(v.Name) && !waits {
				out = append(out, v)
			}
		}
		if len(out) == before {
			return nil, fault.New(fault.Invalid, "views read each other in a circle")
		}
	}
	return out, nil
}
