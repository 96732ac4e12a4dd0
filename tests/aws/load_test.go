package aws_test

import (
	"encoding/json"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"verdict/shared/awsio/s3"
)

// loads lets bin/verdict make traffic for the deployed collector, as anybody would for theirs.
func (e *emulator) loads(t *testing.T, bucket *s3.Bucket, collector string) {
	t.Helper()
	count := func() (n int) {
		for _, prefix := range []string{"raw/", "quarantine/"} {
			objects, err := bucket.List(t.Context(), prefix)
			if err != nil {
				t.Fatal(err)
			}
			n += len(objects) // one event an object, see streams
		}
		return n
	}
	// The emulator's names resolve nowhere: a proxy knows where it is.
	proxy := serve(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", e.address, r.In.Host
	}})
	binary := filepath.Join(t.TempDir(), "verdict")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../functions/local").CombinedOutput(); err != nil {
		t.Fatalf("build verdict: %v\n%s", err, out)
	}
	before := count()
	load := exec.CommandContext(t.Context(), binary, "load", "--url", collector+"/v1/events", "--write-key", writeKey, "--rate", "10", "--duration", "10s", "--json")
	load.Env, load.Stderr = append(os.Environ(), "HTTP_PROXY="+proxy, "NO_PROXY="), t.Output()
	out, err := load.Output()
	if err != nil {
		t.Fatalf("verdict load: %v\n%s", err, out)
	}
	var sent struct{ Requests, Failed, Events, Accepted, Quarantined int }
	if err := json.Unmarshal(out, &sent); err != nil {
		t.Fatal(err)
	}
	landed := count() - before
	t.Logf("sent %+v, landed %d", sent, landed)
	if sent.Requests != 100 || landed != sent.Events || sent.Accepted+sent.Quarantined != sent.Events {
		t.Errorf("sent %+v, landed %d", sent, landed)
	}
}
