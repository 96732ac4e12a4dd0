package identity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/identity/linkage"
	"verdict/shared/lake"
)

// Device is what is known of an anonymous id whose holder granted analytics storage.
type Device struct {
	ID        string    `lake:"anonymous_id"`
	Networks  string    `lake:"networks"` // truncated addresses, blanks between
	Browser   string    `lake:"browser"`  // its traits
	Locale    string    `lake:"locale"`
	Zone      string    `lake:"zone"`
	Hours     string    `lake:"hours"` // events in each slot of the week, blanks between
	FirstSeen time.Time `lake:"first_seen"`
	LastSeen  time.Time `lake:"last_seen"`
}

// slots of a week in identity_signal.
const slots = 16

// DeviceQuery reads identity_signal from a day on, one row per device.
func DeviceQuery(since string) string {
	hours := make([]string, slots)
	for i := range hours {
		hours[i] = fmt.Sprintf("cast(sum(case when slot = %d then events else 0 end) as varchar)", i)
	}
	return `select
    anonymous_id,
    array_join(array_agg(distinct network order by network), ' ') as networks,
    max(browser) as browser,
    max(locale) as locale,
    max(time_zone) as zone,
    ` + strings.Join(hours, "\n        || ' ' || ") + ` as hours,
    min(first_seen) as first_seen,
    max(last_seen) as last_seen
from identity_signal
where event_date >= ` + lake.Quote(since) + `
group by anonymous_id
order by anonymous_id`
}

// seed of the random pairs that u is counted on. Fixed: the same devices give the same links.
const seed = 1

// fewest devices of which it can be learned what tells one person's from two's: with less, a lucky coincidence of
// strangers makes up a weight.
const fewest = 100

// suppose gives the links that signals make probable between devices, no more than it takes to make the units of
// them. What is certain must be settled in the graph: a known user teaches the weights, and no two users are linked.
// Devices that link nobody take no part.
func suppose(devices []Device, g *Graph, s linkage.Settings) ([]Link, error) {
	devices = slices.Clone(devices)
	slices.SortFunc(devices, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	t := &linkage.Table{Columns: linkage.SignalColumns()}
	var rows []Device
	for _, d := range devices {
		id := "a:" + d.ID
		if g.Barred(id) {
			continue
		}
		user := g.Unit(id)
		if !strings.HasPrefix(user, "u:") {
			user = ""
		}
		browser := ""
		if strings.TrimSpace(d.Browser) != "" {
			const day = 24 * 60 * 60
			browser = fmt.Sprintf("%d %d %s", d.FirstSeen.Unix()/day, d.LastSeen.Unix()/day, d.Browser)
		}
		rows = append(rows, d)
		t.Rows = append(t.Rows, []string{id, user, d.Networks, browser, d.Locale, d.Zone, d.Hours})
	}
	if len(rows) < fewest {
		return nil, nil
	}
	c := s.Comparison(g.guards.Degree) // as many as an id may have links: the certain ones stay
	r, err := linkage.Link(t, &c, seed)
	if err != nil {
		return nil, fmt.Errorf("link devices: %w", err)
	}
	out := make([]Link, 0, len(r.Joins))
	for _, m := range r.Joins {
		a, b := rows[m.A], rows[m.B]
		out = append(out, Link{
			A: "a:" + a.ID, B: "a:" + b.ID, First: later(a.FirstSeen, b.FirstSeen),
			Probability: min(float32(m.Probability), surely),
		})
	}
	return out, nil
}

// surely is the most that a probable link can be: 1 stands for certain.
const surely = 1 - 1.0/(1<<20)

func later(a, b time.Time) time.Time {
	if cmp.Compare(a.UnixNano(), b.UnixNano()) > 0 {
		return a
	}
	return b
}
