package metricsapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/metricsapi"
)

// contract is the served document, and the schemas in it.
type contract struct {
	document map[string]any
	compiler *jsonschema.Compiler
}

func contractOf(t *testing.T, h http.Handler) contract {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, metricsapi.Base+"/openapi.json", nil))
	document, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	c := contract{document.(map[string]any), jsonschema.NewCompiler()}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("urn:contract", document); err != nil {
		t.Fatal(err)
	}
	return c
}

// in walks down the document; a reference is followed.
func (c contract) in(from map[string]any, path ...string) map[string]any {
	for _, name := range path {
		from, _ = from[name].(map[string]any)
		if ref, ok := from["$ref"].(string); ok {
			from = c.in(c.document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return from
}

// check says what is wrong with an answer by the contract: an undocumented status, a missing header, another body.
func (c contract) check(route, method string, w *httptest.ResponseRecorder) error {
	where := []string{"paths", route, strings.ToLower(method), "responses"}
	if method != http.MethodGet {
		where[2] = "get" // HEAD, and what is not allowed
	}
	status := strconv.Itoa(w.Code)
	if c.in(c.document, append(where, status)...) == nil {
		status = "default"
	}
	response := c.in(c.document, append(where, status)...)
	if response == nil {
		return fmt.Errorf("%s %s answers %d, which is not documented", method, route, w.Code)
	}
	for name, h := range c.in(response, "headers") {
		header := c.in(map[string]any{"h": h}, "h")
		value := w.Header().Get(name)
		if value == "" && header["required"] != true {
			continue
		}
		if err := c.valid(header["schema"], value); err != nil {
			return fmt.Errorf("header %s is %q: %w", name, value, err)
		}
	}
	contents := c.in(response, "content")
	if len(contents) == 0 || method == http.MethodHead {
		if w.Body.Len() > 0 {
			return fmt.Errorf("%d has a body: %s", w.Code, w.Body)
		}
		return nil
	}
	kind := w.Header().Get("Content-Type")
	content, ok := contents[kind].(map[string]any)
	if !ok {
		return fmt.Errorf("%d has content %q, which is not documented", w.Code, kind)
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		return err
	}
	return c.valid(content["schema"], body)
}

// valid checks a value by a schema of the document.
func (c contract) valid(schema, value any) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	// A schema is a resource of its own here, so its references must name the document.
	text = bytes.ReplaceAll(text, []byte(`"#/`), []byte(`"urn:contract#/`))
	at := "urn:schema:" + url.QueryEscape(string(text))
	if compiled, err := c.compiler.Compile(at); err == nil {
		return compiled.Validate(value)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := c.compiler.AddResource(at, parsed); err != nil {
		return err
	}
	compiled, err := c.compiler.Compile(at)
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

// broken is an engine that fails in one way.
type broken struct {
	lake.Engine
	err error
}

func (b broken) Query(context.Context, string) (lake.Result, error) { return lake.Result{}, b.err }

const values = "/metrics/orders/values?from=2026-01-02&to=2026-01-08"

// Every route, in every way in which it is documented to answer.
func TestEveryAnswerKeepsTheContract(t *testing.T) {
	r := filled(t)
	c := contractOf(t, r)
	seen := map[string]bool{}
	check := func(t *testing.T, r *rig, route, target string, want int, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		w := r.ask(t, http.MethodGet, target, header...)
		if w.Code != want {
			t.Fatalf("%s: got %d, want %d: %s", target, w.Code, want, w.Body)
		}
		if err := c.check(route, http.MethodGet, w); err != nil {
			t.Errorf("%s: %v\n%s", target, err, w.Body)
		}
		seen[fmt.Sprint(route, " ", w.Code)] = true
		return w
	}
	key := []string{"X-Api-Key", readKey}
	for _, target := range []struct {
		route, target string
	}{
		{"/openapi.json", "/openapi.json"},
		{"/metrics", "/metrics"},
		{"/metrics", "/metrics?status=draft&limit=1"},
		{"/metrics", "/metrics?owner=nobody"},
		{"/metrics/{metric}", "/metrics/orders"},
		{"/metrics/{metric}", "/metrics/average_order_value_d3"},
		{"/metrics/{metric}", "/metrics/active_days_d3"},
		{"/metrics/{metric}", "/metrics/checkout_funnel_d3"},
		{"/metrics/{metric}/values", values},
		{"/metrics/{metric}/values", values + "&grain=total"},
		{"/metrics/{metric}/values", values + "&grain=week&by=device,currency&filter=device:mobile&filter=device:desktop&filter=page_type:"},
		{"/metrics/{metric}/values", "/metrics/average_order_value_d3/values?from=2026-01-02&to=2026-01-08&by=page_type"},
		{"/metrics/{metric}/values", "/metrics/orders/values?from=2025-01-02&to=2025-01-08"},
		{"/metrics/{metric}/lineage", "/metrics/average_order_value_d3/lineage"},
		{"/metrics/{metric}/lineage", "/metrics/net_revenue_per_user_d3/lineage"},
		{"/dimensions", "/dimensions"},
		{"/dimensions", "/dimensions?limit=2"},
		{"/dimensions/{dimension}", "/dimensions/device"},
		{"/experiments", "/experiments"},
		{"/experiments", "/experiments?verdict=running&owner=checkout"},
		{"/experiments/{experiment}", "/experiments/one_page_checkout"},
		{"/experiments/{experiment}", "/experiments/new_navigation"},
		{"/experiments/{experiment}", "/experiments/gift_wrap"},
		{"/experiments/{experiment}/results", "/experiments/one_page_checkout/results"},
		{"/experiments/{experiment}/results", "/experiments/new_navigation/results?from=2026-01-10&to=2026-01-11&metric=purchase_conversion_d3&variant=treatment&limit=1"},
	} {
		t.Run(target.target, func(t *testing.T) {
			w := check(t, r, target.route, target.target, http.StatusOK, key...)
			tag := w.Header().Get("ETag")
			check(t, r, target.route, target.target, http.StatusNotModified, append(key, "If-None-Match", tag)...)
			check(t, r, target.route, target.target, http.StatusNotModified, append(key, "If-None-Match", `"x", W/`+tag)...)
			check(t, r, target.route, target.target, http.StatusOK, append(key, "If-None-Match", `"x"`)...)
			join := "?"
			if strings.Contains(target.target, "?") {
				join = "&"
			}
			check(t, r, target.route, target.target+join+"unheard_of=1", http.StatusBadRequest, key...)
			if target.route == "/openapi.json" {
				return
			}
			check(t, r, target.route, target.target, http.StatusUnauthorized)
			check(t, r, target.route, target.target, http.StatusUnauthorized, "X-Api-Key", readKey+"x")
			if slices.Contains([]string{"/metrics", "/dimensions", "/experiments", "/metrics/{metric}/values", "/experiments/{experiment}/results"}, target.route) {
				check(t, r, target.route, target.target+join+"cursor=bm9uZQ", http.StatusConflict, key...)
			}
			if strings.Contains(target.route, "{") {
				name := strings.SplitN(target.target, "/", 4)[2]
				check(t, r, target.route, strings.Replace(target.target, name, "nothing", 1), http.StatusNotFound, key...)
			}
		})
	}
	t.Run("unanswerable", func(t *testing.T) {
		check(t, r, "/metrics/{metric}/values", "/metrics/orders/values?from=2026-01-08&to=2026-01-02", http.StatusUnprocessableEntity, key...)
	})
	for _, route := range metricsapi.Paths() {
		for status := range c.in(c.document, "paths", route, "get", "responses") {
			if status != "default" && !seen[route+" "+status] {
				t.Errorf("%s is documented to answer %s, which no request here shows", route, status)
			}
		}
	}
	var documented []string
	for path := range c.in(c.document, "paths") {
		documented = append(documented, path)
	}
	slices.Sort(documented)
	if served := slices.Sorted(slices.Values(metricsapi.Paths())); !slices.Equal(documented, served) {
		t.Errorf("documented are %v, served are %v", documented, served)
	}
}

func TestEveryParameterIsDocumented(t *testing.T) {
	c := contractOf(t, open(t))
	for _, route := range metricsapi.Paths() {
		var documented []string
		for _, p := range c.in(c.document, "paths", route, "get")["parameters"].([]any) {
			if parameter := c.in(map[string]any{"p": p}, "p"); parameter["in"] == "query" {
				documented = append(documented, parameter["name"].(string))
			}
		}
		slices.Sort(documented)
		if got := slices.Sorted(slices.Values(metricsapi.Parameters(route))); !slices.Equal(got, documented) {
			t.Errorf("%s: documented are %v, read are %v", route, documented, got)
		}
	}
}

func TestFailuresKeepTheContract(t *testing.T) {
	const secret = "the warehouse said: secret"
	for name, problem := range map[string]struct {
		err    error
		status int
		kind   string
	}{
		"busy engine": {fault.New(fault.Transient, secret), http.StatusServiceUnavailable, "unavailable"},
		"slow engine": {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), http.StatusServiceUnavailable, "unavailable"},
		"broken SQL":  {fault.New(fault.Invalid, secret), http.StatusInternalServerError, "internal"},
		"lost table":  {fault.New(fault.NotFound, secret), http.StatusInternalServerError, "internal"},
		"anything":    {errors.New(secret), http.StatusInternalServerError, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			r := filled(t)
			c := contractOf(t, r)
			r.source.Engine = broken{r.warehouse, problem.err}
			for route, target := range map[string]string{
				"/metrics/{metric}/values": values, "/experiments": "/experiments", "/experiments/{experiment}": "/experiments/gift_wrap", "/experiments/{experiment}/results": "/experiments/gift_wrap/results",
			} {
				r.log.said = nil
				w := r.get(t, target)
				if w.Code != problem.status || !strings.Contains(w.Body.String(), "urn:verdict:problem:"+problem.kind) {
					t.Errorf("%s: got %d %s", target, w.Code, w.Body)
				}
				if err := c.check(route, http.MethodGet, w); err != nil {
					t.Errorf("%s: %v", target, err)
				}
				if strings.Contains(w.Body.String(), "secret") || !strings.Contains(strings.Join(r.log.said, " "), secret) {
					t.Errorf("%s: the client is told %s, the log %v", target, w.Body, r.log.said)
				}
				if w.Header().Get("ETag") != "" {
					t.Errorf("%s: a failure has an ETag", target)
				}
				if got := w.Header().Get("Retry-After"); (got != "") != (problem.status == http.StatusServiceUnavailable) {
					t.Errorf("%s: Retry-After %q", target, got)
				}
			}
		})
	}
}

func TestWhatIsNotThereAndWhatIsNotAllowed(t *testing.T) {
	r := filled(t)
	c := contractOf(t, r)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace, "PURGE"} {
		w := r.ask(t, method, "/metrics", "X-Api-Key", readKey, "Origin", "https://evil.example", "Access-Control-Request-Method", "GET")
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: got %d, %v", method, w.Code, w.Header())
		}
		if err := c.check("/metrics", method, w); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	for _, target := range []string{"", "/", "/metrics/", "/metrics//values", "/metrics/orders/values/", "/metrics/../metrics", "/Metrics", "/nothing"} {
		if w := r.get(t, target); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s", target, w.Code, w.Body)
		}
	}
	head := r.ask(t, http.MethodHead, "/metrics", "X-Api-Key", readKey)
	get := r.get(t, "/metrics")
	if head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("ETag") != get.Header().Get("ETag") || head.Header().Get("Content-Length") != strconv.Itoa(get.Body.Len()) {
		t.Errorf("HEAD: got %d, %d bytes, %v", head.Code, head.Body.Len(), head.Header())
	}
	for name := range get.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a page of another site could read it: %s", name)
		}
	}
}
