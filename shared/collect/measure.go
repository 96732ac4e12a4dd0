package collect

import (
	"context"
	"time"

	"github.com/valyala/fastjson"
)

// Meter is told what became of each batch: what a pipeline's operator watches.
type Meter interface {
	Measure(ctx context.Context, m Measurement)
}

// Measurement is one batch.
type Measurement struct {
	Namespace   string
	At          time.Time
	Received    int
	Accepted    int            // and acknowledged by the stream
	Quarantined int            // likewise
	NotStored   int            // events that the client was told to send again
	Duplicated  int            // copies of an event within the batch; those of other batches are found in the warehouse
	Broken      map[string]int // quarantined events by contract: an event of the plan, or "unknown"
	Dropped     map[string]int // events that the client itself gave up since its last report, by cause
	Skew        time.Duration  // how far the client's clock is ahead
	Took        time.Duration
}

// causes are what the SDK gives events up for (events/web/src/outbox.ts). Others are not counted, since
// each would be a metric of its own and anybody can write here.
func causes() []string {
	return []string{"evicted", "expired", "rejected", "unsendable", "consent"}
}

// mostDropped bounds what one client can claim to have lost in one batch.
const mostDropped = 1_000_000

func readDropped(batch *fastjson.Value) map[string]int {
	var out map[string]int
	for _, cause := range causes() {
		if n := batch.GetInt("dropped", cause); n > 0 && n <= mostDropped {
			if out == nil {
				out = map[string]int{}
			}
			out[cause] = n
		}
	}
	return out
}

func duplicates(events []*fastjson.Value) int {
	if len(events) < 2 {
		return 0
	}
	seen := make(map[string]struct{}, len(events))
	copies := 0
	for _, e := range events {
		id := e.GetStringBytes("event_id")
		if _, again := seen[string(id)]; again {
			copies++
		} else if len(id) > 0 {
			seen[string(id)] = struct{}{}
		}
	}
	return copies
}

// contract is the event that a quarantined one claims to be.
func (h *Handler) contract(event *fastjson.Value) string {
	name := string(event.GetStringBytes("event"))
	if _, err := h.Plan.Version(name); err != nil {
		return "unknown"
	}
	return name
}
