package lineage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/lineage"
	"verdict/shared/model"
)

const header = "-- grain: one row\n-- key: id\n-- late data: rebuilt\n-- owner: me\n"

// recorded is a small warehouse of two models whose builds are told of.
type recorded struct {
	store    *directory.Store
	builder  *model.Builder
	recorder *lineage.Recorder
	lost     []error
}

func record(t *testing.T) *recorded {
	t.Helper()
	models, err := model.Load(fstest.MapFS{
		"models/daily.sql":   {Data: []byte(header + "select id, json_extract_scalar(body, '$.n') as n, event_date from ref('landed')")},
		"models/daily.yml":   {Data: []byte("description: Days.\npartition_by: event_date\ntests: [{name: b is here, sql: \"select id from ref('this') where id = 'b'\", severity: warn}]\ncolumns:\n  - {name: id, type: varchar, description: Whose., tests: [not_null]}\n  - {name: n, type: varchar}\n")},
		"models/total.sql":   {Data: []byte(header + "select id, count(n) as n from ref('daily') group by id")},
		"models/total.yml":   {Data: []byte("columns:\n  - {name: id, type: varchar}\n  - {name: n, type: bigint}\n")},
		"sources/landed.yml": {Data: []byte("location: raw/\npartition_by: [event_date]\ncolumns:\n  - {name: id, type: varchar}\n  - {name: body, type: varchar}\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &recorded{store: &directory.Store{Root: t.TempDir()}}
	w, err := duck.Open(t.Context(), r.store, models.Sources[0].Landing())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	now := time.Date(2026, 1, 26, 3, 0, 0, 0, time.UTC)
	r.recorder = &lineage.Recorder{
		Graph: lineage.New(models, nil), Objects: r.store, Catalog: w, Namespace: "file", Prefix: "lake/", NewRun: uuid.NewString,
		Now:  func() time.Time { now = now.Add(time.Second); return now },
		Lost: func(err error) { r.lost = append(r.lost, err) },
	}
	r.builder = &model.Builder{Project: models, Objects: r.store, Engine: w, Catalog: w, NewRun: uuid.NewString, Observe: r.recorder.Observe}
	return r
}

func (r *recorded) land(t *testing.T, day string, lines ...string) {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Put(t.Context(), "raw/event_date="+day+"/a.ndjson.gz", b.Bytes(), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
}

// step builds the models as one step of a pipeline.
func (r *recorded) step(ctx context.Context) error {
	ctx, ended := r.recorder.Begin(ctx, lineage.Step{Name: "model", Says: "Makes tables.", AsOf: time.Date(2026, 1, 26, 0, 0, 0, 0, time.UTC), Outputs: []string{"total", "never_made"}})
	_, err := r.builder.Build(ctx, "daily", "total")
	ended(err)
	return err
}

// events are those in the lake, in the order of their files.
func (r *recorded) events(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, line := range r.linesOf(t) {
		var e map[string]any
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func (r *recorded) linesOf(t *testing.T) [][]byte {
	t.Helper()
	objects, err := r.store.List(t.Context(), "lineage/")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, o := range objects {
		body, err := r.store.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Split(bytes.TrimSpace(body), []byte("\n"))...)
	}
	return out
}

// at follows keys and positions into what JSON holds.
func at(v any, path ...any) any {
	for _, p := range path {
		switch key := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

// story is the jobs with what happened to them.
func story(events []map[string]any) []string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprint(at(e, "job", "name"), " ", e["eventType"]))
	}
	return out
}

func TestAStepTellsWhatItReadAndWrote(t *testing.T) {
	r := record(t)
	r.land(t, "2026-01-05", `{"id":"a","body":"{\"n\":1}"}`, `{"id":"b","body":"{}"}`)
	if err := r.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := r.events(t)
	want := []string{
		"model START",
		"model.daily START", "model.daily.audit START", "model.daily.audit COMPLETE", "model.daily COMPLETE",
		"model.total START", "model.total.audit START", "model.total.audit COMPLETE", "model.total COMPLETE",
		"model COMPLETE",
	}
	if diff := cmp.Diff(want, story(events)); diff != "" {
		t.Fatal(diff)
	}
	daily, audit, step := events[4], events[3], events[9]
	for name, c := range map[string]struct{ got, want any }{
		"parent":           {at(daily, "run", "facets", "parent", "run", "runId"), at(step, "run", "runId")},
		"parent of audit":  {at(audit, "run", "facets", "parent", "run", "runId"), at(daily, "run", "runId")},
		"input":            {at(daily, "inputs", 0, "name"), "lake/landed"},
		"schema of input":  {at(daily, "inputs", 0, "facets", "schema", "fields", 1, "name"), "body"},
		"output":           {at(daily, "outputs", 0, "name"), "lake/daily"},
		"description":      {at(daily, "outputs", 0, "facets", "schema", "fields", 0, "description"), "Whose."},
		"column":           {at(daily, "outputs", 0, "facets", "columnLineage", "fields", "n", "inputFields", 0, "field"), "body.n"},
		"column of":        {at(events[8], "outputs", 0, "facets", "columnLineage", "fields", "n", "inputFields", 0, "name"), "lake/daily"},
		"files":            {at(daily, "outputs", 0, "outputFacets", "outputStatistics", "fileCount"), 1.0},
		"data test":        {at(audit, "inputs", 0, "inputFacets", "dataQualityAssertions", "assertions", 1, "description"), "no row where id is null"},
		"passed":           {at(audit, "inputs", 0, "inputFacets", "dataQualityAssertions", "assertions", 1, "success"), true},
		"warned of":        {at(audit, "inputs", 0, "inputFacets", "dataQualityAssertions", "assertions", 2, "severity"), "warn"},
		"found":            {at(audit, "inputs", 0, "inputFacets", "dataQualityAssertions", "assertions", 2, "actual"), "1"},
		"made in the step": {at(step, "outputs", 0, "name"), "lake/total"},
		"not made":         {at(step, "outputs", 1), nil},
		"as of":            {at(step, "run", "facets", "nominalTime", "nominalStartTime"), "2026-01-26T00:00:00Z"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	if sql, _ := at(daily, "job", "facets", "sql", "query").(string); !strings.Contains(sql, "json_extract_scalar(body, '$.n')") {
		t.Errorf("SQL %q", sql)
	}
	if size, _ := at(daily, "outputs", 0, "outputFacets", "outputStatistics", "size").(float64); size <= 0 {
		t.Errorf("size %v", size)
	}
	if r.lost != nil {
		t.Error(r.lost)
	}
	before := len(events)
	if err := r.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.events(t); len(got) != before+2 {
		t.Errorf("a step that had nothing to do told %v", story(got[before:]))
	}
}

func TestAFailureIsToldWithItsReason(t *testing.T) {
	r := record(t)
	r.land(t, "2026-01-05", `{"id":"a","body":"{}"}`, `{"id":"a","body":"{}"}`, `{"body":"{}"}`)
	if r.step(t.Context()) == nil {
		t.Fatal("the data test found nothing")
	}
	events := r.events(t)
	if diff := cmp.Diff([]string{"model START", "model.daily START", "model.daily.audit START", "model.daily.audit COMPLETE", "model.daily FAIL", "model FAIL"}, story(events)); diff != "" {
		t.Fatal(diff)
	}
	test := at(events[3], "inputs", 0, "inputFacets", "dataQualityAssertions", "assertions", 0)
	if at(test, "success") != false || at(test, "actual") != "1" || at(test, "description") != "no row where id is not unique" {
		t.Errorf("assertion %v", test)
	}
	if says, _ := at(events[4], "run", "facets", "errorMessage", "message").(string); !strings.Contains(says, "1 rows where id is not unique") {
		t.Errorf("message %q", says)
	}
	if at(events[4], "outputs", 0, "outputFacets") != nil {
		t.Error("what was not published has statistics")
	}
}

func TestWorkThatIsStoppedIsToldSo(t *testing.T) {
	r := record(t)
	r.land(t, "2026-01-05", `{"id":"a","body":"{}"}`)
	ctx, stop := context.WithCancel(t.Context())
	r.builder.Observe = func(ctx context.Context, w model.Writing) func(model.Outcome) {
		ended := r.recorder.Observe(ctx, w)
		stop()
		return ended
	}
	if err := r.step(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if diff := cmp.Diff([]string{"model START", "model.daily START", "model.daily ABORT", "model ABORT"}, story(r.events(t))); diff != "" {
		t.Error(diff)
	}
}

// A machine that dies leaves a run that began and never ended.
func TestAStartIsToldBeforeTheWork(t *testing.T) {
	r := record(t)
	r.recorder.Begin(t.Context(), lineage.Step{Name: "measure"})
	if diff := cmp.Diff([]string{"measure START"}, story(r.events(t))); diff != "" {
		t.Error(diff)
	}
}

type refusing struct{ lake.Objects }

func (refusing) Put(context.Context, string, []byte, lake.Mode) error { return fs.ErrPermission }

func TestTellingHoldsNothingUp(t *testing.T) {
	r := record(t)
	r.land(t, "2026-01-05", `{"id":"a","body":"{}"}`)
	var posted int
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil || !json.Valid(body) || q.URL.Path != "/api/v1/lineage" || q.Header.Get("Authorization") != "Bearer key" || q.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", q.URL.Path, body, err)
		}
		if posted++; posted == 2 {
			http.Error(w, "full", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(endpoint.Close)
	r.recorder.Post = lineage.HTTP(endpoint.URL+"/", "key", endpoint.Client())
	r.recorder.Objects = refusing{r.store}
	if err := r.step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if posted != 10 || len(r.lost) != 11 {
		t.Errorf("%d events posted, lost %v", posted, r.lost)
	}
	if !slices.ContainsFunc(r.lost, func(err error) bool {
		return strings.Contains(err.Error(), "send lineage of model.daily: post event: 503")
	}) {
		t.Errorf("lost %v", r.lost)
	}
}

func TestEventsPassTheSpecification(t *testing.T) {
	folder := "../../../shared/data/openlineage/spec"
	if _, err := os.Stat(folder); err != nil {
		t.Skip("skipped: OpenLineage's schemas are not beside this checkout (../shared)")
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	files, err := filepath.Glob(folder + "/facets/*.json")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{} // of a facet's key: its schema
	for _, path := range append(files, folder+"/OpenLineage.json") {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		id, _ := at(doc, "$id").(string)
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
		properties, _ := at(doc, "properties").(map[string]any)
		for key := range properties {
			ids[key] = id
		}
	}
	event, err := c.Compile("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent")
	if err != nil {
		t.Fatal(err)
	}
	ok, broken := record(t), record(t)
	ok.land(t, "2026-01-05", `{"id":"a","body":"{}"}`)
	broken.land(t, "2026-01-05", `{"body":"{}"}`)
	if ok.step(t.Context()) != nil || broken.step(t.Context()) == nil {
		t.Fatal("the builds did not go as meant")
	}
	facets := 0
	check := func(holder any) {
		all, _ := holder.(map[string]any)
		for key, value := range all {
			schema, err := c.Compile(ids[key])
			if err != nil {
				t.Fatalf("facet %s: %v", key, err)
			}
			facets++
			if err := schema.Validate(map[string]any{key: value}); err != nil {
				t.Errorf("facet %s: %v", key, err)
			}
			if own, _ := at(value, "_schemaURL").(string); !strings.HasPrefix(own, ids[key]) {
				t.Errorf("facet %s names %s, want %s", key, own, ids[key])
			}
		}
	}
	for _, line := range append(ok.linesOf(t), broken.linesOf(t)...) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := event.Validate(doc); err != nil {
			t.Errorf("%v in %s", err, line)
		}
		check(at(doc, "run", "facets"))
		check(at(doc, "job", "facets"))
		for _, side := range []string{"inputs", "outputs"} {
			sets, _ := at(doc, side).([]any)
			for _, d := range sets {
				check(at(d, "facets"))
				check(at(d, "inputFacets"))
				check(at(d, "outputFacets"))
			}
		}
	}
	if facets < 60 {
		t.Errorf("%d facets were checked", facets)
	}
	if event.Validate(map[string]any{"eventTime": "2026-01-05T00:00:00Z", "producer": "urn:x", "schemaURL": "urn:y", "run": map[string]any{"runId": uuid.NewString()}}) == nil {
		t.Error("the schema takes an event without a job")
	}
}
