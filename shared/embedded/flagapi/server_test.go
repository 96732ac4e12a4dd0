package flagapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/embedded/flagapi"
	"verdict/shared/feature"
	"verdict/shared/optimizely"
)

const path = flagapi.BasePath + "/projects/12345/flags/checkout/environments/production/ruleset"

func flags() []feature.Flag {
	return []feature.Flag{
		{Key: "banner", Environment: "production", Enabled: true, Rules: []feature.Rule{
			{Key: "urgency", Kind: feature.Experiment, Included: 0.5, Variants: []feature.Variant{
				{Key: "control", Share: 1. / 3}, {Key: "loud", Share: 1. / 3}, {Key: "quiet", Share: 1. / 3},
			}},
			{Key: "rest", Kind: feature.Delivery, Included: 1, Variants: []feature.Variant{{Key: "quiet", Share: 1}}},
		}},
		{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
			{Key: "one_page", Kind: feature.Experiment, Included: 1, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
		}},
	}
}

// at is a clock that stands still until it is moved.
type at struct{ time.Time }

func (a *at) now() time.Time { return a.Time }

func newServer(t *testing.T, state string) (*flagapi.Server, *at) {
	t.Helper()
	clock := &at{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s, err := flagapi.New(flagapi.Config{Project: "12345", Token: "t0ken", ReadOnly: "reader", State: state}, flags(), clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return s, clock
}

type call struct {
	method, path, token, kind, body string
}

func (c call) do(t *testing.T, s *flagapi.Server) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	r.Header.Set("Content-Type", c.kind)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func patch(body string) call {
	return call{http.MethodPatch, path, "t0ken", "application/json-patch+json", body}
}

const pauseRule = `[{"op": "replace", "path": "/rules/one_page/enabled", "value": false}]`

func TestContract(t *testing.T) {
	for name, c := range map[string]struct {
		call
		status int
	}{
		"reading":                   {call{http.MethodGet, path, "t0ken", "", ""}, 200},
		"reading without writing":   {call{http.MethodGet, path, "reader", "", ""}, 200},
		"no token":                  {call{http.MethodGet, path, "", "", ""}, 401},
		"wrong token":               {call{http.MethodGet, path, "guess", "", ""}, 401},
		"writing with a reader":     {call{http.MethodPatch, path, "reader", "application/json", pauseRule}, 403},
		"unknown flag":              {call{http.MethodGet, strings.Replace(path, "checkout", "nowhere", 1), "t0ken", "", ""}, 404},
		"unknown environment":       {call{http.MethodGet, strings.Replace(path, "production", "nowhere", 1), "t0ken", "", ""}, 404},
		"unknown project":           {call{http.MethodGet, strings.Replace(path, "12345", "1", 1), "t0ken", "", ""}, 404},
		"putting":                   {call{http.MethodPut, path, "t0ken", "application/json", "{}"}, 405},
		"writing":                   {patch(pauseRule), 200},
		"writing plain JSON":        {call{http.MethodPatch, path, "t0ken", "application/json", pauseRule}, 200},
		"writing a form":            {call{http.MethodPatch, path, "t0ken", "text/plain", pauseRule}, 400},
		"no list":                   {patch(`{"op": "test", "path": "/enabled", "value": true}`), 400},
		"two documents":             {patch(pauseRule + pauseRule), 400},
		"unknown member of a step":  {patch(`[{"op": "test", "path": "/enabled", "value": true, "note": 1}]`), 400},
		"unknown op":                {patch(`[{"op": "upsert", "path": "/enabled", "value": true}]`), 400},
		"no value":                  {patch(`[{"op": "replace", "path": "/enabled"}]`), 400},
		"path without a slash":      {patch(`[{"op": "replace", "path": "enabled", "value": true}]`), 400},
		"path to nowhere":           {patch(`[{"op": "replace", "path": "/rules/other/enabled", "value": true}]`), 400},
		"path through a scalar":     {patch(`[{"op": "replace", "path": "/enabled/x", "value": true}]`), 400},
		"element out of range":      {patch(`[{"op": "add", "path": "/rule_priorities/2", "value": "x"}]`), 400},
		"padded index":              {patch(`[{"op": "replace", "path": "/rule_priorities/00", "value": "one_page"}]`), 400},
		"adding what is there":      {patch(`[{"op": "add", "path": "/rules/one_page", "value": {}}]`), 400},
		"unknown property":          {patch(`[{"op": "add", "path": "/rules/one_page/colour", "value": "red"}]`), 400},
		"read-only property":        {patch(`[{"op": "add", "path": "/revision", "value": 9}]`), 400},
		"wrong type":                {patch(`[{"op": "replace", "path": "/enabled", "value": "yes"}]`), 400},
		"unknown kind of rule":      {patch(`[{"op": "replace", "path": "/rules/one_page/type", "value": "rollout"}]`), 400},
		"too much traffic":          {patch(`[{"op": "replace", "path": "/rules/one_page/percentage_included", "value": 10001}]`), 400},
		"half a percentage":         {patch(`[{"op": "replace", "path": "/rules/one_page/percentage_included", "value": 0.5}]`), 400},
		"shares that do not add up": {patch(`[{"op": "replace", "path": "/rules/one_page/variations/control/percentage_included", "value": 4999}]`), 400},
		"unknown variation":         {patch(`[{"op": "add", "path": "/rules/one_page/variations/third", "value": {"key": "third"}}]`), 400},
		"rule without priority":     {patch(`[{"op": "remove", "path": "/rule_priorities/0"}]`), 400},
		"priority without rule":     {patch(`[{"op": "add", "path": "/rule_priorities/-", "value": "other"}]`), 400},
		"priority twice":            {patch(`[{"op": "copy", "from": "/rule_priorities/0", "path": "/rule_priorities/-"}]`), 400},
		"renamed rule":              {patch(`[{"op": "move", "from": "/rules/one_page", "path": "/rules/other"}, {"op": "replace", "path": "/rule_priorities/0", "value": "other"}]`), 400},
		"test that holds":           {patch(`[{"op": "test", "path": "/rules/one_page/percentage_included", "value": 10000}]`), 200},
		"test that does not hold":   {patch(`[{"op": "test", "path": "/enabled", "value": false}]`), 409},
		"test of what is gone":      {patch(`[{"op": "test", "path": "/rules/other/enabled", "value": true}]`), 409},
		"switching off":             {call{http.MethodPost, path + "/disabled", "t0ken", "", ""}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer(t, "")
			before, file := s.Revision(), mustDatafile(t, s)
			w := c.do(t, s)
			if w.Code != c.status {
				t.Fatalf("status = %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if w.Code == http.StatusOK || w.Code == http.StatusMethodNotAllowed {
				return
			}
			if got, want := w.Header().Get("Content-Type"), "application/problem+json"; got != want {
				t.Errorf("content type = %q, want %q", got, want)
			}
			var p struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != c.status || p.Type == "" || p.Title == "" || p.Detail == "" {
				t.Errorf("problem = %s, %v, want all of its members", w.Body, err)
			}
			if s.Revision() != before || string(mustDatafile(t, s)) != string(file) {
				t.Error("a refused request left a trace")
			}
		})
	}
}

func mustDatafile(t *testing.T, s *flagapi.Server) []byte {
	t.Helper()
	b, err := s.Datafile("production")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRateLimit(t *testing.T) {
	s, clock := newServer(t, "")
	get := call{http.MethodGet, path, "t0ken", "", ""}
	var got []int
	for _, step := range []time.Duration{0, 0, 0, 999 * time.Millisecond, time.Millisecond, 0, 0} {
		clock.Time = clock.Add(step)
		w := get.do(t, s)
		got = append(got, w.Code)
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After = %q, want 1", w.Header().Get("Retry-After"))
		}
	}
	if diff := cmp.Diff([]int{200, 200, 429, 429, 200, 200, 429}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	other := call{http.MethodGet, path, "reader", "", ""}
	if w := other.do(t, s); w.Code != http.StatusOK {
		t.Errorf("another token's status = %d, want 200", w.Code)
	}
}

func TestDatafileReadsBack(t *testing.T) {
	s, _ := newServer(t, "")
	got, err := optimizely.ReadDatafile(mustDatafile(t, s), "production")
	if err != nil {
		t.Fatal(err)
	}
	opts := cmp.Options{cmpopts.IgnoreFields(feature.Flag{}, "Revision"), cmpopts.EquateApprox(0, 2e-4)}
	if diff := cmp.Diff(flags(), got, opts); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestDatafileRevisionRises(t *testing.T) {
	s, _ := newServer(t, "")
	served := func() (string, bool) {
		w := call{method: http.MethodGet, path: flagapi.DatafilePath("production")}.do(t, s)
		f, err := optimizely.ReadDatafile(w.Body.Bytes(), "production")
		if err != nil {
			t.Fatal(err)
		}
		return f[1].Revision, f[1].Enabled
	}
	before, enabled := served()
	if !enabled {
		t.Error("the flag is off at first")
	}
	call{http.MethodPost, path + "/disabled", "t0ken", "", ""}.do(t, s)
	after, enabled := served()
	if enabled {
		t.Error("the flag is on although it was switched off")
	}
	if after <= before { // both are one digit
		t.Errorf("revision went from %s to %s, want it to rise", before, after)
	}
	if w := (call{method: http.MethodGet, path: flagapi.DatafilePath("nowhere")}).do(t, s); w.Code != http.StatusForbidden {
		t.Errorf("status for an unknown SDK key = %d, want 403", w.Code)
	}
}

func TestStateSurvivesRestarts(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "flags.json")
	s, _ := newServer(t, state)
	if w := patch(pauseRule).do(t, s); w.Code != http.StatusOK {
		t.Fatal(w.Body)
	}
	again, _ := newServer(t, state)
	if diff := cmp.Diff(string(mustDatafile(t, s)), string(mustDatafile(t, again))); diff != "" {
		t.Errorf("datafile after a restart (-before +after):\n%s", diff)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("files = %v, %v, want the state alone", left, err)
	}
}

func TestChangeThatCannotBeStoredIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, _ := newServer(t, filepath.Join(dir, "flags.json"))
	before := mustDatafile(t, s)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if w := patch(pauseRule).do(t, s); w.Code != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", w.Code)
	}
	if diff := cmp.Diff(string(before), string(mustDatafile(t, s))); diff != "" {
		t.Errorf("datafile (-before +after):\n%s", diff)
	}
}

func TestUsersAreBucketedAlikeAfterARestartWithoutState(t *testing.T) {
	decisions := func() []optimizely.Decision {
		s, _ := newServer(t, "")
		b, err := optimizely.NewBucketer(mustDatafile(t, s))
		if err != nil {
			t.Fatal(err)
		}
		var got []optimizely.Decision
		for i := range 100 {
			d, err := b.Decide("banner", fmt.Sprintf("user-%d", i), nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d)
		}
		return got
	}
	if diff := cmp.Diff(decisions(), decisions()); diff != "" {
		t.Errorf("decisions (-first +second):\n%s", diff)
	}
}

func TestSeedsThatMakeNoSense(t *testing.T) {
	flag := flags()[1]
	flag.Rules[0].Variants[0].Share = 0.2
	_, err := flagapi.New(flagapi.Config{}, []feature.Flag{flag}, (&at{}).now)
	if err == nil || !strings.Contains(err.Error(), "add up") {
		t.Errorf("error = %v, want one about shares that do not add up", err)
	}
}
