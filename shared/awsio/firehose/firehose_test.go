package firehose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/firehose"
	"verdict/shared/fault"
)

// hose is a stream that keeps the documented limits, refuses the records it is told to as often as
// told, and stores the others.
type hose struct {
	t      *testing.T
	refuse map[string]int // how often a record is refused
	calls  [][]string
}

func (h *hose) put(input []byte) (any, error) {
	var in struct {
		DeliveryStreamName string
		Records            []struct{ Data []byte }
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	size := 0
	var call []string
	type answer struct {
		RecordId     string `json:",omitempty"` //nolint:revive // the wire's name
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	var answers []answer
	failed := 0
	for i, r := range in.Records {
		size += len(r.Data)
		name := string(r.Data[:min(len(r.Data), 8)])
		call = append(call, name)
		if h.refuse[name] > 0 {
			h.refuse[name]--
			failed++
			answers = append(answers, answer{ErrorCode: "ServiceUnavailableException", ErrorMessage: "Slow down."})
			continue
		}
		answers = append(answers, answer{RecordId: strconv.Itoa(i)})
	}
	if len(in.Records) > 500 || size > 4<<20 || in.DeliveryStreamName != "good" {
		h.t.Errorf("a call of %d records, %d bytes, to %s", len(in.Records), size, in.DeliveryStreamName)
	}
	h.calls = append(h.calls, call)
	return map[string]any{"FailedPutCount": failed, "RequestResponses": answers}, nil
}

func open(t *testing.T, refuse map[string]int) (*hose, *awstest.Service, *firehose.Stream, *[]time.Duration) {
	t.Helper()
	h := &hose{t: t, refuse: refuse}
	service, config := awstest.New(t, "firehose", map[string]awstest.Action{"PutRecordBatch": h.put})
	var pauses []time.Duration
	return h, service, firehose.New(config, "good", func(_ context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return nil
	}), &pauses
}

func records(names ...string) (out [][]byte) {
	for _, n := range names {
		out = append(out, []byte(n))
	}
	return out
}

func TestOnlyRefusedRecordsAreSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		refuse map[string]int
		failed []int
		calls  [][]string
	}{
		"all taken":          {nil, nil, [][]string{{"a", "b", "c"}}},
		"one late":           {map[string]int{"b": 1}, nil, [][]string{{"a", "b", "c"}, {"b"}}},
		"one never":          {map[string]int{"b": 9, "c": 2}, []int{1}, [][]string{{"a", "b", "c"}, {"b", "c"}, {"b", "c"}}},
		"none, and no error": {map[string]int{"a": 9, "b": 9, "c": 9}, []int{0, 1, 2}, [][]string{{"a", "b", "c"}, {"a", "b", "c"}, {"a", "b", "c"}}},
	} {
		t.Run(name, func(t *testing.T) {
			h, _, stream, pauses := open(t, c.refuse)
			failed, err := stream.Put(t.Context(), records("a", "b", "c"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.failed, failed); diff != "" {
				t.Errorf("failed -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.calls, h.calls); diff != "" {
				t.Errorf("calls -want +got:\n%s", diff)
			}
			if want := []time.Duration{100 * time.Millisecond, 300 * time.Millisecond}[:len(c.calls)-1]; len(*pauses) != len(want) {
				t.Errorf("pauses %v, want %v", *pauses, want)
			}
		})
	}
}

func TestTheLimitsOfACallAreKept(t *testing.T) {
	h, _, stream, _ := open(t, nil)
	var many [][]byte
	for i := range 1201 {
		many = append(many, []byte(strconv.Itoa(i)))
	}
	for range 5 {
		many = append(many, bytes.Repeat([]byte("x"), 1000<<10))
	}
	failed, err := stream.Put(t.Context(), many)
	if err != nil || len(failed) != 0 {
		t.Fatalf("failed %v, %v", failed, err)
	}
	stored := 0
	for _, call := range h.calls {
		stored += len(call)
	}
	if stored != len(many) || len(h.calls) != 4 {
		t.Errorf("%d records in %d calls, want %d in 4", stored, len(h.calls), len(many))
	}
}

func TestACallThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		class fault.Class
		calls int
	}{
		"throttled": {"ServiceUnavailableException", fault.Transient, 3},
		"wrong":     {"InvalidArgumentException", fault.Invalid, 1},
		"no stream": {"ResourceNotFoundException", fault.NotFound, 3},
	} {
		t.Run(name, func(t *testing.T) {
			_, service, stream, _ := open(t, nil)
			service.On("PutRecordBatch", func([]byte) (any, error) {
				return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: c.code, Message: "no"}
			})
			failed, err := stream.Put(t.Context(), records("a"))
			if !fault.Is(err, c.class) || !strings.Contains(err.Error(), "put records to good") || failed != nil {
				t.Errorf("failed %v, error %v; want the class %s", failed, err, c.class)
			}
			if n := len(service.Calls()); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
}

// When one call of several fails, what the others stored stays acknowledged.
func TestOneFailedCallOfSeveral(t *testing.T) {
	h, service, stream, _ := open(t, nil)
	calls := 0
	service.On("PutRecordBatch", func(input []byte) (any, error) {
		calls++
		if calls > 1 {
			return nil, &awstest.RefusalError{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "no"}
		}
		return h.put(input)
	})
	var many [][]byte
	for i := range 502 {
		many = append(many, []byte(strconv.Itoa(i)))
	}
	failed, err := stream.Put(t.Context(), many)
	if diff := cmp.Diff([]int{500, 501}, failed); diff != "" || err != nil {
		t.Errorf("error %v, failed -want +got:\n%s", err, diff)
	}
}
