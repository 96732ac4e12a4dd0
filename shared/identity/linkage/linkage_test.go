package linkage_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/identity/identitytest"
	"verdict/shared/identity/linkage"
)

func linked(t *testing.T, table *linkage.Table, c linkage.Config, without ...string) *linkage.Result {
	t.Helper()
	if err := c.Complete(table, without...); err != nil {
		t.Fatal(err)
	}
	r, err := linkage.Link(table, &c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPersonsWithMistakes(t *testing.T) {
	p := identitytest.NewPersons(2500, 1)
	r := linked(t, &p.Table, linkage.Config{})
	q := linkage.Score(p.Truth, r.Unit)
	t.Logf("%d pairs compared, prior %.2g\nfields %v\n%+v\n%+v", r.Compared, r.Model.Prior, r.Model.Fields, q, r.Curve(p.Truth, 0.5, 0.9, 0.99))
	if q.Pairwise.F1 < 0.99 || q.BCubed.F1 < 0.99 {
		t.Errorf("found %+v", q)
	}
	if diff := cmp.Diff(r.Unit, linked(t, &p.Table, linkage.Config{}).Unit); diff != "" {
		t.Error("a second run gives other units")
	}
}
