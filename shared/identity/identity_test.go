package identity_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/identity"
	"verdict/shared/identity/linkage"
	"verdict/shared/lake"
	"verdict/shared/table"
)

func TestOneUserPerUnit(t *testing.T) {
	got, _, err := identity.Resolve(identity.Evidence{Edges: []identity.Edge{
		{AnonymousID: "phone", UserID: "ann", FirstSeen: noon},
		{AnonymousID: "laptop", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "ann"},
		{AnonymousID: "kiosk", UserID: "bob"},
		{AnonymousID: "lent", UserID: "ann"},
	}, Vetoes: []identity.Veto{{A: "u:ann", B: "a:lent"}}}, identity.DefaultGuards(), linkage.DefaultSettings(), noon)
	if err != nil {
		t.Fatal(err)
	}
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
		change   func() error
		rows     int
		outcomes map[string]int64
		vetoes   int
	}{
		{write, 1, map[string]int64{"joined": 1}, 0},
		{func() error {
			edges = append(edges, identity.Edge{AnonymousID: "laptop", UserID: "ann", Events: 1, FirstSeen: noon})
			return write()
		}, 2, map[string]int64{"joined": 2}, 0},
		{func() error {
			return identity.Forbid(t.Context(), store, identity.Veto{A: "a:phone", B: "u:ann", Reason: "sold"})
		}, 1, map[string]int64{"joined": 1, "vetoed": 1}, 1},
		{func() error { return identity.Permit(t.Context(), store, "u:ann", "a:phone") }, 2, map[string]int64{"joined": 2}, 0},
		{func() error {
			edges = append(edges, identity.Edge{AnonymousID: "phone", UserID: "bob", Events: 1, FirstSeen: noon})
			return write()
		}, 1, map[string]int64{"joined": 1, "shared device": 2}, 0},
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
		outcomes, err := lake.Read[identity.Outcome](t.Context(), w, "select * from identity_outcome where links > 0")
		counts := map[string]int64{}
		for _, o := range outcomes {
			counts[o.Fate] = o.Links
			if o.Held != (o.Fate != "joined") {
				t.Errorf("round %d: %+v", i, o)
			}
		}
		if diff := cmp.Diff(round.outcomes, counts); err != nil || diff != "" {
			t.Errorf("round %d: outcomes: %v\n%s", i, err, diff)
		}
		vetoes, err := lake.Read[identity.Veto](t.Context(), w, "select * from identity_veto")
		if err != nil || len(vetoes) != round.vetoes {
			t.Errorf("round %d: vetoes %+v, %v, want %d", i, vetoes, err, round.vetoes)
		}
	}
	got, err := lake.Read[identity.Member](t.Context(), w, "select * from identity_map order by entity_id")
	want := []identity.Member{{EntityID: "a:laptop", UnitID: "u:ann", Method: "signed_in", Confidence: 1, Since: noon}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("map: %v\n%s", err, diff)
	}
	log, err := lake.Read[identity.Merge](t.Context(), w, "select * from identity_merge order by changed_at")
	entry := func(hour int, change, device, reason string) identity.Merge {
		return identity.Merge{At: noon.Add(time.Duration(hour) * time.Hour), Change: change, A: device, B: "u:ann", Left: device, Right: "u:ann", FirstSeen: noon, Reason: reason, Confidence: 1}
	}
	wantLog := []identity.Merge{
		entry(0, "merged", "a:phone", "signed in"), entry(1, "merged", "a:laptop", "signed in"),
		entry(2, "split", "a:phone", "vetoed"), entry(3, "merged", "a:phone", "signed in"), entry(4, "split", "a:phone", "shared device"),
	}
	if diff := cmp.Diff(wantLog, log); err != nil || diff != "" {
		t.Errorf("log: %v\n%s", err, diff)
	}
}
