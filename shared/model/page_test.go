package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/model"
)

func TestTheTablesPageIsCurrent(t *testing.T) {
	got, err := os.ReadFile(filepath.Join("..", "..", "docs", "tables.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(loadProject(t).Page(), string(got)); diff != "" {
		t.Errorf("docs/tables.md is stale: bin/verdict tables page > docs/tables.md (-want +got):\n%s", diff)
	}
}

func TestEveryTableAndColumnIsDescribed(t *testing.T) {
	p := loadProject(t)
	columns := func(table, description string, of []model.Column) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", table)
		}
		for _, c := range of {
			if len(c.Description) < 3 || !strings.HasSuffix(c.Description, ".") {
				t.Errorf("%s.%s has no sentence for a description: %q", table, c.Name, c.Description)
			}
		}
	}
	for _, m := range p.Models {
		columns(m.Name, m.Description, m.Columns)
		if m.Grain == "" || m.LateData == "" || m.Owner == "" {
			t.Errorf("%s: grain %q, late data %q, owner %q", m.Name, m.Grain, m.LateData, m.Owner)
		}
	}
	for _, s := range p.Sources {
		columns(s.Name, s.Description, s.Columns)
		if s.Grain == "" || s.MadeBy == "" || (s.Key == nil) != (s.Location != "") {
			t.Errorf("%s: grain %q, made by %q, key %q: what is written in Go has a key, what lands has none", s.Name, s.Grain, s.MadeBy, s.Key)
		}
	}
	if page := p.Page(); strings.Contains(page, "| yes |  |") {
		t.Error("a partition column has no meaning")
	}
}
