package lambdaio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"verdict/shared/lambdaio"
)

func TestOnlyTheEdgeIsServed(t *testing.T) {
	known := func(context.Context) (string, error) { return "secret", nil }
	unknown := func(context.Context) (string, error) { return "", errors.New("throttled") }
	for name, c := range map[string]struct {
		proof         func(context.Context) (string, error)
		header        http.Header
		status        int
		address, seen string // whom the handler takes it from, and the proof that it sees
	}{
		"through the edge":     {known, http.Header{lambdaio.EdgeProof: {"secret"}, "Cloudfront-Viewer-Address": {"198.51.100.7:46532"}}, 200, "198.51.100.7", ""},
		"an IPv6 viewer":       {known, http.Header{lambdaio.EdgeProof: {"secret"}, "Cloudfront-Viewer-Address": {"2001:db8::7:46532"}}, 200, "2001:db8::7", ""},
		"there is no edge":     {nil, http.Header{lambdaio.EdgeProof: {"guess"}, "Cloudfront-Viewer-Address": {"198.51.100.7:46532"}}, 200, "192.0.2.1:1234", "guess"},
		"a viewer unsaid":      {known, http.Header{lambdaio.EdgeProof: {"secret"}}, 200, "192.0.2.1:1234", ""},
		"around the edge":      {known, http.Header{"Cloudfront-Viewer-Address": {"198.51.100.7:46532"}}, 403, "", ""},
		"a guess":              {known, http.Header{lambdaio.EdgeProof: {"guess"}}, 403, "", ""},
		"nothing as the proof": {known, http.Header{lambdaio.EdgeProof: {""}}, 403, "", ""},
		"the secret is away":   {unknown, http.Header{lambdaio.EdgeProof: {""}}, 503, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var address, seen string
			handler := lambdaio.BehindEdge(c.proof, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				address, seen = r.RemoteAddr, r.Header.Get(lambdaio.EdgeProof)
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", nil)
			r.Header = c.header
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != c.status || address != c.address || seen != c.seen {
				t.Errorf("got %d, address %q, proof %q; want %d, %q, %q", w.Code, address, seen, c.status, c.address, c.seen)
			}
		})
	}
}
