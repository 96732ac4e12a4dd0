package optimizely

import (
	"context"
	"fmt"
	"math"
	"strings"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

const (
	// syntheticUsers show a share to half a percentage point, and take the SDK some ten milliseconds.
	syntheticUsers = 10_000

	// deviations is how far chance may carry a count: five err once in 1.7 million.
	deviations = 5
)

// served is what the datafile serves to the synthetic users, who have no attributes.
type served struct {
	revision string
	flag     feature.Flag
	users    []Decision
}

// serves reads what users are served before a change, where verify will compare; nil where it will not.
func (c *Client) serves(ctx context.Context, change decide.Change) (*served, error) {
	if c.config.Datafile == "" || change.Action != decide.Ramp {
		return nil, nil
	}
	return c.decisions(ctx, change.Flag)
}

func (c *Client) decisions(ctx context.Context, flag string) (*served, error) {
	body, err := Datafile{URL: c.config.Datafile, Client: c.http}.fetch(ctx)
	if err != nil {
		return nil, err
	}
	flags, err := ReadDatafile(body, c.config.Environment)
	if err != nil {
		return nil, err
	}
	bucketer, err := NewBucketer(body)
	if err != nil {
		return nil, err
	}
	out := &served{users: make([]Decision, syntheticUsers)}
	for _, f := range flags {
		if f.Key == flag {
			out.flag, out.revision = f, f.Revision
		}
	}
	for i := range out.users {
		if out.users[i], err = bucketer.Decide(flag, fmt.Sprintf("verdict-%d", i), nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// verify reads the datafile until it serves what was intended; the CDN needs its time. A change
// that it does not show in time is a fault.Transient: whoever repeats it comes by here again.
func (c *Client) verify(ctx context.Context, before *served, state ruleset, changed bool, change decide.Change) error {
	if c.config.Datafile == "" {
		return nil
	}
	for attempt := 1; ; attempt++ {
		after, err := c.decisions(ctx, change.Flag)
		if err == nil {
			err = intended(before, after, state, changed, change)
		}
		if err == nil || !fault.Is(err, fault.Transient) {
			return err
		}
		if err := c.pause(ctx, err, attempt); err != nil {
			return err
		}
	}
}

// intended tells whether the synthetic users get what a change was to give them.
func intended(before, after *served, state ruleset, changed bool, change decide.Change) error {
	late := func(format string, args ...any) error {
		return fault.New(fault.Transient, "verify flag %q: the datafile of revision %s does not serve it yet: %s", change.Flag, after.revision, fmt.Sprintf(format, args...))
	}
	everybody := len(audience(state.Rules[change.Rule].Audience)) == len("[]")
	switch change.Action {
	case decide.Enable:
		return nil // what its rules serve was not changed
	case decide.Disable:
		if n := count(after, func(d Decision) bool { return d.Rule != "" && !strings.HasPrefix(d.Rule, defaultRule) }); n > 0 {
			return late("rules serve %d of %d users", n, syntheticUsers)
		}
		return nil
	case decide.Ramp:
		if was, is := included(before, change.Rule), included(after, change.Rule); changed && was == is {
			return late("the rule includes %g %%", 100*is)
		}
		return unmoved(before, after, everybody, change)
	case decide.Conclude, decide.Rollback:
	}
	wrong := count(after, func(d Decision) bool {
		switch {
		case d.Rule == DeliveryKey(change.Rule):
			return d.Variation != change.Variant
		case d.Kind == feature.Experiment:
			return d.Rule == change.Rule // another experiment of the flag goes first
		default:
			return everybody
		}
	})
	if wrong > 0 {
		return late("%d of %d users do not get %s", wrong, syntheticUsers, change.Variant)
	}
	return nil
}

// unmoved checks that nobody lost a variant and that as many joined as were asked for.
func unmoved(before, after *served, everybody bool, change decide.Change) error {
	moved, in, others := 0, 0, 0
	for i, now := range after.users {
		was := before.users[i]
		if was.Rule == change.Rule && (now.Rule != was.Rule || now.Variation != was.Variation) {
			moved++
		}
		switch {
		case now.Rule == change.Rule:
			in++
		case now.Kind == feature.Experiment:
			others++
		}
	}
	if moved > 0 && !change.Rebucket {
		return fault.New(fault.Conflict, "verify ramp of rule %q: %d of %d users lost their variant: look at the flag's history", change.Rule, moved, syntheticUsers)
	}
	n, p := float64(syntheticUsers-others), included(after, change.Rule)
	if bound := deviations * math.Sqrt(n*p*(1-p)); everybody && math.Abs(float64(in)-n*p) > bound+1 {
		return fault.New(fault.Conflict, "verify ramp of rule %q: it serves %d of %d users, not %g %%: look at the flag's history", change.Rule, in, int(n), 100*p)
	}
	return nil
}

func count(s *served, is func(Decision) bool) int {
	n := 0
	for _, d := range s.users {
		if is(d) {
			n++
		}
	}
	return n
}

// included is the share that a datafile gives to an experiment.
func included(s *served, rule string) float64 {
	r, _ := experimentRule([]feature.Flag{s.flag}, s.flag.Key, rule)
	return r.Included
}
