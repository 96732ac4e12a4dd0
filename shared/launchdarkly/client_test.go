package launchdarkly_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/launchdarkly/go-sdk-common/v3/ldcontext"
	evaluation "github.com/launchdarkly/go-server-sdk-evaluation/v3"
	"github.com/launchdarkly/go-server-sdk-evaluation/v3/ldmodel"

	"verdict/shared/decide"
	"verdict/shared/decide/decidetest"
	"verdict/shared/embedded/ldapi"
	"verdict/shared/embedded/spoil"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/launchdarkly"
)

const (
	project = "shop"
	token   = "api-t0ken"
)

// clock is time that passes only while somebody waits.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	if d > 0 {
		c.waits = append(c.waits, d)
	}
	return ctx.Err()
}

// wire is a transport that lets somebody be quicker than a write.
type wire struct {
	mu          sync.Mutex
	beforeWrite func()
	busy        int // answers that were refused by the rate limit
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	do := w.beforeWrite
	if r.Method == http.MethodPatch {
		w.beforeWrite = nil
	}
	w.mu.Unlock()
	if r.Method == http.MethodPatch && do != nil {
		do()
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy++
	}
	return answer, err
}

type rig struct {
	clock  *clock
	wire   *wire
	server *ldapi.Server
	url    string
	client *launchdarkly.Client
}

func newRig(t *testing.T, config ldapi.Config, flags ...feature.Flag) *rig {
	t.Helper()
	r := &rig{clock: newClock(), wire: &wire{}}
	config.Project, config.Token, config.ReadOnly = project, token, "reader"
	var err error
	if r.server, err = ldapi.New(config, flags, r.clock.Now); err != nil {
		t.Fatal(err)
	}
	host := httptest.NewServer(r.server)
	t.Cleanup(host.Close)
	r.url = host.URL
	r.client = r.as(token)
	return r
}

// as returns a client with a token of its own. The timeout is long for loopback and short for us.
func (r *rig) as(token string) *launchdarkly.Client {
	return launchdarkly.New(
		launchdarkly.Config{BaseURL: r.url + ldapi.BasePath, Project: project, Environment: "production", Token: token},
		&http.Client{Timeout: 300 * time.Millisecond, Transport: r.wire}, r.clock.Now, r.clock.Wait)
}

// view is what somebody else sees of a flag.
type view struct {
	Variations []struct {
		ID   string `json:"_id"`
		Name string
	}
	Environments map[string]struct {
		Rules []struct {
			ID          string `json:"_id"`
			Description string
			Rollout     *struct {
				Variations []struct{ Variation, Weight int }
			}
		}
	}
}

func (v view) id(name string) string {
	for _, one := range v.Variations {
		if one.Name == name {
			return one.ID
		}
	}
	return ""
}

func (v view) rule(name string) string {
	for _, r := range v.Environments["production"].Rules {
		if r.Description == name {
			return r.ID
		}
	}
	return ""
}

// send is what somebody else does.
func (r *rig) send(t *testing.T, method, flag, body string) view {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+ldapi.BasePath+"/flags/"+project+"/"+flag, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", token)
	request.Header.Set("Content-Type", "application/json; domain-model=launchdarkly.semanticpatch")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s, %v", method, body, answer.Status, b, err)
	}
	var v view
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (r *rig) patch(t *testing.T, flag string, instructions ...any) view {
	t.Helper()
	b, err := json.Marshal(map[string]any{"environmentKey": "production", "instructions": instructions})
	if err != nil {
		t.Fatal(err)
	}
	return r.send(t, http.MethodPatch, flag, string(b))
}

type step map[string]any

func (r *rig) read(t *testing.T, flag string) view {
	t.Helper()
	return r.send(t, http.MethodGet, flag, "")
}

func (r *rig) included(t *testing.T, flag, rule string) float64 {
	t.Helper()
	v := r.read(t, flag)
	sum := 0
	for _, one := range v.Environments["production"].Rules {
		if one.Description != rule || one.Rollout == nil {
			continue
		}
		for _, w := range one.Rollout.Variations {
			if !strings.HasPrefix(v.Variations[w.Variation].Name, launchdarkly.Excluded) {
				sum += w.Weight
			}
		}
	}
	return float64(sum) / 100_000
}

// nothing provides no other flags and segments.
type nothing struct{}

func (nothing) GetFeatureFlag(string) *ldmodel.FeatureFlag { return nil }
func (nothing) GetSegment(string) *ldmodel.Segment         { return nil }

// decide evaluates a flag for users by the evaluation engine of LaunchDarkly's own Go SDK.
func (r *rig) decide(t *testing.T, key string, users []string) []string {
	t.Helper()
	b, err := r.server.SDK(key)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ldmodel.NewJSONDataModelSerialization().UnmarshalFeatureFlag(b)
	if err != nil {
		t.Fatal(err)
	}
	engine := evaluation.NewEvaluator(nothing{})
	got := make([]string, len(users))
	for i, user := range users {
		got[i] = engine.Evaluate(&f, ldcontext.New(user), nil).Detail.Value.StringValue()
	}
	return got
}

func TestFlags(t *testing.T) {
	decidetest.FlagsSuite(t, func(t *testing.T, flag feature.Flag) decidetest.Platform {
		t.Helper()
		r := newRig(t, ldapi.Config{}, flag)
		return decidetest.Platform{
			Flags:       r.client,
			BeforeWrite: func(do func()) { r.wire.beforeWrite = do },
			SetIncluded: func(t *testing.T, key, rule string, share float64) {
				t.Helper()
				v := r.read(t, key)
				weights, rest := map[string]int{}, 100_000
				for _, one := range flag.Rules[0].Variants {
					w := int(one.Share * share * 100_000)
					weights[v.id(one.Key)] = w
					rest -= w
				}
				weights[v.id("excluded 1")] = rest
				r.patch(t, key, step{"kind": "updateRuleVariationOrRollout", "ruleId": v.rule(rule), "rolloutWeights": weights})
			},
			Included: r.included,
			Fail: func(f decidetest.Fault) {
				spoiled := map[decidetest.Kind]spoil.Fault{
					decidetest.Busy:  {Status: http.StatusTooManyRequests, Retry: 7 * time.Second},
					decidetest.Down:  {Status: http.StatusServiceUnavailable},
					decidetest.Cut:   {},
					decidetest.Hang:  {Hang: true},
					decidetest.Lost:  {Applied: true},
					decidetest.Error: {Applied: true, Status: http.StatusBadGateway},
				}[f.Kind]
				spoiled.Write, spoiled.Read = f.Write, !f.Write
				r.server.Inject(spoiled)
			},
			Decide:  r.decide,
			Changes: r.server.Changes,
		}
	})
}

func checkout() feature.Flag {
	return feature.Flag{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
		{Key: "one_page", Kind: feature.Experiment, Included: 0.5, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
	}}
}

var (
	conclude = decide.Change{DecisionID: "d1", Flag: "checkout", Rule: "one_page", Action: decide.Conclude, Variant: "treatment"}
	rollback = decide.Change{DecisionID: "d2", Flag: "checkout", Rule: "one_page", Action: decide.Rollback, Variant: "control"}
	rampUp   = decide.Change{Flag: "checkout", Rule: "one_page", Action: decide.Ramp, Included: 1}
)

func people() []string {
	out := make([]string, 10_000)
	for i := range out {
		out[i] = fmt.Sprintf("user-%05d", i)
	}
	return out
}

func (r *rig) mustApply(t *testing.T, c decide.Change) decide.Applied {
	t.Helper()
	got, err := r.client.Apply(t.Context(), c)
	if err != nil {
		t.Fatalf("apply %+v: %v", c, err)
	}
	return got
}

func TestApplyKeepsTheAudience(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	v := r.read(t, "checkout")
	french := []any{step{"contextKind": "user", "attribute": "country", "op": "in", "negate": false, "values": []string{"FR"}}}
	r.patch(t, "checkout",
		step{"kind": "addRule", "description": "french", "clauses": french, "rolloutWeights": map[string]int{v.id("control"): 50_000, v.id("treatment"): 50_000}},
		step{"kind": "removeRule", "ruleId": v.rule("one_page")})
	c := conclude
	c.Rule = "french"
	detail := r.mustApply(t, c).Detail
	var sent []struct {
		Kind, Description, BeforeRuleID string
		Clauses                         []any
	}
	if err := json.Unmarshal([]byte(detail), &sent); err != nil {
		t.Fatal(err)
	}
	want := []any{map[string]any{"contextKind": "user", "attribute": "country", "op": "in", "negate": false, "values": []any{"FR"}}}
	if len(sent) != 2 || sent[1].Kind != "addRule" || sent[1].Description != "french_delivery" || sent[1].BeforeRuleID == "" {
		t.Fatalf("sent %s, want a rule before the experiment's", detail)
	}
	if diff := cmp.Diff(want, sent[1].Clauses); diff != "" {
		t.Errorf("audience (-want +got):\n%s", diff)
	}
	for _, got := range r.decide(t, "checkout", people()[:100]) {
		if got != "excluded 1" {
			t.Fatalf("somebody who is not French gets %q", got)
		}
	}
}

// A rule without clauses is for everybody, and so is its delivery.
func TestApplyToARuleWithoutClauses(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	v := r.read(t, "checkout")
	r.patch(t, "checkout",
		step{"kind": "addRule", "description": "open", "rolloutWeights": map[string]int{v.id("control"): 50_000, v.id("treatment"): 50_000}},
		step{"kind": "removeRule", "ruleId": v.rule("one_page")})
	c := conclude
	c.Rule = "open"
	r.mustApply(t, c)
	if got := r.mustApply(t, c); got.Changed {
		t.Error("it was changed again")
	}
	if got := r.decide(t, "checkout", []string{"u"}); got[0] != "treatment" {
		t.Errorf("a user gets %q", got[0])
	}
}

// onDefault is a flag whose default rule runs the experiment, as a tag of the flag says.
func onDefault(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, ldapi.Config{}, checkout())
	v := r.read(t, "checkout")
	r.patch(t, "checkout",
		step{"kind": "addTags", "values": []string{"one_page"}},
		step{"kind": "removeRule", "ruleId": v.rule("one_page")},
		step{"kind": "updateFallthroughVariationOrRollout", "rolloutWeights": map[string]int{
			v.id("control"): 25_000, v.id("excluded 1"): 50_000, v.id("treatment"): 25_000,
		}})
	return r
}

func TestExperimentOnTheDefaultRule(t *testing.T) {
	r := onDefault(t)
	f, err := r.client.Flag(t.Context(), "checkout")
	want := checkout().Rules
	if diff := cmp.Diff(want, f.Rules); err != nil || diff != "" {
		t.Fatalf("%v, rules (-want +got):\n%s", err, diff)
	}
	r.mustApply(t, rampUp)
	for _, c := range []decide.Change{conclude, rollback} {
		if got := r.mustApply(t, c); !got.Changed {
			t.Errorf("%s changed nothing", c.Action)
		}
		for i, got := range r.decide(t, "checkout", people()) {
			if got != c.Variant {
				t.Fatalf("user %d gets %q, want %q", i, got, c.Variant)
			}
		}
		if got := r.mustApply(t, c); got.Changed {
			t.Errorf("%s changed something again", c.Action)
		}
	}
}

func TestApplyStopsAtDrift(t *testing.T) {
	for name, c := range map[string]struct {
		concluded bool // before somebody else's change
		drift     func(v view) []any
		advice    string
	}{
		"ended by hand": {false, func(v view) []any {
			return []any{step{"kind": "updateRuleVariationOrRollout", "ruleId": v.rule("one_page"), "variationId": v.id("control")}}
		}, "somebody has ended it"},
		"flag switched off": {false, func(view) []any { return []any{step{"kind": "turnFlagOff"}} }, "switched off"},
		"flag archived":     {false, func(view) []any { return []any{step{"kind": "archiveFlag"}} }, "archived"},
		"a rule before it takes its users": {false, func(v view) []any {
			everybody := []any{step{"contextKind": "user", "attribute": "key", "op": "matches", "negate": false, "values": []string{".*"}}}
			return []any{step{"kind": "addRule", "beforeRuleId": v.rule("one_page"), "clauses": everybody, "variationId": v.id("control")}}
		}, "ended with"},
		"delivery of another variant": {true, func(v view) []any {
			return []any{step{"kind": "updateRuleVariationOrRollout", "ruleId": v.rule("one_page_delivery"), "variationId": v.id("control")}}
		}, "ended with"},
		"delivery to a part": {true, func(v view) []any {
			return []any{step{
				"kind": "updateRuleVariationOrRollout", "ruleId": v.rule("one_page_delivery"),
				"rolloutWeights": map[string]int{v.id("control"): 1, v.id("treatment"): 99_999},
			}}
		}, "somebody changed its delivery"},
		"delivery behind the experiment": {true, func(v view) []any {
			return []any{step{"kind": "reorderRules", "ruleIds": []string{v.rule("one_page"), v.rule("one_page_delivery")}}}
		}, "somebody changed its delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ldapi.Config{}, checkout())
			if c.concluded {
				r.mustApply(t, conclude)
			}
			r.patch(t, "checkout", c.drift(r.read(t, "checkout"))...)
			before := r.server.Changes()
			_, err := r.client.Apply(t.Context(), conclude)
			if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("error = %v, want a conflict that says %q", err, c.advice)
			}
			if after := r.server.Changes(); after != before {
				t.Errorf("%d changes were made, want none", after-before)
			}
		})
	}
}

// A rule that somebody adds in the moment of the write makes the guard fail.
func TestRulesOfOthersStopAWrite(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	r.wire.beforeWrite = func() {
		v := r.read(t, "checkout")
		r.patch(t, "checkout", step{"kind": "addRule", "description": "vip", "variationId": v.id("control")})
	}
	if _, err := r.client.Apply(t.Context(), conclude); !fault.Is(err, fault.Conflict) {
		t.Errorf("error = %v, want a conflict", err)
	}
	if v := r.read(t, "checkout"); v.rule("vip") == "" || v.rule("one_page_delivery") != "" {
		t.Errorf("flag = %+v, want the other's rule alone", v)
	}
}

func TestRampThatNeedsRoom(t *testing.T) {
	flag := checkout()
	for name, c := range map[string]struct {
		weights  map[string]int
		included float64
		says     string
	}{
		"no excluded variation between the variants": {map[string]int{"control": 25_000, "treatment": 25_000, "excluded 2": 50_000}, 1, "beside each variant"},
		"room for one of them":                       {map[string]int{"control": 10_000, "excluded 1": 10_000, "treatment": 60_000, "excluded 2": 20_000}, 1, ""},
		"a split that had been changed":              {map[string]int{"control": 5_000, "excluded 1": 90_000, "treatment": 5_000}, 0.3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := flag
			f.Rules = []feature.Rule{flag.Rules[0]}
			f.Rules[0].Variants = append([]feature.Variant{}, flag.Rules[0].Variants...)
			f.Rules = append(f.Rules, feature.Rule{Key: "third", Kind: feature.Experiment, Variants: []feature.Variant{{Key: "unused", Share: 1}}}) // brings excluded 2
			r := newRig(t, ldapi.Config{}, f)
			v := r.read(t, "checkout")
			weights := map[string]int{}
			for name, w := range c.weights {
				weights[v.id(name)] = w
			}
			r.patch(t, "checkout", step{"kind": "updateRuleVariationOrRollout", "ruleId": v.rule("one_page"), "rolloutWeights": weights})
			before := r.decide(t, "checkout", people())
			change := rampUp
			change.Included = c.included
			_, err := r.client.Apply(t.Context(), change)
			if c.says != "" {
				if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error = %v, want a refusal that says %q", err, c.says)
				}
				change.Rebucket = true
				r.mustApply(t, change)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := r.included(t, "checkout", "one_page"); got != c.included {
				t.Errorf("the rule includes %g, want %g", got, c.included)
			}
			moved := 0
			for i, now := range r.decide(t, "checkout", people()) {
				if was := before[i]; now != was && !strings.HasPrefix(was, launchdarkly.Excluded) {
					moved++
				}
			}
			if (moved > 0) != (c.says != "") {
				t.Errorf("%d users moved", moved)
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		token  string
		config ldapi.Config
		fault  *spoil.Fault
		class  fault.Class
		says   string
	}{
		"no such token":            {token: "stale", class: fault.Internal, says: "make an access token"},
		"Bearer before it":         {token: "Bearer " + token, class: fault.Internal, says: "make an access token"},
		"token that may only read": {token: "reader", class: fault.Internal, says: "role may not"},
		"approvals":                {config: ldapi.Config{Approvals: true}, class: fault.Internal, says: "approval request"},
		"bad request":              {fault: &spoil.Fault{Write: true, Status: http.StatusBadRequest}, class: fault.Invalid, says: "injected fault"},
		"long wait":                {fault: &spoil.Fault{Status: http.StatusTooManyRequests, Retry: time.Hour}, class: fault.Transient, says: "try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.config, checkout())
			if c.fault != nil {
				r.server.Inject(*c.fault)
			}
			client := r.client
			if c.token != "" {
				client = r.as(c.token)
			}
			_, err := client.Apply(t.Context(), conclude)
			if err == nil || fault.Of(err) != c.class || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v of class %v, want one of class %v that says %q", err, fault.Of(err), c.class, c.says)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("error gives the token away: %v", err)
			}
			if n := r.server.Changes(); n != 0 {
				t.Errorf("%d changes were made, want none", n)
			}
		})
	}
}

func TestConflictOfRequestsIsTriedAgain(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	r.server.Inject(spoil.Fault{Write: true, Status: http.StatusConflict})
	if got := r.mustApply(t, conclude); !got.Changed {
		t.Error("nothing was changed")
	}
}

// A client that is told that nothing is left waits for the end of the window, and is never refused.
func TestRequestsKeepTheRateLimit(t *testing.T) {
	r := newRig(t, ldapi.Config{}, checkout())
	for range 50 {
		if _, err := r.client.Flag(t.Context(), "checkout"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]time.Duration{10 * time.Second, 10 * time.Second}, r.clock.waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if r.wire.busy > 0 {
		t.Errorf("%d requests were refused, want none", r.wire.busy)
	}
}

// Experiments of LaunchDarkly's own have untracked users and an allocation, which no patch can keep.
func TestExperimentsOfLaunchDarklyAreLeftAlone(t *testing.T) {
	for name, rollout := range map[string]string{
		"allocation": `{"variations": [{"variation": 0, "weight": 50000}, {"variation": 1, "weight": 50000}], "experimentAllocation": {"defaultVariation": 0, "canReshuffle": true}}`,
		"untracked":  `{"variations": [{"variation": 0, "weight": 50000}, {"variation": 1, "weight": 50000, "_untracked": true}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet {
					t.Errorf("it sent a %s", r.Method)
				}
				fmt.Fprintf(w, `{"key": "checkout", "variations": [{"_id": "a", "value": false, "name": "control"}, {"_id": "b", "value": true}],
					"environments": {"production": {"on": true, "salt": "s", "version": 3, "fallthrough": {"variation": 0},
					"rules": [{"_id": "r", "description": "one_page", "clauses": [], "rollout": %s}]}}}`, rollout)
			}))
			t.Cleanup(host.Close)
			c := newClock()
			client := launchdarkly.New(launchdarkly.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token}, host.Client(), c.Now, c.Wait)
			if _, err := client.Apply(t.Context(), conclude); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "of its own") {
				t.Errorf("error = %v, want a conflict with LaunchDarkly's experiment", err)
			}
			f, err := client.Flag(t.Context(), "checkout")
			if err != nil || f.Rules[0].Variants[1].Key != "true" {
				t.Errorf("flag = %+v, %v, want the value of a variation that has no name", f, err)
			}
		})
	}
}

// Should the platform deal out weights in another order than that of the variations, a ramp says so.
func TestRampThatMovesUsersIsReported(t *testing.T) {
	const flag = `{"key": "checkout", "variations": [{"_id": "a", "value": "control"}, {"_id": "x", "value": "excluded"}, {"_id": "b", "value": "treatment"}],
		"environments": {"production": {"on": true, "salt": "s", "version": %d, "fallthrough": {"variation": 0}, "rules": [{"_id": "r", "description": "one_page",
		"clauses": [], "rollout": {"variations": %s}}]}}}`
	ramped := false
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ramped = ramped || r.Method == http.MethodPatch
		if ramped {
			fmt.Fprintf(w, flag, 4, `[{"variation": 2, "weight": 50000}, {"variation": 1, "weight": 0}, {"variation": 0, "weight": 50000}]`)
			return
		}
		fmt.Fprintf(w, flag, 3, `[{"variation": 0, "weight": 25000}, {"variation": 1, "weight": 50000}, {"variation": 2, "weight": 25000}]`)
	}))
	t.Cleanup(host.Close)
	c := newClock()
	client := launchdarkly.New(launchdarkly.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token}, host.Client(), c.Now, c.Wait)
	if _, err := client.Apply(t.Context(), rampUp); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "lost their variant") {
		t.Errorf("error = %v, want a conflict about users who lost their variant", err)
	}
}

func TestRampWithoutExcludedVariation(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"key": "checkout", "variations": [{"_id": "a", "value": false}, {"_id": "b", "value": true}],
			"environments": {"production": {"on": true, "fallthrough": {"variation": 0}, "rules": [{"_id": "r", "description": "one_page",
			"rollout": {"variations": [{"variation": 0, "weight": 50000}, {"variation": 1, "weight": 50000}]}}]}}}`)
	}))
	t.Cleanup(host.Close)
	c := newClock()
	client := launchdarkly.New(launchdarkly.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token}, host.Client(), c.Now, c.Wait)
	down := rampUp
	down.Included, down.Rebucket = 0.5, true
	if _, err := client.Apply(t.Context(), down); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no variation named") {
		t.Errorf("error = %v, want advice to add a variation", err)
	}
}

func TestAnswersThatAreNoFlag(t *testing.T) {
	c := newClock()
	for body, says := range map[string]string{
		"<html>sign in</html>": "check the base URL",
		`{"environments": {}}`: "no environment",
		`{"environments": {"production": {"fallthrough": {"variation": 3}}}}`: "names a variation that it has not",
	} {
		host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		t.Cleanup(host.Close)
		client := launchdarkly.New(launchdarkly.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token}, host.Client(), c.Now, c.Wait)
		if _, err := client.Flag(t.Context(), "checkout"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error = %v, want one that says %q", body, err, says)
		}
	}
}
