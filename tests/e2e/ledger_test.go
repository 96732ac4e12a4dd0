package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"verdict/shared/embedded/directory"
	"verdict/shared/lake"
	"verdict/shared/ledger"
)

// balance runs `verdict ledger` on a lake of the small shop's days and adds up each link.
func balance(t *testing.T, root string) (totals map[ledger.Link]ledger.Entry, complaint string) {
	t.Helper()
	out, complaints, err := verdict(t, "ledger", "--lake", root, "--until", "2026-02-01", "--days", "31", "--json")
	var entries []ledger.Entry
	if jsonErr := json.Unmarshal([]byte(out), &entries); jsonErr != nil {
		t.Fatalf("%v in %s\n%s", jsonErr, out, complaints)
	}
	totals = map[ledger.Link]ledger.Entry{}
	for _, e := range entries {
		sum := totals[e.Link]
		totals[e.Link] = ledger.Entry{Link: e.Link, In: sum.In + e.In, Out: sum.Out + e.Out, Erased: sum.Erased + e.Erased, Lost: sum.Lost + e.Lost}
	}
	if err != nil {
		complaint = complaints
	}
	return totals, complaint
}

// The books of a shop with retries, offline visitors, broken events and bots balance to zero; a fault on any link is
// found on that link, with its number.
func TestLedger(t *testing.T) {
	root := filepath.Join(t.TempDir(), "lake")
	demo(t, root)
	store := &directory.Store{Root: root}
	totals, complaint := balance(t, root)
	for _, link := range []ledger.Link{ledger.Sending, ledger.Landing, ledger.Quarantine, ledger.Modelling} {
		if e := totals[link]; e.In == 0 || e.In != e.Out || e.Lost != 0 {
			t.Errorf("%s does not balance: %+v", link, e)
		}
	}
	if complaint != "" {
		t.Errorf("complains: %s", complaint)
	}

	t.Run("a fact is lost", func(t *testing.T) {
		w := warehouse(t, root)
		table, err := w.Table(t.Context(), "fact_event")
		if err != nil {
			t.Fatal(err)
		}
		part := &table.Partitions[3]
		// A model that forgets the first seven events of a day, and says it is up to date.
		sql := fmt.Sprintf("select * from (select *, row_number() over (order by event_id) as nth from fact_event where event_date = '%s') as day where nth > 7", part.Values[0])
		columns := make([]string, 0, len(table.Columns))
		for _, c := range table.Columns {
			columns = append(columns, c.Name)
		}
		const run = "warehouse/fact_event/run=faulty/"
		if err := w.Unload(t.Context(), "select "+strings.Join(columns, ", ")+", event_date from ("+sql+") as kept", run, table.PartitionBy); err != nil {
			t.Fatal(err)
		}
		whole := *part
		part.Location = run + "event_date=" + part.Values[0] + "/"
		table.Partitions = table.Partitions[3:4]
		if err := w.Publish(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		found(t, root, ledger.Modelling, 7)
		w = warehouse(t, root)
		table.Partitions = []lake.Partition{whole}
		if err := w.Publish(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a landed file is lost", func(t *testing.T) {
		before, _ := balance(t, root)
		files, err := store.List(t.Context(), "raw/")
		if err != nil {
			t.Fatal(err)
		}
		lost := files[len(files)/2]
		body, err := store.Get(t.Context(), lost.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(store.Path(lost.Key)); err != nil {
			t.Fatal(err)
		}
		lines := int64(len(unzipped(t, body)))
		found(t, root, ledger.Landing, lines)
		if err := store.Put(t.Context(), lost.Key, body, lake.Create); err != nil {
			t.Fatal(err)
		}
		if after, complaint := balance(t, root); after[ledger.Landing] != before[ledger.Landing] || complaint != "" {
			t.Errorf("with the file back: %+v, %s", after[ledger.Landing], complaint)
		}
	})

	t.Run("a browser's events are lost", func(t *testing.T) {
		base, process := serve(t, root)
		var events []string
		for _, seq := range []int{0, 1, 4, 5} { // 2 and 3 never came
			events = append(events, fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%012d","event":"page_viewed","schema":"1-0-0","ts":"2026-01-09T10:00:0%dZ","anonymous_id":"gap","session_id":"gap","seq":%d,"properties":{"page_type":"home"}}`, 9000+seq, seq, seq))
		}
		if status, text := post(t, base+"/v1/events", "wk_local", `{"events":[`+strings.Join(events, ",")+`]}`); status != 200 {
			t.Fatalf("answer %d %s", status, text)
		}
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if _, _, err := verdict(t, "run", "--lake", root, "--as-of", "2026-01-20"); err == nil {
				break
			}
		}
		totals, complaint := balance(t, root)
		if e := totals[ledger.Sending]; e.Lost != 2 || e.In-e.Out != 2 {
			t.Errorf("client: %+v, want 2 lost", e)
		}
		if complaint != "" {
			t.Errorf("a browser's loss is no fault of ours: %s", complaint)
		}
	})
}

// found wants exactly one link to have lost so many.
func found(t *testing.T, root string, link ledger.Link, lost int64) {
	t.Helper()
	totals, complaint := balance(t, root)
	for at, e := range totals {
		want := int64(0)
		if at == link {
			want = lost
		}
		if at != ledger.Sending && e.Lost != want {
			t.Errorf("%s: lost %d, want %d", at, e.Lost, want)
		}
	}
	if want := fmt.Sprintf("we lost %d events", lost); !strings.Contains(complaint, want) {
		t.Errorf("complaint %q, want %q", complaint, want)
	}
}
