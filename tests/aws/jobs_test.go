package aws_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/awsio/setting"
	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/evaluate"
	"verdict/shared/lake"
	"verdict/shared/optimizely"
	"verdict/shared/project"
)

// harmful is the experiment whose treatment drives people away.
const (
	harmful     = "urgency_banner"
	harmfulFlag = "banner"
)

// desert makes the events of people who come back a day later unless they get the treatment: more
// evidence than a few hundred visitors of the shop give.
func desert(bucketer *optimizely.Bucketer, start time.Time) (events []json.RawMessage) {
	for i := range 600 {
		who := fmt.Sprintf("deserter-%d", i)
		d, err := bucketer.Decide(harmfulFlag, who, nil)
		if err != nil {
			panic(err) // the flag stands in the datafile
		}
		add := func(n int, at time.Time, name, properties string) {
			events = append(events, json.RawMessage(fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%06d%06d","event":%q,"schema":"1-0-0","ts":%q,"anonymous_id":%q,"properties":%s}`,
				i, n, name, at.Format(time.RFC3339), who, properties)))
		}
		first := start.Add(10*time.Hour + time.Duration(i)*time.Minute)
		add(1, first, "experiment_exposed", fmt.Sprintf(`{"experiment_id":%q,"variant":%q,"flag_key":%q,"source":"optimizely"}`, d.Rule, d.Variation, harmfulFlag))
		if d.Variation == "control" {
			add(2, first.Add(48*time.Hour), "page_viewed", `{"page_type":"home"}`)
		}
	}
	return events
}

// post sends events as a server would, without sent_at: its clock is right.
func (e *emulator) post(t *testing.T, collector string, events []json.RawMessage) {
	t.Helper()
	for batch := range slices.Chunk(events, 100) {
		body, err := json.Marshal(map[string]any{"events": batch})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, collector+"/v1/events", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Write-Key", writeKey)
		if status, text := e.do(t, request); status != http.StatusOK || !strings.Contains(text, `"quarantined":0`) {
			t.Fatalf("the collector answered %d %s", status, text)
		}
	}
}

func (e *emulator) do(t *testing.T, request *http.Request) (status int, body string) {
	t.Helper()
	response, err := e.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// mailbox keeps what was posted to it.
type mailbox struct {
	mu   sync.Mutex
	mail []string
}

func (b *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mail = append(b.mail, string(body))
}

// about returns the letter that holds both texts.
func (b *mailbox) about(texts ...string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, letter := range b.mail {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(letter, text) }) {
			return letter
		}
	}
	return ""
}

// subscribe lets a mailbox take what is published on the topic of decisions.
func (e *emulator) subscribe(t *testing.T, to *mailbox) {
	t.Helper()
	topic, url := e.variable(t, "decider", setting.DecisionTopic), serve(t, to)
	client := sns.NewFromConfig(e.config())
	if _, err := client.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("http"), Endpoint: &url}); err != nil {
		t.Fatal(err)
	}
	var letter struct{ Token string }
	within(t, time.Minute, "SNS asks for confirmation", func() bool { return to.about("SubscriptionConfirmation") != "" })
	if err := json.Unmarshal([]byte(to.about("SubscriptionConfirmation")), &letter); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ConfirmSubscription(t.Context(), &sns.ConfirmSubscriptionInput{TopicArn: &topic, Token: &letter.Token}); err != nil {
		t.Fatal(err)
	}
}

// models waits for the scheduler to run elt.
func (e *emulator) models(t *testing.T, m *mirror) {
	t.Helper()
	e.schedule(t, "elt", "rate(1 minute)")
	within(t, 3*time.Minute, "the schedule of elt makes the last model", func() bool {
		_, err := m.catalog.Table(t.Context(), "identity_edge")
		return err == nil
	})
	e.schedule(t, "elt", "")
	count, err := m.Query(t.Context(), "SELECT count(*) AS n FROM fact_event")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("fact_event has %s events", *count.Rows[0][0])
}

// decides runs the other jobs as of a day, and looks at what they moved and whom they told.
func (e *emulator) decides(t *testing.T, m *mirror, flags *flagapi.Server, inbox, channel *mailbox, asOf time.Time) {
	t.Helper()
	before := flags.Revision()
	for _, job := range []string{"identity", "evaluator", "decider"} {
		e.invoke(t, job, asOf)
	}
	history, err := decide.History(t.Context(), m.bucket, harmful)
	if err != nil || len(history) != 1 || history[0].Verdict != decide.RollBack || history[0].AppliedAt.IsZero() {
		t.Fatalf("decisions on %s: %+v, %v; want that it is rolled back", harmful, history, err)
	}
	if flags.Revision() == before {
		t.Error("no flag was changed")
	}
	datafile, err := flags.Datafile(stage)
	if err != nil {
		t.Fatal(err)
	}
	bucketer, err := optimizely.NewBucketer(datafile)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if d, err := bucketer.Decide(harmfulFlag, fmt.Sprint("after-", i), nil); err != nil || d.Variation != "control" {
			t.Fatalf("after the rollback somebody gets %+v, %v", d, err)
		}
	}
	within(t, time.Minute, "SNS delivers the decision", func() bool { return inbox.about("Notification", "Roll back") != "" })
	within(t, time.Minute, "the notifier carries it on to Slack", func() bool { return channel.about("Roll back") != "" })
}

// shows asks the dashboard through its API, which answers nobody who has not signed.
func (e *emulator) shows(t *testing.T, dashboard string) {
	t.Helper()
	get := func(path string, sign bool) (int, string) { return e.get(t, dashboard+path, sign) }
	if status, body := get("/", false); status != http.StatusForbidden {
		t.Errorf("to a request without a signature: %d %s", status, body)
	}
	for _, path := range []string{"/", "/experiments/" + harmful, "/api/experiments"} {
		if status, body := get(path, true); status != http.StatusOK || !strings.Contains(body, harmful) || !strings.Contains(strings.ToLower(body), "roll") {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
}

// get asks an API, signed as IAM wants it or not, with headers.
func (e *emulator) get(t *testing.T, address string, sign bool, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if sign {
		who, err := e.config().Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), who, request, fmt.Sprintf("%x", sha256.Sum256(nil)), "execute-api", region, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	return e.do(t, request)
}

// tells asks the metrics API at both of its addresses: one lets in who signs, the other who has a key.
func (e *emulator) tells(t *testing.T, signed, keyed string, day time.Time) {
	t.Helper()
	values := "/api/v1/metrics/orders/values?grain=total&from=" + day.Format(time.DateOnly) + "&to=" + day.AddDate(0, 0, days+1).Format(time.DateOnly)
	const key = "rk_test"
	e.fill(t, "verdict/dev/read-keys", `{"`+key+`":"tests"}`)
	if status, body := e.get(t, signed+values, false, "X-Api-Key", key); status != http.StatusForbidden {
		t.Errorf("the address of signed requests, with a key: %d %s", status, body)
	}
	if status, body := e.get(t, keyed+values, false, "X-Api-Key", key+"x"); status != http.StatusUnauthorized || !strings.Contains(body, "urn:verdict:problem:unauthorized") {
		t.Errorf("another key: %d %s", status, body)
	}
	var answers []string
	for _, path := range []string{values, "/api/v1/experiments?verdict=roll_back", "/api/v1/experiments/" + harmful, "/api/v1/metrics/orders/lineage"} {
		status, body := e.get(t, signed+path, true)
		if status != http.StatusOK {
			t.Errorf("GET %s, signed: %d %s", path, status, body)
		}
		if again, same := e.get(t, keyed+path, false, "X-Api-Key", key); again != http.StatusOK || same != body {
			t.Errorf("GET %s, with a key: %d %s\nsigned: %s", path, again, same, body)
		}
		answers = append(answers, body)
	}
	if !strings.Contains(answers[0], `"value":`) || strings.Contains(answers[0], `"value":null`) || !strings.Contains(answers[1], `"id":"`+harmful+`"`) || !strings.Contains(answers[2], `"verdict":"roll_back"`) {
		t.Errorf("answers %s", strings.Join(answers, "\n"))
	}
}

// sameOnOneMachine gives bin/verdict the events that landed in the emulator's bucket.
func sameOnOneMachine(t *testing.T, m *mirror, p *project.Project, asOf time.Time) {
	t.Helper()
	root := t.TempDir()
	for _, landed := range []string{"raw", "quarantine"} {
		if err := os.CopyFS(filepath.Join(root, landed), os.DirFS(m.store.Path(landed))); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), "go", "run", "../../functions/local", "run", "--lake", root, "--as-of", asOf.Format(time.DateOnly), "--json")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("verdict run: %v\n%s", err, out)
	}
	store := &directory.Store{Root: root}
	here, err := duck.Open(t.Context(), store, landing(p)...)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	equal(t, "results", read[evaluate.Result](t, m, "fact_experiment_results", "experiment_id, metric, variant"),
		read[evaluate.Result](t, here, "fact_experiment_results", "experiment_id, metric, variant"), cmpopts.IgnoreFields(evaluate.Result{}, "EvaluatedAt"))
	equal(t, "checks", read[evaluate.Check](t, m, "fact_experiment_check", "experiment_id, name"),
		read[evaluate.Check](t, here, "fact_experiment_check", "experiment_id, name"))
	equal(t, "lines of the readout, as its view shows them", read[line](t, m, "experiment_readout", "experiment_id, metric, variant"), read[line](t, here, "experiment_readout", "experiment_id, metric, variant"))
	equal(t, "days of metrics, as their view shows them", read[figure](t, m, "metric_daily", "event_date, metric"), read[figure](t, here, "metric_daily", "event_date, metric"))
	// A bundle is named by a hash of its bytes, the last bits of sums included.
	sameExperiment := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Bundle" },
		cmp.Comparer(func(a, b string) bool { return path.Dir(a) == path.Dir(b) }))
	equal(t, "decisions", decisions(t, m.bucket), decisions(t, store), cmpopts.IgnoreTypes(time.Time{}), sameExperiment)
}

// line and figure are rows of views.
type (
	line struct {
		Experiment string  `lake:"experiment_id"`
		Metric     string  `lake:"metric"`
		Variant    string  `lake:"variant"`
		Withheld   bool    `lake:"is_withheld"`
		Lift       float64 `lake:"lift"`
		AsOf       string  `lake:"as_of"`
	}
	figure struct {
		Day    string  `lake:"event_date"`
		Metric string  `lake:"metric"`
		Value  float64 `lake:"value"`
	}
)

func read[T any](t *testing.T, engine lake.Engine, table, order string) []T {
	t.Helper()
	rows, err := lake.Read[T](t.Context(), engine, "select * from "+table+" order by "+order)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatalf("%s is empty", table)
	}
	return rows
}

func decisions(t *testing.T, objects lake.Objects) []decide.Decision {
	t.Helper()
	all, err := decide.History(t.Context(), objects, "")
	if err != nil || len(all) == 0 {
		t.Fatalf("decisions %v, %v", all, err)
	}
	return all
}

// equal holds everything to be the same but the last bits of a sum: they depend on the order in which
// DuckDB's threads add, and differ from run to run on one machine, too.
func equal[T any](t *testing.T, what string, there, here []T, but ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(here, there, append(but, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-10, 1e-12))...); diff != "" {
		t.Errorf("%s: -one machine +emulator:\n%s", what, diff)
		return
	}
	t.Logf("%d %s are equal", len(there), what)
}
