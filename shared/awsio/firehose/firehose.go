// Package firehose delivers records through Kinesis Data Firehose. A record counts as acknowledged
// only when Firehose has answered for this very record: a call that succeeds can still refuse some.
package firehose

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/collect"
	"verdict/shared/fault"
)

// The limits of PutRecordBatch (API reference).
const (
	maxRecords = 500
	maxBytes   = 4 << 20
)

// A client waits for the answer, so refused records are tried again about 0.1 and 0.3 s later, each
// time half to one and a half times that so that functions which were throttled together do not come back together,
// and then left to the client.
const (
	attempts   = 3
	firstPause = 100 * time.Millisecond
)

// Stream is one delivery stream.
type Stream struct {
	client *api.Client
	name   string
	wait   func(context.Context, time.Duration) error
}

var _ collect.Stream = (*Stream)(nil)

// New returns a Stream. wait sleeps unless ctx ends first.
func New(config aws.Config, name string, wait func(context.Context, time.Duration) error) *Stream {
	return &Stream{api.NewFromConfig(config), name, wait}
}

// Put implements collect.Stream.
func (s *Stream) Put(ctx context.Context, records [][]byte) ([]int, error) {
	open := make([]int, len(records)) // not acknowledged yet
	for i := range open {
		open[i] = i
	}
	var problem error
	pause := firstPause
	for attempt := 1; ; attempt++ {
		open, problem = s.put(ctx, records, open)
		if len(open) == 0 {
			return nil, nil
		}
		if attempt == attempts || fault.Is(problem, fault.Invalid) || s.wait(ctx, pause/2+rand.N(pause)) != nil {
			break
		}
		pause *= 3
	}
	if len(open) == len(records) && problem != nil {
		return nil, problem
	}
	return open, nil
}

// put tries records once, in as many calls as the limits ask for, and returns those that are open
// still and the last call's error.
func (s *Stream) put(ctx context.Context, records [][]byte, tried []int) (open []int, problem error) {
	for len(tried) > 0 {
		n, size := 0, 0
		for n < len(tried) && n < maxRecords && (n == 0 || size+len(records[tried[n]]) <= maxBytes) {
			size += len(records[tried[n]])
			n++
		}
		call := tried[:n]
		tried = tried[n:]
		in := &api.PutRecordBatchInput{DeliveryStreamName: &s.name, Records: make([]types.Record, n)}
		for i, record := range call {
			in.Records[i] = types.Record{Data: records[record]}
		}
		answer, err := s.client.PutRecordBatch(ctx, in)
		if err != nil {
			open, problem = append(open, call...), awsfault.Wrap("put records to "+s.name, err)
			continue
		}
		for i, record := range call {
			if i >= len(answer.RequestResponses) || aws.ToString(answer.RequestResponses[i].ErrorCode) != "" {
				open = append(open, record)
			}
		}
	}
	return open, problem
}
