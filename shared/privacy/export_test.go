package privacy_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/privacy"
	"verdict/shared/table/foreign"
)

// An export has every row that names her, none that does not, and is readable.
func TestExport(t *testing.T) {
	root := build(t)
	p, store := open(t, root)
	r := request()
	r.Action = privacy.Export
	var out bytes.Buffer
	done, err := p.Officer(store, key(), foreign.EachRow).HandOver(t.Context(), r, &out)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	for i, line := range lines {
		var one struct {
			Table string
			About []string
			Row   struct {
				Properties map[string]any // an object, not text
			}
		}
		if err := json.Unmarshal(line, &one); err != nil || !bytes.Contains(line, []byte(anns)) {
			t.Errorf("%v: %s", err, line)
		}
		if i == 0 {
			if len(one.About) != 4 { // three ids, and how the plan would hash the one that was given
				t.Errorf("about %v", one.About)
			}
			continue
		}
		got[one.Table]++
		if one.Table == "raw_event" && one.Row.Properties["variant"] != "control" {
			t.Errorf("properties are not readable: %s", line)
		}
	}
	want := map[string]int64{"identity_veto": 1} // not among the rows below: an erasure adds vetoes
	for name, all := range rows(t, p) {
		for range all {
			want[name]++
		}
	}
	for name, rest := range without(rows(t, p)) {
		want[name] -= int64(len(rest))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows that name her (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want["raw_event"], done.Rows["raw_event"]); diff != "" {
		t.Error(diff)
	}
	if trail, err := (privacy.Trail{Objects: store}).All(t.Context()); err != nil || len(trail) != 1 || trail[0].Action != privacy.Export {
		t.Errorf("trail %+v, %v", trail, err)
	}
}

// A request in the lake is answered in the lake, and then forgotten.
func TestRequestedExport(t *testing.T) {
	root := build(t)
	p, store := open(t, root)
	put(t, store, "privacy/requests/one.json", `{"action":"export","ids":["u:bob"],"by":"dpo"}`)
	if done, err := p.Officer(store, key(), foreign.EachRow).Work(t.Context()); err != nil || len(done) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	answers, err := store.List(t.Context(), "privacy/exports/")
	if err != nil || len(answers) != 1 {
		t.Fatalf("%v, %v", answers, err)
	}
	body, err := store.Get(t.Context(), answers[0].Key)
	if err != nil || !bytes.Contains(body, []byte("bob-1")) || bytes.Contains(body, []byte(anns)) {
		t.Errorf("%v, %s", err, body)
	}
	if left, err := store.List(t.Context(), "privacy/requests/"); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
