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
	included float64 // of all users, by the experiment in question
	most     float64 // that it can include: less than 1 in a mutual exclusion group
	users    []Decision
}

// serves reads what users are served before a change, where verify will compare; nil where it will not.
func (c *Client) serves(ctx context.Context, change decide.Change) (*served, error) {
	if c.config.Datafile == "" || change.Action != decide.Ramp {
		return nil, nil
	}
	return c.decisions(ctx, change)
}

func (c *Client) decisions(ctx context.Context, change decide.Change) (*served, error) {
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
	rule, _ := experimentRule(flags, change.Flag, change.Rule)
	out := &served{
		revision: bucketer.config.GetRevision(), included: rule.Included, most: bucketer.room(change.Rule),
		users: make([]Decision, syntheticUsers),
	}
	for i := range out.users {
		if out.users[i], err = bucketer.Decide(change.Flag, fmt.Sprintf("verdict-%d", i), nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// verify reads the datafile until it serves what was intended; the CDN needs its time. A change
// that it does not show in time is a fault.Transient: whoever repeats it comes by here again.
func (c *Client) verify(ctx context.Context, before *served, state ruleset, change decide.Change) error {
	if c.config.Datafile == "" {
		return nil
	}
	for attempt := 1; ; attempt++ {
		after, err := c.decisions(ctx, change)
		if err == nil {
			err = intended(before, after, state, change)
		}
		if err == nil || !fault.Is(err, fault.Transient) {
			return err
		}
		if err := decide.Pause(ctx, c.wait, err, attempt); err != nil {
			return err
		}
	}
}

// intended tells whether the synthetic users get what a change was to give them.
func intended(before, after *served, state ruleset, change decide.Change) error {
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
		// The platform rounds each variation's stretch to whole buckets.
		rounding := float64(len(state.Rules[change.Rule].Variations)) / fullRange
		if want := after.most * change.Included; math.Abs(after.included-want) > rounding {
			return late("the rule includes %g %%, not %g %%", 100*after.included, 100*want)
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
	if others > 0 && after.most < 1 {
		return nil // who is in another experiment of the group is so by no chance of its own
	}
	n, p := float64(syntheticUsers-others), after.included
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
