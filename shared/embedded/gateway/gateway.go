// Package gateway is the one-machine front door: an HTTP server that turns each request into the
// event that API Gateway (HTTP API, payload format 2.0) would hand to a Lambda, calls the function
// with it, and turns the function's answer back. It has API Gateway's limits.
package gateway

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// The limits of an HTTP API: 10 MB of payload, of which the collector takes less, and 10,240 bytes of request line
// and headers together.
const (
	maxBody   = 10 << 20
	maxHeader = 10_240
)

// Function is a Lambda behind the gateway.
type Function func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Handler serves function as API Gateway would.
func Handler(function Function, now func() time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if headerSize(r) > maxHeader {
			answer(w, http.StatusRequestHeaderFieldsTooLarge, `{"message":"Request Header Or Cookie Too Large"}`)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, http.StatusRequestEntityTooLarge, `{"message":"Request Entity Too Large"}`)
			return
		}
		out, err := function(r.Context(), event(r, body, now()))
		if err != nil {
			answer(w, http.StatusInternalServerError, `{"message":"Internal Server Error"}`)
			return
		}
		for name, value := range out.Headers {
			w.Header().Set(name, value)
		}
		for _, cookie := range out.Cookies {
			w.Header().Add("Set-Cookie", cookie)
		}
		text := []byte(out.Body)
		if out.IsBase64Encoded {
			if text, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
				answer(w, http.StatusInternalServerError, `{"message":"Internal Server Error"}`)
				return
			}
		}
		w.WriteHeader(out.StatusCode)
		_, _ = w.Write(text) // a client that went away gets no answer
	})
}

func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return size
}

func event(r *http.Request, body []byte, now time.Time) events.APIGatewayV2HTTPRequest {
	in := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
		Headers: make(map[string]string, len(r.Header)+1),
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			Stage: "$default", DomainName: r.Host, Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: sourceIP(r), UserAgent: r.UserAgent(),
			},
		},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			in.Cookies = strings.Split(strings.Join(values, "; "), "; ")
			continue
		}
		in.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	in.Headers["host"] = r.Host
	if utf8.Valid(body) {
		in.Body = string(body)
	} else {
		in.Body, in.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return in
}

// sourceIP is the peer's address. Like API Gateway it does not believe X-Forwarded-For, except
// from this machine itself, so that local tools can play clients elsewhere.
func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if forwarded := r.Header.Get("X-Forwarded-For"); forwarded != "" && net.ParseIP(host).IsLoopback() {
		first, _, _ := strings.Cut(forwarded, ",")
		return strings.TrimSpace(first)
	}
	return host
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that went away gets no answer
}
