package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"verdict/shared/ledger"
	"verdict/shared/table/foreign"
)

// days plays a shop too small to decide on anything, whose tables are quick to make.
func days(t *testing.T, lake string) {
	t.Helper()
	if _, complaints, err := verdict(t, "demo", "--json", "--visitors", "300", "--days", "5", "--seed", "7", "--addr", "127.0.0.1:0", "--lake", lake); err != nil {
		t.Fatalf("demo: %v\n%s", err, complaints)
	}
}

// naming lists the files of a lake in which one of some texts stands, packed or not.
func naming(t *testing.T, root string, texts ...string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch {
		case bytes.HasPrefix(body, []byte("PAR1")):
			var rows bytes.Buffer
			err = foreign.EachRow(t.Context(), bytes.NewReader(body), int64(len(body)), func(row []byte, _ float64) error {
				rows.Write(row)
				return nil
			})
			body = rows.Bytes()
		case bytes.HasPrefix(body, []byte{0x1f, 0x8b}):
			body = []byte(strings.Join(unzipped(t, body), ""))
		}
		if slices.ContainsFunc(texts, func(text string) bool { return bytes.Contains(body, []byte(text)) }) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A visitor of the shop with a user id is handed everything, then erased, by the user id alone: neither it nor any
// browser's id is left anywhere in the lake, the books balance with what was erased, and an old export does not bring
// the person back.
func TestErasedPersonIsGone(t *testing.T) {
	root := filepath.Join(t.TempDir(), "lake")
	days(t, root)
	w := warehouse(t, root)
	person, err := w.Query(t.Context(), "select max(user_id), anonymous_id from identity_edge where anonymous_id in (select substr(entity_id, 3) from identity_map) group by anonymous_id order by sum(events) desc limit 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	user, browser := *person.Rows[0][0], *person.Rows[0][1]
	quoted := []string{`"` + user + `"`, `"u:` + user + `"`, browser}
	if before := naming(t, root, quoted...); len(before) < 5 {
		t.Fatalf("only %v name them: the test proves nothing", before)
	}
	before, _ := balance(t, root)

	out, complaints, err := verdict(t, "privacy", "export", "--lake", root, "--by", "dpo", "u:"+user)
	if err != nil || !strings.Contains(out, browser) {
		t.Fatalf("export: %v\n%s\n%s", err, complaints, out)
	}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}

	out, complaints, err = verdict(t, "privacy", "erase", "--lake", root, "--by", "dpo", "u:"+user)
	if err != nil || !strings.Contains(out, "Erased") {
		t.Fatalf("erase: %v\n%s\n%s", err, complaints, out)
	}
	if left := naming(t, root, quoted...); left != nil {
		t.Errorf("they are still named in %v", left)
	}
	after, complaint := balance(t, root)
	lines := before[ledger.Landing].Out - after[ledger.Landing].Out
	if complaint != "" || lines == 0 || after[ledger.Landing].Erased != lines || after[ledger.Landing].Lost != 0 || after[ledger.Modelling].Lost != 0 {
		t.Errorf("%d lines are gone, but the ledger says %+v, %s", lines, after, complaint)
	}

	export := filepath.Join(t.TempDir(), "events.json")
	row := func(id string) string {
		return fmt.Sprintf(`{"event_date":"20260106","event_timestamp":1767695400000000,"event_name":"page_view","user_pseudo_id":"%s","event_params":[{"key":"page_location","value":{"string_value":"https://shop.example/"}}],"stream_id":"1"}`+"\n", id)
	}
	if err := os.WriteFile(export, []byte(row(browser)+row("somebody-else")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, err = verdict(t, "replay", "--lake", root, export)
	if err != nil || !strings.Contains(out, "since their persons were erased: 1 events") {
		t.Fatalf("replay: %v\n%s\n%s", err, complaints, out)
	}
	if _, complaints, err := verdict(t, "run", "--lake", root, "--as-of", "2026-01-10"); err != nil {
		t.Fatalf("run: %v\n%s", err, complaints)
	}
	if left := naming(t, root, quoted...); left != nil {
		t.Errorf("a replay brought them back in %v", left)
	}
	if others := naming(t, root, "somebody-else"); others == nil {
		t.Error("nobody was replayed: the test proves nothing")
	}
	out, _, err = verdict(t, "privacy", "audit", "--lake", root)
	if err != nil || strings.Count(out, "dpo") != 2 || strings.Contains(out, user) {
		t.Errorf("audit: %v\n%s", err, out)
	}
}
