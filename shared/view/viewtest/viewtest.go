// Package viewtest is the contract of a publisher of views.
package viewtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/view"
)

// Publisher tests a publisher; open returns one of an empty catalog, and that catalog.
func Publisher(t *testing.T, open func(t *testing.T) (view.Publisher, lake.Catalog)) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, view.Publisher, lake.Catalog){
		"what was published is what one reads": published,
		"a view takes the place of its former": replaced,
		"an unknown view is not found":         unknown,
		"a table stays a table":                table,
		"a view is no table":                   noTable,
		"a view reads a view":                  nested,
	} {
		t.Run(name, func(t *testing.T) {
			p, c := open(t)
			if err := c.Publish(t.Context(), lake.Table{Name: "fact", Columns: []lake.Column{{Name: "id", Type: "varchar"}}, Partitions: []lake.Partition{{Location: "warehouse/fact/run=1/"}}}); err != nil {
				t.Fatal(err)
			}
			test(t, p, c)
		})
	}
}

// IDs is a view with columns of every type, and with text that has to survive quoting.
func IDs() view.View {
	return view.View{
		Name: "ids", Description: "It's \"all\" ids: ü */ 100 %.",
		SQL: "select\n    id,\n    cast(1 as bigint) as n,\n    1e0 as x,\n    true as b,\n    cast('2026-01-05' as date) as d,\n    cast(null as timestamp(3)) as at\nfrom fact\nwhere id <> 'it''s */ ü'",
		Columns: []lake.Column{
			{Name: "id", Type: "varchar"}, {Name: "n", Type: "bigint"}, {Name: "x", Type: "double"}, {Name: "b", Type: "boolean"}, {Name: "d", Type: "date"}, {Name: "at", Type: "timestamp(3)"},
		},
	}
}

func publish(t *testing.T, p view.Publisher, v view.View) {
	t.Helper()
	if err := p.PublishView(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	got, err := p.View(t.Context(), v.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func published(t *testing.T, p view.Publisher, _ lake.Catalog) {
	t.Helper()
	publish(t, p, IDs())
	publish(t, p, IDs())
}

func replaced(t *testing.T, p view.Publisher, _ lake.Catalog) {
	t.Helper()
	publish(t, p, IDs())
	publish(t, p, view.View{Name: "ids", Description: "One.", SQL: "select id as one from fact", Columns: []lake.Column{{Name: "one", Type: "varchar"}}})
}

func unknown(t *testing.T, p view.Publisher, _ lake.Catalog) {
	t.Helper()
	if _, err := p.View(t.Context(), "nothing"); !fault.Is(err, fault.NotFound) {
		t.Errorf("error %v, want not found", err)
	}
}

func table(t *testing.T, p view.Publisher, c lake.Catalog) {
	t.Helper()
	if _, err := p.View(t.Context(), "fact"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a table was read as a view: %v", err)
	}
	v := IDs()
	v.Name = "fact"
	if err := p.PublishView(t.Context(), v); !fault.Is(err, fault.Conflict) {
		t.Errorf("error %v, want a conflict", err)
	}
	if got, err := c.Table(t.Context(), "fact"); err != nil || got.Partitions[0].Location != "warehouse/fact/run=1/" {
		t.Errorf("the table became %+v, %v", got, err)
	}
}

func noTable(t *testing.T, p view.Publisher, c lake.Catalog) {
	t.Helper()
	publish(t, p, IDs())
	if _, err := c.Table(t.Context(), "ids"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a view was read as a table: %v", err)
	}
}

func nested(t *testing.T, p view.Publisher, _ lake.Catalog) {
	t.Helper()
	publish(t, p, IDs())
	publish(t, p, view.View{Name: "counted", SQL: "select count(*) as n from ids", Columns: []lake.Column{{Name: "n", Type: "bigint"}}})
}
