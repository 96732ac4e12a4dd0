package optimizely_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/decide/decidetest"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/spoil"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/optimizely"
)

const (
	project = "12345"
	token   = "t0ken"
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
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// wire is a transport that notes requests and lets somebody be quicker than a write.
type wire struct {
	clock       *clock
	mu          sync.Mutex
	beforeWrite func()
	sent        []string
	at          []time.Time
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, r.Method)
	w.at = append(w.at, w.clock.Now())
	do := w.beforeWrite
	writes := r.Method != http.MethodGet
	if writes {
		w.beforeWrite = nil
	}
	w.mu.Unlock()
	if writes && do != nil {
		do()
	}
	return http.DefaultTransport.RoundTrip(r)
}

type rig struct {
	clock  *clock
	wire   *wire
	server *flagapi.Server
	url    string
	client *optimizely.Client
}

func newRig(t *testing.T, flags ...feature.Flag) *rig {
	t.Helper()
	r := &rig{clock: newClock()}
	var err error
	if r.server, err = flagapi.New(flagapi.Config{Project: project, Token: token, ReadOnly: "reader"}, flags, r.clock.Now); err != nil {
		t.Fatal(err)
	}
	host := httptest.NewServer(r.server)
	t.Cleanup(host.Close)
	r.url = host.URL
	r.wire = &wire{clock: r.clock}
	r.client = r.as(token)
	return r
}

// as returns a client with a token of its own. The timeout is long for loopback and short for us.
func (r *rig) as(token string) *optimizely.Client {
	return optimizely.New(
		optimizely.Config{BaseURL: r.url + flagapi.BasePath, Project: project, Environment: "production", Token: token},
		&http.Client{Timeout: 300 * time.Millisecond, Transport: r.wire}, r.clock.Now, r.clock.Wait)
}

// patch is what somebody else does, at a calm moment.
func (r *rig) patch(t *testing.T, flag, body string) {
	t.Helper()
	const calm = 2 * time.Second
	_ = r.clock.Wait(t.Context(), calm)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch,
		r.url+flagapi.BasePath+"/projects/"+project+"/flags/"+flag+"/environments/production/ruleset", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json-patch+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(answer.Body)
		t.Fatalf("patch: %s: %s", answer.Status, b)
	}
	_ = r.clock.Wait(t.Context(), calm)
}

// included reads a rule's traffic past the client.
func (r *rig) included(t *testing.T, flag, rule string) float64 {
	t.Helper()
	_ = r.clock.Wait(t.Context(), 2*time.Second)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		r.url+flagapi.BasePath+"/projects/"+project+"/flags/"+flag+"/environments/production/ruleset", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Rules map[string]struct {
			Included float64 `json:"percentage_included"`
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got.Rules[rule].Included / 10_000
}

func (r *rig) bucketer(t *testing.T) *optimizely.Bucketer {
	t.Helper()
	answer, err := http.Get(r.url + flagapi.DatafilePath("production"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	bucketer, err := optimizely.NewBucketer(b)
	if err != nil {
		t.Fatal(err)
	}
	return bucketer
}

func TestFlags(t *testing.T) {
	decidetest.FlagsSuite(t, func(t *testing.T, flag feature.Flag) decidetest.Platform {
		t.Helper()
		r := newRig(t, flag)
		begin := r.server.Revision()
		return decidetest.Platform{
			Flags:       r.client,
			BeforeWrite: func(do func()) { r.wire.beforeWrite = do },
			SetIncluded: func(t *testing.T, flag, rule string, share float64) {
				t.Helper()
				r.patch(t, flag, fmt.Sprintf(`[{"op": "replace", "path": "/rules/%s/percentage_included", "value": %d}]`, rule, int(share*10_000)))
			},
			Included: func(t *testing.T, flag, rule string) float64 {
				t.Helper()
				return r.included(t, flag, rule)
			},
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
			Decide: func(t *testing.T, flag string, users []string) []string {
				t.Helper()
				bucketer := r.bucketer(t)
				got := make([]string, len(users))
				for i, user := range users {
					d, err := bucketer.Decide(flag, user, nil)
					if err != nil {
						t.Fatal(err)
					}
					got[i] = d.Variation
				}
				return got
			},
			Changes: func() int64 { return r.server.Revision() - begin },
		}
	})
}

func checkout() feature.Flag {
	return feature.Flag{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
		{Key: "one_page", Kind: feature.Experiment, Included: 1, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
	}}
}

var conclude = decide.Change{DecisionID: "d1", Flag: "checkout", Rule: "one_page", Action: decide.Conclude, Variant: "treatment"}

func TestApplyKeepsTheAudience(t *testing.T) {
	r := newRig(t, checkout())
	r.patch(t, "checkout", `[{"op": "replace", "path": "/rules/one_page/audience_conditions", "value": ["or", {"audience_id": 7}]}]`)
	got, err := r.client.Apply(t.Context(), conclude)
	if err != nil {
		t.Fatal(err)
	}
	var patch []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal([]byte(got.Detail), &patch); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"key": "one_page_delivery", "name": "Delivery of one_page", "type": "targeted_delivery", "enabled": true,
		"description": "Verdict decision d1: conclude treatment", "percentage_included": 10000.0,
		"audience_conditions": []any{"or", map[string]any{"audience_id": 7.0}},
		"variations":          map[string]any{"treatment": map[string]any{"key": "treatment", "percentage_included": 10000.0}},
	}
	for _, o := range patch {
		if o.Op == "add" && o.Path == "/rules/one_page_delivery" {
			if diff := cmp.Diff(want, o.Value); diff != "" {
				t.Errorf("delivery (-want +got):\n%s", diff)
			}
			return
		}
	}
	t.Errorf("patch = %s, want a new rule", got.Detail)
}

func TestApplyStopsAtDrift(t *testing.T) {
	second := feature.Rule{Key: "second", Kind: feature.Experiment, Included: 1, Variants: checkout().Rules[0].Variants}
	for name, c := range map[string]struct {
		concluded bool // before somebody else's change
		patch     string
		advice    string
	}{
		"experiment paused":       {false, `[{"op": "replace", "path": "/rules/one_page/enabled", "value": false}]`, "paused"},
		"experiment archived":     {false, `[{"op": "replace", "path": "/rules/one_page/archived", "value": true}]`, "archived"},
		"flag switched off":       {false, `[{"op": "replace", "path": "/enabled", "value": false}]`, "switched off"},
		"experiment behind it":    {false, `[{"op": "add", "path": "/rules/second", "value": ` + ruleJSON(t, second) + `}, {"op": "add", "path": "/rule_priorities/-", "value": "second"}]`, `"second"`},
		"experiment run again":    {true, `[{"op": "replace", "path": "/rules/one_page/enabled", "value": true}]`, "started it again"},
		"delivery paused":         {true, `[{"op": "replace", "path": "/rules/one_page_delivery/enabled", "value": false}]`, "delivery"},
		"delivery narrowed":       {true, `[{"op": "replace", "path": "/rules/one_page_delivery/percentage_included", "value": 5000}]`, "ended with"},
		"delivery to an audience": {true, `[{"op": "replace", "path": "/rules/one_page_delivery/audience_conditions", "value": ["or", {"audience_id": 7}]}]`, "delivery"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, checkout())
			if c.concluded {
				if _, err := r.client.Apply(t.Context(), conclude); err != nil {
					t.Fatal(err)
				}
			}
			r.patch(t, "checkout", c.patch)
			before := r.server.Revision()
			_, err := r.client.Apply(t.Context(), conclude)
			if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("error = %v, want a conflict that says %q", err, c.advice)
			}
			if after := r.server.Revision(); after != before {
				t.Errorf("revision went from %d to %d, want no change", before, after)
			}
		})
	}
}

func ruleJSON(t *testing.T, r feature.Rule) string {
	t.Helper()
	variations := map[string]any{}
	for _, v := range r.Variants {
		variations[v.Key] = map[string]any{"key": v.Key, "percentage_included": int(v.Share * 10_000)}
	}
	b, err := json.Marshal(map[string]any{
		"key": r.Key, "name": r.Key, "type": r.Kind, "percentage_included": int(r.Included * 10_000), "variations": variations,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestApplyPutsTheDeliveryBeforeOthers(t *testing.T) {
	f := checkout()
	f.Rules = append(f.Rules, feature.Rule{Key: "vip", Kind: feature.Delivery, Included: 1, Variants: []feature.Variant{{Key: "control", Share: 1}}})
	r := newRig(t, f)
	if _, err := r.client.Apply(t.Context(), conclude); err != nil {
		t.Fatal(err)
	}
	got, err := r.bucketer(t).Decide("checkout", "user-1", nil)
	want := optimizely.Decision{Flag: "checkout", Rule: optimizely.DeliveryKey("one_page"), Kind: feature.Delivery, Variation: "treatment", Enabled: true}
	if err != nil || got != want {
		t.Errorf("decision = %+v, %v, want %+v", got, err, want)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	reader := func(r *rig) *optimizely.Client { return r.as("reader") }
	for name, c := range map[string]struct {
		client func(*rig) *optimizely.Client
		fault  *spoil.Fault
		class  fault.Class
		says   string
	}{
		"no such token":            {func(r *rig) *optimizely.Client { return r.as("stale") }, nil, fault.Internal, "make a new one"},
		"token that may only read": {reader, nil, fault.Internal, "Publish permission"},
		"precondition":             {nil, &spoil.Fault{Write: true, Status: http.StatusPreconditionFailed}, fault.Conflict, "decide again"},
		"conflict":                 {nil, &spoil.Fault{Write: true, Status: http.StatusConflict}, fault.Conflict, "decide again"},
		"bad request":              {nil, &spoil.Fault{Write: true, Status: http.StatusBadRequest}, fault.Invalid, "Injected fault"},
		"long wait":                {nil, &spoil.Fault{Status: http.StatusTooManyRequests, Retry: time.Hour}, fault.Transient, "try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, checkout())
			if c.fault != nil {
				r.server.Inject(*c.fault)
			}
			client := r.client
			if c.client != nil {
				client = c.client(r)
			}
			before := r.server.Revision()
			_, err := client.Apply(t.Context(), conclude)
			if err == nil || fault.Of(err) != c.class || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v of class %v, want one of class %v that says %q", err, fault.Of(err), c.class, c.says)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("error gives the token away: %v", err)
			}
			if after := r.server.Revision(); after != before {
				t.Errorf("revision went from %d to %d, want no change", before, after)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, header := range map[string]func(*clock) string{
		"seconds": func(*clock) string { return "42" },
		"date":    func(c *clock) string { return c.Now().Add(42 * time.Second).Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			busy := true
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if busy {
					busy = false
					w.Header().Set("Retry-After", header(c))
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				_, _ = io.WriteString(w, `{"enabled": true, "revision": 3}`)
			}))
			t.Cleanup(host.Close)
			client := optimizely.New(optimizely.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token},
				host.Client(), c.Now, c.Wait)
			got, err := client.Flag(t.Context(), "checkout")
			if err != nil || got.Revision != "3" {
				t.Fatalf("flag = %+v, %v", got, err)
			}
			if diff := cmp.Diff([]time.Duration{0, 42 * time.Second, 0}, c.waits); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestsKeepTheRateLimit(t *testing.T) {
	r := newRig(t, checkout())
	for range 150 {
		if _, err := r.client.Flag(t.Context(), "checkout"); err != nil {
			t.Fatal(err)
		}
	}
	for i, at := range r.wire.at {
		for _, limit := range []struct {
			n  int
			in time.Duration
		}{{2, time.Second}, {120, time.Minute}} {
			if j := i - limit.n; j >= 0 && at.Sub(r.wire.at[j]) < limit.in {
				t.Fatalf("requests %d to %d fall within %v, want at most %d in %v", j, i, at.Sub(r.wire.at[j]), limit.n, limit.in)
			}
		}
	}
}

func TestApplyEndsWithTheContext(t *testing.T) {
	r := newRig(t, checkout())
	ctx, cancel := context.WithCancel(t.Context())
	r.wire.beforeWrite = cancel
	_, err := r.client.Apply(ctx, conclude)
	if !errors.Is(err, context.Canceled) || !fault.Is(err, fault.Transient) {
		t.Errorf("error = %v of class %v, want a transient one of the cancelled context", err, fault.Of(err))
	}
}

func TestAnswersThatAreNoRuleset(t *testing.T) {
	c := newClock()
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bytes.NewBufferString("<html>sign in</html>"))
	}))
	t.Cleanup(host.Close)
	client := optimizely.New(optimizely.Config{BaseURL: host.URL, Project: project, Environment: "production", Token: token}, host.Client(), c.Now, c.Wait)
	if _, err := client.Flag(t.Context(), "checkout"); err == nil || !strings.Contains(err.Error(), "check the base URL") {
		t.Errorf("error = %v, want advice about the base URL", err)
	}
}

func TestRollbackOfADeliveryStopsAtDrift(t *testing.T) {
	r := newRig(t, checkout())
	if _, err := r.client.Apply(t.Context(), conclude); err != nil {
		t.Fatal(err)
	}
	r.wire.beforeWrite = func() {
		r.patch(t, "checkout", `[{"op": "replace", "path": "/rules/one_page_delivery/percentage_included", "value": 5000}]`)
	}
	rollback := decide.Change{DecisionID: "d2", Flag: "checkout", Rule: "one_page", Action: decide.Rollback, Variant: "control"}
	if _, err := r.client.Apply(t.Context(), rollback); !fault.Is(err, fault.Conflict) {
		t.Errorf("error = %v, want a conflict", err)
	}
	f, err := r.client.Flag(t.Context(), "checkout")
	if err != nil || f.Rules[0].Included != 0.5 || f.Rules[0].Variants[0].Key != "treatment" {
		t.Errorf("flag = %+v, %v, want the other's change alone", f, err)
	}
}
