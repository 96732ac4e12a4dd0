// Package decidetest holds what every adapter of decide.Flags must do, whatever the platform.
package decidetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

// Platform is a flag platform, or a faithful stand-in, as a test drives it.
type Platform struct {
	Flags       decide.Flags
	BeforeWrite func(do func())                                          // do happens right before the next write arrives
	SetIncluded func(t *testing.T, flag, rule string, share float64)     // somebody else changes a rule
	Included    func(t *testing.T, flag, rule string) float64            // what the rule says, in force or not
	Fail        func(fault Fault)                                        // spoils one read or write
	Decide      func(t *testing.T, flag string, users []string) []string // the variants that the platform's own SDK gives
	Changes     func() int64                                             // how many changes have been carried out
}

// Kind is a way in which a request goes wrong.
type Kind string

// The kinds of fault. Lost writes have been carried out; of the others, none has.
const (
	Busy  Kind = "busy"    // refused by the rate limit
	Down  Kind = "down"    // a server error
	Cut   Kind = "cut off" // the connection breaks
	Hang  Kind = "hanging" // no answer until the client gives up
	Lost  Kind = "lost"    // carried out, but the answer never arrives
	Error Kind = "error"   // carried out, but answered as a server error
)

// Fault spoils the next write, or else the next read.
type Fault struct {
	Write bool
	Kind  Kind
}

const (
	flagKey = "checkout"
	ruleKey = "one_page_checkout"
	users   = 10_000
	few     = 500 // users, where a fault is looked at and not a share
)

func seed() feature.Flag {
	return feature.Flag{
		Key: flagKey, Environment: "production", Enabled: true,
		Rules: []feature.Rule{{
			Key: ruleKey, Kind: feature.Experiment, Included: 0.8,
			Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "long", Share: 0.2}, {Key: "short", Share: 0.3}},
		}},
	}
}

func change(action decide.Action, variant string) decide.Change {
	return decide.Change{DecisionID: "d-" + string(action) + "-" + variant, Flag: flagKey, Rule: ruleKey, Action: action, Variant: variant}
}

// FlagsSuite holds an adapter to the contract of decide.Flags. newPlatform returns a fresh platform
// that has exactly the given flag.
func FlagsSuite(t *testing.T, newPlatform func(*testing.T, feature.Flag) Platform) {
	t.Helper()
	conclude, rollback := change(decide.Conclude, "short"), change(decide.Rollback, "control")
	ramp, disable := change(decide.Ramp, ""), change(decide.Disable, "")
	ramp.Included = 1
	fresh := func(t *testing.T) Platform {
		t.Helper()
		return newPlatform(t, seed())
	}

	t.Run("reads what runs", func(t *testing.T) {
		got, err := fresh(t).Flags.Flag(t.Context(), flagKey)
		if err != nil {
			t.Fatal(err)
		}
		opts := cmp.Options{cmpopts.IgnoreFields(feature.Flag{}, "Revision"), cmpopts.EquateApprox(0, 1e-4)}
		if diff := cmp.Diff(seed(), got, opts); diff != "" {
			t.Errorf("flag (-want +got):\n%s", diff)
		}
		if got.Revision == "" {
			t.Error("the flag has no revision")
		}
	})
	t.Run("serves the shares of the experiment", func(t *testing.T) {
		p := fresh(t)
		counts := map[string]int{}
		for _, v := range p.Decide(t, flagKey, people()) {
			counts[v]++
		}
		rule := seed().Rules[0]
		for _, v := range rule.Variants {
			within(t, v.Key, counts[v.Key], rule.Included*v.Share)
		}
	})
	for _, c := range []decide.Change{conclude, rollback} {
		t.Run(string(c.Action)+" gives everybody one variant, once", func(t *testing.T) {
			p := fresh(t)
			first := mustApply(t, p, c)
			if !first.Changed || first.Revision == "" || first.Detail == "" {
				t.Errorf("first = %+v, want a change with revision and detail", first)
			}
			delivered(t, p, c.Variant)
			for i, got := range p.Decide(t, flagKey, people()) {
				if got != c.Variant {
					t.Fatalf("user %d gets %q, want %q", i, got, c.Variant)
				}
			}
			again := mustApply(t, p, c)
			if again.Changed || again.Revision != first.Revision {
				t.Errorf("again = %+v, want no change since revision %s", again, first.Revision)
			}
			changes(t, p, 1)
		})
	}
	t.Run("rolls back what was concluded, and stays there", func(t *testing.T) {
		p := fresh(t)
		mustApply(t, p, conclude)
		if got := mustApply(t, p, rollback); !got.Changed {
			t.Error("the rollback changed nothing")
		}
		delivered(t, p, rollback.Variant)
		refused(t, p, conclude, fault.Conflict)
		delivered(t, p, rollback.Variant)
		changes(t, p, 2)
	})
	t.Run("refuses what it cannot mean", func(t *testing.T) {
		p := fresh(t)
		wrong := conclude
		wrong.Variant = "medium"
		refused(t, p, wrong, fault.Invalid)
		wrong = conclude
		wrong.Rule = "nowhere"
		refused(t, p, wrong, fault.NotFound)
		wrong = conclude
		wrong.Flag = "nowhere"
		refused(t, p, wrong, fault.NotFound)
		if _, err := p.Flags.Flag(t.Context(), "nowhere"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Flag: %v, want not found", err)
		}
		changes(t, p, 0)
	})
	t.Run("never overwrites somebody else's change", func(t *testing.T) {
		p := fresh(t)
		p.BeforeWrite(func() { p.SetIncluded(t, flagKey, ruleKey, 0.1) })
		overtaken(t, p, conclude)
	})
	t.Run("never overwrites it in a second try either", func(t *testing.T) {
		p := fresh(t)
		p.BeforeWrite(func() {
			p.SetIncluded(t, flagKey, ruleKey, 0.1)
			p.Fail(Fault{true, Busy})
		})
		overtaken(t, p, conclude)
	})
	t.Run("says so when a ramp crosses somebody else's change", func(t *testing.T) {
		p := fresh(t)
		p.BeforeWrite(func() { p.SetIncluded(t, flagKey, ruleKey, 0.9) })
		refused(t, p, ramp, fault.Conflict)
	})
	t.Run("two of the same change at once are one", func(t *testing.T) {
		p := fresh(t)
		p.BeforeWrite(func() { mustApply(t, p, conclude) })
		if got := mustApply(t, p, conclude); got.Changed {
			t.Error("the overtaken one says that it changed something")
		}
		delivered(t, p, conclude.Variant)
		changes(t, p, 1)
	})
	t.Run("ramps up, once, and leaves users where they are", func(t *testing.T) {
		p := fresh(t)
		before := p.Decide(t, flagKey, people())
		first := mustApply(t, p, ramp)
		if !first.Changed || first.Detail == "" {
			t.Errorf("first = %+v, want a change with detail", first)
		}
		joined := 0
		for i, now := range p.Decide(t, flagKey, people()) {
			switch was := before[i]; {
			case now == was:
			case isVariant(was):
				t.Fatalf("user %d moved from %s to %s", i, was, now)
			default:
				joined++
			}
		}
		within(t, "new users", joined, 1-seed().Rules[0].Included)
		if again := mustApply(t, p, ramp); again.Changed {
			t.Errorf("again = %+v, want no change", again)
		}
		changes(t, p, 1)
	})
	t.Run("takes users out only when told", func(t *testing.T) {
		p := fresh(t)
		down := ramp
		down.Included = 0.4
		refused(t, p, down, fault.Invalid)
		down.Included = 0
		refused(t, p, down, fault.Invalid)
		down.Included = 1.1
		refused(t, p, down, fault.Invalid)
		changes(t, p, 0)
		down.Included, down.Rebucket = 0.4, true
		mustApply(t, p, down)
		if got := p.Included(t, flagKey, ruleKey); math.Abs(got-0.4) > 1e-4 {
			t.Errorf("the rule includes %g, want 0.4", got)
		}
		changes(t, p, 1)
	})
	t.Run("ramps no experiment that has ended", func(t *testing.T) {
		p := fresh(t)
		mustApply(t, p, conclude)
		refused(t, p, ramp, fault.Conflict)
		delivered(t, p, conclude.Variant)
	})
	t.Run("switches the flag off and on", func(t *testing.T) {
		p := fresh(t)
		before := p.Decide(t, flagKey, people())
		enable := change(decide.Enable, "")
		if got := mustApply(t, p, enable); got.Changed {
			t.Error("it switched on what was on")
		}
		if got := mustApply(t, p, disable); !got.Changed || got.Detail == "" {
			t.Errorf("off = %+v, want a change with detail", got)
		}
		arrived(t, p, disable)
		refused(t, p, conclude, fault.Conflict)
		refused(t, p, ramp, fault.Conflict)
		mustApply(t, p, enable)
		if diff := cmp.Diff(before, p.Decide(t, flagKey, people())); diff != "" {
			t.Error("users do not get what they got before")
		}
		changes(t, p, 2)
	})
	for _, c := range []decide.Change{conclude, rollback, ramp, disable} {
		faults(t, fresh, c)
	}
}

// faults spoils each request in turn, in each way, and once more often than anybody retries.
func faults(t *testing.T, fresh func(*testing.T) Platform, c decide.Change) {
	t.Helper()
	const more = 20
	for _, f := range []Fault{
		{false, Busy},
		{false, Down},
		{false, Cut},
		{false, Hang},
		{true, Busy},
		{true, Down},
		{true, Cut},
		{true, Hang},
		{true, Lost},
		{true, Error},
	} {
		what := "read"
		if f.Write {
			what = "write"
		}
		t.Run(fmt.Sprintf("%s survives a %s that is %s", c.Action, what, f.Kind), func(t *testing.T) {
			p := fresh(t)
			p.Fail(f)
			if got := mustApply(t, p, c); !got.Changed {
				t.Error("it says that it changed nothing")
			}
			arrived(t, p, c)
			changes(t, p, 1)
		})
		if f.Kind == Hang {
			continue // to a client the same as being cut off, only slow
		}
		t.Run(fmt.Sprintf("%s is whole after a verifying read and a %s that are %s", c.Action, what, f.Kind), func(t *testing.T) {
			p := fresh(t)
			p.BeforeWrite(func() {
				for range more {
					p.Fail(Fault{false, f.Kind})
				}
			})
			p.Fail(f)
			whole(t, p, c)
		})
		t.Run(fmt.Sprintf("%s is whole although a %s stays %s", c.Action, what, f.Kind), func(t *testing.T) {
			p := fresh(t)
			for range more {
				p.Fail(f)
			}
			if f.Kind != Lost && f.Kind != Error {
				refused(t, p, c, fault.Transient) // at some point it gives up
				changes(t, p, 0)
			}
			whole(t, p, c)
		})
	}
}

// whole applies a change under faults, which may fail but not halfway, and then until it is done.
func whole(t *testing.T, p Platform, c decide.Change) {
	t.Helper()
	const patience = 20
	for range patience {
		_, err := p.Flags.Apply(t.Context(), c)
		if n := p.Changes(); n > 1 {
			t.Fatalf("%d changes were carried out, want one", n)
		}
		if err == nil {
			arrived(t, p, c)
			changes(t, p, 1)
			return
		}
		if !fault.Is(err, fault.Transient) {
			t.Fatalf("error = %v, want a transient one", err)
		}
	}
	t.Fatalf("not done after %d tries", patience)
}

// overtaken applies a change while somebody else lets the rule include a tenth. Theirs must stand
// afterwards: where the platform can make a write depend on what was read, the change is refused;
// where it cannot, the change leaves theirs alone.
func overtaken(t *testing.T, p Platform, c decide.Change) {
	t.Helper()
	_, err := p.Flags.Apply(t.Context(), c)
	switch {
	case err == nil:
		changes(t, p, 2)
		delivered(t, p, c.Variant)
	case fault.Is(err, fault.Conflict):
		changes(t, p, 1)
	default:
		t.Errorf("error = %v, want a conflict or none", err)
	}
	if got := p.Included(t, flagKey, ruleKey); math.Abs(got-0.1) > 1e-4 {
		t.Errorf("the rule includes %g, want the other's 0.1", got)
	}
	// Decided again, on the new state, it goes through.
	mustApply(t, p, c)
	delivered(t, p, c.Variant)
}

// arrived checks that a change is in force for users.
func arrived(t *testing.T, p Platform, c decide.Change) {
	t.Helper()
	switch c.Action {
	case decide.Conclude, decide.Rollback:
		delivered(t, p, c.Variant)
	case decide.Ramp:
		in := 0
		for _, v := range p.Decide(t, flagKey, people()) {
			if isVariant(v) {
				in++
			}
		}
		within(t, "users in the experiment", in, c.Included)
	case decide.Enable, decide.Disable:
		f, err := p.Flags.Flag(t.Context(), flagKey)
		if err != nil || f.Enabled != (c.Action == decide.Enable) {
			t.Errorf("flag = %+v, %v, want it %sd", f, err, c.Action)
		}
		for i, v := range p.Decide(t, flagKey, people()[:few]) {
			if isVariant(v) != (c.Action == decide.Enable) {
				t.Fatalf("user %d gets %q of a flag that is %sd", i, v, c.Action)
			}
		}
	}
}

func mustApply(t *testing.T, p Platform, c decide.Change) decide.Applied {
	t.Helper()
	got, err := p.Flags.Apply(t.Context(), c)
	if err != nil {
		t.Fatalf("apply %+v: %v", c, err)
	}
	return got
}

func refused(t *testing.T, p Platform, c decide.Change, want fault.Class) {
	t.Helper()
	if got, err := p.Flags.Apply(t.Context(), c); !fault.Is(err, want) {
		t.Errorf("apply %+v = %+v, %v, want an error of class %v", c, got, err, want)
	}
}

func changes(t *testing.T, p Platform, want int64) {
	t.Helper()
	if got := p.Changes(); got != want {
		t.Errorf("%d changes were carried out, want %d", got, want)
	}
}

// delivered checks that a flag runs no experiment and gives everybody one variant, both as the
// adapter reads it and as users get it.
func delivered(t *testing.T, p Platform, variant string) {
	t.Helper()
	f, err := p.Flags.Flag(t.Context(), flagKey)
	if err != nil {
		t.Fatal(err)
	}
	want := []feature.Rule{{Kind: feature.Delivery, Included: 1, Variants: []feature.Variant{{Key: variant, Share: 1}}}}
	if diff := cmp.Diff(want, f.Rules, cmpopts.IgnoreFields(feature.Rule{}, "Key")); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	for i, got := range p.Decide(t, flagKey, people()[:few]) {
		if got != variant {
			t.Fatalf("user %d gets %q, want %q", i, got, variant)
		}
	}
}

func people() []string {
	ids := make([]string, users)
	for i := range ids {
		ids[i] = fmt.Sprintf("user-%05d", i)
	}
	return ids
}

func isVariant(key string) bool {
	for _, v := range seed().Rules[0].Variants {
		if v.Key == key {
			return true
		}
	}
	return false
}

// within checks a count of users against a probability. Five standard deviations err once in 1.7
// million; the users are fixed, so a count that passes once passes always.
func within(t *testing.T, what string, count int, p float64) {
	t.Helper()
	want := users * p
	if bound := 5 * math.Sqrt(want*(1-p)); math.Abs(float64(count)-want) > bound {
		t.Errorf("%s: %d of %d users, want %.0f ± %.0f", what, count, users, want, bound)
	}
}
