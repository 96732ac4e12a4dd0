package lambdaio_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/lambdaio"
)

// incoming is what a HTTP API sends for a request of the given method.
func incoming(method string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: "/",
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			DomainName: "abc.example", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, SourceIP: "203.0.113.9"},
		},
	}
}

func TestRequest(t *testing.T) {
	type seen struct {
		Method, Path, URI, Query, Host, From, Body string
		Length                                     int64
		Headers                                    http.Header
		Cookies                                    map[string]string
	}
	for name, c := range map[string]struct {
		change func(*events.APIGatewayV2HTTPRequest)
		want   func(*seen)
	}{
		"the least": {func(*events.APIGatewayV2HTTPRequest) {}, func(*seen) {}},
		"no path": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawPath = "" },
			func(*seen) {},
		},
		"a decoded path": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawPath = "/a b/grün" },
			func(s *seen) { s.Path, s.URI = "/a b/grün", "/a%20b/gr%C3%BCn" },
		},
		"a percent sign in the path": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawPath = "/100%/%zz" },
			func(s *seen) { s.Path, s.URI = "/100%/%zz", "/100%25/%25zz" },
		},
		"a question mark in the path": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawPath, in.RawQueryString = "/me?q=2#x", "q=1" },
			func(s *seen) { s.Path, s.Query, s.URI = "/me?q=2#x", "1", "/me%3Fq=2%23x?q=1" },
		},
		"two slashes are no host": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawPath = "//evil.example/v1" },
			func(s *seen) { s.Path, s.URI = "//evil.example/v1", "//evil.example/v1" },
		},
		"an encoded query": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RawQueryString = "q=1%262%20%2B+3&r=" },
			func(s *seen) { s.Query, s.URI = "1&2 + 3", "/?q=1%262%20%2B+3&r=" },
		},
		"a text body": {
			func(in *events.APIGatewayV2HTTPRequest) { in.Body = "grün" },
			func(s *seen) { s.Body, s.Length = "grün", 5 },
		},
		"a binary body": {
			func(in *events.APIGatewayV2HTTPRequest) {
				in.Body, in.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("\xff\x00\xfe")), true
			},
			func(s *seen) { s.Body, s.Length = "\xff\x00\xfe", 3 },
		},
		"headers, joined by the gateway": {
			func(in *events.APIGatewayV2HTTPRequest) {
				in.Headers = map[string]string{"x-write-key": "wk", "accept": "text/html,application/json"}
			},
			func(s *seen) {
				s.Headers = http.Header{"X-Write-Key": {"wk"}, "Accept": {"text/html,application/json"}}
			},
		},
		"cookies": {
			func(in *events.APIGatewayV2HTTPRequest) { in.Cookies = []string{"a=1", "b=2"} },
			func(s *seen) {
				s.Headers, s.Cookies = http.Header{"Cookie": {"a=1; b=2"}}, map[string]string{"a": "1", "b": "2"}
			},
		},
		"another method": {
			func(in *events.APIGatewayV2HTTPRequest) { in.RequestContext.HTTP.Method = http.MethodOptions },
			func(s *seen) { s.Method = http.MethodOptions },
		},
		// X-Forwarded-For is the client's word, sourceIp the gateway's.
		"a forwarded address": {
			func(in *events.APIGatewayV2HTTPRequest) {
				in.Headers = map[string]string{"x-forwarded-for": "198.51.100.1"}
			},
			func(s *seen) { s.Headers = http.Header{"X-Forwarded-For": {"198.51.100.1"}} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := incoming(http.MethodPost)
			c.change(&in)
			want := seen{Method: http.MethodPost, Path: "/", URI: "/", Host: "abc.example", From: "203.0.113.9"}
			c.want(&want)
			var got seen
			handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got = seen{
					Method: r.Method, Path: r.URL.Path, URI: r.RequestURI, Query: r.URL.Query().Get("q"), Host: r.Host, From: r.RemoteAddr,
					Body: string(body), Length: r.ContentLength, Headers: r.Header, Cookies: map[string]string{},
				}
				for _, cookie := range r.Cookies() {
					got.Cookies[cookie.Name] = cookie.Value
				}
				if r.Context() != t.Context() {
					t.Error("the handler has another context than the invocation")
				}
			})
			if _, err := lambdaio.HTTP(handler)(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRequestRefuses(t *testing.T) {
	for name, change := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"a body that is no base64":  func(in *events.APIGatewayV2HTTPRequest) { in.Body, in.IsBase64Encoded = "!", true },
		"a method that is none":     func(in *events.APIGatewayV2HTTPRequest) { in.RequestContext.HTTP.Method = "BAD METHOD" },
		"a method that is a header": func(in *events.APIGatewayV2HTTPRequest) { in.RequestContext.HTTP.Method = "GET\r\nX: y" },
	} {
		t.Run(name, func(t *testing.T) {
			in := incoming(http.MethodPost)
			change(&in)
			handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
			if out, err := lambdaio.HTTP(handler)(t.Context(), in); err == nil {
				t.Errorf("got %+v, want an error", out)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	write := func(w http.ResponseWriter, body string) {
		if _, err := io.WriteString(w, body); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		serve func(w http.ResponseWriter)
		want  events.APIGatewayV2HTTPResponse
	}{
		"nothing": {
			func(http.ResponseWriter) {},
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK},
		},
		"text": {
			func(w http.ResponseWriter) { write(w, "grü"); write(w, "n") },
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: "grün"},
		},
		"binary": {
			func(w http.ResponseWriter) { write(w, "\x89PNG\xff") },
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: base64.StdEncoding.EncodeToString([]byte("\x89PNG\xff")), IsBase64Encoded: true},
		},
		"a status": {
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot); write(w, "short") },
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusTeapot, Body: "short"},
		},
		"the first status counts": {
			func(w http.ResponseWriter) {
				w.WriteHeader(http.StatusNotFound)
				w.WriteHeader(http.StatusOK)
			},
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusNotFound},
		},
		"a status after the body is too late": {
			func(w http.ResponseWriter) { write(w, "ok"); w.WriteHeader(http.StatusTeapot) },
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Body: "ok"},
		},
		"several values of a header": {
			func(w http.ResponseWriter) {
				w.Header().Add("Vary", "Origin")
				w.Header().Add("Vary", "Accept")
				w.Header().Set("Content-Type", "application/json")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Headers: map[string]string{"Vary": "Origin,Accept", "Content-Type": "application/json"}},
		},
		"cookies stay apart": {
			func(w http.ResponseWriter) {
				w.Header().Add("Set-Cookie", "a=1; Expires=Mon, 05 Jan 2026 00:00:00 GMT")
				w.Header().Add("Set-Cookie", "b=2")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: http.StatusOK, Cookies: []string{"a=1; Expires=Mon, 05 Jan 2026 00:00:00 GMT", "b=2"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.serve(w) })
			got, err := lambdaio.HTTP(handler)(t.Context(), incoming(http.MethodGet))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Only what the authorizer has checked says who signed; a header is the client's word.
func TestSigned(t *testing.T) {
	iam := &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: "arn:aws:iam::1:role/analyst"}}
	for name, c := range map[string]struct {
		authorizer *events.APIGatewayV2HTTPRequestContextAuthorizerDescription
		want       string
	}{
		"signed":             {iam, "arn:aws:iam::1:role/analyst"},
		"open route":         {nil, ""},
		"another authorizer": {&events.APIGatewayV2HTTPRequestContextAuthorizerDescription{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := incoming(http.MethodGet)
			in.RequestContext.Authorizer = c.authorizer
			in.Headers = map[string]string{"authorization": "AWS4-HMAC-SHA256 Credential=x", "x-amzn-iam-user-arn": "arn:aws:iam::1:root"}
			called := false
			handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				called = true
				if got, ok := lambdaio.Signed(r.Context()); got != c.want || ok != (c.want != "") {
					t.Errorf("got %q, %t", got, ok)
				}
			})
			if _, err := lambdaio.HTTP(handler)(t.Context(), in); err != nil || !called {
				t.Errorf("called %t, %v", called, err)
			}
		})
	}
}
