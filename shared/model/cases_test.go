package model_test

import (
	"strings"
	"testing"
	"testing/fstest"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/model"
	"verdict/shared/model/modeltest"
)

func TestModelCases(t *testing.T) {
	warehouse, err := duck.Open(t.Context(), &directory.Store{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer warehouse.Close()
	modeltest.Run(t, athenasql.Files, loadProject(t), warehouse)
}

// Every construct outside the dialect is named, with its line.
func TestTheDialectIsKept(t *testing.T) {
	files := fstest.MapFS{
		"models/a.sql": {Data: []byte("-- grain: one row\n-- key: x\n-- late data: none\n-- owner: nobody\nselect\n    1::int as x,\n    now() as y\n")},
		"models/a.yml": {Data: []byte("description: d\ncolumns:\n  - {name: x, type: bigint}\n  - {name: y, type: varchar}\n")},
	}
	_, err := model.Load(files)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "models/a.sql:6: \"::\"") || !strings.Contains(err.Error(), "models/a.sql:7: \"now(\"") {
		t.Errorf("error %v", err)
	}
}
