package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/fault"
)

func get(tb testing.TB, h http.Handler, path string) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, path, nil))
	return w
}

// words is what a reader sees of a page: its text without tags and style, white space folded.
func words(w *httptest.ResponseRecorder) string {
	body := regexp.MustCompile(`(?s)<style>.*?</style>|<title>[^<]*</title>`).ReplaceAllString(w.Body.String(), " ")
	text := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " "))
	return strings.Join(strings.Fields(text), " ")
}

func mustRead(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("a reader does not find %q", want)
		}
	}
}

func TestListPutsFirstWhatNeedsAttention(t *testing.T) {
	page := get(t, handler(t, publish(t, simulate(defined(t)))), "/")
	text := words(page)
	mustRead(t, text, "7 experiments: 3 need attention , 1 collecting, 1 waiting, 2 concluded.", "Results as of 24 Jan 2026",
		"Blocked", "Withheld: its validity is in doubt", "✗ Sample ratio", "Ship next_day", "Mode is propose: the change waits for you",
		"Results are 4 days behind", "Roll back", "Undecided since 6 Jan 2026", "Day 19 of 21", "38,306 of 50,000 units", "Starts 1 Feb 2026", "Purchase conversion, 3 days, same_day")
	var got []string
	for _, m := range regexp.MustCompile(`<a href="/experiments/([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		got = append(got, m[1])
	}
	want := []string{"cart_service_rewrite", "three_arms", "gift_wrap", "new_navigation", "next_week", "one_page_checkout", "urgency_banner"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheListIsFiltered(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	for query, want := range map[string][]string{
		"q=banner":                       {"urgency_banner"},
		"q=BANNER+roll_back":             {"urgency_banner"},
		"q=banner+ship":                  nil,
		"show=concluded":                 {"one_page_checkout", "urgency_banner"},
		"show=concluded&q=fewer+revenue": {"one_page_checkout"},
		"show=waiting":                   {"next_week"},
		"q=%3Cscript%3E%22nothing":       nil,
	} {
		t.Run(query, func(t *testing.T) {
			page := get(t, h, "/?"+query)
			var got []string
			for _, m := range regexp.MustCompile(`<a href="/experiments/([^"]*)"`).FindAllStringSubmatch(page.Body.String(), -1) {
				got = append(got, m[1])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(page.Body.String(), "<script") {
				t.Error("what was asked for becomes markup")
			}
			if want == nil {
				mustRead(t, words(page), "No experiment matches")
			}
		})
	}
}

func TestExperimentPage(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	for name, c := range map[string]struct {
		id     string
		wants  []string
		within []string // of the source: drawings
	}{
		"shipped": {"one_page_checkout", []string{
			"Hypothesis. Fewer steps in the checkout", "concluded: shipped", "Decision of 19 Jan 2026: Ship treatment",
			"No later look changed the verdict; the latest is that of 24 Jan 2026.", "Traffic", "Revenue per user, 3 days: shown not to be worse by 10%.", "Done on 19 Jan 2026 04:03 UTC: give treatment to everybody on flag checkout.",
			"Flag platform revision 18", "What was sent to the flag platform", "Better", "Within margin", "1,234.50", "8.73%", "< 0.0001", "> 99.9%",
			"margin −10%", "anytime-valid 99% interval: holds however often you look", "✓ Pass", "fails below p = 0.001", "34 of 48,498 units saw more than one variant.",
			"Alpha 0.01", "Minimum detectable effect 8%", "26 Jan 2026 (21 days)", "Decision timeline", "Day 1 of 21; no ship before day 14.",
		}, []string{`<line class="margin"`, `<polygon class="band"`, `<line class="decision"`, `aria-label="Purchase conversion, 3 days, treatment: lift +`}},
		"blocked": {"cart_service_rewrite", []string{
			"✗ Do not read the effects below Sample ratio mismatch: p < 0.0001 is below 0.001.", "✗ Fail", "p < 0.0001", "once in a billion",
		}, []string{`<section class="card greyed">`}},
		"unbounded and insufficient": {
			"new_navigation",
			[]string{", unbounded]", "insufficient No unit has a complete window yet.", "collecting", "Undetermined"},
			[]string{`<polygon class="arrow"`},
		},
		"rolled back": {"urgency_banner", []string{"Roll back", "Violated", "give everybody the control on flag banner", "concluded: rolled back"}, nil},
		"three arms":  {"three_arms", []string{"Ship next_day", "same_day", "Proposes to give next_day to everybody on flag gift_wrap, and waits for a person."}, nil},
		"not started": {"next_week", []string{"not started", "No decision yet", "No results yet. To get some: bin/verdict evaluate"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			page := get(t, h, "/experiments/"+c.id)
			if page.Code != http.StatusOK {
				t.Fatalf("status %d", page.Code)
			}
			mustRead(t, words(page), c.wants...)
			mustRead(t, html.UnescapeString(page.Body.String()), c.within...)
			for _, never := range []string{"NaN", "Inf", "ZgotmplZ", "%!"} {
				if strings.Contains(page.Body.String(), never) {
					t.Errorf("the page says %s", never)
				}
			}
		})
	}
}

func TestResultsOfAnOlderDefinitionSaySo(t *testing.T) {
	r := simulate(defined(t))
	for i := range r.results {
		r.results[i].Definition = "0123456789abcdef"
	}
	mustRead(t, words(get(t, handler(t, publish(t, r)), "/experiments/new_navigation")),
		"The definition changed after these results", "0123456789abcdef")
}

func TestAFailedCheckWithholdsBeforeADecisionSaysSo(t *testing.T) {
	r := rows{
		results: []evaluate.Result{{ExperimentID: "gift_wrap", Metric: "purchase_conversion_d3", Label: "Purchase conversion", Role: "goal", Variant: "treatment", Status: "ok", Lift: 0.5, AsOf: "2026-01-24"}},
		checks:  []evaluate.Check{{ExperimentID: "gift_wrap", Name: "multiple_exposure", Status: "fail", Value: 0.2, Threshold: 0.01, Detail: "A fifth saw both.", AsOf: "2026-01-24"}},
	}
	h := handler(t, publish(t, r))
	list := words(get(t, h, "/"))
	mustRead(t, list, "Withheld: its validity is in doubt", "fact_decision")
	if strings.Contains(list, "+50") {
		t.Error("the list shows a lift nobody should read")
	}
	mustRead(t, words(get(t, h, "/experiments/gift_wrap")), "Do not read the effects below A fifth saw both.", "20.00%", "No results yet for revenue_per_user_d3")
}

func TestHostileTextStaysText(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	for _, path := range []string{"/", "/experiments/urgency_banner", "/experiments/next_week", "/experiments/" + "%3Cscript%3Ealert(%22x%22)%3C%2Fscript%3E"} {
		body := get(t, h, path).Body.String()
		if !strings.Contains(body, "&lt;script&gt;alert(") {
			t.Errorf("%s does not show the hostile text", path)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<img") {
			t.Errorf("%s lets hostile text become markup", path)
		}
	}
}

func TestNothingIsPublishedYet(t *testing.T) {
	h := handler(t, publish(t, rows{}))
	for _, path := range []string{"/", "/experiments/gift_wrap"} {
		mustRead(t, words(get(t, h, path)), "Not published yet:", "fact_experiment_results", "fact_decision", "To get there: bin/verdict evaluate")
	}
	t.Run("on Athena", func(t *testing.T) {
		missing := broken{fault.New(fault.Invalid, "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.verdict.fact_decision' does not exist")}
		mustRead(t, words(get(t, handler(t, missing), "/")), "Not published yet:")
	})
}

func TestFailures(t *testing.T) {
	const secret = "the warehouse said: secret"
	for name, c := range map[string]struct {
		err    error
		path   string
		status int
		kind   string
		want   string
	}{
		"unknown page":               {nil, "/nowhere", 404, "text/html", "There is no page /nowhere."},
		"unknown experiment":         {nil, "/experiments/nope", 404, "text/html", "gift_wrap"},
		"unknown experiment in JSON": {nil, "/experiments/nope.json", 404, "application/problem+json", `"detail":"There is no experiment nope."`},
		"unknown endpoint":           {nil, "/api/nope", 404, "application/problem+json", `"status":404`},
		"busy engine":                {fault.New(fault.Transient, secret), "/", 503, "text/html", "Try again in a moment"},
		"broken query":               {fault.New(fault.Invalid, secret), "/experiments/gift_wrap", 500, "text/html", "under reference"},
		"broken engine in JSON":      {errors.New(secret), "/api/experiments", 500, "application/problem+json", `"title":"Internal Server Error"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := get(t, handler(t, broken{c.err}), c.path)
			if got.Code != c.status || !strings.HasPrefix(got.Header().Get("Content-Type"), c.kind) {
				t.Errorf("got %d %s, want %d %s", got.Code, got.Header().Get("Content-Type"), c.status, c.kind)
			}
			mustRead(t, got.Body.String(), c.want)
			if strings.Contains(got.Body.String(), secret) {
				t.Error("the answer shows the text of an internal error")
			}
			if again := got.Header().Get("Retry-After"); (again != "") != (c.status == 503) {
				t.Errorf("Retry-After is %q", again)
			}
		})
	}
}

func TestALeftClientIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	handler(t, broken{context.Canceled}).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	if w.Body.Len() != 0 {
		t.Errorf("got an answer: %s", w.Body)
	}
}

func TestEveryAnswerForbidsScripts(t *testing.T) {
	h := handler(t, publish(t, rows{}))
	for _, path := range []string{"/", "/experiments/gift_wrap", "/experiments/gift_wrap.json", "/nowhere", "/healthz"} {
		got := get(t, h, path).Header()
		policy := got.Get("Content-Security-Policy")
		mustRead(t, policy, "default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'")
		if strings.Contains(policy, "script-src") || strings.Contains(policy, "unsafe") || got.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, got)
		}
	}
}

func TestHealthz(t *testing.T) {
	got := get(t, handler(t, broken{errors.New("away")}), "/healthz")
	if got.Code != http.StatusOK || got.Body.String() != "ok\n" {
		t.Errorf("got %d %q", got.Code, got.Body)
	}
}

func TestJSON(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	decode := func(t *testing.T, path string, into any) {
		t.Helper()
		got := get(t, h, path)
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: got %d %s", path, got.Code, got.Header().Get("Content-Type"))
		}
		if err := json.Unmarshal(got.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("list", func(t *testing.T) {
		var got struct {
			Experiments []struct {
				ID, Verdict, Attention, Detail string
				Withheld                       []string
				Units                          int64
			}
		}
		decode(t, "/api/experiments", &got)
		first := got.Experiments[0]
		if len(got.Experiments) != 7 || first.ID != "cart_service_rewrite" || first.Verdict != string(decide.Blocked) ||
			len(first.Withheld) != 1 || first.Units != 38306 || first.Detail != "/experiments/cart_service_rewrite.json" {
			t.Errorf("got %d experiments, first %+v", len(got.Experiments), first)
		}
	})
	t.Run("detail", func(t *testing.T) {
		var got struct {
			DefinitionHash string `json:"definition_hash"`
			Definition     struct{ ID string }
			Decisions      []struct {
				Verdict   string
				AppliedAt time.Time `json:"applied_at"`
				Reasons   []decide.Reason
			}
			Results, History []struct {
				Metric       string
				LiftInterval [2]*float64 `json:"lift_interval"`
			}
		}
		decode(t, "/experiments/new_navigation.json", &got)
		if len(got.Results) != 4 || len(got.History) != 4*19 || len(got.Decisions) != 1 || len(got.Decisions[0].Reasons) != 2 {
			t.Fatalf("got %d results, %d in history, %d decisions", len(got.Results), len(got.History), len(got.Decisions))
		}
		if got.Definition.ID != "new_navigation" || len(got.DefinitionHash) != 16 {
			t.Errorf("got definition %+v with hash %q", got.Definition, got.DefinitionHash)
		}
		returned := got.Results[2]
		if returned.Metric != "returned_d1_d4" || returned.LiftInterval[0] == nil || returned.LiftInterval[1] != nil {
			t.Errorf("an unbounded side is not null: %+v", returned)
		}
	})
}
