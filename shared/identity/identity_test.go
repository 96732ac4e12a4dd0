package identity_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/table"
)

func TestOneUserPerUnit(t *testing.T) {
	got := identity.Resolve([]identity.Edge{
		{AnonymousID: "phone", UserID: "ann"},
		{AnonymousID: "laptop", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "bob"},
		{AnonymousID: "kiosk", UserID: "ann"},
	})
	want := []identity.Member{
		{EntityID: "a:laptop", UnitID: "u:ann", Method: "signed_in", Confidence: 1},
		{EntityID: "a:phone", UnitID: "u:ann", Method: "signed_in", Confidence: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheMapFollowsTheEdges(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var runs int
	newRun := func() string { runs++; return strconv.Itoa(runs) }
	r := identity.Resolver{Objects: store, Engine: w, Catalog: w, NewRun: newRun}
	if _, err := r.Run(t.Context()); err == nil {
		t.Error("resolved without edges")
	}
	edges := []identity.Edge{{AnonymousID: "phone", UserID: "ann", Events: 1}}
	for i, want := range []int{1, 2} {
		if err := table.Write(t.Context(), store, w, table.Place{Table: "identity_edge", Run: newRun()}, edges); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Run(t.Context()); err != nil || n != want {
			t.Fatalf("round %d: %d rows, %v, want %d", i, n, err, want)
		}
		if n, err := r.Run(t.Context()); err != nil || n != -1 {
			t.Errorf("round %d, again: %d, %v, want nothing to do", i, n, err)
		}
		edges = append(edges, identity.Edge{AnonymousID: "laptop", UserID: "ann", Events: 1})
	}
	got, err := lake.Read[identity.Member](t.Context(), w, "select * from identity_map order by entity_id")
	if err != nil || len(got) != 2 || got[1].UnitID != "u:ann" {
		t.Errorf("map %v, %v", got, err)
	}
}
