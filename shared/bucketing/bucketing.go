// Package bucketing audits assignment: for the exposures of a day it recomputes, from the configuration that was in
// force, which variant the flag platform gives the user, and counts those that say otherwise. A stale or forked SDK, an
// id that changes between two calls, a forced variant or a bug in a redirect show here first, and bias everything.
package bucketing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/redact"
	"verdict/shared/table"
)

const (
	prefix = "flags/datafiles/"
	// stamp sorts as time does.
	stamp = "20060102T150405.000Z"
	// most exposures of a day are audited: with 100,000, one mismatch in ten thousand is seen ten times.
	most = 100_000
)

// Bucketer says which variant a rule of one configuration gives a user; "" is none. It is fault.NotFound when the
// configuration has no such rule.
type Bucketer interface {
	Variation(rule, user string) (string, error)
}

// Auditor keeps the configurations and audits against them.
type Auditor struct {
	Open    func(configuration []byte) (Bucketer, error)
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string
	// Slack is how far the moment when a configuration was first seen here may be from when a client had it: clients
	// poll, and so do we.
	Slack time.Duration
}

// Row is one row of fact_bucketing_audit.
type Row struct {
	ExperimentID string `lake:"experiment_id"`
	Audited      int64  `lake:"audited"`
	Mismatched   int64  `lake:"mismatched"`
	Example      string `lake:"example"` // one exposure that says otherwise, without its user
	AsOf         string `lake:"as_of"`   // partition: the day after the exposures'
}

// Keep stores a configuration if it differs from the last one.
func (a *Auditor) Keep(ctx context.Context, configuration []byte, now time.Time) error {
	sum := sha256.Sum256(configuration)
	hash := hex.EncodeToString(sum[:8])
	kept, err := a.Objects.List(ctx, prefix)
	if err != nil {
		return err
	}
	if n := len(kept); n > 0 && strings.HasSuffix(kept[n-1].Key, "-"+hash+".json") {
		return nil
	}
	return a.Objects.Put(ctx, prefix+now.UTC().Format(stamp)+"-"+hash+".json", configuration, lake.Overwrite)
}

// version is a configuration and since when it is known.
type version struct {
	from     time.Time
	bucketer Bucketer
}

// history opens the configurations in order. What was in force before the first is not known, and most likely was it.
func (a *Auditor) history(ctx context.Context) ([]version, error) {
	kept, err := a.Objects.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var out []version
	for _, o := range kept {
		text, _, _ := strings.Cut(strings.TrimPrefix(o.Key, prefix), "-")
		from, err := time.Parse(stamp, text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read %s: its name holds no time", o.Key)
		}
		body, err := a.Objects.Get(ctx, o.Key)
		if err != nil {
			return nil, err
		}
		b, err := a.Open(body)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", o.Key, err)
		}
		out = append(out, version{from, b})
	}
	return out, nil
}

// near lists the configurations that a client may have had at a moment.
func (a *Auditor) near(all []version, at time.Time) []Bucketer {
	var out []Bucketer
	for i, v := range all {
		begins := v.from.Add(-a.Slack)
		if i == 0 {
			begins = time.Time{}
		}
		ends := at.Add(1)
		if i+1 < len(all) {
			ends = all[i+1].from.Add(a.Slack)
		}
		if !at.Before(begins) && at.Before(ends) {
			out = append(out, v.bucketer)
		}
	}
	return out
}

type exposure struct {
	Experiment string    `lake:"experiment_id"`
	Variant    string    `lake:"variant"`
	Anonymous  string    `lake:"anonymous_id"`
	User       string    `lake:"user_id"`
	At         time.Time `lake:"event_ts"`
}

// Run audits the exposures of the day before asOf and publishes fact_bucketing_audit for it.
func (a *Auditor) Run(ctx context.Context, experiments []*experiment.Experiment, asOf time.Time) error {
	all, err := a.history(ctx)
	if err != nil {
		return fmt.Errorf("audit bucketing: %w", err)
	}
	var rows []Row
	if len(all) > 0 {
		if rows, err = a.audit(ctx, experiments, all, asOf); err != nil {
			return fmt.Errorf("audit bucketing: %w", err)
		}
	}
	to := table.Place{Table: "fact_bucketing_audit", Run: a.NewRun(), PartitionBy: []string{"as_of"}, Values: []string{asOf.UTC().Format(time.DateOnly)}}
	return table.Write(ctx, a.Objects, a.Catalog, to, rows)
}

func (a *Auditor) audit(ctx context.Context, experiments []*experiment.Experiment, all []version, asOf time.Time) ([]Row, error) {
	// In the order of a hash, so that a limit is a random sample, and the same one each time.
	seen, err := lake.Read[exposure](ctx, a.Engine, fmt.Sprintf(`select
    json_extract_scalar(properties, '$.experiment_id') as experiment_id,
    json_extract_scalar(properties, '$.variant') as variant,
    coalesce(anonymous_id, '') as anonymous_id,
    coalesce(user_id, '') as user_id,
    event_ts
from fact_event
where event_name = 'experiment_exposed'
    and event_date = '%s'
    and not is_bot
    and entity_id is not null
    and coalesce(json_extract_scalar(properties, '$.source'), '') <> 'import' -- assigned elsewhere
order by to_hex(md5(to_utf8(event_id)))
limit %d`, asOf.UTC().AddDate(0, 0, -1).Format(time.DateOnly), most))
	if err != nil {
		return nil, fmt.Errorf("read exposures: %w", err)
	}
	var out []Row
	for _, e := range experiments {
		row := Row{ExperimentID: e.ID}
		for _, x := range seen {
			if x.Experiment != e.ID {
				continue
			}
			says, known, err := agrees(a.near(all, x.At), x)
			if err != nil {
				return nil, err
			}
			if !known {
				continue
			}
			row.Audited++
			if says != "" {
				row.Mismatched++
				row.Example = says
			}
		}
		if row.Audited > 0 {
			out = append(out, row)
		}
	}
	return out, nil
}

// agrees tells whether a configuration gives the exposure's variant to either of its ids: which of them the site asks
// with is its own affair. says is what all of them say instead; known is false where none has the rule.
func agrees(by []Bucketer, x exposure) (says string, known bool, err error) {
	if redact.Hashed(x.User) || redact.Hashed(x.Anonymous) { // the platform may have been asked with what the hash stands for
		return "", false, nil
	}
	got := map[string]bool{}
	for _, b := range by {
		for _, id := range []string{x.User, x.Anonymous} {
			if id == "" {
				continue
			}
			variation, err := b.Variation(x.Experiment, id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return "", false, err
			}
			if known = true; variation == x.Variant {
				return "", true, nil
			}
			if variation == "" {
				variation = "no variant"
			}
			got[variation] = true
		}
	}
	if !known {
		return "", false, nil
	}
	others := strings.Join(slices.Sorted(maps.Keys(got)), " or ")
	return fmt.Sprintf("at %s %s was shown, and the platform gives %s", x.At.Format(time.RFC3339), x.Variant, others), true, nil
}
