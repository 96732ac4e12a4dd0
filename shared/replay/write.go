package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/valyala/fastjson"

	"verdict/shared/lake"
	"verdict/shared/land"
	"verdict/shared/plan"
)

// made is an event, and how it would have arrived.
type made struct {
	row       int
	event     *fastjson.Value
	reception land.Reception
	again     bool // it stands in quarantine already
}

// reception is that of an event which arrived when it happened: the exports do not say when they heard of it, and the
// time of the replay would make each one another.
func (r row) reception(namespace string, kind Kind) land.Reception {
	return land.Reception{Namespace: namespace, At: r.at, IP: r.ip, Agent: r.agent, Source: "replay:" + string(kind)}
}

// quarantined is an event as it came, from a line of quarantine.
func quarantined(v *fastjson.Value, n int) (made, error) {
	at, err := plan.ParseTime(v.GetStringBytes("received_ts"))
	namespace := string(v.GetStringBytes("namespace"))
	event := v.Get("event")
	if err != nil || namespace == "" || event == nil {
		return made{}, errors.New("want a line of quarantine, with namespace, received_ts and event")
	}
	return made{row: n, event: event, again: true, reception: land.Reception{
		Namespace: namespace, At: at.UTC(), Skew: time.Duration(v.GetInt64("skew_ms")) * time.Millisecond, Bot: v.GetBool("is_bot"),
		Source: "replay:" + string(Quarantine),
	}}, nil
}

// pendingBytes are gathered before the largest partition is written.
const pendingBytes = 32 << 20

// writer writes landed lines by partition. Which lines stand in which object follows from the rows alone.
type writer struct {
	objects lake.Objects
	name    string
	pending map[string][]byte // by partition
	size    int
	part    map[string]int
	written map[string]bool
}

func newWriter(objects lake.Objects, name string) *writer {
	return &writer{objects: objects, name: name, pending: map[string][]byte{}, part: map[string]int{}, written: map[string]bool{}}
}

func (*writer) row()           {}
func (*writer) erased()        {}
func (*writer) leftOut(string) {}

func (w *writer) good(ctx context.Context, e made) error {
	client, err := plan.ParseTime(e.event.GetStringBytes("ts"))
	if err != nil {
		return fmt.Errorf("read time: %w", err) // the plan has checked it
	}
	return w.add(ctx, partition("raw", e.reception.Namespace, e.reception.EventTime(client)), func(b []byte) []byte {
		return e.reception.AppendEvent(b, e.event)
	})
}

func (w *writer) bad(ctx context.Context, e made, failures []plan.Failure) error {
	if e.again {
		return nil
	}
	return w.add(ctx, partition("quarantine", e.reception.Namespace, e.reception.At), func(b []byte) []byte {
		return e.reception.AppendQuarantined(b, e.event, failures)
	})
}

func partition(area, namespace string, day time.Time) string {
	return fmt.Sprintf("%s/namespace=%s/event_date=%s/", area, namespace, day.Format(time.DateOnly))
}

func (w *writer) add(ctx context.Context, to string, appendLine func([]byte) []byte) error {
	before := len(w.pending[to])
	w.pending[to] = appendLine(w.pending[to])
	w.size += len(w.pending[to]) - before
	if w.size < pendingBytes {
		return nil
	}
	largest := slices.MaxFunc(slices.Sorted(maps.Keys(w.pending)), func(a, b string) int { return cmp.Compare(len(w.pending[a]), len(w.pending[b])) })
	return w.write(ctx, largest)
}

// flush writes what is left.
func (w *writer) flush(ctx context.Context) error {
	for _, to := range slices.Sorted(maps.Keys(w.pending)) {
		if err := w.write(ctx, to); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) write(ctx context.Context, to string) error {
	key := fmt.Sprintf("%s%s-%04d.ndjson.gz", to, w.name, w.part[to])
	body, err := land.Compress(w.pending[to])
	if err != nil {
		return fmt.Errorf("compress %s: %w", key, err)
	}
	w.size -= len(w.pending[to])
	delete(w.pending, to)
	w.part[to]++
	w.written[key] = true
	return w.objects.Put(ctx, key, body, lake.Overwrite)
}
