package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"verdict/shared/embedded/gateway"
	"verdict/shared/lambdaio"
)

// The two sides of the envelope together must be invisible to a handler and to its client.
func TestEnvelopeIsInvisible(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		cookie, err := r.Cookie("b")
		if err != nil {
			t.Error(err)
		} else if cookie.Value != "2" {
			t.Errorf("cookie %v", cookie)
		}
		if r.Method != http.MethodPut || r.URL.Path != "/a b" || r.URL.Query().Get("q") != "1&2" || r.Header.Get("X-Write-Key") != "wk" || r.RemoteAddr != "203.0.113.9" {
			t.Errorf("request %s %s from %s, headers %v", r.Method, r.URL, r.RemoteAddr, r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "s", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "t", Value: "2"})
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTeapot)
		if _, err := w.Write(append([]byte("got "), body...)); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(gateway.Handler(lambdaio.HTTP(inner), time.Now))
	defer server.Close()
	for name, body := range map[string]string{"text": "grün", "binary": "\xff\x00\xfe", "empty": ""} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/a%20b?q=1%262", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Write-Key", "wk")
			r.Header.Set("X-Forwarded-For", "203.0.113.9")
			r.Header.Set("Cookie", "a=1; b=2")
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "got "+body || response.StatusCode != http.StatusTeapot || response.Header.Get("Retry-After") != "1" || len(response.Cookies()) != 2 {
				t.Errorf("answer %d %q %v", response.StatusCode, got, response.Header)
			}
		})
	}
}

func TestTooManyHeaders(t *testing.T) {
	function := lambdaio.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for size, want := range map[int]int{9_000: http.StatusOK, 10_240: http.StatusRequestHeaderFieldsTooLarge} {
		r := httptest.NewRequest(http.MethodGet, "/v1/plan", http.NoBody)
		r.Header.Set("Cookie", strings.Repeat("c", size))
		w := httptest.NewRecorder()
		gateway.Handler(function, time.Now).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d bytes of cookies: answer %d, want %d", size, w.Code, want)
		}
	}
}
