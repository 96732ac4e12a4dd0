package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/klauspost/compress/gzip"

	"verdict/shared/awsio/s3"
	"verdict/shared/lake"
)

// streams stand before the emulator's Firehose and do what it leaves out of a stream's settings:
// RecordDeAggregation, each line of a record by itself. Partitions and prefixes are the emulator's.
type streams struct{ client *firehose.Client }

func (s streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		DeliveryStreamName string
		Records            []struct{ Data []byte }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "Firehose_20150804.PutRecordBatch" {
		http.Error(w, "only PutRecordBatch", http.StatusBadRequest)
		return
	}
	type response struct {
		RecordId, ErrorCode, ErrorMessage string `json:",omitempty"` //nolint:revive // Firehose's names
	}
	answer := struct {
		FailedPutCount   int
		RequestResponses []response
	}{}
	for _, record := range in.Records {
		out := response{RecordId: "1"}
		if err := s.put(r.Context(), in.DeliveryStreamName, record.Data); err != nil {
			out = response{ErrorCode: "ServiceUnavailableException", ErrorMessage: err.Error()}
			answer.FailedPutCount++
		}
		answer.RequestResponses = append(answer.RequestResponses, out)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer) // a client that went away sends again
}

type refusedError string

func (r refusedError) Error() string { return string(r) }

// put sends the lines of a record, of which there are at most 500, as one batch.
func (s streams) put(ctx context.Context, stream string, record []byte) error {
	var lines []types.Record
	for line := range bytes.Lines(record) {
		lines = append(lines, types.Record{Data: line})
	}
	answer, err := s.client.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &stream, Records: lines})
	if err != nil {
		return err
	}
	for _, r := range answer.RequestResponses {
		if code := aws.ToString(r.ErrorCode); code != "" {
			return refusedError(code)
		}
	}
	return nil
}

// gather does to what has landed what the emulator's Firehose leaves out besides: it makes one gzip file of the events of
// a partition, each of which has a plain object of its own, in spite of its name.
func (e *emulator) gather(t *testing.T, name string) {
	t.Helper()
	bucket, client := s3.New(e.config(), name), awss3.NewFromConfig(e.config(), func(o *awss3.Options) { o.UsePathStyle = true })
	for _, prefix := range []string{"raw/", "quarantine/"} {
		objects, err := bucket.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		folders := map[string][]string{}
		for _, o := range objects {
			folders[path.Dir(o.Key)] = append(folders[path.Dir(o.Key)], o.Key)
		}
		for folder, keys := range folders {
			var file bytes.Buffer
			z := gzip.NewWriter(&file)
			for _, key := range keys {
				body, err := landed(t.Context(), bucket, key)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := z.Write(body); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if err := bucket.Put(t.Context(), fmt.Sprintf("%s/%d-events.ndjson.gz", folder, len(keys)), file.Bytes(), lake.Create); err != nil {
				t.Fatal(err)
			}
			for some := range slices.Chunk(keys, 1000) { // of one call
				in := &awss3.DeleteObjectsInput{Bucket: &name, Delete: &s3types.Delete{}}
				for _, key := range some {
					in.Delete.Objects = append(in.Delete.Objects, s3types.ObjectIdentifier{Key: &key})
				}
				if _, err := client.DeleteObjects(t.Context(), in); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// landed are the lines of an object, whether it was gathered or not.
func landed(ctx context.Context, bucket *s3.Bucket, key string) ([]byte, error) {
	body, err := bucket.Get(ctx, key)
	if err != nil || !strings.HasSuffix(key, "-events.ndjson.gz") {
		return body, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
