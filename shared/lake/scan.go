package lake

import (
	"context"
	"sync/atomic"
)

// Scan adds up the bytes that an engine has read and bills for. An engine that bills nothing adds nothing.
type Scan struct {
	bytes  atomic.Int64
	around *Scan
}

// Bytes is what has been read so far.
func (s *Scan) Bytes() int64 { return s.bytes.Load() }

type scanKey struct{}

// Metered counts what the queries of a context read. Where the context is metered already, it counts there too.
func Metered(ctx context.Context) (context.Context, *Scan) {
	around, _ := ctx.Value(scanKey{}).(*Scan)
	s := &Scan{around: around}
	return context.WithValue(ctx, scanKey{}, s), s
}

// Scanned is for engines: it adds what a query has read to its context's Scan, if it has one.
func Scanned(ctx context.Context, bytes int64) {
	s, _ := ctx.Value(scanKey{}).(*Scan)
	for ; s != nil; s = s.around {
		s.bytes.Add(bytes)
	}
}
