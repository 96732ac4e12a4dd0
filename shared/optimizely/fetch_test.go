package optimizely_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"verdict/shared/fault"
	"verdict/shared/optimizely"
)

func TestFetchDatafile(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/known.json":
			fmt.Fprint(w, mixed)
		case "/down.json":
			w.WriteHeader(http.StatusBadGateway)
		case "/page.json":
			fmt.Fprint(w, "<html>")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer server.Close()
	for name, c := range map[string]struct {
		url, environment string
		class            fault.Class
		want             string
	}{
		"down":              {server.URL + "/down.json", "production", fault.Transient, "502"},
		"away":              {"http://127.0.0.1:1/known.json", "production", fault.Transient, "refused"},
		"unknown SDK key":   {server.URL + "/other.json", "production", fault.Invalid, "check the SDK key"},
		"no datafile":       {server.URL + "/page.json", "production", fault.Invalid, "datafile"},
		"other environment": {server.URL + "/known.json", "staging", fault.Invalid, `"production", not "staging"`},
		"no address":        {"://", "production", fault.Invalid, "fetch datafile"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := optimizely.Datafile{URL: c.url, Environment: c.environment, Client: &http.Client{Timeout: 5 * time.Second}}.Flags(t.Context())
			if !fault.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (%s), want %s %s", err, fault.Of(err), c.class, c.want)
			}
		})
	}
	flags, err := optimizely.Datafile{URL: server.URL + "/known.json", Environment: "production", Client: server.Client()}.Flags(t.Context())
	if err != nil || len(flags) != 2 {
		t.Errorf("%d flags, %v; want 2", len(flags), err)
	}
}
