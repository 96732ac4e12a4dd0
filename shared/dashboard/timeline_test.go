package dashboard_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/lake"
	"verdict/shared/restate"
)

// proposed is the fixture with the objects that decisions are, so that they can be answered.
func proposed(t *testing.T) (*published, rows, decide.Decision) {
	t.Helper()
	r := simulate(defined(t))
	i := slices.IndexFunc(r.decisions, func(d decide.Decision) bool { return d.ExperimentID == "three_arms" && d.Action != "" })
	shown := publish(t, r).(*published)
	body, err := json.Marshal(r.decisions[i])
	if err != nil {
		t.Fatal(err)
	}
	if err := shown.store.Put(t.Context(), "decisions/three_arms/0000.json", body, lake.Create); err != nil {
		t.Fatal(err)
	}
	return shown, r, r.decisions[i]
}

func TestAnAnswerIsShownAtOnce(t *testing.T) {
	for answer, wants := range map[decide.Answer]struct{ page, list []string }{
		decide.Approved: {
			[]string{"Will give next_day to everybody on flag FLAG, as anna approved: not applied yet", "Proposed 23 Jan 2026 04:03 UTC", "✓ Approved by anna 24 Jan 2026 09:30 UTC"},
			[]string{"The rollout change is not applied yet", "3 need attention"},
		},
		decide.Rejected: {
			[]string{"The rollout stays as it is: anna rejected to give next_day to everybody", "✗ Rejected by anna 24 Jan 2026 09:30 UTC", "concluded: change rejected"},
			[]string{"2 need attention"},
		},
	} {
		t.Run(string(answer), func(t *testing.T) {
			shown, _, d := proposed(t)
			h := handler(t, shown)
			mustRead(t, words(get(t, h, "/experiments/three_arms")), "Proposes to give next_day to everybody on flag "+d.Flag+", and waits for a person.", "Proposed 23 Jan 2026 04:03 UTC")
			approvals := decide.Approvals{Objects: shown.store, Experiments: defined(t), Now: today}
			if _, err := approvals.Give(t.Context(), d.ExperimentID, d.ID, answer, "anna"); err != nil {
				t.Fatal(err)
			}
			page := words(get(t, h, "/experiments/three_arms"))
			mustRead(t, strings.ReplaceAll(page, "flag "+d.Flag, "flag FLAG"), wants.page...)
			if strings.Contains(page, "waits for a person") {
				t.Error("an answered proposal waits for a person")
			}
			mustRead(t, words(get(t, h, "/")), wants.list...)
		})
	}
}

func TestAProposalThatNobodyAnsweredInTimeSaysSo(t *testing.T) {
	r := simulate(defined(t))
	last := r.decisions[len(r.decisions)-1]
	last.ID, last.Verdict, last.Action, last.AsOf, last.DecidedAt = "later", decide.Stop, "", "2026-01-24", today()
	r.decisions = append(r.decisions, last)
	mustRead(t, words(get(t, handler(t, publish(t, r)), "/experiments/three_arms")), "Proposed to give next_day to everybody on flag", "Another decision came before anybody answered.")
}

func TestAnApprovedRampSaysWhatItLetIn(t *testing.T) {
	r := simulate(defined(t))
	d := &r.decisions[len(r.decisions)-1]
	d.Verdict, d.Action, d.Included = decide.Running, decide.Ramp, 0.25
	d.Answer, d.AnsweredBy, d.AnsweredAt, d.AppliedAt = decide.Approved, "U02ANNA", today(), today().Add(time.Minute)
	mustRead(t, words(get(t, handler(t, publish(t, r)), "/experiments/three_arms")),
		"Done on 24 Jan 2026 09:31 UTC: let 25% of users take part on flag", "✓ Approved by U02ANNA 24 Jan 2026 09:30 UTC Done 24 Jan 2026 09:31 UTC")
}

func restated(d decide.Decision, would decide.Verdict) restate.Restatement {
	return restate.Restatement{
		DecisionID: d.ID, ExperimentID: d.ExperimentID, AsOf: d.AsOf, Verdict: d.Verdict, Variant: d.Variant, Would: would, Flipped: would != d.Verdict,
		Units: 30000, RestatedUnits: 31250, Headline: "With the events that came late, the decision would have been: extend",
		Reasons:   []decide.Reason{{Code: "undecided", Text: "No goal metric is significantly better yet. " + hostile}},
		Estimates: []restate.Estimate{{Metric: "Purchase conversion, 3 days", Variant: "treatment", Was: "+11.8 %", Is: "+4.1 %"}},
		Days:      []string{"2026-01-17", "2026-01-18"}, RestatedAt: today(),
	}
}

func TestLateEventsStandBesideTheDecisionTheyConcern(t *testing.T) {
	r := simulate(defined(t))
	i := slices.IndexFunc(r.decisions, func(d decide.Decision) bool { return d.Verdict == decide.Ship })
	shipped := r.decisions[i]
	t.Run("flipped", func(t *testing.T) {
		r.restatements = []restate.Restatement{restated(shipped, decide.Extend)}
		h := handler(t, publish(t, r))
		page := get(t, h, shippedPage)
		mustRead(t, words(page), "Late events would have made another decision With the events that came late, the decision would have been: extend. Nothing is undone",
			"Late events would have made another decision: Extend", "Events of 17 Jan 2026 to 18 Jan 2026 (2 days) came late: 30,000 units when it was taken, 31,250 as of 24 Jan 2026 09:30 UTC",
			"Purchase conversion, 3 days treatment +11.8 % +4.1 %")
		_, entry, _ := strings.Cut(page.Body.String(), "Decision timeline")
		if late, id := strings.Index(entry, `id="late-`+shipped.ID), strings.Index(entry, "<code>"+shipped.ID+"</code>"); late < 0 || late > id {
			t.Errorf("the restatement stands at %d, its decision ends at %d", late, id)
		}
		if strings.Contains(page.Body.String(), "<script") {
			t.Error("hostile text becomes markup")
		}
		mustRead(t, words(get(t, h, "/")), "Late events would have made another decision", "4 need attention")
		var got struct{ Restatements []restate.Restatement }
		if err := json.Unmarshal(get(t, h, shippedPage+".json").Body.Bytes(), &got); err != nil || len(got.Restatements) != 1 || got.Restatements[0].Would != decide.Extend {
			t.Errorf("got %+v, %v", got, err)
		}
		if w := get(t, h, "/experiments/gift_wrap"); w.Code != http.StatusOK || strings.Contains(words(w), "Late events") {
			t.Error("another experiment's page shows the restatement")
		}
	})
	t.Run("not flipped", func(t *testing.T) {
		r.restatements = []restate.Restatement{restated(shipped, decide.Ship)}
		h := handler(t, publish(t, r))
		text := words(get(t, h, shippedPage))
		mustRead(t, text, "Late events leave this decision as it is")
		if strings.Contains(text, "another decision") || strings.Contains(words(get(t, h, "/")), "Late events") {
			t.Error("a decision that stands calls for attention")
		}
	})
}

// answered is the fixture after people answered, and after late events.
func answered(t *testing.T) rows {
	t.Helper()
	r := simulate(defined(t))
	for i, d := range r.decisions {
		if d.Verdict != decide.Running {
			r.restatements = append(r.restatements, restated(d, decide.Extend))
		}
		if d.ExperimentID == "three_arms" && d.Action != "" {
			r.decisions[i].Answer, r.decisions[i].AnsweredBy, r.decisions[i].AnsweredAt = decide.Approved, "anna", today()
		}
	}
	return r
}

// Decisions on days that follow each other would write over each other.
func TestWordsInADrawingKeepApart(t *testing.T) {
	r := simulate(defined(t))
	for day, verdict := range map[int]decide.Verdict{8: decide.Running, 9: decide.Extend} {
		d := r.decisions[0]
		d.ID, d.ExperimentID, d.Verdict = string(verdict), "cart_service_rewrite", verdict
		d.AsOf = defined(t)[0].Start.AddDate(0, 0, day).Format(time.DateOnly)
		r.decisions = append(r.decisions, d)
	}
	body := get(t, handler(t, publish(t, r)), "/experiments/cart_service_rewrite").Body.String()
	drawing, _, _ := strings.Cut(body[strings.Index(body, `<svg class="trend`)+1:], "</svg>")
	var words []string
	for _, m := range regexp.MustCompile(`<text class="word"[^>]*>([^<]*)`).FindAllStringSubmatch(drawing, -1) {
		words = append(words, m[1])
	}
	if !slices.Equal(words, []string{"", "", "Extend"}) || strings.Count(drawing, `<line class="decision"`) != 3 {
		t.Errorf("three decisions on days 7 to 9 are worded %q", words)
	}
}

const shippedPage = "/experiments/one_page_checkout"

// What axe looks for in what these pages add: headings that skip no level, header cells with a scope, and scrolling
// regions that the keyboard reaches and that have names of their own. `make test-board` asks axe itself.
func TestMarkupForThoseWhoListen(t *testing.T) {
	h := handler(t, publish(t, answered(t)))
	for _, path := range []string{"/", shippedPage, "/experiments/urgency_banner", "/experiments/three_arms", "/pipeline", "/identity"} {
		body := get(t, h, path).Body.String()
		level := 0
		for _, m := range regexp.MustCompile(`<h([1-6])[ >]`).FindAllStringSubmatch(body, -1) {
			if now := int(m[1][0] - '0'); now > level+1 {
				t.Errorf("%s: a heading of level %d follows one of level %d", path, now, level)
			} else {
				level = now
			}
		}
		for _, th := range regexp.MustCompile(`<th[ >][^>]*`).FindAllString(body, -1) {
			if !strings.Contains(th, "scope=") {
				t.Errorf("%s: a header cell has no scope: %s", path, th)
			}
		}
		names := map[string]bool{}
		for _, region := range regexp.MustCompile(`<div class="scroll"[^>]*`).FindAllString(body, -1) {
			if !strings.Contains(region, `tabindex="0"`) || !strings.Contains(region, "aria-label=") || names[region] {
				t.Errorf("%s: a region cannot be reached or told apart: %s", path, region)
			}
			names[region] = true
		}
	}
}
