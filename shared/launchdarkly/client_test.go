package launchdarkly_test

import (
	"bytes"
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
	return http.DefaultTransport.RoundTrip(r)
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

var _ = bytes.NewReader
var _ = cmp.Diff
var _ = fmt.Sprint
var _ = decide.Conclude
var _ = fault.Conflict
