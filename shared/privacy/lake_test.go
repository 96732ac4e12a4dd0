package privacy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/feature"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/land"
	"verdict/shared/pipeline"
	"verdict/shared/privacy"
	"verdict/shared/project"
	"verdict/shared/redact"
	"verdict/shared/table/foreign"
)

// Each id of Ann's ends like this, and nobody else's does.
const anns = "-7f3a"

func key() redact.Key { return redact.Key("0123456789abcdef0123456789abcdef") }

func now() time.Time { return time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC) }

// open opens a lake, with a pipeline over it.
func open(t *testing.T, root string) (*pipeline.Pipeline, *directory.Store) {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	var landing []lake.Table
	for _, s := range p.Models.Sources {
		if s.Location != "" {
			landing = append(landing, s.Landing())
		}
	}
	store := &directory.Store{Root: root}
	warehouse, err := duck.Open(t.Context(), store, landing...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { warehouse.Close() })
	opened, runs := time.Now().UnixNano(), 0
	return &pipeline.Pipeline{
		Project: p, Objects: store, Engine: warehouse, Catalog: warehouse, Now: now,
		NewRun:    func() string { runs++; return fmt.Sprintf("%d-%04d", opened, runs) },
		ReadFlags: func(context.Context) ([]feature.Flag, error) { return nil, nil },
	}, store
}

// event is a landed line.
func event(day, anonymous, user string, n int) string {
	ids := `"anonymous_id":"` + anonymous + `"`
	if anonymous == "" {
		ids = `"user_id":"` + user + `"`
	} else if user != "" {
		ids += `,"user_id":"` + user + `"`
	}
	return fmt.Sprintf(`{"namespace":"shop","event_date":"%[1]s","event_ts":"%[1]sT10:00:%02[2]d.000Z","client_ts":"%[1]sT10:00:%02[2]d.000Z","received_ts":"%[1]sT10:01:00.000Z","is_bot":false,"event_id":"%[1]s-%[2]d","event_name":"experiment_exposed","schema_version":"1-0-0","seq":%[2]d,"session_id":"s-%[3]s%[5]s","properties":{"experiment_id":"one_page_checkout","variant":"control"},%[4]s}`+"\n", day, n, anonymous, ids, user)
}

func put(t *testing.T, store *directory.Store, key, text string) {
	t.Helper()
	body := []byte(text)
	if strings.HasSuffix(key, ".gz") {
		packed, err := land.Compress(body)
		if err != nil {
			t.Fatal(err)
		}
		body = packed
	}
	if err := store.Put(t.Context(), key, body, lake.Overwrite); err != nil {
		t.Fatal(err)
	}
}

func landedAt(day, name string) string {
	return "raw/namespace=shop/event_date=" + day + "/" + name + ".ndjson.gz"
}

// build makes a lake of days with Ann, Bob, Cid and a kiosk that Ann and Cid use, in every place where ids can be.
func build(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	p, store := open(t, root)
	const phone, laptop, ann = "phone" + anns, "laptop" + anns, "ann" + anns
	put(t, store, landedAt("2026-01-04", "a"), event("2026-01-04", phone, "", 1)+event("2026-01-04", "bob-1", "", 2))
	put(t, store, landedAt("2026-01-05", "a"), event("2026-01-05", phone, ann, 1)+event("2026-01-05", "bob-1", "bob", 2)+event("2026-01-05", "kiosk", "cid", 3))
	put(t, store, landedAt("2026-01-05", "b"), event("2026-01-05", "bob-1", "", 4))
	put(t, store, landedAt("2026-01-06", "a"), event("2026-01-06", laptop, ann, 1)+event("2026-01-06", "kiosk", ann, 2)+event("2026-01-06", "kiosk", "", 3))
	put(t, store, landedAt("2026-01-07", "a"), event("2026-01-07", laptop, "", 1)+event("2026-01-07", "", ann, 2)+event("2026-01-07", "", "bob", 3))
	quarantined := func(id string) string {
		return `{"namespace":"shop","event_date":"2026-01-05","received_ts":"2026-01-05T11:00:00.000Z","skew_ms":0,"is_bot":false,"failures":[],"event":{"event":"page_eaten","anonymous_id":"` + id + `"}}` + "\n"
	}
	put(t, store, "quarantine/namespace=shop/event_date=2026-01-05/a.ndjson.gz", quarantined(laptop)+quarantined("bob-1"))
	exported := func(id string) string {
		return `{"event_name":"page_view","event_date":"20260105","event_timestamp":1767607200000000,"user_pseudo_id":"` + id + `"}` + "\n"
	}
	put(t, store, "inbox/shop/plain.json", exported(phone)+exported("bob-1"))
	put(t, store, "inbox/shop/packed.json.gz", exported("bob-1")+exported(laptop))
	failed := func(id string) string {
		return `{"rawData":"` + base64.StdEncoding.EncodeToString([]byte(event("2026-01-06", id, "", 9))) + `","errorCode":"x"}` + "\n"
	}
	put(t, store, "errors/raw/2026/failed", failed(phone)+failed("bob-1"))
	for _, v := range []identity.Veto{{A: "a:" + phone, B: "a:kiosk"}, {A: "a:bob-1", B: "a:kiosk"}} {
		if err := identity.Forbid(t.Context(), store, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Engine.Unload(t.Context(), "select 'page_view' as event_name, '20260105' as event_date, 1767607200000000 as event_timestamp, id as user_pseudo_id from (values ('"+phone+"'), ('bob-1')) as t(id)", "inbox/table/", nil); err != nil {
		t.Fatal(err)
	}
	refresh(t, p)
	// Of the first day only the facts are kept: no rebuild can mend them.
	if err := os.RemoveAll(store.Path("raw/namespace=shop/event_date=2026-01-04")); err != nil {
		t.Fatal(err)
	}
	return root
}

func refresh(t *testing.T, p *pipeline.Pipeline) {
	t.Helper()
	for _, step := range []func(context.Context, time.Time) error{p.Model, p.Resolve} {
		if err := step(t.Context(), now()); err != nil {
			t.Fatal(err)
		}
	}
}

func clone(t *testing.T, root string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	return to
}

// texts reads everything in a lake: packed files unpacked, Parquet row by row.
func texts(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(body)
		switch {
		case bytes.HasPrefix(body, []byte("PAR1")):
			text = ""
			err = foreign.EachRow(t.Context(), bytes.NewReader(body), int64(len(body)), func(row []byte, _ float64) error {
				text += string(row) + "\n"
				return nil
			})
		case bytes.HasPrefix(body, []byte{0x1f, 0x8b}):
			z, openErr := gzip.NewReader(bytes.NewReader(body))
			if openErr != nil {
				return openErr
			}
			body, err = io.ReadAll(z)
			text = string(body)
		}
		if strings.Contains(path, "/errors/") {
			text += decoded(text)
		}
		name, _ := filepath.Rel(root, path)
		out[name] = path + "\n" + text
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func decoded(text string) string {
	var out []byte
	for part := range strings.SplitSeq(text, `"`) {
		if body, err := base64.StdEncoding.DecodeString(part); err == nil {
			out = append(out, body...)
		}
	}
	return string(out)
}

// mentions lists the files that name Ann.
func mentions(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	for name, text := range texts(t, root) {
		if strings.Contains(text, anns) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// rows reads every table that an analyst would, in a fixed order.
func rows(t *testing.T, p *pipeline.Pipeline) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, name := range []string{"raw_event", "quarantine_event", "fact_event", "identity_edge", "identity_map", "identity_merge", "dim_user", "fact_experiment_exposure", "ledger_session"} {
		result, err := p.Engine.Query(t.Context(), "select * from "+name)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range result.Rows {
			var cells []string
			for i, v := range row {
				if v != nil {
					cells = append(cells, result.Columns[i]+"="+*v)
				}
			}
			out[name] = append(out[name], strings.Join(cells, " "))
		}
		slices.Sort(out[name])
	}
	return out
}

func request() privacy.Request {
	return privacy.Request{Action: privacy.Erase, IDs: []string{"a:phone" + anns}, By: "dpo", At: now()}
}
