package s3_test

import (
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"verdict/shared/awsio/s3"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/lake/laketest"
)

// bucket opens a bucket of a real S3 server in this process, of somebody else's making.
func bucket(t *testing.T, name string) *s3.Bucket {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return s3.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""), RetryMaxAttempts: 1,
	}, name)
}

func TestObjects(t *testing.T) {
	laketest.Objects(t, func(t *testing.T) lake.Objects {
		t.Helper()
		return bucket(t, "lake")
	})
}

func TestErasing(t *testing.T) {
	laketest.Erasing(t, func(t *testing.T) laketest.Eraser {
		t.Helper()
		b, _ := versioned(t)
		return b
	})
}

// versioned is a bucket that keeps versions, as the lake does, and who can look at them.
func versioned(t *testing.T) (*s3.Bucket, gofakes3.VersionedBackend) {
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
	return s3.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""), RetryMaxAttempts: 1,
	}, "lake"), backend
}

// What was erased is in no earlier version either.
func TestErasedVersionsAreGone(t *testing.T) {
	b, backend := versioned(t)
	versions := func() int {
		list, err := backend.ListBucketVersions("lake", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Versions)
	}
	for _, body := range []string{"one", "two", "three"} {
		if err := b.Put(t.Context(), "raw/x", []byte(body), lake.Overwrite); err != nil {
			t.Fatal(err)
		}
	}
	if n := versions(); n != 3 {
		t.Fatalf("%d versions, want 3: the bucket keeps none, and proves nothing", n)
	}
	if err := b.Prune(t.Context(), "raw/x"); err != nil {
		t.Fatal(err)
	}
	if body, err := b.Get(t.Context(), "raw/x"); versions() != 1 || string(body) != "three" {
		t.Errorf("pruned: %d versions, %q, %v", versions(), body, err)
	}
	if err := b.Delete(t.Context(), "raw/x"); err != nil {
		t.Fatal(err)
	}
	if n := versions(); n != 0 {
		t.Errorf("deleted: %d versions are left", n)
	}
}

func TestSource(t *testing.T) {
	laketest.Source(t, func(t *testing.T) (lake.Objects, laketest.Opener) {
		t.Helper()
		b := bucket(t, "lake")
		return b, b
	})
}

func TestAMissingBucketIsNoMissingObject(t *testing.T) {
	_, err := bucket(t, "pond").Get(t.Context(), "a")
	if err == nil || fault.Is(err, fault.NotFound) {
		t.Errorf("error %v (%s): a wrong bucket must not look like an empty lake", err, fault.Of(err))
	}
}

func TestLocation(t *testing.T) {
	if got, want := bucket(t, "lake").Location("raw/"), "s3://lake/raw/"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
