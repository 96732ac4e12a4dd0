// Package delivery is the one-machine delivery stream. Like Firehose it acknowledges a record once
// it is safe, buffers, and then writes gzip NDJSON under namespace=…/event_date=…/, both read from
// each line. Safe means: written to a file of the spool, so that a killed process loses nothing;
// it does not outlive the power failing within the buffering interval.
package delivery

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/valyala/fastjson"

	"verdict/shared/collect"
	"verdict/shared/lake"
	"verdict/shared/land"
)

// bufferSize is when a segment is delivered without being asked: Firehose's largest buffer.
const bufferSize = 128 << 20

// Stream is one delivery stream. It is safe for concurrent use.
type Stream struct {
	spool   string // folder of the segments not delivered yet
	prefix  string
	objects lake.Objects

	mu      sync.Mutex
	segment *os.File // nil: none open
	size    int64

	delivering sync.Mutex // one delivery at a time, puts go on meanwhile
}

var _ collect.Stream = (*Stream)(nil)

// Open returns a stream that delivers under prefix. Segments that an earlier process left in the
// folder spool are delivered with the next Flush, under the same names as that process would have
// used, so that a half-done delivery is completed and not doubled.
func Open(spool, prefix string, objects lake.Objects) (*Stream, error) {
	if err := os.MkdirAll(spool, 0o750); err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	return &Stream{spool: spool, prefix: prefix, objects: objects}, nil
}

// Put implements collect.Stream: all records are acknowledged or none.
func (s *Stream) Put(ctx context.Context, records [][]byte) ([]int, error) {
	s.mu.Lock()
	err := s.append(records)
	full := s.size >= bufferSize
	s.mu.Unlock()
	if err == nil && full {
		err = s.Flush(ctx)
	}
	return nil, err
}

func (s *Stream) append(records [][]byte) error {
	if s.segment == nil {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("name segment: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(s.spool, id.String()), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o640)
		if err != nil {
			return fmt.Errorf("open segment: %w", err)
		}
		s.segment, s.size = f, 0
	}
	n, err := s.segment.Write(slices.Concat(records...))
	if err != nil {
		// What stands of a record that is not acknowledged must not run into the next one.
		return fmt.Errorf("write segment: %w", errors.Join(err, s.segment.Truncate(s.size)))
	}
	s.size += int64(n)
	return nil
}

// Flush delivers everything acknowledged so far.
func (s *Stream) Flush(ctx context.Context) error {
	s.delivering.Lock()
	defer s.delivering.Unlock()
	s.mu.Lock()
	var err error
	if s.segment != nil {
		err = s.segment.Close()
		s.segment = nil
	}
	open, listErr := os.ReadDir(s.spool)
	s.mu.Unlock()
	if err = errors.Join(err, listErr); err != nil {
		return fmt.Errorf("flush stream: %w", err)
	}
	for _, entry := range open {
		if err := s.deliver(ctx, entry.Name()); err != nil {
			return fmt.Errorf("deliver segment %s: %w", entry.Name(), err)
		}
	}
	return nil
}

func (s *Stream) deliver(ctx context.Context, segment string) error {
	path := filepath.Join(s.spool, segment)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	partitions, err := partition(text)
	if err != nil {
		return err
	}
	for where, lines := range partitions {
		body, err := land.Compress(lines...)
		if err != nil {
			return err
		}
		if err := s.objects.Put(ctx, s.prefix+where+segment+".ndjson.gz", body, lake.Overwrite); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// partition groups lines by the folder they belong into. A last line without its end was cut off
// before it was acknowledged: its sender sends it again.
func partition(text []byte) (map[string][][]byte, error) {
	out := map[string][][]byte{}
	var parser fastjson.Parser
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, collect.MaxBody*2)
	scanner.Split(wholeLines)
	for scanner.Scan() {
		where := "unpartitioned/" // Firehose's error prefix: kept, for people to look at
		if v, err := parser.ParseBytes(scanner.Bytes()); err == nil {
			namespace, date := v.GetStringBytes("namespace"), v.GetStringBytes("event_date")
			if len(namespace) > 0 && len(date) > 0 {
				where = fmt.Sprintf("namespace=%s/event_date=%s/", namespace, date)
			}
		}
		out[where] = append(out[where], scanner.Bytes())
	}
	return out, scanner.Err()
}

func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, bytes.Clone(data[:i+1]), nil
	}
	return 0, nil, nil
}
