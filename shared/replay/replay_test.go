package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"verdict/events"
	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/plan"
	"verdict/shared/redact"
	"verdict/shared/replay"
	"verdict/shared/replay/replaytest"
	"verdict/shared/table/foreign"
)

func replayer(t *testing.T) (*replay.Replayer, *directory.Store) {
	t.Helper()
	p, err := plan.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	m, err := replay.LoadMapping(events.Files, p)
	if err != nil {
		t.Fatal(err)
	}
	s := &directory.Store{Root: t.TempDir()}
	return &replay.Replayer{Plan: p, Mapping: m, Objects: s, Parquet: foreign.EachRow}, s
}

func write(t *testing.T, text string) lake.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "export")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := directory.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// landed reads what stands below a prefix.
func landed(t *testing.T, s *directory.Store, prefix string) []map[string]any {
	t.Helper()
	objects, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, o := range objects {
		body, err := s.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatalf("%s: %v", o.Key, err)
			}
			if want := fmt.Sprintf("namespace=%s/event_date=%s/", v["namespace"], v["event_date"]); !strings.Contains(o.Key, want) {
				t.Errorf("%s holds a line of %s", o.Key, want)
			}
			out = append(out, v)
		}
	}
	return out
}

// One purchase, as BigQuery extracts it: 64-bit integers are text, what is null is missing.
const ga4Purchase = `{"event_date":"20260105","event_timestamp":"1767607198123456","event_name":"purchase","event_params":[` +
	`{"key":"ga_session_id","value":{"int_value":"1767607000"}},{"key":"value","value":{"double_value":12.5}},{"key":"currency","value":{"string_value":"EUR"}},` +
	`{"key":"page_location","value":{"string_value":"https://shop.example/thanks"}}],"event_bundle_sequence_id":"42","user_id":"u1","user_pseudo_id":"123.456",` +
	`"privacy_info":{"analytics_storage":"Yes"},"device":{"category":"mobile"},"ecommerce":{"transaction_id":"T-1"},"stream_id":"7","items":[{"item_id":"p1","quantity":"2","price":6.25}]}`

func TestGA4(t *testing.T) {
	r, s := replayer(t)
	report, err := r.Run(t.Context(), replay.Job{Name: "events", File: write(t, ga4Purchase+"\n"), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	got := landed(t, s, "raw/")
	want := []map[string]any{{
		"namespace": "shop", "event_date": "2026-01-05", "event_ts": "2026-01-05T09:59:58.123Z", "client_ts": "2026-01-05T09:59:58.123Z", "received_ts": "2026-01-05T09:59:58.123Z",
		"source": "replay:ga4", "is_bot": false, "event_id": got[0]["event_id"], "event_name": "order_completed", "schema_version": "1-0-0",
		"anonymous_id": "123.456", "user_id": "u1", "session_id": "123.456.1767607000", "ip": "", "user_agent": "",
		"context":    map[string]any{"page": map[string]any{"url": "https://shop.example/thanks"}, "device": map[string]any{"type": "mobile"}},
		"properties": map[string]any{"order_id": "T-1", "value": 12.5, "currency": "EUR", "lines": []any{map[string]any{"product_id": "p1", "quantity": 2.0, "price": 6.25}}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if report.Kind != replay.GA4 || report.Rows != 1 || report.Accepted != 1 || report.Quarantined != 0 {
		t.Errorf("report %+v", report)
	}
}

func TestServerGTM(t *testing.T) {
	r, s := replayer(t)
	// Seconds with a fraction; the template has made a number of the transaction's id.
	rows := `{"event_name":"purchase","event_timestamp":1767607198.123,"measurement_id":"G-1","client_id":"c.1","ga_session_id":"9","ip_address":"203.0.113.77","user_agent":"Mozilla/5.0",
"gcs":"G111","page_location":"https://shop.example/thanks","screen_resolution":"1920x1080","value":12.5,"currency":"EUR","items":[{"item_id":"p1","quantity":2.0,"price":6.25}],"event_params":[{"key":"transaction_id","value":{"float_value":9007199254740991}}]}
{"event_name":"view_item","event_timestamp":1767607199,"measurement_id":"G-1","client_id":"c.2","gcs":"G110","items":[{"item_id":"p1"},{"item_id":"p2"}],"event_params":[]}`
	rows = strings.ReplaceAll(rows, "\"Mozilla/5.0\",\n", `"Mozilla/5.0",`)
	if _, err := r.Run(t.Context(), replay.Job{Name: "rows", File: write(t, rows), Namespace: "shop"}); err != nil {
		t.Fatal(err)
	}
	got := landed(t, s, "raw/")
	if len(got) != 3 {
		t.Fatalf("landed %d lines, want a purchase and two items", len(got))
	}
	buy := got[0]
	if buy["event_ts"] != "2026-01-05T09:59:58.123Z" || buy["ip"] != "203.0.113.0" || buy["properties"].(map[string]any)["order_id"] != "9007199254740991" {
		t.Errorf("purchase %v", buy)
	}
	for _, view := range got[1:] {
		if view["anonymous_id"] != nil || view["ip"] != nil {
			t.Errorf("who refused analytics storage is recognised: %v", view)
		}
	}
	if got[1]["event_id"] == got[2]["event_id"] {
		t.Error("two items of a row have one id")
	}
}

func TestDataLayer(t *testing.T) {
	r, s := replayer(t)
	rows := `{"timestamp":1767607198123,"anonymous_id":"a1","push":{"event":"gtm.js","gtm.start":1}}
{"timestamp":1767607198200,"anonymous_id":"a1","push":{"event":"add_to_cart","ecommerce":{"currency":"EUR","items":[{"item_id":"p1","price":3,"quantity":1}]}}}{"timestamp":1767607198300,"anonymous_id":"a1","push":{"event":"experiment_exposed","experiment_id":"one_page_checkout","variant":"treatment"}}
{"timestamp":1767607198400,"anonymous_id":"a1","push":{"user_type":"new"}}`
	report, err := r.Run(t.Context(), replay.Job{Name: "dump", File: write(t, "\ufeff"+rows), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"gtm.js": 1, "(without event)": 1}, report.LeftOut); diff != "" || report.Accepted != 2 {
		t.Errorf("report %+v", report)
	}
	got := landed(t, s, "raw/")
	if diff := cmp.Diff(map[string]any{"product_id": "p1", "price": 3.0, "quantity": 1.0, "currency": "EUR"}, got[0]["properties"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got[1]["event_name"] != "experiment_exposed" {
		t.Errorf("line %v", got[1])
	}
}

// A file of another shape is refused at its first row of that shape, before anything is written.
func TestWrongShapes(t *testing.T) {
	good := ga4Purchase + "\n"
	cases := map[string]struct{ text, want string }{
		"empty":                  {"", "the file is empty"},
		"array":                  {"[" + ga4Purchase + "]", "JSON array"},
		"a container":            {`{"exportFormatVersion":2,"containerVersion":{}}`, "configuration of a Tag Manager container"},
		"something else":         {`{"a":1}`, "no export that can be replayed"},
		"not JSON, later":        {good + good + "{\"event_date\":", "line 3: not JSON"},
		"seconds in GA4":         {strings.Replace(good, `"1767607198123456"`, "1767607198", 1), "row 1 is no row of a ga4 file: event_timestamp 1767607198 is no number of microseconds"},
		"seconds, later":         {good + strings.Replace(good, `"1767607198123456"`, "1767607198", 1), "row 2 is no row of a ga4 file"},
		"microseconds in sGTM":   {`{"event_name":"purchase","event_timestamp":1767607198123456,"measurement_id":"G-1"}`, "server-side Tag Manager seconds"},
		"params are no array":    {strings.Replace(good, `"event_params":[`, `"event_params":7,"x":[`, 1), "event_params must be an array"},
		"another kind, later":    {good + `{"timestamp":1767607198400,"anonymous_id":"a1","push":{}}`, "row 2 is no row of a ga4 file"},
		"a number JSON has not":  {strings.Replace(good, `"double_value":12.5`, `"double_value":012.5`, 1), "row 1"},
		"Parquet that is broken": {"PAR1 and no more", "read Parquet"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, s := replayer(t)
			_, err := r.Run(t.Context(), replay.Job{Name: "file", File: write(t, c.text), Namespace: "shop", MaxBad: 1})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (%s), want invalid: %s", err, fault.Of(err), c.want)
			}
			if left, err := s.List(t.Context(), ""); err != nil || left != nil {
				t.Errorf("wrote %v, %v", left, err)
			}
		})
	}
}

func TestBadRowsGoToQuarantineUpToAShare(t *testing.T) {
	bad := strings.Replace(ga4Purchase, `"currency","value":{"string_value":"EUR"}`, `"currency","value":{"string_value":"euro"}`, 1)
	text := strings.Repeat(ga4Purchase+"\n", 1) + strings.Replace(ga4Purchase, "T-1", "T-2", 1) + "\n" + bad + "\n"
	r, s := replayer(t)
	report, err := r.Run(t.Context(), replay.Job{Name: "file", File: write(t, text), Namespace: "shop", MaxBad: 0.3})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "1 of 3 events break their contract") {
		t.Errorf("error %v", err)
	}
	if len(report.Failures) != 1 || report.Failures[0].Row != 3 || report.Failures[0].Failures[0].Path != "/properties/currency" {
		t.Errorf("report %+v", report)
	}
	if left, _ := s.List(t.Context(), ""); left != nil {
		t.Errorf("wrote %v of a refused file", left)
	}
	if _, err := r.Run(t.Context(), replay.Job{Name: "file", File: write(t, text), Namespace: "shop", MaxBad: 0.4}); err != nil {
		t.Fatal(err)
	}
	if good, kept := landed(t, s, "raw/"), landed(t, s, "quarantine/"); len(good) != 2 || len(kept) != 1 || kept[0]["failures"] == nil {
		t.Errorf("%d good, %d in quarantine", len(good), len(kept))
	}
}

// snapshot is every object's bytes.
func snapshot(t *testing.T, s *directory.Store, prefix string) map[string]string {
	t.Helper()
	out := map[string]string{}
	objects, err := s.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		body, err := s.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		out[o.Key] = string(body)
	}
	return out
}

func TestReplayingAgainChangesNothing(t *testing.T) {
	var text bytes.Buffer
	if err := replaytest.GA4(&text, 3000, 1); err != nil {
		t.Fatal(err)
	}
	r, s := replayer(t)
	job := func() replay.Job {
		return replay.Job{Name: "file", File: write(t, text.String()), Namespace: "shop", MaxBad: 0.05}
	}
	first, err := r.Run(t.Context(), job())
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, s, "raw/")
	if again, err := r.Run(t.Context(), job()); err != nil || !again.Again || again.Accepted != first.Accepted {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	// Also when nothing remembers the first time.
	other, otherStore := replayer(t)
	if _, err := other.Run(t.Context(), job()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, snapshot(t, otherStore, "raw/")); diff != "" {
		t.Errorf("another replay differs:\n%s", diff[:min(len(diff), 2000)])
	}
	if days := len(before); days < 20 || first.Accepted < 2000 || len(first.LeftOut) == 0 {
		t.Errorf("the export shows too little: %d days, %+v", days, first)
	}
}

// The same table extracted as Parquet gives the same events.
func TestParquetIsTheSameAsNDJSON(t *testing.T) {
	var text bytes.Buffer
	if err := replaytest.GA4(&text, 500, 2); err != nil {
		t.Fatal(err)
	}
	lines, parquet := replayed(t, write(t, text.String())), replayed(t, writeParquet(t, text.Bytes()))
	if diff := cmp.Diff(lines, parquet); diff != "" {
		t.Errorf("-NDJSON +Parquet:\n%s", diff[:min(len(diff), 3000)])
	}
}

// writeParquet writes an NDJSON export as BigQuery's columns are typed.
func writeParquet(t *testing.T, ndjson []byte) lake.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/in", ndjson, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`copy (select * from read_json('%s/in', format = 'newline_delimited', columns = {
		event_date: 'varchar', event_timestamp: 'bigint', event_name: 'varchar',
		event_params: 'struct(key varchar, value struct(string_value varchar, int_value bigint, float_value double, double_value double))[]',
		event_bundle_sequence_id: 'bigint', user_id: 'varchar', user_pseudo_id: 'varchar', privacy_info: 'struct(analytics_storage varchar)',
		device: 'struct(category varchar)', stream_id: 'varchar', ecommerce: 'struct(transaction_id varchar, purchase_revenue double)',
		items: 'struct(item_id varchar, item_name varchar, item_brand varchar, item_category varchar, quantity bigint, price double, price_in_usd double)[]',
		batch_event_index: 'bigint', batch_page_id: 'bigint', batch_ordering_id: 'bigint'})) to '%s/out' (format parquet)`, dir, dir))
	if err != nil {
		t.Fatal(err)
	}
	f, err := directory.OpenFile(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// BigQuery's own Parquet files wrap lists.
func TestWrappedLists(t *testing.T) {
	wrapped := ga4Purchase
	for _, name := range []string{"event_params", "items"} {
		before, rest, _ := strings.Cut(wrapped, fmt.Sprintf("%q:[", name))
		depth, end := 1, 0
		for ; depth > 0; end++ {
			depth += map[byte]int{'[': 1, ']': -1}[rest[end]]
		}
		entries := strings.ReplaceAll(rest[:end-1], `},{"key"`, `}},{"element":{"key"`)
		wrapped = before + fmt.Sprintf("%q:{\"list\":[{\"element\":", name) + entries + "}]}" + rest[end:]
	}
	if diff := cmp.Diff(replayed(t, write(t, ga4Purchase)), replayed(t, write(t, wrapped))); diff != "" {
		t.Errorf("-plain +wrapped:\n%s", diff)
	}
}

func mapping(t *testing.T, p *plan.Plan, text string) *replay.Mapping {
	t.Helper()
	m, err := replay.LoadMapping(fstest.MapFS{"replay.yaml": {Data: []byte(text)}}, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBrokenMappings(t *testing.T) {
	r, _ := replayer(t)
	for text, want := range map[string]string{
		"events:\n  - {from: [a], event: eaten}":                                                    `replay.yaml:2: event "eaten" is not in the tracking plan`,
		"events:\n  - {from: [a], event: page_viewed}":                                              "page_viewed needs the property page_type",
		"events:\n  - {from: [a], event: page_viewed, properties: {page_type: [p], x: [y]}}":        "page_viewed has no property x",
		"events:\n  - {event: session_started}":                                                     "session_started needs from",
		"events:\n  - {from: [a], event: session_started}\n  - {from: [a], event: session_started}": "replay.yaml:3: a is mapped twice",
		"events:\n  - {from: [a], event: session_started, wher: x}":                                 "replay.yaml:2:",
	} {
		_, err := replay.LoadMapping(fstest.MapFS{"replay.yaml": {Data: []byte(text)}}, r.Plan)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", text, err, want)
		}
	}
}

func replayed(t *testing.T, f lake.File) []map[string]any {
	t.Helper()
	r, s := replayer(t)
	if _, err := r.Run(t.Context(), replay.Job{Name: "file", File: f, Namespace: "shop", MaxBad: 0.05}); err != nil {
		t.Fatal(err)
	}
	out := landed(t, s, "raw/")
	slices.SortFunc(out, func(a, b map[string]any) int { return strings.Compare(a["event_id"].(string), b["event_id"].(string)) })
	return out
}

// What another mapping made of a file does not stay beside what the present one makes.
func TestAnotherMappingReplaces(t *testing.T) {
	r, s := replayer(t)
	job := func() replay.Job {
		return replay.Job{Name: "file", File: write(t, ga4Purchase), Namespace: "shop", MaxBad: 1}
	}
	if _, err := r.Run(t.Context(), job()); err != nil {
		t.Fatal(err)
	}
	r.Mapping = mapping(t, r.Plan, "events:\n  - {from: [page_view], event: page_viewed, properties: {page_type: [page_type]}}\n")
	report, err := r.Run(t.Context(), job())
	if err != nil || report.LeftOut["purchase"] != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if left := landed(t, s, "raw/"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// Quarantined events land once the plan takes them, at the time they were received; the others stay where they are.
func TestQuarantine(t *testing.T) {
	r, s := replayer(t)
	line := func(id int, event string) string {
		return fmt.Sprintf(`{"namespace":"shop","event_date":"2026-01-05","received_ts":"2026-01-05T10:00:00.000Z","skew_ms":60000,"is_bot":true,"failures":[{"path":"/event","message":"not in the plan"}],`+
			`"event":{"event_id":"0192f0c1-0000-7000-8000-%012d","event":%q,"schema":"1-0-0","ts":"2026-01-05T10:00:30.000Z","anonymous_id":"a1","properties":{"page_type":"home"}}}`, id, event) + "\n"
	}
	inbox := &replay.Inbox{Replayer: r, Source: s, Told: func(replay.Report) {}}
	if err := s.Put(t.Context(), "quarantine/namespace=shop/event_date=2026-01-05/a.ndjson.gz", zip(t, line(1, "page_viewed")+line(2, "page_eaten")), lake.Create); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := inbox.Run(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		got := landed(t, s, "raw/")
		if len(got) != 1 || got[0]["event_ts"] != "2026-01-05T09:59:30.000Z" || got[0]["received_ts"] != "2026-01-05T10:00:00.000Z" || got[0]["is_bot"] != true {
			t.Fatalf("landed %v", got)
		}
		if kept := landed(t, s, "quarantine/"); len(kept) != 2 {
			t.Errorf("quarantine holds %v", kept)
		}
	}
}

// A refused file is complained of once and holds nobody up.
func TestInbox(t *testing.T) {
	r, s := replayer(t)
	var told []string
	inbox := &replay.Inbox{Replayer: r, Source: s, Told: func(r replay.Report) { told = append(told, r.Name) }}
	for key, body := range map[string]string{"inbox/shop/a.json": "{}", "inbox/shop/b.json": ga4Purchase, "inbox/stray.json": "?"} {
		if err := s.Put(t.Context(), key, []byte(body), lake.Create); err != nil {
			t.Fatal(err)
		}
	}
	err := inbox.Run(t.Context(), time.Time{})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "inbox/shop/a.json") {
		t.Errorf("error %v", err)
	}
	if err := inbox.Run(t.Context(), time.Time{}); err != nil {
		t.Errorf("complains again: %v", err)
	}
	if diff := cmp.Diff([]string{"inbox/shop/b.json"}, told); diff != "" {
		t.Errorf("replayed, -want +got:\n%s", diff)
	}
	if err := s.Put(t.Context(), "inbox/shop/a.json", []byte(strings.Replace(ga4Purchase, "T-1", "T-9", 1)), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
	if err := inbox.Run(t.Context(), time.Time{}); err != nil || len(told) != 2 {
		t.Errorf("the mended file: %v, %v", told, err)
	}
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// forgotten is everybody who was erased at a moment.
type forgotten struct {
	anonymous string
	at        time.Time
}

func (f forgotten) Load(context.Context) (func(anonymous, user string, at time.Time) bool, error) {
	return func(anonymous, _ string, at time.Time) bool { return anonymous == f.anonymous && at.Before(f.at) }, nil
}

// What somebody did before they were erased does not land again; what they do later does.
func TestErasedPersonsDoNotComeBack(t *testing.T) {
	later := strings.Replace(ga4Purchase, `"1767607198123456"`, `"1767707198123456"`, 1)
	if later == ga4Purchase {
		t.Fatal("the row has another time than this test thinks")
	}
	r, s := replayer(t)
	r.Erased = forgotten{"123.456", time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)}
	report, err := r.Run(t.Context(), replay.Job{Name: "events", File: write(t, ga4Purchase+"\n"+later+"\n"), Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	got := landed(t, s, "raw/")
	if len(got) != 1 || got[0]["event_date"] != "2026-01-06" || report.Erased != 1 || report.Accepted != 1 {
		t.Errorf("landed %v, report %+v", got, report)
	}
}

// What the plan hashes lands hashed from an export, too, and who was erased is known by the hash as well as by the id.
func TestIDsLandHashed(t *testing.T) {
	key := redact.Key("0123456789abcdef0123456789abcdef")
	export := ga4Purchase + "\n" + strings.NewReplacer("123.456", "123.789", `"u1"`, `"u2"`).Replace(ga4Purchase) + "\n"
	for name, gone := range map[string]string{"by its id": "123.456", "by its hash": key.Value("123.456")} {
		t.Run(name, func(t *testing.T) {
			r, s := replayer(t)
			r.Plan.Hash, r.Key = []string{"anonymous_id", "user_id"}, func(context.Context) (redact.Key, error) { return key, nil }
			r.Erased = forgotten{gone, time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
			report, err := r.Run(t.Context(), replay.Job{Name: "events", File: write(t, export), Namespace: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			got := landed(t, s, "raw/")
			if len(got) != 1 || got[0]["anonymous_id"] != key.Value("123.789") || got[0]["user_id"] != key.Value("u2") || report.Erased != 1 {
				t.Errorf("landed %v, report %+v", got, report)
			}
		})
	}
}

// Whose a row is follows from its kind.
func TestIDs(t *testing.T) {
	for row, want := range map[string][2]string{
		`{"event_timestamp":1,"stream_id":1,"user_pseudo_id":"a","user_id":"u"}`: {"a", "u"},
		`{"event_name":"x","client_id":"a","user_id":null}`:                      {"a", ""},
		`{"push":{},"anonymous_id":"a","user_id":7}`:                             {"a", "7"},
		`{"failures":[],"event":{"anonymous_id":"a"},"anonymous_id":"other"}`:    {"a", ""},
		`{"anything":"else","user_id":"u"}`:                                      {"", ""},
	} {
		anonymous, user := replay.IDs(fastjson.MustParse(row))
		if anonymous != want[0] || user != want[1] {
			t.Errorf("%s: %q, %q", row, anonymous, user)
		}
	}
}
