package lambdaio

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"
)

// What CloudFront adds to a request.
const (
	EdgeProof  = "X-Verdict-Edge"            // a secret: the request came through CloudFront
	EdgeViewer = "CloudFront-Viewer-Address" // whose request it is: address and port
)

// BehindEdge serves what comes through CloudFront and nothing else: who could go around it would choose the address
// that is stored, and no firewall would see him. A request whose proof cannot be checked now is to be sent again.
// Without a proof everybody is served.
func BehindEdge(proof func(context.Context) (string, error), handler http.Handler) http.Handler {
	if proof == nil {
		return handler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := proof(r.Context())
		if err != nil {
			http.Error(w, "the secret of the edge is not available", http.StatusServiceUnavailable)
			return
		}
		if subtle.ConstantTimeCompare([]byte(r.Header.Get(EdgeProof)), []byte(want)) != 1 {
			http.Error(w, "requests must come through CloudFront", http.StatusForbidden)
			return
		}
		if viewer := r.Header.Get(EdgeViewer); viewer != "" {
			r.RemoteAddr = viewer[:max(0, strings.LastIndexByte(viewer, ':'))] // of IPv6, too: there are no brackets
		}
		r.Header.Del(EdgeProof)
		handler.ServeHTTP(w, r)
	})
}
