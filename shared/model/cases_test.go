package model_test

import (
	"testing"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
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
