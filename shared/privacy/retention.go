package privacy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"verdict/shared/fault"
)

// Retention is for how many days a namespace's landed events are kept. What it does not name is kept for ever.
type Retention map[string]int

var aNamespace = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// ParseRetention reads "games=30 shop=400".
func ParseRetention(text string) (Retention, error) {
	out := Retention{}
	for part := range strings.FieldsSeq(text) {
		namespace, number, _ := strings.Cut(part, "=")
		days, err := strconv.Atoi(number)
		if err != nil || out[namespace] != 0 {
			return nil, fault.New(fault.Invalid, "read retention: %q is none: want games=30 shop=400, each once", part)
		}
		out[namespace] = days
	}
	return out, out.Check()
}

// Check refuses what cannot be meant.
func (r Retention) Check() error {
	for _, namespace := range slices.Sorted(maps.Keys(r)) {
		if !aNamespace.MatchString(namespace) || r[namespace] < 1 {
			return fault.New(fault.Invalid, "check retention: %s=%d: want a namespace, and one day at least", namespace, r[namespace])
		}
	}
	return nil
}

// Prefixes lists where the landed events of a namespace stand.
func (Retention) Prefixes(namespace string) []string {
	return []string{raw + "/namespace=" + namespace + "/", quarantine + "/namespace=" + namespace + "/"}
}

// Sweep removes the landed events of days that are older than their namespace keeps them, and notes how many files that
// were. In a bucket S3 does so by itself.
func (o *Officer) Sweep(ctx context.Context, keeps Retention, by string) (Audit, error) {
	if by == "" {
		return Audit{}, fault.New(fault.Invalid, "sweep: say by whom it is: somebody will ask")
	}
	if err := keeps.Check(); err != nil {
		return Audit{}, err
	}
	now := o.Now().UTC()
	a := Audit{Action: Swept, By: by, At: now}
	hours := map[Hour]int64{} // late events of an old day have just been counted by the collector: the books must balance
	var failed error
	for _, namespace := range slices.Sorted(maps.Keys(keeps)) {
		first := now.AddDate(0, 0, -keeps[namespace]).Format(time.DateOnly)
		for _, prefix := range keeps.Prefixes(namespace) {
			if err := o.removeBefore(ctx, prefix, first, &a.Files, hours); err != nil {
				failed = errors.Join(failed, fmt.Errorf("sweep %s: %w", prefix, err))
			}
		}
	}
	a.Done, a.Erased = o.Now().UTC(), sortedHours(hours)
	if a.Files == 0 {
		return a, failed
	}
	return a, errors.Join(failed, o.audit(ctx, Request{Action: Swept, By: by, At: now}, a))
}

// removeBefore removes the files of days before one.
func (o *Officer) removeBefore(ctx context.Context, prefix, first string, files *int, hours map[Hour]int64) error {
	objects, err := o.Store.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, object := range objects {
		day, _, ok := strings.Cut(strings.TrimPrefix(object.Key, prefix+"event_date="), "/")
		if _, err := time.Parse(time.DateOnly, day); !ok || err != nil || day >= first {
			continue
		}
		body, err := o.Store.Get(ctx, object.Key)
		if err == nil {
			err = o.Store.Delete(ctx, object.Key)
		}
		if err != nil {
			return err
		}
		*files++
		area, _, _ := strings.Cut(prefix, "/")
		o.count(ctx, body, area, hours)
	}
	return nil
}

// count adds the lines of a file to the hours under which the collector has counted them. What cannot be read it had not.
func (o *Officer) count(ctx context.Context, body []byte, area string, hours map[Hour]int64) {
	lines, _, err := o.unpack(ctx, body)
	if err != nil {
		return
	}
	var parser fastjson.Parser
	for _, line := range lines {
		if v, err := parser.ParseBytes(line); err == nil {
			if hour := counted(v, area); hour.Hour != "" {
				hours[hour]++
			}
		}
	}
}
