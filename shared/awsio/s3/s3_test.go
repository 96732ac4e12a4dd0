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
