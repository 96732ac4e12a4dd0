package privacy

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"verdict/shared/fault"
)

// Retention is for how many days a namespace's landed events are kept. What it does not name is kept for ever.
type Retention map[string]int

var aNamespace = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// ParseRetention reads "games=30 shop=400".
func ParseRetention(text string) (Retention, error) {
	out := Retention{}
	for _, part := range strings.Fields(text) {
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
func (r Retention) Prefixes(namespace string) []string {
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
	for _, namespace := range slices.Sorted(maps.Keys(keeps)) {
		first := now.AddDate(0, 0, -keeps[namespace]).Format(time.DateOnly)
		for _, prefix := range keeps.Prefixes(namespace) {
			n, err := o.removeBefore(ctx, prefix, first)
			a.Files += n
			if err != nil {
				return a, fmt.Errorf("sweep %s: %w", prefix, err)
			}
		}
	}
	a.Done = o.Now().UTC()
	if a.Files == 0 {
		return a, nil
	}
	return a, o.audit(ctx, Request{Action: Swept, By: by, At: now}, a)
}

// removeBefore removes the files of days before one.
func (o *Officer) removeBefore(ctx context.Context, prefix, first string) (n int, err error) {
	objects, err := o.Store.List(ctx, prefix)
	if err != nil {
		return 0, err
	}
	for _, object := range objects {
		day, _, ok := strings.Cut(strings.TrimPrefix(object.Key, prefix+"event_date="), "/")
		if _, err := time.Parse(time.DateOnly, day); !ok || err != nil || day >= first {
			continue
		}
		if err := o.Store.Delete(ctx, object.Key); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
