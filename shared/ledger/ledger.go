// Package ledger balances the books of collection: what browsers sent against what arrived, what the collector
// acknowledged against what landed, what landed against the facts made of it, hour by hour. A link that does not
// balance has lost events, and the ledger says how many, and when.
package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Link is a step on which events can get lost.
type Link string

// The links, in order.
const (
	Sending    Link = "client to collector" // gaps in the numbers that the SDK gives a session's events
	Landing    Link = "collector to raw"    // acknowledged, and not in the lake
	Quarantine Link = "collector to quarantine"
	Modelling  Link = "raw to facts" // landed, and no fact
)

// Count is how many lines the collector acknowledged in an hour.
type Count struct {
	Namespace   string
	Hour        string // UTC, as 2006-01-02T15
	Accepted    int64
	Quarantined int64
}

// Collected is the collector's own count, kept apart from the events.
type Collected interface {
	Collected(ctx context.Context, from, to time.Time) ([]Count, error)
}

// Erased tells what was taken out of the lake on purpose, because persons asked for it.
type Erased interface {
	Erased(ctx context.Context, from, to time.Time) ([]Count, error)
}

// BalanceTable holds the ledger of the week before as_of, for who looks at the pipeline without touching it.
const BalanceTable = "ledger_balance"

// Entry is one line of the ledger, and a row of BalanceTable. Hours of the first link are days: a session is known
// when it is over.
type Entry struct {
	Link      Link   `json:"link" lake:"link"`
	Namespace string `json:"namespace" lake:"namespace"`
	Hour      string `json:"hour" lake:"hour"`
	In        int64  `json:"in" lake:"events_in"`
	Out       int64  `json:"out" lake:"events_out"`
	Erased    int64  `json:"erased,omitempty" lake:"erased"` // because persons asked for it
	Lost      int64  `json:"lost" lake:"lost"`
}

// Ours tells whether the loss is on our side of the door: then it is a fault, and not a closed laptop.
func (e Entry) Ours() bool { return e.Lost > 0 && e.Link != Sending }

// Ledger reads both sides of each link.
type Ledger struct {
	Engine    lake.Engine
	Catalog   lake.Catalog
	Collected Collected
	Erased    Erased // may be nil
}

type landed struct {
	Namespace string `lake:"namespace"`
	Hour      string `lake:"received_hour"`
	Area      string `lake:"area"`
	Lines     int64  `lake:"lines"`
	Events    int64  `lake:"events"`
	Facts     int64  `lake:"facts"`
	Lost      int64  `lake:"lost"`
}

type session struct {
	Namespace string `lake:"namespace"`
	Day       string `lake:"event_date"`
	Sent      int64  `lake:"sent"`
	Arrived   int64  `lake:"arrived"`
	Lost      int64  `lake:"lost"`
}

// Balance gives the entries of the hours from one moment up to another, in order. Both are whole days: an hour can
// hold events of the day before it.
func (l *Ledger) Balance(ctx context.Context, from, to time.Time) ([]Entry, error) {
	for _, name := range []string{"ledger_session", "ledger_hour"} {
		if _, err := l.Catalog.Table(ctx, name); err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil, fault.New(fault.NotFound, "balance the ledger: %s has not been made: run the pipeline first", name)
			}
			return nil, err
		}
	}
	within := func(column string) string {
		return fmt.Sprintf("%s >= '%s' and %s < '%s'", column, from.Format(time.DateOnly), column, to.Format(time.DateOnly))
	}
	sessions, err := lake.Read[session](ctx, l.Engine, `select namespace, event_date, sum(sent) as sent, sum(arrived) as arrived, sum(lost) as lost
from ledger_session
where `+within("event_date")+`
group by namespace, event_date`)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	hours, err := lake.Read[landed](ctx, l.Engine, `select namespace, received_hour, area, sum(lines) as lines, sum(events) as events, sum(facts + elsewhere) as facts, sum(lost) as lost
from ledger_hour
where `+within("received_hour")+`
group by namespace, received_hour, area`)
	if err != nil {
		return nil, fmt.Errorf("read hours: %w", err)
	}
	counts, err := l.Collected.Collected(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("read what was collected: %w", err)
	}
	var erased []Count
	if l.Erased != nil {
		if erased, err = l.Erased.Erased(ctx, from, to); err != nil {
			return nil, fmt.Errorf("read what was erased: %w", err)
		}
	}
	return balance(sessions, hours, counts, erased), nil
}

func balance(sessions []session, hours []landed, counts, erased []Count) []Entry {
	var out []Entry
	for _, s := range sessions {
		out = append(out, Entry{Link: Sending, Namespace: s.Namespace, Hour: s.Day, In: s.Sent, Out: s.Arrived, Lost: s.Lost})
	}
	type at struct{ namespace, hour, area string }
	gone := map[at]int64{}
	for _, e := range erased {
		gone[at{e.Namespace, e.Hour, "raw"}] += e.Accepted
		gone[at{e.Namespace, e.Hour, "quarantine"}] += e.Quarantined
	}
	lines := map[at]int64{}
	for _, h := range hours {
		lines[at{h.Namespace, h.Hour, h.Area}] += h.Lines
		if h.Area == "raw" {
			out = append(out, Entry{Link: Modelling, Namespace: h.Namespace, Hour: h.Hour, In: h.Events, Out: h.Facts, Lost: h.Lost})
		}
	}
	// What landed without being counted was never acknowledged: the collector died in between, its client sends
	// again, and the copy is recognised by its id. So only the other direction is a loss.
	for _, c := range counts {
		for _, side := range []struct {
			link     Link
			area     string
			accepted int64
		}{{Landing, "raw", c.Accepted}, {Quarantine, "quarantine", c.Quarantined}} {
			where := at{c.Namespace, c.Hour, side.area}
			there, gone := lines[where], gone[where]
			if side.accepted > 0 {
				out = append(out, Entry{side.link, c.Namespace, c.Hour, side.accepted, there, gone, max(0, side.accepted-there-gone)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		order := []Link{Sending, Landing, Quarantine, Modelling}
		if d := slices.Index(order, a.Link) - slices.Index(order, b.Link); d != 0 {
			return d
		}
		return strings.Compare(a.Namespace+a.Hour, b.Namespace+b.Hour)
	})
	return out
}

// Total adds up a link.
func Total(entries []Entry, link Link) Entry {
	sum := Entry{Link: link}
	for _, e := range entries {
		if e.Link == link {
			sum.In, sum.Out, sum.Erased, sum.Lost = sum.In+e.In, sum.Out+e.Out, sum.Erased+e.Erased, sum.Lost+e.Lost
		}
	}
	return sum
}
