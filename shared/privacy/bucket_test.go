package privacy_test

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"verdict/shared/awsio/s3"
	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/privacy"
	"verdict/shared/redact"
	"verdict/shared/table/foreign"
)

// twin is a lake in a bucket that keeps versions, with a folder of the same objects for DuckDB to work on.
type twin struct {
	*s3.Bucket
	folder  *directory.Store
	backend gofakes3.VersionedBackend
	sent    map[string]bool
}

func newTwin(t *testing.T, root string) *twin {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	if err := backend.SetVersioningConfiguration("lake", gofakes3.VersioningConfiguration{Status: gofakes3.VersioningEnabled}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	bucket := s3.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""), RetryMaxAttempts: 1,
	}, "lake")
	return &twin{bucket, &directory.Store{Root: root}, backend, map[string]bool{}}
}

// List sends what DuckDB has written to the bucket first.
func (w *twin) List(ctx context.Context, prefix string) ([]lake.Object, error) {
	there, err := w.folder.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	for _, o := range there {
		if w.sent[o.Key] {
			continue
		}
		body, err := w.folder.Get(ctx, o.Key)
		if err == nil {
			err = w.Bucket.Put(ctx, o.Key, body, lake.Overwrite)
		}
		if err != nil {
			return nil, err
		}
		w.sent[o.Key] = true
	}
	return w.Bucket.List(ctx, prefix)
}

func (w *twin) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if err := w.Bucket.Put(ctx, key, body, mode); err != nil {
		return err
	}
	w.sent[key] = true
	return w.folder.Put(ctx, key, body, lake.Overwrite)
}

func (w *twin) Delete(ctx context.Context, key string) error {
	if err := w.Bucket.Delete(ctx, key); err != nil {
		return err
	}
	return w.folder.Delete(ctx, key)
}

// versions writes all versions of all objects into a folder.
func (w *twin) versions(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	list, err := w.backend.ListBucketVersions("lake", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range list.Versions {
		version, is := v.(*gofakes3.Version)
		if !is {
			continue // the mark of a deletion
		}
		object, err := w.backend.GetObjectVersion("lake", version.Key, version.VersionID, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(object.Contents)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(to, version.Key)
		if err := os.MkdirAll(folder, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, strconv.Itoa(i)), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A request that was put into a bucket waits until what was accepted has landed; then no version of any object names
// her, and a replay is told that she was erased.
func TestEraseInABucket(t *testing.T) {
	root := build(t)
	p, _ := open(t, root)
	w := newTwin(t, root)
	for range 2 { // so that each has an earlier version
		w.sent = map[string]bool{}
		if _, err := w.List(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if before := mentions(t, w.versions(t)); len(before) < 30 {
		t.Fatalf("only %v name her: the test proves nothing", before)
	}
	want := without(rows(t, p))
	asked := `{"action": "erase", "ids": ["u:ann` + anns + `"], "by": "dpo"}`
	if err := w.Put(t.Context(), "privacy/requests/ticket-17.json", []byte(asked), lake.Create); err != nil {
		t.Fatal(err)
	}
	p.Objects = w
	officer := p.Officer(w, key(), foreign.EachRow)
	officer.Settle = 20 * time.Minute
	if done, err := officer.Work(t.Context()); len(done) != 0 || err != nil {
		t.Fatalf("at once: %v, %v", done, err)
	}
	officer.Now = func() time.Time { return now().Add(30 * time.Minute) }
	done, err := officer.Work(t.Context())
	if err != nil || len(done) != 1 || !done[0].At.Equal(now()) {
		t.Fatalf("done %+v, %v", done, err)
	}
	if left := mentions(t, w.versions(t)); left != nil {
		t.Errorf("she is still named in %v", left)
	}
	if diff := cmp.Diff(want, rows(t, p)); diff != "" {
		t.Errorf("-others before +after:\n%s", diff)
	}
	list := privacy.Suppression{Objects: w.Bucket, Key: func(context.Context) (redact.Key, error) { return key(), nil }}
	erased, err := list.Load(t.Context())
	if err != nil || !erased("laptop"+anns, "", now().AddDate(0, 0, -1)) || erased("bob-1", "", now().AddDate(0, 0, -1)) {
		t.Errorf("the list of the erased: %v", err)
	}
	if _, err := w.Get(t.Context(), "privacy/requests/ticket-17.json"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the request is still there: %v", err)
	}
}
