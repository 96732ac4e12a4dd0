package notify

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a Lambda has no time zones of its own

	"verdict/shared/fault"
)

// Policy is what a channel wants to be spared.
type Policy struct {
	Quiet      Hours // in which only what is critical is sent; the rest is held until they end
	Digest     bool  // one summary a day
	DigestOnly bool  // and nothing else but what is critical
	DigestAt   int   // hour of the day from which on the summary goes out, in Zone
	Zone       *time.Location
}

// Hours of a day, from one up to another, possibly over midnight. From equal to To is none.
type Hours struct{ From, To int }

func (h Hours) covers(hour int) bool {
	if h.From <= h.To {
		return hour >= h.From && hour < h.To
	}
	return hour >= h.From || hour < h.To
}

// quietUntil is the end of the quiet hours that a moment lies in; zero: it lies in none.
func (p Policy) quietUntil(now time.Time) time.Time {
	local := now.In(p.zone())
	if !p.Quiet.covers(local.Hour()) {
		return time.Time{}
	}
	end := time.Date(local.Year(), local.Month(), local.Day(), p.Quiet.To, 0, 0, 0, p.zone())
	if !end.After(local) {
		end = end.AddDate(0, 0, 1)
	}
	return end
}

func (p Policy) zone() *time.Location {
	if p.Zone == nil {
		return time.UTC
	}
	return p.Zone
}

// ParsePolicies reads policies by channel, as in
//
//	slack quiet=22-7 zone=Europe/Berlin digest=yes at=8; sns digest=only
//
// What is not said is off: no quiet hours, no digest, UTC.
func ParsePolicies(text string) (map[string]Policy, error) {
	out := map[string]Policy{}
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Fields(part)
		if len(fields) == 0 {
			continue
		}
		var p Policy
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			if err := p.set(key, value); err != nil {
				return nil, fault.New(fault.Invalid, "policy of %s: %w", fields[0], err)
			}
		}
		out[fields[0]] = p
	}
	return out, nil
}

func (p *Policy) set(key, value string) error {
	wrong := fault.New(fault.Invalid, "%s=%s: want quiet=22-7, zone=Europe/Berlin, digest=yes or only, at=8", key, value)
	hour := func(text string) (int, bool) {
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= 0 && n < 24
	}
	var ok bool
	switch key {
	case "quiet":
		from, to, found := strings.Cut(value, "-")
		var a, b bool
		p.Quiet.From, a = hour(from)
		p.Quiet.To, b = hour(to)
		ok = found && a && b
	case "zone":
		zone, err := time.LoadLocation(value)
		p.Zone, ok = zone, err == nil && value != ""
	case "digest":
		p.Digest, p.DigestOnly, ok = true, value == "only", value == "yes" || value == "only"
	case "at":
		p.DigestAt, ok = hour(value)
	}
	if !ok {
		return wrong
	}
	return nil
}
