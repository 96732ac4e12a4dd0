package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	awss3 "verdict/shared/awsio/s3"
)

// traffic is a steady stream of single events.
type traffic struct {
	mu     sync.Mutex
	sent   []string // ids of the events that were accepted
	killed int      // requests whose function the emulator killed
	failed []string
}

// killedByEmulator is how a request ends that was under way when the code changed: the emulator kills the
// old functions at once, while Lambda lets them end what they began. A client sends such a batch again.
const killedByEmulator = "Runtime exited before returning a response"

// run sends one event after another until ctx ends.
func (f *traffic) run(ctx context.Context, client *http.Client, collector string, sender int) {
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("0192f0c1-0000-7000-9000-%02d%010d", sender, n)
		event := fmt.Sprintf(`{"write_key":%q,"events":[{"event_id":%q,"event":"page_viewed","schema":"1-0-0","ts":"2026-01-05T10:00:00Z","anonymous_id":"steady","properties":{"page_type":"home"}}]}`, writeKey, id)
		problem := send(client, collector, event)
		killed := strings.Contains(problem, killedByEmulator)
		if killed {
			problem = send(client, collector, event)
		}
		f.mu.Lock()
		if killed {
			f.killed++
		}
		if problem == "" {
			f.sent = append(f.sent, id)
		} else {
			f.failed = append(f.failed, problem)
		}
		f.mu.Unlock()
	}
}

func send(client *http.Client, collector, body string) (problem string) {
	response, err := client.Post(collector+"/v1/events", "application/json", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Sprintf("%d %s %v", response.StatusCode, text, err)
	}
	return ""
}

func (f *traffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sent) + len(f.failed)
}

// redeploys deploys a new build of the collector while events come in, and then the release before it again, as
// docs/operations.md says.
func (e *emulator) redeploys(t *testing.T, bucket *awss3.Bucket, collector string) {
	t.Helper()
	hash := func() string {
		var f struct{ CodeSha256 string }
		e.call(t, "lambda", http.MethodGet, "/2015-03-31/functions/"+e.function(t, "collector")+"/configuration", "", nil, &f)
		return f.CodeSha256
	}
	binary := filepath.Join("../../.build", runtime.GOARCH, "collector", "bootstrap")
	release := filepath.Join(t.TempDir(), "release") // an assembly: templates and functions
	e.command(t, "synth", "dev/*", "--quiet", "--context", "arch="+runtime.GOARCH, "--output", release)
	old, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(binary, old, 0o755); err != nil {
			t.Error(err)
		}
	})
	changed := slices.Concat(old, []byte("another build")) // the loader does not look beyond the last section
	if err := os.WriteFile(binary, changed, 0o755); err != nil {
		t.Fatal(err)
	}

	before, f := hash(), &traffic{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var senders sync.WaitGroup
	const inFlight = 2
	for n := range inFlight {
		senders.Go(func() { f.run(ctx, e.client, collector, n) })
	}
	flows := func(when string) {
		t.Helper()
		already := f.count()
		within(t, time.Minute, "events come in "+when, func() bool { return f.count() > already+20 })
	}
	flows("before")
	e.deploy(t)
	if hash() == before {
		t.Error("the collector was not deployed anew")
	}
	flows("after the deployment")
	kept := keys(t, bucket)
	e.command(t, "deploy", "dev/app", "--app", release, "--exclusively", "--require-approval", "never")
	if hash() != before {
		t.Error("the collector was not rolled back")
	}
	flows("after the rollback")
	e.command(t, "diff", "dev/*", "--app", release, "--fail")
	now := keys(t, bucket)
	for key := range kept {
		if !now[key] {
			t.Errorf("%s is gone", key)
		}
	}
	cancel()
	senders.Wait()
	if len(f.failed) > 0 {
		t.Errorf("%d of %d requests failed, the first with %s", len(f.failed), f.count(), f.failed[0])
	}
	if f.killed > 2*inFlight {
		t.Errorf("%d requests were killed, more than were under way at the two changes", f.killed)
	}
	t.Logf("%d requests around a redeployment and its rollback, %d failed, %d killed by the emulator and sent again; %d objects are still there",
		f.count(), len(f.failed), f.killed, len(kept))

	there := map[string]bool{}
	objects, err := bucket.List(t.Context(), "raw/namespace=shop/event_date=2026-01-05/")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		body, err := landed(t.Context(), bucket, o.Key)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(body) {
			var event struct {
				ID string `json:"event_id"`
			}
			if err := json.Unmarshal(line, &event); err != nil {
				t.Fatalf("%s: %v", o.Key, err)
			}
			there[event.ID] = true
		}
	}
	for _, id := range f.sent {
		if !there[id] {
			t.Errorf("event %s was accepted and did not land", id)
		}
	}
}

// keys are those of all objects.
func keys(t *testing.T, bucket *awss3.Bucket) map[string]bool {
	t.Helper()
	objects, err := bucket.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, o := range objects {
		out[o.Key] = true
	}
	return out
}

// vanishes empties the bucket, as docs/deploy.md says, and destroys both stacks.
func (e *emulator) vanishes(t *testing.T, bucket string) {
	t.Helper()
	client := s3.NewFromConfig(e.config(), func(o *s3.Options) { o.UsePathStyle = true })
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var all []types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, v := range page.DeleteMarkers {
			all = append(all, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		if len(all) == 0 {
			continue
		}
		if _, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: all}}); err != nil {
			t.Fatal(err)
		}
	}
	e.run(t, "destroy", "dev/*", "--force")
	var left struct {
		Functions []struct{ FunctionName string }
	}
	e.call(t, "lambda", http.MethodGet, "/2015-03-31/functions/", "", nil, &left)
	if len(left.Functions) > 0 {
		t.Errorf("functions are left: %v", left)
	}
	if _, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket}); err == nil {
		t.Error("the bucket is left")
	}
}
