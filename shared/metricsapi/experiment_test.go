package metricsapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/dialect"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metricsapi"
)

type look struct {
	AsOf     string `json:"as_of"`
	Metric   string
	Status   string
	Withheld bool
	Effects  *struct {
		Effect   *float64
		Lift     *float64
		Interval []*float64 `json:"effect_interval"`
	}
}

func (r *rig) read(t *testing.T, target string, into any) {
	t.Helper()
	w := r.get(t, target)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		t.Fatal(err)
	}
}

func TestOneExperiment(t *testing.T) {
	var got struct {
		Verdict, Variant, Headline string
		AsOf                       string `json:"as_of"`
		Withheld                   []string
		Definition                 struct{ ID string }
		Results                    []look
		Checks                     []struct{ Name, Status string }
		Decisions                  []struct{ Verdict, Headline string }
		Registrations              []struct{ Registration string }
	}
	filled(t).read(t, "/experiments/one_page_checkout", &got)
	if got.Verdict != "running" || got.Variant != "treatment" || got.Headline != "Now" || got.AsOf != "2026-01-11" || len(got.Withheld) != 0 || got.Definition.ID != "one_page_checkout" ||
		len(got.Checks) != 1 || len(got.Decisions) != 2 || got.Decisions[0].Headline != "Go on" || len(got.Registrations) != 2 || got.Registrations[0].Registration != "aaaa" {
		t.Errorf("got %+v", got)
	}
	if len(got.Results) != 2 || got.Results[0].AsOf != "2026-01-11" || got.Results[1].Effects != nil || got.Results[1].Status != "insufficient" {
		t.Fatalf("results %+v", got.Results)
	}
	e := got.Results[0].Effects
	if e == nil || *e.Effect != 0.02 || e.Interval[0] != nil || *e.Interval[1] != 0.04 {
		t.Errorf("effects %+v", e)
	}
}

// A failed check withholds the result, everywhere: of the looks at which it failed, too.
func TestWithheldEffectsAreNotServed(t *testing.T) {
	r := filled(t)
	var one struct {
		Withheld []string
		Results  []look
	}
	r.read(t, "/experiments/new_navigation", &one)
	if len(one.Withheld) != 1 || one.Withheld[0] != "The arms are not as large as planned." || len(one.Results) != 1 || one.Results[0].Effects != nil || !one.Results[0].Withheld {
		t.Errorf("one: %+v", one)
	}
	var all struct{ Items []look }
	r.read(t, "/experiments/new_navigation/results", &all)
	var shown []string
	for _, l := range all.Items {
		if (l.Effects == nil) != l.Withheld {
			t.Errorf("%s: %+v", l.AsOf, l)
		}
		if !l.Withheld {
			shown = append(shown, l.AsOf)
		}
	}
	if len(all.Items) != 3 || !slices.Equal(shown, []string{"2026-01-09"}) {
		t.Errorf("%d looks, effects shown of %v, want those before the split failed", len(all.Items), shown)
	}
	r.block(t)
	r.read(t, "/experiments/new_navigation/results", &all)
	for _, l := range all.Items {
		if !l.Withheld {
			t.Errorf("%s is shown of a blocked experiment", l.AsOf)
		}
	}
	var list struct {
		Items []struct {
			ID, Verdict string
			Withheld    []string
		}
	}
	r.read(t, "/experiments?verdict=blocked", &list)
	if len(list.Items) != 1 || list.Items[0].ID != "new_navigation" || list.Items[0].Verdict != "blocked" || strings.Join(list.Items[0].Withheld, "") != "Too few in an arm." {
		t.Errorf("blocked: %+v", list.Items)
	}
}

func TestResultsAreFiltered(t *testing.T) {
	r := filled(t)
	for target, want := range map[string][]string{
		"":                                       {"2026-01-09 purchase_conversion_d3", "2026-01-09 returned_d1_d4", "2026-01-10 purchase_conversion_d3", "2026-01-10 returned_d1_d4", "2026-01-11 purchase_conversion_d3", "2026-01-11 returned_d1_d4"},
		"?from=2026-01-10&to=2026-01-11":         {"2026-01-10 purchase_conversion_d3", "2026-01-10 returned_d1_d4"},
		"?metric=returned_d1_d4&from=2026-01-10": {"2026-01-10 returned_d1_d4", "2026-01-11 returned_d1_d4"},
		"?variant=control":                       nil, // a control is compared with nothing
	} {
		var page struct{ Items []look }
		r.read(t, "/experiments/one_page_checkout/results"+target, &page)
		var got []string
		for _, l := range page.Items {
			got = append(got, l.AsOf+" "+l.Metric)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

// asked keeps the SQL that runs.
type asked struct {
	lake.Engine
	sql chan string
}

func (a asked) Query(ctx context.Context, sql string) (lake.Result, error) {
	a.sql <- sql
	return a.Engine.Query(ctx, sql)
}

func TestItsSQLRunsOnAthenaToo(t *testing.T) {
	r := filled(t)
	sql := make(chan string, 100)
	r.source.Engine = asked{r.warehouse, sql}
	for _, target := range []string{"/metrics/orders/values?from=2026-01-01&to=2026-01-08&by=device", "/experiments", "/experiments/gift_wrap", "/experiments/gift_wrap/results?from=2026-01-01&to=2026-02-01"} {
		if w := r.get(t, target); w.Code != http.StatusOK {
			t.Fatalf("%s: %s", target, w.Body)
		}
	}
	close(sql)
	n := 0
	for text := range sql {
		n++
		if found := dialect.Check(text); found != nil {
			t.Errorf("%s\n%v", text, found)
		}
	}
	if n != 1+2+4+3 {
		t.Errorf("%d queries", n)
	}
}

func TestWhoIsLetIn(t *testing.T) {
	r := filled(t)
	type caller struct{}
	signed := r.config
	signed.Signed = func(ctx context.Context) (string, bool) { who, ok := ctx.Value(caller{}).(string); return who, ok }
	signed.Keys = func(context.Context) (map[string]string, error) {
		return nil, fault.New(fault.Transient, "the secret is away")
	}
	r.Handler = metricsapi.New(signed)
	if w := r.ask(t, http.MethodGet, "/metrics"); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("nobody: %d %v", w.Code, w.Header())
	}
	if w := r.get(t, "/metrics"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a key that cannot be checked: %d", w.Code)
	}
	letIn := r.Handler
	r.Handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		letIn.ServeHTTP(w, q.WithContext(context.WithValue(q.Context(), caller{}, "arn:aws:iam::1:role/analyst")))
	})
	if w := r.ask(t, http.MethodGet, "/metrics"); w.Code != http.StatusOK {
		t.Errorf("who signed: %d %s", w.Code, w.Body)
	}
	for err, want := range map[error]int{
		fault.New(fault.NotFound, "secret text"): http.StatusUnauthorized, fault.New(fault.Invalid, "secret text"): http.StatusInternalServerError,
		errors.New("secret text"): http.StatusInternalServerError,
	} {
		without := r.config
		without.Keys = func(context.Context) (map[string]string, error) { return nil, err }
		r.Handler = metricsapi.New(without)
		if w := r.get(t, "/metrics"); w.Code != want || strings.Contains(w.Body.String(), "secret text") {
			t.Errorf("keys that are %v: %d %s", fault.Of(err), w.Code, w.Body)
		}
	}
	if w := r.ask(t, http.MethodGet, "/openapi.json"); w.Code != http.StatusOK {
		t.Errorf("the contract: %d", w.Code)
	}
}
