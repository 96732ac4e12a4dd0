package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
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
