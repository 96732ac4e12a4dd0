package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBalance(t *testing.T) {
	got := balance(
		[]session{{"shop", "2026-01-05", 10, 8, 2}},
		[]landed{
			{Namespace: "shop", Hour: "2026-01-05T10", Area: "raw", Lines: 95, Events: 90, Facts: 89, Lost: 1},
			{Namespace: "shop", Hour: "2026-01-05T11", Area: "raw", Lines: 12, Events: 12, Facts: 12},
			{Namespace: "shop", Hour: "2026-01-05T10", Area: "quarantine", Lines: 2, Events: 2},
		},
		[]Count{
			{"shop", "2026-01-05T10", 100, 3},
			{"shop", "2026-01-05T11", 10, 0}, // two more landed: the collector died before it counted them
			{"other", "2026-01-05T11", 4, 0}, // nothing of it landed
		},
		[]Count{{"shop", "2026-01-05T10", 2, 1}}, // of the five that are missing, two were erased
	)
	want := []Entry{
		{Sending, "shop", "2026-01-05", 10, 8, 0, 2},
		{Landing, "other", "2026-01-05T11", 4, 0, 0, 4},
		{Landing, "shop", "2026-01-05T10", 100, 95, 2, 3},
		{Landing, "shop", "2026-01-05T11", 10, 12, 0, 0},
		{Quarantine, "shop", "2026-01-05T10", 3, 2, 1, 0},
		{Modelling, "shop", "2026-01-05T10", 90, 89, 0, 1},
		{Modelling, "shop", "2026-01-05T11", 12, 12, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if total := Total(got, Landing); total.In != 114 || total.Out != 107 || total.Erased != 2 || total.Lost != 7 {
		t.Errorf("total %+v", total)
	}
	if got[0].Ours() || !got[1].Ours() || got[3].Ours() {
		t.Error("a browser's loss is not ours, the others are")
	}
}
