package trino_test

import (
	"testing"

	athenasql "verdict/athena-sql"
	"verdict/shared/model"
	"verdict/shared/model/modeltest"
)

// Every model makes the wanted rows of its cases on Trino as well.
func TestModelCases(t *testing.T) {
	e := engine(t)
	project, err := model.Load(athenasql.Files)
	if err != nil {
		t.Fatal(err)
	}
	modeltest.Run(t, athenasql.Files, project, e)
}
