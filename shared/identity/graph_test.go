package identity_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/identity"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func link(a, b string, minute int) identity.Link {
	return identity.Link{A: a, B: b, First: noon.Add(time.Duration(minute) * time.Minute)}
}

func settled(guards identity.Guards, links ...identity.Link) *identity.Graph {
	g := identity.NewGraph(guards)
	for _, l := range links {
		g.Add(l)
	}
	g.Settle(noon)
	return g
}

func TestGuards(t *testing.T) {
	guards := identity.Guards{Users: 2, Degree: 3, Component: 4, Blocked: []string{"null"}}
	cases := map[string]struct {
		links []identity.Link
		want  map[string]string
		fate  identity.Fate // of the last link
	}{
		"one person": {
			[]identity.Link{link("a:phone", "u:ann", 1), link("a:laptop", "u:ann", 2)},
			map[string]string{"a:phone": "u:ann", "a:laptop": "u:ann", "u:ann": "u:ann"},
			identity.Joined,
		},
		"a shared device links nobody": {
			[]identity.Link{link("a:phone", "u:ann", 1), link("a:kiosk", "u:ann", 2), link("a:kiosk", "u:bob", 3)},
			map[string]string{"a:kiosk": "a:kiosk", "a:phone": "u:ann", "u:bob": "u:bob"},
			identity.Shared,
		},
		"a unit has one user, that of the oldest link": {
			[]identity.Link{link("a:1", "u:ann", 1), link("a:2", "u:bob", 2), link("a:1", "a:2", 3)},
			map[string]string{"a:1": "u:ann", "a:2": "u:bob"},
			identity.Conflict,
		},
		"certain before probable": {
			[]identity.Link{{A: "a:1", B: "a:2", First: noon, Probability: 0.99}, link("a:2", "u:ann", 9), link("a:1", "u:bob", 8)},
			map[string]string{"a:1": "u:bob", "a:2": "u:ann"},
			identity.Joined,
		},
		"a probable link adds strangers to a user": {
			[]identity.Link{link("a:1", "u:ann", 1), {A: "a:2", B: "a:1", First: noon, Probability: 0.99}},
			map[string]string{"a:2": "u:ann"},
			identity.Joined,
		},
		"nobody has more links than the cap": {
			[]identity.Link{link("a:1", "a:hub", 1), link("a:2", "a:hub", 2), link("a:3", "a:hub", 3), link("a:4", "a:hub", 4)},
			map[string]string{"a:1": "a:1", "a:hub": "a:hub"},
			identity.Crowded,
		},
		"no unit is larger than the cap": {
			[]identity.Link{link("a:1", "a:2", 1), link("a:2", "a:3", 2), link("a:3", "a:4", 3), link("a:4", "a:5", 4)},
			map[string]string{"a:4": "a:1", "a:5": "a:5"},
			identity.TooLarge,
		},
		"a placeholder is no id": {
			[]identity.Link{link("a:1", "u:NULL", 1)},
			map[string]string{"a:1": "a:1"},
			identity.Blocked,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g := settled(guards, c.links...)
			for id, want := range c.want {
				if got := g.Unit(id); got != want {
					t.Errorf("%s is of %s, want %s", id, got, want)
				}
			}
			last := c.links[len(c.links)-1]
			for l, fate := range g.Fates() {
				if (l.A == last.A && l.B == last.B || l.A == last.B && l.B == last.A) && fate != c.fate {
					t.Errorf("%s and %s: %s, want %s", l.A, l.B, fate, c.fate)
				}
			}
		})
	}
}

func TestUndo(t *testing.T) {
	g := settled(identity.DefaultGuards(), link("a:1", "a:2", 1), link("a:2", "a:3", 2), link("a:1", "a:3", 3))
	g.Veto("a:1", "a:3")
	g.Settle(noon.Add(time.Hour))
	if g.Unit("a:1") == g.Unit("a:3") {
		t.Error("a:1 and a:3 are still one by way of a:2")
	}
	g.Rebuild(noon)
	if g.Unit("a:1") == g.Unit("a:3") || g.Unit("a:2") != "a:1" {
		t.Error("a rebuild forgot the veto")
	}
	var last identity.Change
	for c := range g.Log() {
		last = c
	}
	want := identity.Change{At: noon.Add(time.Hour), Link: link("a:2", "a:3", 2), Left: "a:1", Right: "a:3", Reason: identity.Vetoed}
	want.Link.Probability = 1
	if diff := cmp.Diff(want, last); diff != "" {
		t.Error(diff)
	}
	g.Allow("a:3", "a:1")
	g.Settle(noon)
	if g.Unit("a:3") != "a:1" {
		t.Error("the veto was taken back, but still holds")
	}
}

// A stream of links and vetoes over few ids, so that every guard strikes.
func stream(rng *rand.Rand) []func(*identity.Graph) {
	id := func() string {
		if rng.IntN(3) == 0 {
			return "u:" + strconv.Itoa(rng.IntN(12))
		}
		return "a:" + strconv.Itoa(rng.IntN(60))
	}
	out := make([]func(*identity.Graph), 20+rng.IntN(150))
	for i := range out {
		a, b, minute, chance := id(), id(), rng.IntN(50), float32(rng.IntN(3))/4
		out[i] = func(g *identity.Graph) {
			g.Add(identity.Link{A: a, B: b, First: noon.Add(time.Duration(minute) * time.Minute), Probability: chance})
		}
		if rng.IntN(12) == 0 {
			out[i] = func(g *identity.Graph) { g.Veto(a, b) }
		}
	}
	return out
}

type answer struct {
	Units  map[string]string
	Fates  map[identity.Link]identity.Fate
	Joined []identity.Link // what the log, replayed, says holds units together
}

func answerOf(g *identity.Graph) answer {
	out := answer{maps.Collect(g.Units()), maps.Collect(g.Fates()), nil}
	for c := range g.Log() {
		same := func(l identity.Link) bool { return l.A == c.Link.A && l.B == c.Link.B }
		if at := slices.IndexFunc(out.Joined, same); c.Merged == (at >= 0) {
			panic(fmt.Sprintf("the log says twice: %+v", c))
		} else if c.Merged {
			out.Joined = append(out.Joined, c.Link)
		} else {
			out.Joined = slices.Delete(out.Joined, at, at+1)
		}
	}
	slices.SortFunc(out.Joined, func(x, y identity.Link) int { return cmpStrings(x.A+" "+x.B, y.A+" "+y.B) })
	return out
}

func cmpStrings(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestIncrementalEqualsRebuild(t *testing.T) {
	guards := identity.Guards{Users: 3, Degree: 8, Component: 7, Blocked: []string{"7"}}
	struck := map[identity.Fate]int{}
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := stream(rng)
		batched, whole := identity.NewGraph(guards), identity.NewGraph(guards)
		for i, step := range steps {
			step(batched)
			if rng.IntN(5) == 0 {
				batched.Settle(noon.Add(time.Duration(i) * time.Minute))
			}
		}
		batched.Settle(noon)
		rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		for _, step := range steps {
			step(whole)
		}
		whole.Rebuild(noon)
		want, got := answerOf(whole), answerOf(batched)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d, rebuild (-) against batches (+):\n%s", seed, diff)
		}
		size := map[string]int{}
		for id, unit := range got.Units {
			if size[unit]++; size[unit] > guards.Component {
				t.Fatalf("seed %d: unit %s has %d ids", seed, unit, size[unit])
			}
			if id[0] == 'u' && id != unit {
				t.Fatalf("seed %d: user %s is of unit %s", seed, id, unit)
			}
		}
		for _, fate := range got.Fates {
			struck[fate]++
		}
	}
	for fate := identity.Joined; fate <= identity.TooLarge; fate++ {
		if struck[fate] == 0 {
			t.Errorf("no link was ever %s: the streams test less than they should", fate)
		}
	}
}
