package privacy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/privacy"
)

func TestRetention(t *testing.T) {
	got, err := privacy.ParseRetention("games=30  shop=400")
	if diff := cmp.Diff(privacy.Retention{"games": 30, "shop": 400}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, wrong := range []string{"games", "games=", "games=x", "games=0", "games=-1", "=3", "Games=3", "a/b=3", "games=3 games=4"} {
		if _, err := privacy.ParseRetention(wrong); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: error %v", wrong, err)
		}
	}
}

// Days before the last ones go, in the namespaces that are named and no other; a second sweep finds nothing to note.
func TestSweep(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	var kept []string
	for key, stays := range map[string]bool{
		"raw/namespace=games/event_date=2026-01-12/a.ndjson.gz":        false,
		"raw/namespace=games/event_date=2026-01-13/a.ndjson.gz":        true, // seven days before the 20th
		"quarantine/namespace=games/event_date=2025-12-31/a.ndjson.gz": false,
		"raw/namespace=games_old/event_date=2026-01-01/a.ndjson.gz":    true,
		"raw/namespace=shop/event_date=2026-01-01/a.ndjson.gz":         true,
		"raw/namespace=games/notes/a":                                  true,
	} {
		put(t, store, key, `{"namespace":"games","received_ts":"2026-01-19T10:11:12.000Z"}`+"\n"+`{"namespace":"games","received_ts":"2025-12-31T10:11:12.000Z","source":"ga4"}`+"\n")
		if stays {
			kept = append(kept, key)
		}
	}
	officer := &privacy.Officer{Store: store, Now: now}
	for _, files := range []int{2, 0} {
		a, err := officer.Sweep(t.Context(), privacy.Retention{"games": 7}, "dpo")
		if err != nil || a.Files != files {
			t.Errorf("removed %d files, %v, want %d", a.Files, err, files)
		}
	}
	for _, key := range kept {
		if _, err := store.Get(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	var left int
	for _, area := range []string{"raw/", "quarantine/"} {
		objects, err := store.List(t.Context(), area)
		if err != nil {
			t.Fatal(err)
		}
		left += len(objects)
	}
	if left != len(kept) {
		t.Errorf("%d files are left, want %d", left, len(kept))
	}
	trail, err := privacy.Trail{Objects: store}.All(t.Context())
	if err != nil || len(trail) != 1 || trail[0].Action != privacy.Swept || trail[0].Files != 2 || trail[0].By != "dpo" {
		t.Errorf("trail %+v, %v", trail, err)
	}
	late := privacy.Hour{Namespace: "games", Hour: "2026-01-19T10", Lines: 1}
	if diff := cmp.Diff([]privacy.Hour{in(late, "quarantine"), in(late, "raw")}, trail[0].Erased); diff != "" {
		t.Errorf("the ledger is told (-want +got):\n%s", diff)
	}
	if _, err := officer.Sweep(t.Context(), privacy.Retention{"games": 7}, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("by nobody: %v", err)
	}
}

func in(h privacy.Hour, area string) privacy.Hour { h.Area = area; return h }
