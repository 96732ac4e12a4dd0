package identity_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/table"
)

func TestOneUserPerUnit(t *testing.T) {
	got, _ := identity.Resolve([]identity.Edge{
		{AnonymousID: "phone", UserID: "ann", FirstSeen: noon},
		{AnonymousID: "laptop", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "bob"},
		{AnonymousID: "lent", UserID: "ann"},
	}, []identity.Veto{{A: "u:ann", B: "a:lent"}}, identity.DefaultGuards(), noon)
	want := []identity.Member{
		{EntityID: "a:laptop", UnitID: "u:ann", Method: "signed_in", Confidence: 1},
		{EntityID: "a:phone", UnitID: "u:ann", Method: "signed_in", Confidence: 1, Since: noon},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each round changes the edges or the vetoes, and is run twice.
func TestTheMapFollowsTheEdges(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var runs int
	newRun := func() string { runs++; return strconv.Itoa(runs) }
	now := noon
	r := identity.Resolver{Objects: store, Engine: w, Catalog: w, NewRun: newRun, Now: func() time.Time { return now }}
	if _, err := r.Run(t.Context()); err == nil {
		t.Error("resolved without edges")
	}
	edges := []identity.Edge{{AnonymousID: "phone", UserID: "ann", Events: 1, FirstSeen: noon}}
	write := func() error {
		return table.Write(t.Context(), store, w, table.Place{Table: "identity_edge", Run: newRun()}, edges)
	}
	rounds := []struct {
		change func() error
		rows   int
	}{
		{write, 1},
		{func() error {
			edges = append(edges, identity.Edge{AnonymousID: "laptop", UserID: "ann", Events: 1, FirstSeen: noon})
			return write()
		}, 2},
		{func() error {
			return identity.Forbid(t.Context(), store, identity.Veto{A: "a:phone", B: "u:ann", Reason: "sold"})
		}, 1},
		{func() error { return identity.Permit(t.Context(), store, "u:ann", "a:phone") }, 2},
		{func() error {
			edges = append(edges, identity.Edge{AnonymousID: "phone", UserID: "bob", Events: 1, FirstSeen: noon})
			return write()
		}, 1},
	}
	for i, round := range rounds {
		now = noon.Add(time.Duration(i) * time.Hour)
		if err := round.change(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Run(t.Context()); err != nil || n != round.rows {
			t.Fatalf("round %d: %d rows, %v, want %d", i, n, err, round.rows)
		}
		if n, err := r.Run(t.Context()); err != nil || n != -1 {
			t.Errorf("round %d, again: %d, %v, want nothing to do", i, n, err)
		}
	}
	got, err := lake.Read[identity.Member](t.Context(), w, "select * from identity_map order by entity_id")
	want := []identity.Member{{EntityID: "a:laptop", UnitID: "u:ann", Method: "signed_in", Confidence: 1, Since: noon}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("map: %v\n%s", err, diff)
	}
	log, err := lake.Read[identity.Merge](t.Context(), w, "select * from identity_merge order by changed_at")
	entry := func(hour int, change, device, reason string) identity.Merge {
		return identity.Merge{At: noon.Add(time.Duration(hour) * time.Hour), Change: change, A: device, B: "u:ann", Left: device, Right: "u:ann", FirstSeen: noon, Reason: reason}
	}
	wantLog := []identity.Merge{
		entry(0, "merged", "a:phone", "signed in"), entry(1, "merged", "a:laptop", "signed in"),
		entry(2, "split", "a:phone", "vetoed"), entry(3, "merged", "a:phone", "signed in"), entry(4, "split", "a:phone", "shared device"),
	}
	if diff := cmp.Diff(wantLog, log); err != nil || diff != "" {
		t.Errorf("log: %v\n%s", err, diff)
	}
}
