package pipeline_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/bucketing"
	"verdict/shared/embedded/directory"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/pipeline"
	"verdict/shared/table"
)

// uncounted is a collector that has received nothing: what landed here was written by the test.
type uncounted struct{}

func (uncounted) Collected(context.Context, time.Time, time.Time) ([]ledger.Count, error) {
	return nil, nil
}

// publishedAsDescribed wants every table of a lake to stand in the project with the columns it has, every described
// one to be there, and what is described of the rows to hold.
func publishedAsDescribed(t *testing.T, p *pipeline.Pipeline, store *directory.Store) {
	t.Helper()
	audited := table.Place{Table: "fact_bucketing_audit", Run: "none", PartitionBy: []string{"as_of"}, Values: []string{"2026-01-12"}}
	if err := table.Write[bucketing.Row](t.Context(), store, p.Catalog, audited, nil); err != nil { // nothing is audited here
		t.Fatal(err)
	}
	entries, err := store.List(t.Context(), "catalog/")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimPrefix(e.Key, "catalog/"), ".json")
		if strings.HasSuffix(name, "__audit") {
			continue
		}
		names = append(names, name)
		published, err := p.Catalog.Table(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		columns := slices.Clone(published.Columns)
		for _, c := range published.PartitionBy {
			columns = append(columns, lake.Column{Name: c, Type: "varchar"})
		}
		if diff := cmp.Diff(p.Project.Models.ColumnsOf(name), columns); diff != "" {
			t.Errorf("%s is not as athena-sql describes it (-described +published):\n%s", name, diff)
		}
	}
	for _, m := range p.Project.Models.Models {
		if !slices.Contains(names, m.Name) {
			t.Errorf("model %s was not published", m.Name)
		}
	}
	for _, s := range p.Project.Models.Sources {
		if s.Location != "" {
			continue
		}
		if !slices.Contains(names, s.Name) {
			t.Errorf("%s is described, and nobody has written it", s.Name)
			continue
		}
		sql, says := s.Audit()
		result, err := p.Engine.Query(t.Context(), sql)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		for i, n := range result.Rows[0] {
			if *n != "0" {
				t.Errorf("%s: %s rows where %s", s.Name, *n, says[i])
			}
		}
	}
}
