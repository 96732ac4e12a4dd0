package ldapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/embedded/ldapi"
	"verdict/shared/embedded/spoil"
	"verdict/shared/feature"
)

const (
	path     = ldapi.BasePath + "/flags/shop/checkout"
	semantic = "application/json; domain-model=launchdarkly.semanticpatch"

	// The ids that the stand-in gives out for the flag below.
	control, treatment = "variation-checkout-0001", "variation-checkout-0003"
	excluded           = "variation-checkout-0002"
	rule               = "rule-checkout-0004"
)

type at struct{ time.Time }

func (a *at) now() time.Time { return a.Time }

func newServer(t *testing.T, config ldapi.Config) (*ldapi.Server, *at) {
	t.Helper()
	clock := &at{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	config.Project, config.Token, config.ReadOnly = "shop", "t0ken", "reader"
	s, err := ldapi.New(config, []feature.Flag{{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
		{Key: "one_page", Kind: feature.Experiment, Included: 1, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
	}}}, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return s, clock
}

type call struct {
	method, path, token, kind, body string
}

func (c call) do(t *testing.T, s *ldapi.Server) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.token != "" {
		r.Header.Set("Authorization", c.token)
	}
	r.Header.Set("Content-Type", c.kind)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func get(path, token string) call { return call{http.MethodGet, path, token, "", ""} }

// patch sends instructions for production.
func patch(instructions string) call {
	return call{http.MethodPatch, path, "t0ken", semantic, `{"comment": "test", "environmentKey": "production", "instructions": [` + instructions + `]}`}
}

const off = `{"kind": "turnFlagOff"}`

func TestContract(t *testing.T) {
	serve := func(what string) call {
		return patch(`{"kind": "updateRuleVariationOrRollout", "ruleId": "` + rule + `", ` + what + `}`)
	}
	add := func(what string) call { return patch(`{"kind": "addRule", ` + what + `}`) }
	for name, c := range map[string]struct {
		call
		status int
		change bool
	}{
		"reading":                  {get(path, "t0ken"), 200, false},
		"reading one environment":  {get(path+"?env=production", "reader"), 200, false},
		"no token":                 {get(path, ""), 401, false},
		"wrong token":              {get(path, "guess"), 401, false},
		"token behind Bearer":      {get(path, "Bearer t0ken"), 401, false},
		"unknown flag":             {get(ldapi.BasePath+"/flags/shop/nowhere", "t0ken"), 404, false},
		"unknown project":          {get(ldapi.BasePath+"/flags/other/checkout", "t0ken"), 404, false},
		"putting":                  {call{http.MethodPut, path, "t0ken", semantic, "{}"}, 405, false},
		"writing with a reader":    {call{http.MethodPatch, path, "reader", semantic, patch(off).body}, 403, false},
		"without the domain model": {call{http.MethodPatch, path, "t0ken", "application/json", patch(off).body}, 400, false},
		"another domain model":     {call{http.MethodPatch, path, "t0ken", "application/json; domain-model=x", patch(off).body}, 400, false},
		"a JSON Patch":             {call{http.MethodPatch, path, "t0ken", semantic, `[{"op": "replace", "path": "/name", "value": "x"}]`}, 400, false},
		"unknown member":           {call{http.MethodPatch, path, "t0ken", semantic, `{"environmentKey": "production", "note": "", "instructions": [` + off + `]}`}, 400, false},
		"no environment":           {call{http.MethodPatch, path, "t0ken", semantic, `{"instructions": [` + off + `]}`}, 400, false},
		"unknown environment":      {call{http.MethodPatch, path, "t0ken", semantic, `{"environmentKey": "nowhere", "instructions": [` + off + `]}`}, 400, false},
		"tag without environment":  {call{http.MethodPatch, path, "t0ken", semantic, `{"instructions": [{"kind": "addTags", "values": ["a"]}]}`}, 200, true},
		"two documents":            {call{http.MethodPatch, path, "t0ken", semantic, patch(off).body + "{}"}, 400, false},
		"no instructions":          {patch(""), 400, false},
		"unknown instruction":      {patch(`{"kind": "explode"}`), 400, false},
		"unknown parameter":        {patch(`{"kind": "turnFlagOff", "why": ""}`), 400, false},
		"switching off":            {patch(off), 200, true},
		"switching on what is on":  {patch(`{"kind": "turnFlagOn"}`), 200, false},
		"half of it wrong":         {patch(off + `, {"kind": "explode"}`), 400, false},
		"one variation":            {serve(`"variationId": "` + control + `"`), 200, true},
		"unknown variation":        {serve(`"variationId": "x"`), 400, false},
		"neither":                  {serve(`"rolloutContextKind": "user"`), 400, false},
		"both":                     {serve(`"variationId": "` + control + `", "rolloutWeights": {"` + control + `": 100000}`), 400, false},
		"weights":                  {serve(`"rolloutWeights": {"` + treatment + `": 30000, "` + control + `": 70000}`), 200, true},
		"the same weights":         {serve(`"rolloutWeights": {"` + control + `": 50000, "` + excluded + `": 0, "` + treatment + `": 50000}`), 200, false},
		"weights short of all":     {serve(`"rolloutWeights": {"` + control + `": 99999}`), 400, false},
		"negative weight":          {serve(`"rolloutWeights": {"` + control + `": 100001, "` + treatment + `": -1}`), 400, false},
		"half a weight":            {serve(`"rolloutWeights": {"` + control + `": 0.5}`), 400, false},
		"weight of nobody":         {serve(`"rolloutWeights": {"x": 100000}`), 400, false},
		"unknown rule":             {patch(`{"kind": "updateRuleVariationOrRollout", "ruleId": "x", "variationId": "` + control + `"}`), 400, false},
		"default rule":             {patch(`{"kind": "updateFallthroughVariationOrRollout", "variationId": "` + control + `"}`), 200, true},
		"new rule":                 {add(`"beforeRuleId": "` + rule + `", "variationId": "` + control + `"`), 200, true},
		"new rule before nothing":  {add(`"beforeRuleId": "x", "variationId": "` + control + `"`), 400, false},
		"clause without values":    {add(`"variationId": "` + control + `", "clauses": [{"contextKind": "user", "attribute": "a", "op": "in", "values": []}]`), 400, false},
		"clause with unknown op":   {add(`"variationId": "` + control + `", "clauses": [{"contextKind": "user", "attribute": "a", "op": "like", "values": ["x"]}]`), 400, false},
		"clause with an id":        {add(`"variationId": "` + control + `", "clauses": [{"_id": "c", "contextKind": "user", "attribute": "a", "op": "in", "values": ["x"]}]`), 400, false},
		"the order it has":         {patch(`{"kind": "reorderRules", "ruleIds": ["` + rule + `"]}`), 200, false},
		"order of other rules":     {patch(`{"kind": "reorderRules", "ruleIds": ["x"]}`), 400, false},
		"order of too few":         {patch(`{"kind": "reorderRules", "ruleIds": []}`), 400, false},
		"removing a rule":          {patch(`{"kind": "removeRule", "ruleId": "` + rule + `"}`), 200, true},
		"removing what is gone":    {patch(`{"kind": "removeRule", "ruleId": "x"}`), 200, false},
		"naming a rule":            {patch(`{"kind": "updateRuleDescription", "ruleId": "` + rule + `", "description": "new"}`), 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer(t, ldapi.Config{})
			before := get(path, "t0ken").do(t, s).Body.String()
			w := c.do(t, s)
			if w.Code != c.status {
				t.Fatalf("status = %d, want %d: %s", w.Code, c.status, w.Body)
			}
			if changed := s.Changes() == 1; changed != c.change || s.Changes() > 1 {
				t.Errorf("%d changes, want one: %t", s.Changes(), c.change)
			}
			if after := get(path, "t0ken").do(t, s).Body.String(); (after != before) != c.change {
				t.Errorf("flag went from %s to %s", before, after)
			}
			if w.Code == http.StatusOK || c.method == http.MethodPut {
				return
			}
			var p struct{ Code, Message, ID string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code == "" || p.Message == "" || p.ID == "" {
				t.Errorf("problem = %s, %v, want all of its members", w.Body, err)
			}
		})
	}
}

func TestApprovalsStopChangesOfAnEnvironment(t *testing.T) {
	s, _ := newServer(t, ldapi.Config{Approvals: true})
	if w := patch(off).do(t, s); w.Code != http.StatusMethodNotAllowed || s.Changes() != 0 {
		t.Errorf("status = %d and %d changes, want 405 and none", w.Code, s.Changes())
	}
}

func TestUnknownAPIVersion(t *testing.T) {
	s, _ := newServer(t, ldapi.Config{})
	for version, want := range map[string]int{"20240415": 200, "20991231": 400} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.Header.Set("Authorization", "t0ken")
		r.Header.Set("LD-API-Version", version)
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != want {
			t.Errorf("version %s: status = %d, want %d", version, w.Code, want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	s, clock := newServer(t, ldapi.Config{})
	refused := 0
	for range 30 {
		w := get(path, "t0ken").do(t, s)
		if reset := w.Header().Get("X-Ratelimit-Reset"); reset != strconv.FormatInt(clock.Add(10*time.Second).UnixMilli(), 10) {
			t.Fatalf("the window ends at %q", reset)
		}
		if w.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 30 were refused, want 10", refused)
	}
	clock.Time = clock.Add(10 * time.Second)
	if w := get(path, "t0ken").do(t, s); w.Code != http.StatusOK || w.Header().Get("X-Ratelimit-Global-Remaining") != "19" {
		t.Errorf("in the next window: %d, %s left", w.Code, w.Header().Get("X-Ratelimit-Global-Remaining"))
	}
}

func TestInjectedFaults(t *testing.T) {
	s, _ := newServer(t, ldapi.Config{})
	s.Inject(spoil.Fault{Write: true, Status: http.StatusServiceUnavailable, Retry: 7 * time.Second}, spoil.Fault{Write: true, Status: http.StatusBadGateway, Applied: true})
	if w := get(path, "t0ken").do(t, s); w.Code != http.StatusOK {
		t.Errorf("reading: %d, want it unspoiled", w.Code)
	}
	if w := patch(off).do(t, s); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "7" || s.Changes() != 0 {
		t.Errorf("first write: %d after %q with %d changes", w.Code, w.Header().Get("Retry-After"), s.Changes())
	}
	if w := patch(off).do(t, s); w.Code != http.StatusBadGateway || s.Changes() != 1 {
		t.Errorf("second write: %d with %d changes, want 502 and one", w.Code, s.Changes())
	}
}
