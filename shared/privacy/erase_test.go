package privacy_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/pipeline"
	"verdict/shared/privacy"
	"verdict/shared/redact"
	"verdict/shared/table/foreign"
)

// without drops the rows that name Ann.
func without(all map[string][]string) map[string][]string {
	out := map[string][]string{}
	for name, rows := range all {
		for _, row := range rows {
			if !strings.Contains(row, anns) {
				out[name] = append(out[name], row)
			}
		}
	}
	return out
}

// Of one id, all of the person's are found; nothing in the lake names her any more; everybody else's rows are as they
// were, and the trail says what was done.
func TestErase(t *testing.T) {
	root := build(t)
	p, store := open(t, root)
	if before := mentions(t, root); len(before) < 15 {
		t.Fatalf("only %v name her: the test proves nothing", before)
	}
	want := without(rows(t, p))
	officer := p.Officer(store, key(), foreign.EachRow)
	if err := officer.Ask(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	done, err := officer.Work(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if left := mentions(t, root); left != nil {
		t.Errorf("she is still named in %v", left)
	}
	if diff := cmp.Diff(want, rows(t, p)); diff != "" {
		t.Errorf("-others before +after:\n%s", diff)
	}
	lines := map[string]int64{"raw": 5, "quarantine": 1, "inbox": 3, "errors": 1}
	if len(done) != 1 || len(done[0].Persons) != 4 { // three ids, and how the plan would hash the one that was given
		t.Fatalf("done %+v", done)
	}
	if diff := cmp.Diff(lines, done[0].Lines); diff != "" || done[0].Files != 8 {
		t.Errorf("%d files, lines (-want +got):\n%s", done[0].Files, diff)
	}
	trail, err := privacy.Trail{Objects: store}.All(t.Context())
	if diff := cmp.Diff(done, trail); diff != "" || err != nil {
		t.Errorf("trail %v (-done +trail):\n%s", err, diff)
	}
	erased, err := privacy.Trail{Objects: store}.Erased(t.Context(), now().AddDate(0, 0, -20), now())
	if err != nil || len(erased) != 4 {
		t.Errorf("the ledger is told %v, %v, want three hours of raw and one of quarantine", erased, err)
	}
	if again, err := officer.Work(t.Context()); again != nil || err != nil {
		t.Errorf("again: %v, %v", again, err)
	}
}

// The tables that a rebuild makes of what is left say the same as those that stand.
func TestErasedTablesAreThoseOfARebuild(t *testing.T) {
	root := build(t)
	p, store := open(t, root)
	erase(t, p, store)
	stood := rows(t, p)
	refresh(t, p)
	if diff := cmp.Diff(stood, rows(t, p)); diff != "" {
		t.Errorf("-stood +rebuilt:\n%s", diff)
	}
}

func erase(t *testing.T, p *pipeline.Pipeline, store privacy.Store) {
	t.Helper()
	officer := p.Officer(store, key(), foreign.EachRow)
	if err := officer.Ask(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if _, err := officer.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var errKilled = errors.New("killed")

// mortal is a store that dies before its nth change.
type mortal struct {
	*directory.Store
	left int
}

func (m *mortal) step() error {
	if m.left--; m.left <= 0 {
		return errKilled
	}
	return nil
}

func (m *mortal) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.Put(ctx, key, body, mode)
}

func (m *mortal) Delete(ctx context.Context, key string) error {
	if err := m.step(); err != nil {
		return err
	}
	return m.Store.Delete(ctx, key)
}

// mortalCatalog dies with the store.
type mortalCatalog struct {
	lake.Catalog
	store *mortal
}

func (c mortalCatalog) Publish(ctx context.Context, t lake.Table) error {
	if err := c.store.step(); err != nil {
		return err
	}
	return c.Catalog.Publish(ctx, t)
}

// An erasure that dies at any step is completed by the next run, to the same end.
func TestAKilledErasureIsCompleted(t *testing.T) {
	whole := build(t)
	p, store := open(t, clone(t, whole))
	erase(t, p, store)
	want := rows(t, p)
	trail := func(store *directory.Store) []privacy.Audit {
		all, err := privacy.Trail{Objects: store}.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			all[i].Objects = 0 // of those that were left
		}
		return all
	}
	wantTrail := trail(store)
	steps := 0
	for kill := 1; ; kill += 1 + kill/3 { // each of the first steps, then ever fewer of the alike
		root := clone(t, whole)
		p, store := open(t, root)
		dying := &mortal{store, kill}
		catalog := p.Catalog
		p.Catalog, p.Objects = mortalCatalog{p.Catalog, dying}, dying
		officer := p.Officer(dying, key(), foreign.EachRow)
		err := officer.Ask(t.Context(), request())
		if err == nil {
			_, err = officer.Work(t.Context())
		}
		if err == nil {
			break // it had fewer steps
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("killed before change %d: %v", kill, err)
		}
		steps++
		p.Catalog, p.Objects = catalog, store
		erase(t, p, store)
		if left := mentions(t, root); left != nil {
			t.Errorf("killed before change %d: she is named in %v", kill, left)
		}
		if diff := cmp.Diff(want, rows(t, p)); diff != "" {
			t.Errorf("killed before change %d:\n%s", kill, diff)
		}
		if diff := cmp.Diff(wantTrail, trail(store)); diff != "" {
			t.Errorf("killed before change %d, trail:\n%s", kill, diff)
		}
	}
	if steps < 9 {
		t.Errorf("it was killed %d times only", steps)
	}
}

// Who was erased does not come back with an export that is older than the erasure, and may begin anew.
func TestSuppression(t *testing.T) {
	root := build(t)
	p, store := open(t, root)
	list := &privacy.Suppression{Objects: store, Key: func(context.Context) (redact.Key, error) { return key(), nil }}
	if erased, err := list.Load(t.Context()); erased != nil || err != nil {
		t.Fatalf("nobody was erased, but the list is there (%v)", err)
	}
	erase(t, p, store)
	erased, err := list.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, after := now().AddDate(0, 0, -3), now().AddDate(0, 0, 3)
	for name, got := range map[string]bool{
		"an id that was linked":    erased("laptop"+anns, "", before),
		"her user id":              erased("new", "ann"+anns, before),
		"afterwards she is anew":   !erased("laptop"+anns, "", after),
		"the kiosk is not hers":    !erased("kiosk", "", before),
		"others are left in peace": !erased("bob-1", "bob", before),
	} {
		if !got {
			t.Error("does not hold: " + name)
		}
	}
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	p, store := open(t, t.TempDir())
	for name, change := range map[string]func(*privacy.Request){
		"no id":      func(r *privacy.Request) { r.IDs = nil },
		"odd id":     func(r *privacy.Request) { r.IDs = []string{"ann"} },
		"empty id":   func(r *privacy.Request) { r.IDs = []string{"u:"} },
		"no name":    func(r *privacy.Request) { r.By = "" },
		"odd action": func(r *privacy.Request) { r.Action = "forgive" },
	} {
		r := request()
		change(&r)
		if err := p.Officer(store, key(), foreign.EachRow).Ask(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.Officer(store, key()[:10], foreign.EachRow).Ask(t.Context(), request()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a short key: %v", err)
	}
	// A request that people put there, and that is wrong, holds the others not up.
	put(t, store, "privacy/requests/a-typo.json", `{"action":"erase","ids":["ann"],"by":"me"}`)
	put(t, store, "privacy/requests/b.json", `{"action":"erase","ids":["u:nobody"],"by":"me"}`)
	done, err := p.Officer(store, key(), foreign.EachRow).Work(t.Context())
	if len(done) != 1 || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a-typo.json") {
		t.Errorf("done %+v, %v", done, err)
	}
	left, err := store.List(t.Context(), "privacy/requests/")
	if err != nil || !slices.ContainsFunc(left, func(o lake.Object) bool { return strings.Contains(o.Key, "a-typo") }) || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
