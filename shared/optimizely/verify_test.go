package optimizely_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/fault"
	"verdict/shared/optimizely"
)

// cdn serves the stand-in's datafile through an edit, as a CDN that lags or a platform that errs would.
func cdn(t *testing.T, r *rig, edit func(body []byte) []byte) *optimizely.Client {
	t.Helper()
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body, err := r.server.Datafile("production")
		if err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(w, bytes.NewReader(edit(body)))
	}))
	t.Cleanup(host.Close)
	return optimizely.New(
		optimizely.Config{BaseURL: r.url + flagapi.BasePath, Project: project, Environment: "production", Token: token, Datafile: host.URL},
		&http.Client{Timeout: 5 * time.Second}, r.clock.Now, r.clock.Wait)
}

func TestApplyWaitsForTheDatafile(t *testing.T) {
	for name, c := range map[string]struct {
		change decide.Change
		says   string
	}{
		"conclude": {conclude, "do not get treatment"},
		"rollback": {decide.Change{Flag: "checkout", Rule: "one_page", Action: decide.Rollback, Variant: "control"}, "do not get control"},
		"ramp":     {decide.Change{Flag: "checkout", Rule: "one_page", Action: decide.Ramp, Included: 1}, "includes 50 %"},
		"disable":  {decide.Change{Flag: "checkout", Action: decide.Disable}, "rules serve"},
	} {
		t.Run(name, func(t *testing.T) {
			f := checkout()
			f.Rules[0].Included = 0.5
			r := newRig(t, f)
			stale, err := r.server.Datafile("production")
			if err != nil {
				t.Fatal(err)
			}
			begin, lag := r.server.Revision(), 1_000
			client := cdn(t, r, func(body []byte) []byte {
				if lag--; lag > 0 {
					return stale
				}
				return body
			})
			if _, err := client.Apply(t.Context(), c.change); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("with an old datafile: %v, want a transient error that says %q", err, c.says)
			}
			if _, err := client.Apply(t.Context(), c.change); !fault.Is(err, fault.Transient) {
				t.Errorf("again, with the old datafile still: %v, want a transient error", err)
			}
			lag = 4 // fetches until the CDN has it
			if _, err := client.Apply(t.Context(), c.change); err != nil {
				t.Errorf("with a datafile that comes late: %v", err)
			}
			if got := r.server.Revision() - begin; got != 1 {
				t.Errorf("%d changes were carried out, want one", got)
			}
		})
	}
}

// A platform that gave out the buckets anew with more traffic would be found out.
func TestRampThatMovesUsersIsReported(t *testing.T) {
	f := checkout()
	f.Rules[0].Included = 0.5
	r := newRig(t, f)
	begin := r.server.Revision()
	client := cdn(t, r, func(body []byte) []byte {
		if r.server.Revision() == begin {
			return body
		}
		return bytes.ReplaceAll(body, []byte(`"endOfRange":5000`), []byte(`"endOfRange":1000`))
	})
	_, err := client.Apply(t.Context(), decide.Change{Flag: "checkout", Rule: "one_page", Action: decide.Ramp, Included: 1})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "lost their variant") {
		t.Errorf("error = %v, want a conflict about users who lost their variant", err)
	}
}
