package metricsapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/experiment"
	"verdict/shared/metric"
	"verdict/shared/metricsapi"
)

// page is a page of anything.
type page struct {
	Items []json.RawMessage `json:"items"`
	Next  *string           `json:"next"`
}

func (r *rig) page(t *testing.T, target string) page {
	t.Helper()
	w := r.get(t, target)
	var p page
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s %v", target, w.Code, w.Body, err)
	}
	link := ""
	if p.Next != nil {
		link = "<" + *p.Next + `>; rel="next"`
	}
	if got := w.Header().Get("Link"); got != link {
		t.Errorf("%s: Link is %s, next is %s", target, got, link)
	}
	return p
}

// rows spells the rows of a page.
func rows(items []json.RawMessage) string {
	var out strings.Builder
	for _, i := range items {
		out.Write(append(i, '\n'))
	}
	return out.String()
}

func TestValues(t *testing.T) {
	r := filled(t)
	for name, c := range map[string]struct{ target, want string }{
		"by day": {"/metrics/orders/values?from=2026-01-02&to=2026-01-04", `
{"period":"2026-01-02","dimensions":{},"value":3}
{"period":"2026-01-03","dimensions":{},"value":4}
`},
		"split, in one period": {"/metrics/orders/values?from=2026-01-01&to=2026-01-04&grain=total&by=device,currency", `
{"period":null,"dimensions":{"currency":null,"device":"desktop"},"value":3}
{"period":null,"dimensions":{"currency":"EUR","device":"mobile"},"value":6}
`},
		"money, by week from Monday": {"/metrics/revenue/values?from=2026-01-04&to=2026-01-08&grain=week", `
{"period":"2025-12-29","dimensions":{},"value":52.5}
{"period":"2026-01-05","dimensions":{},"value":220.5}
`},
		"filtered": {"/metrics/orders/values?from=2026-01-01&to=2026-02-01&grain=month&filter=device:desktop", `
{"period":"2026-01-01","dimensions":{},"value":10}
`},
		"either, and": {"/metrics/orders/values?from=2026-01-01&to=2026-01-03&grain=total&filter=device:desktop&filter=device:mobile&filter=currency:EUR", `
{"period":null,"dimensions":{},"value":3}
`},
		"a value with a colon": {"/metrics/orders/values?from=2026-01-01&to=2026-01-03&filter=device:a:b", "\n"},
		"a value that is SQL":  {"/metrics/orders/values?from=2026-01-01&to=2026-01-03&filter=" + url.QueryEscape("device:x' or '1' = '1"), "\n"},
		"a ratio, with its parts": {"/metrics/average_order_value_d3/values?from=2026-01-01&to=2026-01-03&grain=total", `
{"period":null,"dimensions":{},"value":10.5,"numerator":52.5,"denominator":5}
`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, "\n"+rows(r.page(t, c.target).Items)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheAnswerSaysWhatItAnswers(t *testing.T) {
	w := filled(t).get(t, "/metrics/orders/values?from=2026-01-05&to=2026-01-31&by=device&filter=device:mobile")
	var got struct {
		Query struct {
			Grain, Status, Through, SQL string
			By                          []string
			Filters                     []struct{ Dimension, Value string }
			Hash                        string `json:"definition_hash"`
			Bytes                       int64
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	q := got.Query
	if q.Grain != "day" || q.Status != "certified" || q.Through != "2026-01-10" || !strings.HasPrefix(q.SQL, "select") || q.Bytes <= 0 || len(q.Hash) != 16 ||
		fmt.Sprint(q.By, q.Filters) != "[device] [{device mobile}]" {
		t.Errorf("%s", w.Body)
	}
}

// Whatever the size of a page, and whatever is listed, pages make one whole.
func TestPagesMakeTheWhole(t *testing.T) {
	r := filled(t)
	for _, target := range []string{
		"/metrics?", "/dimensions?", "/experiments?", "/experiments/one_page_checkout/results?",
		"/metrics/orders/values?from=2026-01-01&to=2026-02-01&by=device,currency&filter=device:mobile&filter=device:desktop&",
	} {
		whole := r.page(t, strings.TrimRight(target, "?&"))
		if whole.Next != nil || len(whole.Items) < 2 {
			t.Fatalf("%s: %d items, next %v", target, len(whole.Items), whole.Next)
		}
		for _, limit := range []int{1, 2, len(whole.Items) - 1, len(whole.Items)} {
			var all []json.RawMessage
			for next := fmt.Sprint(target, "limit=", limit); ; {
				p := r.page(t, next)
				if len(p.Items) > limit || len(p.Items) == 0 {
					t.Fatalf("%s has %d items", next, len(p.Items))
				}
				all = append(all, p.Items...)
				if p.Next == nil {
					break
				}
				next = strings.TrimPrefix(*p.Next, metricsapi.Base)
			}
			if diff := cmp.Diff(rows(whole.Items), rows(all)); diff != "" {
				t.Errorf("%s in pages of %d:\n%s", target, limit, diff)
			}
		}
	}
}

func TestAPageOfLongTextsEndsEarly(t *testing.T) {
	r := filled(t)
	r.wide(t)
	const target = "/metrics/product_views/values?from=2026-01-15&to=2026-01-16&by=page_type"
	first := r.get(t, target)
	p := r.page(t, target)
	if size := first.Body.Len(); len(p.Items) == 0 || len(p.Items) >= wideRows || p.Next == nil || size < 3<<20 || size > 5<<20 {
		t.Fatalf("%d items of %d, %d bytes", len(p.Items), wideRows, size)
	}
	rest := r.page(t, strings.TrimPrefix(*p.Next, metricsapi.Base))
	if len(p.Items)+len(rest.Items) != wideRows {
		t.Errorf("%d and %d items, want %d", len(p.Items), len(rest.Items), wideRows)
	}
}

// A page of other data is no continuation.
func TestACursorHoldsForOneVersion(t *testing.T) {
	r := filled(t)
	next := func(target string) string { return strings.TrimPrefix(*r.page(t, target).Next, metricsapi.Base) }
	values := next("/metrics/orders/values?from=2026-01-01&to=2026-01-08&limit=2")
	results := next("/experiments/one_page_checkout/results?limit=2")
	list := next("/experiments?limit=2")
	for _, target := range []string{values, results, list} {
		if w := r.get(t, target); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := r.get(t, strings.Replace(values, "orders", "revenue", 1)); w.Code != http.StatusConflict {
		t.Errorf("another metric's cursor: %d", w.Code)
	}
	r.day(t, 9, "2")
	if w := r.get(t, values); w.Code != http.StatusOK {
		t.Errorf("a day that was not asked for was made anew: %d %s", w.Code, w.Body)
	}
	r.day(t, 5, "3")
	r.decide(t, "2", "ship")
	for _, target := range []string{values, results, list} {
		if w := r.get(t, target); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "stale-cursor") {
			t.Errorf("%s: after a change got %d %s", target, w.Code, w.Body)
		}
	}
}

// 304 must need no query, and must end when the answer does.
func TestAnETagFollowsTheAnswer(t *testing.T) {
	r := filled(t)
	const values, one, list = "/metrics/orders/values?from=2026-01-01&to=2026-01-08", "/experiments/one_page_checkout", "/experiments"
	tags := map[string]string{}
	for _, target := range []string{values, one, list} {
		tags[target] = r.get(t, target).Header().Get("ETag")
	}
	engine := r.source.Engine
	r.source.Engine = broken{engine, errors.New("asked")}
	for target, tag := range tags {
		if w := r.get(t, target, "If-None-Match", tag); w.Code != http.StatusNotModified || w.Header().Get("ETag") != tag {
			t.Errorf("%s: got %d", target, w.Code)
		}
	}
	r.source.Engine = engine
	r.day(t, 3, "2")
	r.decide(t, "2", "ship")
	for target, tag := range tags {
		if w := r.get(t, target, "If-None-Match", tag); w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
			t.Errorf("%s: after a change got %d, ETag %s", target, w.Code, tag)
		}
	}
}

func TestWhatBreaksTheContractIs400AndWhatHasNoAnswer422(t *testing.T) {
	r := filled(t)
	const days = "from=2026-01-01&to=2026-01-08"
	for name, c := range map[string]struct {
		target    string
		status    int
		parameter string
		says      string
	}{
		"no first day":      {"/metrics/orders/values?to=2026-01-08", 400, "from", "from must be a day"},
		"no day":            {"/metrics/orders/values?from=2026-02-30&to=2026-03-08", 400, "from", "from must be a day"},
		"a moment":          {"/metrics/orders/values?from=2026-01-01&to=2026-01-08T00:00:00Z", 400, "to", "to must be a day"},
		"grain":             {"/metrics/orders/values?grain=hour&" + days, 400, "grain", "day or week or month or total"},
		"misspelt":          {"/metrics/orders/values?dimension=device&" + days, 400, "dimension", "there are: from, to, grain, by, filter, limit, cursor"},
		"twice":             {"/metrics/orders/values?from=2026-01-02&" + days, 400, "from", "from stands 2 times"},
		"limit":             {"/metrics/orders/values?limit=10001&" + days, 400, "limit", "from 1 to 10000"},
		"no limit":          {"/metrics?limit=0", 400, "limit", "from 1 to 1000"},
		"no filter":         {"/metrics/orders/values?filter=mobile&" + days, 400, "filter", "dimension:value"},
		"no text":           {"/metrics/orders/values?filter=device:%ff&" + days, 400, "filter", "UTF-8"},
		"no query":          {"/metrics/orders/values?from=%zz", 400, "", "cannot be read"},
		"status":            {"/metrics?status=good", 400, "status", "certified or draft or deprecated"},
		"verdict":           {"/experiments?verdict=good", 400, "verdict", "running or ship"},
		"look":              {"/experiments/gift_wrap/results?from=today", 400, "from", "from must be a day"},
		"no such dimension": {"/metrics/orders/values?by=color&" + days, 404, "", "there is no dimension color"},
		"no such metric of": {"/experiments/gift_wrap/results?metric=orders", 404, "", "gift_wrap has no metric orders"},
		"no such variant":   {"/experiments/gift_wrap/results?variant=blue", 404, "", "gift_wrap has no variant blue"},
		"backwards":         {"/metrics/orders/values?from=2026-01-08&to=2026-01-01", 422, "", "must lie before"},
		"years":             {"/metrics/orders/values?from=2020-01-01&to=2026-01-01", 422, "", "731"},
		"dimension twice":   {"/metrics/orders/values?by=device,device&" + days, 422, "", "stands twice"},
		"control character": {"/metrics/orders/values?filter=device:%00&" + days, 422, "", "control characters"},
		"not by period":     {"/metrics/active_days_d3/values?" + days, 422, "", "see its experiments"},
		"a funnel":          {"/metrics/checkout_funnel_d3/values?" + days, 422, "", "or by period for product_views, checkouts, orders"},
		"a quantile":        {"/metrics/order_value_p90_d3/values?" + days, 422, "", "or by period for revenue"},
		"a time to event":   {"/metrics/days_to_purchase_d3/values?" + days, 422, "", "or by period for orders"},
	} {
		t.Run(name, func(t *testing.T) {
			w := r.get(t, c.target)
			var p struct{ Title, Detail, Parameter string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Parameter != c.parameter || !strings.Contains(p.Detail, c.says) || p.Title != http.StatusText(c.status) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	t.Run("too much", func(t *testing.T) {
		r.source.MaxBytes = 10
		if w := r.get(t, "/metrics/orders/values?"+days); w.Code != 422 || !strings.Contains(w.Body.String(), "ask for fewer days") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
	t.Run("an empty lake", func(t *testing.T) {
		empty := open(t)
		if w := empty.get(t, "/metrics/orders/values?"+days); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "fact_event") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		for _, target := range []string{"/metrics", "/experiments", "/experiments/gift_wrap", "/experiments/gift_wrap/results"} {
			if w := empty.get(t, target); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
}

// What has no values by period says so wherever it is listed, and points to what does: every address there answers.
func TestWhatHasNoValuesByPeriodSaysWhatToAskInstead(t *testing.T) {
	r := filled(t)
	p := *r.config.Project
	e := *p.Experiments[0]
	e.Metrics = append([]experiment.Metric{{Name: "order_value_p90_d3", Role: experiment.Secondary}}, e.Metrics...)
	p.Experiments = []*experiment.Experiment{&e}
	r.config.Project = &p
	r.Handler = metricsapi.New(r.config)
	listed := map[string]string{}
	for _, item := range r.page(t, "/metrics").Items {
		var m struct {
			Name, Why string
			Queryable bool
		}
		if err := json.Unmarshal([]byte(strings.Replace(string(item), "not_queryable_because", "why", 1)), &m); err != nil {
			t.Fatal(err)
		}
		if m.Queryable != (m.Why == "") {
			t.Errorf("%s: queryable is %v because %q", m.Name, m.Queryable, m.Why)
		}
		listed[m.Name] = m.Why
	}
	for name, want := range map[string]int{"checkout_funnel_d3": 3, "order_value_p90_d3": 2, "days_to_purchase_d3": 1} {
		const days = "from=2026-01-01&to=2026-01-08"
		w := r.get(t, "/metrics/"+name+"/values?"+days)
		var p struct {
			Type, Detail string
			Instead      []string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Type != "urn:verdict:problem:unanswerable" || p.Detail != listed[name] || len(p.Instead) != want {
			t.Errorf("%s: %v %d %s; listed as %q", name, err, w.Code, w.Body, listed[name])
		}
		for _, address := range p.Instead {
			address = strings.TrimPrefix(address, metricsapi.Base)
			if strings.HasSuffix(address, "/values") {
				address += "?" + days
			}
			if w := r.get(t, address); w.Code != http.StatusOK {
				t.Errorf("%s points to %s: %d %s", name, address, w.Code, w.Body)
			}
		}
		if body := r.get(t, "/metrics/"+name).Body.String(); !strings.Contains(body, `"sql":null`) || strings.Contains(body, `"values"`) {
			t.Errorf("%s is offered by period: %s", name, body)
		}
	}
}

// What is personal is described, and never served: neither by itself, nor as a dimension, nor to try values out.
func TestPersonalDataIsNotServed(t *testing.T) {
	r := filled(t)
	l := *r.config.Project.Layer
	reason := metric.Dimension{Name: "reason", Expression: "json_extract_scalar(e.properties, '$.reason')"}
	l.Dimensions = append(l.Dimensions, reason)
	p := *r.config.Project
	p.Layer = &l
	r.source.Layer, r.config.Project = &l, &p
	orders, err := l.Find("orders")
	if err != nil {
		t.Fatal(err)
	}
	orders.Name = "complaints"
	orders.Numerator.Filter = "e.event_name = 'order_refunded' and " + reason.Expression + " = 'broken'"
	l.Definitions = append(l.Definitions, orders)
	r.Handler = metricsapi.New(r.config)
	const days = "/values?from=2026-01-01&to=2026-01-08"
	for _, target := range []string{"/metrics/orders" + days + "&by=reason", "/metrics/orders" + days + "&filter=reason:x", "/metrics/complaints" + days} {
		if w := r.get(t, target); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "personal") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	for target, wants := range map[string][]string{
		"/dimensions/reason":  {`"pii_class":"personal"`, `"queryable":false`, `"property":"reason"`},
		"/metrics/complaints": {`"pii_class":"personal"`, `"queryable":false`, `"sql":null`, `"not_queryable_because":"it reads personal data`},
	} {
		body := r.get(t, target).Body.String()
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in %s", target, want, body)
			}
		}
	}
	if body := r.get(t, "/metrics/orders").Body.String(); strings.Contains(body, "reason") {
		t.Errorf("it is offered as a dimension: %s", body)
	}
}
