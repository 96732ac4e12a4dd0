package collect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/events"
	"verdict/shared/collect"
	"verdict/shared/plan"
	"verdict/shared/redact"
)

var receivedAt = time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC)

// sink keeps what it is given, or refuses the records that fail names.
type sink struct {
	lines []map[string]any
	fail  func(record int) bool
	err   error
}

func (s *sink) Put(_ context.Context, records [][]byte) (failed []int, err error) {
	if s.err != nil {
		return nil, s.err
	}
	for i, r := range records {
		if s.fail != nil && s.fail(i) {
			failed = append(failed, i)
			continue
		}
		for line := range bytes.Lines(r) {
			var v map[string]any
			if err := json.Unmarshal(line, &v); err != nil {
				return nil, err
			}
			s.lines = append(s.lines, v)
		}
	}
	return failed, nil
}

func newHandler(tb testing.TB) (h *collect.Handler, good, bad *sink) {
	tb.Helper()
	p, err := plan.Load(events.Files)
	if err != nil {
		tb.Fatal(err)
	}
	good, bad = &sink{}, &sink{}
	return &collect.Handler{
		Plan: p, Good: good, Quarantine: bad, Keys: collect.FixedKeys(map[string]string{"wk": "shop"}), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return receivedAt },
	}, good, bad
}

func event(id int, extra string) string {
	return fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%012d","event":"order_completed","schema":"1-0-0",
"ts":"2026-01-05T09:59:58.000Z","anonymous_id":"a1","session_id":"s1","seq":%d%s,
"properties":{"order_id":"o1","value":12.50,"currency":"EUR"}}`, id, id, extra)
}

func post(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
	r.Header.Set("X-Write-Key", "wk")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestValidEventLands(t *testing.T) {
	h, good, bad := newHandler(t)
	w := post(h, `{"sent_at":"2026-01-05T10:00:00Z","events":[`+event(1, "")+`]}`, "User-Agent", "Mozilla/5.0")
	if w.Code != http.StatusOK || w.Body.String() != `{"accepted":1,"quarantined":0}` {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	want := map[string]any{
		"namespace": "shop", "event_date": "2026-01-05", "event_ts": "2026-01-05T09:59:58.000Z", "client_ts": "2026-01-05T09:59:58.000Z",
		"received_ts": "2026-01-05T10:00:00.000Z", "is_bot": false, "event_id": "0192f0c1-0000-7000-8000-000000000001",
		"event_name": "order_completed", "schema_version": "1-0-0", "seq": 1.0, "anonymous_id": "a1", "session_id": "s1",
		"ip": "192.0.2.0", "user_agent": "Mozilla/5.0", "properties": map[string]any{"order_id": "o1", "value": 12.5, "currency": "EUR"},
	}
	if diff := cmp.Diff([]map[string]any{want}, good.lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if bad.lines != nil {
		t.Errorf("quarantine holds %v", bad.lines)
	}
}

func TestClockCorrection(t *testing.T) {
	cases := map[string]struct{ sent, want string }{
		"right clock":                 {"2026-01-05T10:00:00Z", "2026-01-05T09:59:58.000Z"},
		"a day ahead, corrected":      {"2026-01-06T10:00:00Z", "2026-01-04T09:59:58.000Z"},
		"a day behind, never future":  {"2026-01-04T10:00:00Z", "2026-01-05T10:00:00.000Z"},
		"an hour late, other zone":    {"2026-01-05T12:00:00+01:00", "2026-01-05T08:59:58.000Z"},
		"nothing to correct it with":  {"", "2026-01-05T09:59:58.000Z"},
		"nonsense is no reason to go": {"yesterday", "2026-01-05T09:59:58.000Z"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, good, _ := newHandler(t)
			post(h, `{"sent_at":"`+c.sent+`","events":[`+event(1, "")+`]}`)
			if got := good.lines[0]["event_ts"]; got != c.want {
				t.Errorf("event_ts %v, want %s", got, c.want)
			}
		})
	}
}

func TestInvalidEventsAreKeptInQuarantine(t *testing.T) {
	h, good, bad := newHandler(t)
	odd := strings.Replace(event(2, ""), "order_completed", "order_eaten", 1)
	w := post(h, `{"events":[`+event(1, "")+`,`+odd+`,7]}`)
	if w.Code != http.StatusOK {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	var reply struct {
		Accepted, Quarantined int
		Quarantine            []struct {
			Index    int
			Failures []plan.Failure
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
		t.Fatal(err)
	}
	if reply.Accepted != 1 || reply.Quarantined != 2 || reply.Quarantine[0].Index != 1 || reply.Quarantine[1].Index != 2 {
		t.Errorf("answer %+v", reply)
	}
	if len(good.lines) != 1 || len(bad.lines) != 2 {
		t.Fatalf("%d good, %d bad", len(good.lines), len(bad.lines))
	}
	kept, ok := bad.lines[0]["event"].(map[string]any)
	if !ok || kept["event"] != "order_eaten" || bad.lines[0]["event_date"] != "2026-01-05" {
		t.Errorf("quarantine holds %v", bad.lines[0])
	}
	if diff := cmp.Diff([]any{map[string]any{"path": "/event", "message": `event "order_eaten" is not in the tracking plan`}}, bad.lines[0]["failures"]); diff != "" {
		t.Error(diff)
	}
}

func TestConsentIsAppliedAgain(t *testing.T) {
	h, good, _ := newHandler(t)
	refused := `,"consent":{"analytics_storage":"denied"},"context":{"device":{"type":"mobile"}},"user_id":"u1"`
	granted := `,"consent":{"analytics_storage":"granted","ad_storage":"granted"}`
	post(h, `{"events":[`+event(1, refused)+`,`+event(2, granted)+`]}`, "Sec-GPC", "1")
	for _, field := range []string{"anonymous_id", "user_id", "session_id", "ip", "user_agent", "context"} {
		if v, ok := good.lines[0][field]; ok {
			t.Errorf("refused, yet %s is %v", field, v)
		}
	}
	want := map[string]any{"analytics_storage": "granted", "ad_storage": "denied", "ad_user_data": "denied", "ad_personalization": "denied"}
	if diff := cmp.Diff(want, good.lines[1]["consent"]); diff != "" {
		t.Errorf("GPC: -want +got:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	big := `{"events":[` + strings.Repeat(" ", collect.MaxBody) + `]}`
	many := `{"events":[` + strings.TrimSuffix(strings.Repeat("1,", collect.MaxEvents+1), ",") + `]}`
	cases := map[string]struct {
		body, key string
		status    int
	}{
		"unparsable":       {`{"events":[`, "wk", http.StatusBadRequest},
		"lenient number":   {`{"events":[01]}`, "wk", http.StatusBadRequest},
		"not UTF-8":        {"{\"events\":[\"\xff\"]}", "wk", http.StatusBadRequest},
		"no events":        {`{"event":1}`, "wk", http.StatusBadRequest},
		"unknown key":      {`{"events":[]}`, "no", http.StatusUnauthorized},
		"too large":        {big, "wk", http.StatusRequestEntityTooLarge},
		"too many":         {many, "wk", http.StatusRequestEntityTooLarge},
		"key in the body":  {`{"write_key":"wk","events":[]}`, "", http.StatusOK},
		"an empty batch":   {`{"events":[]}`, "wk", http.StatusOK},
		"unknown body key": {`{"write_key":"no","events":[]}`, "", http.StatusUnauthorized},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, _, _ := newHandler(t)
			w := post(h, c.body, "X-Write-Key", c.key)
			if w.Code != c.status {
				t.Fatalf("status %d %s, want %d", w.Code, w.Body, c.status)
			}
			if c.status == http.StatusOK {
				return
			}
			var p struct {
				Title  string
				Status int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != c.status || p.Title == "" {
				t.Errorf("problem document %s", w.Body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %s", got)
			}
		})
	}
}

func TestKeysThatCannotBeReadAreNoRefusal(t *testing.T) {
	h, good, _ := newHandler(t)
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Keys = func(context.Context) (map[string]string, error) { return nil, errors.New("the secret has no value") }
	w := post(h, `{"events":[`+event(1, "")+`]}`)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(good.lines) != 0 {
		t.Errorf("answer %d %s: the client must keep its events", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "the secret has no value") || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("logged %s, answered %s: the reason is for us alone", &log, w.Body)
	}
}

func TestWhatIsNotStoredIsNamed(t *testing.T) {
	odd := strings.Replace(event(2, ""), "order_completed", "order_eaten", 1)
	body := `{"events":[` + event(1, "") + `,` + odd + `,` + event(3, "") + `]}`
	cases := map[string]struct {
		arrange func(good, bad *sink)
		want    string
	}{
		"good stream away": {func(good, _ *sink) { good.err = errors.New("away") }, "[0,2]"},
		"quarantine away":  {func(_, bad *sink) { bad.err = errors.New("away") }, "[1]"},
		"a record refused": {func(good, _ *sink) { good.fail = func(int) bool { return true } }, "[0,2]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, good, bad := newHandler(t)
			c.arrange(good, bad)
			w := post(h, body)
			if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"not_stored":`+c.want) || w.Header().Get("Retry-After") == "" {
				t.Errorf("answer %d %s, want not_stored %s", w.Code, w.Body, c.want)
			}
		})
	}
}

func TestRecordsStayWithinTheStreamsLimit(t *testing.T) {
	h, good, _ := newHandler(t)
	var sizes []int
	good.fail = func(int) bool { return false }
	h.Good = sizer{good, &sizes}
	long := `,"context":{"page":{"url":"` + strings.Repeat("x", 4000) + `"}}`
	// each event lands larger than it came in, so a batch just below the limit must be split
	var list []string
	for i := range 240 {
		list = append(list, event(i, long))
	}
	body := `{"events":[` + strings.Join(list, ",") + `]}`
	if w := post(h, body, "User-Agent", strings.Repeat("u", 1000)); w.Code != http.StatusOK {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	if len(sizes) != 2 || sizes[0] > 1000<<10 || sizes[1] > 1000<<10 {
		t.Errorf("record sizes %v", sizes)
	}
	if len(good.lines) != len(list) {
		t.Errorf("%d lines landed, want %d", len(good.lines), len(list))
	}
}

type sizer struct {
	*sink
	sizes *[]int
}

func (s sizer) Put(ctx context.Context, records [][]byte) ([]int, error) {
	for _, r := range records {
		*s.sizes = append(*s.sizes, len(r))
	}
	return s.sink.Put(ctx, records)
}

type nowhere struct{}

func (nowhere) Put(context.Context, [][]byte) ([]int, error) { return nil, nil }

// Ten events of about 1.2 KB a request: validate, enrich and pack into a stream that does nothing.
func BenchmarkCollect(b *testing.B) {
	h, _, _ := newHandler(b)
	h.Good, h.Quarantine = nowhere{}, nowhere{}
	extra := `,"consent":{"analytics_storage":"granted","ad_storage":"denied","ad_user_data":"denied","ad_personalization":"denied"},
"context":{"page":{"url":"https://shop.example/checkout/thank-you?order=o1&utm_source=newsletter","path":"/checkout/thank-you","title":"` + strings.Repeat("Thank you ", 26) + `","referrer":"https://shop.example/checkout/payment"},
"device":{"type":"mobile","viewport":"390x844","screen":"1170x2532","dpr":3,"locale":"de-DE","time_zone":"Europe/Berlin"},
"utm":{"source":"newsletter","medium":"email","campaign":"winter-sale"},"app":{"name":"shop","version":"4.2.0"}},
"experiments":[{"id":"one_page_checkout","variant":"treatment","source":"optimizely"},{"id":"urgency_banner","variant":"control","source":"optimizely"}]`
	var list []string
	for i := range 10 {
		list = append(list, event(i, extra))
	}
	body := `{"sent_at":"2026-01-05T10:00:00Z","events":[` + strings.Join(list, ",") + `]}`
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("X-Write-Key", "wk")
		r.RemoteAddr = "192.0.2.1:1234"
		w := &discard{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(len(body))/10, "B/event")
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header       { return d.header }
func (d *discard) WriteHeader(status int)    { d.status = status }
func (*discard) Write(b []byte) (int, error) { return len(b), nil }

type meter []collect.Measurement

func (m *meter) Measure(_ context.Context, one collect.Measurement) { *m = append(*m, one) }

func TestEveryBatchIsMeasured(t *testing.T) {
	h, good, _ := newHandler(t)
	var got meter
	h.Meter = &got
	event := func(name, properties string) string {
		return fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-000000000001","event":%q,"schema":"1-0-0","ts":"2026-01-05T10:00:30Z","anonymous_id":"a","properties":%s}`, name, properties)
	}
	body := `{"write_key":"wk","sent_at":"2026-01-05T10:01:00Z","dropped":{"evicted":3,"expired":-1,"invented":9},"events":[` +
		event("page_viewed", `{"page_type":"home"}`) + "," + event("page_viewed", `{"page_type":"moon"}`) + "," + event("order_eaten", `{}`) + `]}`
	post := func() {
		r := httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(body))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	post()
	want := collect.Measurement{
		Namespace: "shop", At: receivedAt, Received: 3, Accepted: 1, Quarantined: 2, Duplicated: 2, Broken: map[string]int{"page_viewed": 1, "unknown": 1},
		Dropped: map[string]int{"evicted": 3}, Skew: time.Minute,
	}
	if diff := cmp.Diff(meter{want}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	good.err = errors.New("the stream is down")
	post()
	if got[1].NotStored != 1 {
		t.Errorf("%d events not stored, want 1", got[1].NotStored)
	}
}

func TestThePlanInForceIsTold(t *testing.T) {
	h, _, _ := newHandler(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/plan", nil))
	var got struct{ Events map[string][]string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1-0-0"}, got.Events["order_completed"]); diff != "" || len(got.Events) != 12 {
		t.Errorf("%d events, order_completed -want +got:\n%s", len(got.Events), diff)
	}
}

// Ids that the plan hashes land as hashes, also of events that break their contract; without the key nothing lands.
func TestIDsLandHashed(t *testing.T) {
	key := redact.Key("0123456789abcdef0123456789abcdef")
	h, good, bad := newHandler(t)
	h.Plan.Hash = []string{"user_id"}
	h.PrivacyKey = func(context.Context) (redact.Key, error) { return key, nil }
	valid := event(1, `,"user_id":"ann"`)
	body := `{"events":[` + valid + `,` + strings.Replace(valid, "order_completed", "order_eaten", 1) + `]}`
	if w := post(h, body); w.Code != http.StatusOK {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	kept, _ := bad.lines[0]["event"].(map[string]any)
	for _, line := range []map[string]any{good.lines[0], kept} {
		if line["user_id"] != key.Value("ann") || line["anonymous_id"] != "a1" {
			t.Errorf("landed %v", line)
		}
	}
	h.PrivacyKey = func(context.Context) (redact.Key, error) { return nil, errors.New("no such secret") }
	if w := post(h, body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || len(good.lines) != 1 {
		t.Errorf("without the key: answer %d %s, landed %d", w.Code, w.Body, len(good.lines))
	}
}
