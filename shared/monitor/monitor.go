// Package monitor takes the pipeline's pulse: how fresh its tables are, how late events come, whether the ledger
// balances, whether events still look as they did last week. Each reading has a limit and a reason for it.
package monitor

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/ledger"
	"verdict/shared/tracking"
)

const (
	// baselineDays make up a week: a shorter baseline would take every Monday for a drift.
	baselineDays = 7
	// fewest events of a day from which a distribution is compared: with 200 in ten buckets, chance alone gives a PSI
	// of 0.09 = 2 * 9/200 on average, below the limit.
	fewest = 200
	// maxPSI is where credit scoring, from which the index comes, calls a population changed; from 0.1 on it watches
	// (Siddiqi, Credit Risk Scorecards, 2006).
	maxPSI = 0.25
	// maxNullShift is how much the share of events without a property may change: a tenth is beyond any weekday's mix.
	maxNullShift = 0.1
	// maxLag is twice what an hourly pipeline and five minutes of Firehose take.
	maxLag = 130 * time.Minute
	// maxLate is the share of events that may come more than a day late: phones that were off. Above it a client's queue
	// is stuck.
	maxLate = 0.05
	// maxPartitions is 80 % of the 500 that Firehose keeps open at once (Firehose quotas).
	maxPartitions = 400
)

// ReadingTable holds the readings by as_of, for who looks at the pipeline without touching it.
const ReadingTable = "pipeline_reading"

// Reading is one measurement, and a row of ReadingTable.
type Reading struct {
	Name  string  `json:"name" lake:"name"`            // as a metric is named: lag_seconds, psi
	Of    string  `json:"of,omitempty" lake:"subject"` // what of: an event's property, a link
	Value float64 `json:"value" lake:"value"`
	Limit float64 `json:"limit" lake:"threshold"` // that it must not exceed
	Says  string  `json:"says" lake:"says"`
}

// Limits lists the readings that there can be, with what it means that one is high.
func Limits() []Reading {
	return []Reading{
		{Name: "lost_events", Limit: 0, Says: "The ledger does not balance: events that were acknowledged are missing."},
		{Name: "client_loss_share", Limit: maxLate, Says: "Browsers lose more events on the way than closed pages explain."},
		{Name: "lag_seconds", Limit: maxLag.Seconds(), Says: "The newest fact is old: the pipeline stands still, or no event arrives."},
		{Name: "late_share", Limit: maxLate, Says: "Many events come a day or more after they happened."},
		{Name: "late_waiting", Limit: 0, Says: "Events came for days that are long over; they wait until somebody asks for the days."},
		{Name: "budget_spent_share", Limit: 1, Says: "An experiment's queries have read more than its budget."},
		{Name: "partitions", Limit: maxPartitions, Says: "Events of nearly as many days and namespaces arrive as Firehose keeps open."},
		{Name: "version_shift", Limit: maxPSI, Says: "Clients send other versions of an event than last week."},
		{Name: "new_type", Limit: 0, Says: "A property is new, or its values have another type than last week."},
		{Name: "null_shift", Limit: maxNullShift, Says: "A property is missing more often, or less, than last week."},
		{Name: "psi", Limit: maxPSI, Says: "The values of a property are distributed otherwise than last week."},
	}
}

// High tells whether somebody should look.
func (r Reading) High() bool { return r.Value > r.Limit }

// Monitor reads the lake.
type Monitor struct {
	Engine  lake.Engine
	Catalog lake.Catalog
	Now     func() time.Time
}

// Read takes all readings as of the start of a day (UTC): of the whole day before it, and of its week.
func (m *Monitor) Read(ctx context.Context, asOf time.Time, entries []ledger.Entry) ([]Reading, error) {
	var out []Reading
	for _, link := range []ledger.Link{ledger.Sending, ledger.Landing, ledger.Quarantine, ledger.Modelling} {
		t := ledger.Total(entries, link)
		if link == ledger.Sending { // browsers close; how many events that costs is for people to know
			share := float64(t.Lost) / math.Max(1, float64(t.In))
			out = append(out, Reading{"client_loss_share", "", share, maxLate, fmt.Sprintf("%d of %d events that browsers numbered did not arrive", t.Lost, t.In)})
			continue
		}
		out = append(out, Reading{"lost_events", string(link), float64(t.Lost), 0, fmt.Sprintf("%d of %d are missing", t.Lost, t.In)})
	}
	fresh, err := m.freshness(ctx, asOf)
	if err != nil {
		return nil, err
	}
	drift, err := m.drift(ctx, asOf)
	if err != nil {
		return nil, err
	}
	return append(append(out, fresh...), drift...), nil
}

type freshness struct {
	Last       time.Time `lake:"last_received"`
	Canary     time.Time `lake:"last_canary"`
	Events     int64     `lake:"events"`
	Late       int64     `lake:"late"`
	Partitions int64     `lake:"partitions"`
}

// freshness reads the last days' facts: the newest is what an analyst can see now.
func (m *Monitor) freshness(ctx context.Context, asOf time.Time) ([]Reading, error) {
	rows, err := lake.Read[freshness](ctx, m.Engine, fmt.Sprintf(`select
    max(received_ts) as last_received,
    max(case when event_name = '%s' then event_ts end) as last_canary,
    count(*) as events,
    coalesce(sum(case when received_ts >= event_ts + interval '1' day then 1 else 0 end), 0) as late,
    count(distinct namespace || event_date) as partitions
from fact_event
where event_date >= '%s'`, tracking.CanaryEvent, asOf.AddDate(0, 0, -baselineDays).Format(time.DateOnly)))
	if err != nil {
		return nil, fmt.Errorf("read freshness: %w", err)
	}
	f := rows[0]
	if f.Events == 0 {
		return []Reading{{"lag_seconds", "", math.Inf(1), maxLag.Seconds(), "no event of the last week has become a fact"}}, nil
	}
	of, at := "last event", f.Last
	if !f.Canary.IsZero() {
		of, at = "canary", f.Canary
	}
	lag := m.Now().Sub(at)
	late := float64(f.Late) / float64(f.Events)
	return []Reading{
		{"lag_seconds", of, lag.Seconds(), maxLag.Seconds(), fmt.Sprintf("the newest fact is of %s UTC, %s ago", at.Format("2006-01-02 15:04:05"), lag.Round(time.Second))},
		{"late_share", "", late, maxLate, fmt.Sprintf("%d of %d events of the last week came a day or more after they happened", f.Late, f.Events)},
		{"partitions", "", float64(f.Partitions), maxPartitions, fmt.Sprintf("%d days of namespaces had events in the last week; Firehose keeps 500 open", f.Partitions)},
	}, nil
}

type bucket struct {
	Event    string `lake:"event_name"`
	Version  string `lake:"schema_version"`
	Property string `lake:"property"`
	Type     string `lake:"type"`
	Bucket   string `lake:"bucket"`
	Before   int64  `lake:"before"`
	Now      int64  `lake:"now"`
}

// drift compares the day before asOf with the week before that day.
func (m *Monitor) drift(ctx context.Context, asOf time.Time) ([]Reading, error) {
	if _, err := m.Catalog.Table(ctx, "profile_property"); fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	day := asOf.AddDate(0, 0, -1).Format(time.DateOnly)
	rows, err := lake.Read[bucket](ctx, m.Engine, fmt.Sprintf(`select event_name, schema_version, property, type, bucket,
    sum(case when event_date < '%[1]s' then events else 0 end) as before,
    sum(case when event_date = '%[1]s' then events else 0 end) as now
from profile_property
where event_date >= '%[2]s' and event_date <= '%[1]s'
    and event_name <> 'experiment_exposed' -- experiments begin and end by plan
group by event_name, schema_version, property, type, bucket`, day, asOf.AddDate(0, 0, -1-baselineDays).Format(time.DateOnly)))
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	return compare(rows), nil
}

// share is how a count stood and stands.
type share struct{ before, now int64 }

func compare(rows []bucket) []Reading {
	totals := map[string]share{}               // by event
	versions := map[string]map[string]share{}  // by event and version
	values := map[[2]string]map[string]share{} // by event and property, and bucket
	types := map[[2]string]map[string]share{}  // likewise, and type
	add := func(to map[string]share, key string, r bucket) {
		to[key] = share{to[key].before + r.Before, to[key].now + r.Now}
	}
	for _, r := range rows {
		if r.Property == "" {
			totals[r.Event] = share{totals[r.Event].before + r.Before, totals[r.Event].now + r.Now}
			if versions[r.Event] == nil {
				versions[r.Event] = map[string]share{}
			}
			add(versions[r.Event], r.Version, r)
			continue
		}
		key := [2]string{r.Event, r.Property}
		if values[key] == nil {
			values[key], types[key] = map[string]share{}, map[string]share{}
		}
		add(values[key], r.Type+" "+r.Bucket, r)
		add(types[key], r.Type, r)
	}
	var out []Reading
	for event, of := range versions {
		if t := totals[event]; t.before >= fewest && t.now >= fewest {
			out = append(out, Reading{"version_shift", event, psi(of), maxPSI, "versions in use: " + shares(of)})
		}
	}
	for key, of := range values {
		total, name := totals[key[0]], key[0]+"."+key[1]
		if total.before < fewest || total.now < fewest {
			continue
		}
		sum := share{}
		for _, s := range of {
			sum = share{sum.before + s.before, sum.now + s.now}
		}
		for kind, s := range types[key] {
			if s.before == 0 && s.now > 0 {
				says := fmt.Sprintf("%d values are of type %s, which was not there in the week before", s.now, kind)
				if sum.before == 0 {
					says = fmt.Sprintf("the property is new: %d of %d events have it", s.now, total.now)
				}
				out = append(out, Reading{"new_type", name + " " + kind, float64(s.now), 0, says})
			}
		}
		missing := func(have, all int64) float64 { return math.Max(0, 1-float64(have)/float64(all)) }
		was, is := missing(sum.before, total.before), missing(sum.now, total.now)
		out = append(out, Reading{"null_shift", name, math.Abs(is - was), maxNullShift, fmt.Sprintf("missing in %.1f %% of events, %.1f %% the week before", 100*is, 100*was)})
		if sum.before >= fewest && sum.now >= fewest {
			out = append(out, Reading{"psi", name, psi(of), maxPSI, "values: " + shares(of)})
		}
	}
	slices.SortFunc(out, func(a, b Reading) int {
		return cmp.Or(cmp.Compare(b.Value/math.Max(b.Limit, 1e-9), a.Value/math.Max(a.Limit, 1e-9)), strings.Compare(a.Name+a.Of, b.Name+b.Of))
	})
	return out
}

// psi is the population stability index. A bucket that was or is empty counts as half an event, or one value that is
// new would make it infinite.
func psi(of map[string]share) float64 {
	var before, now float64
	for _, s := range of {
		before += math.Max(float64(s.before), 0.5)
		now += math.Max(float64(s.now), 0.5)
	}
	sum := 0.0
	for _, s := range of {
		p, q := math.Max(float64(s.before), 0.5)/before, math.Max(float64(s.now), 0.5)/now
		sum += (q - p) * math.Log(q/p)
	}
	return sum
}

// shares names the buckets that moved most.
func shares(of map[string]share) string {
	var before, now float64
	for _, s := range of {
		before, now = before+float64(s.before), now+float64(s.now)
	}
	type moved struct {
		name    string
		was, is float64
	}
	var all []moved
	for name, s := range of {
		all = append(all, moved{name, 100 * float64(s.before) / math.Max(before, 1), 100 * float64(s.now) / math.Max(now, 1)})
	}
	slices.SortFunc(all, func(a, b moved) int {
		return cmp.Or(cmp.Compare(math.Abs(b.is-b.was), math.Abs(a.is-a.was)), strings.Compare(a.name, b.name))
	})
	var parts []string
	for _, one := range all[:min(len(all), 3)] {
		parts = append(parts, fmt.Sprintf("%s %.1f %% (%.1f %%)", strings.TrimSpace(one.name), one.is, one.was))
	}
	return strings.Join(parts, ", ")
}
