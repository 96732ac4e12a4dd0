package launchdarkly

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/launchdarkly/go-sdk-common/v3/ldcontext"
	evaluation "github.com/launchdarkly/go-server-sdk-evaluation/v3"
	"github.com/launchdarkly/go-server-sdk-evaluation/v3/ldmodel"
)

type nothing struct{}

func (nothing) GetFeatureFlag(string) *ldmodel.FeatureFlag { return nil }
func (nothing) GetSegment(string) *ldmodel.Segment         { return nil }

// Users are placed as the evaluation engine of LaunchDarkly's own Go SDK places them, to the last one.
func TestBucketsAreThoseOfTheSDK(t *testing.T) {
	seed := int64(61)
	for name, r := range map[string]rollout{
		"by salt": {Variations: []weighted{{0, 12_345, false}, {1, 30_001, false}, {2, 57_654, false}}},
		"by seed": {Variations: []weighted{{2, 50_000, false}, {0, 1, false}, {1, 49_999, false}}, Seed: &seed},
		"short":   {Variations: []weighted{{0, 10_000, false}, {1, 10_000, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := flag{Key: "checkout", environment: environment{Salt: "c2FsdA=="}}
			b, err := json.Marshal(map[string]any{"variations": r.Variations, "seed": r.Seed})
			if err != nil {
				t.Fatal(err)
			}
			b = []byte(strings.ReplaceAll(string(b), `"_untracked"`, `"untracked"`))
			theirs, err := ldmodel.NewJSONDataModelSerialization().UnmarshalFeatureFlag(fmt.Appendf(nil,
				`{"key": "checkout", "salt": "c2FsdA==", "on": true, "variations": [0, 1, 2], "fallthrough": {"rollout": %s}}`, b))
			if err != nil {
				t.Fatal(err)
			}
			engine := evaluation.NewEvaluator(nothing{})
			for i := range syntheticUsers {
				user := fmt.Sprintf("user-%d", i)
				want := engine.Evaluate(&theirs, ldcontext.New(user), nil).Detail.VariationIndex.IntValue()
				if got := f.gives(serve{Rollout: &r}, user); got != want {
					t.Fatalf("%s gets %d, the SDK gives %d", user, got, want)
				}
			}
		})
	}
}

// Whatever the layout, the weights are whole, and still means that no bucket changes hands.
func TestLayoutKeepsWhatItSaysItKeeps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	outcomes := map[bool]int{}
	for range 20_000 {
		f, from := anyRollout(random)
		shares, included := f.shares(serve{Rollout: &from})
		want := 1 + random.IntN(fullRange)
		weights, still := f.layOut(from, want)
		if weights == nil {
			continue
		}
		outcomes[still]++
		sum, variants := 0, 0
		to := rollout{}
		for i := range f.Variations {
			w := weights[i]
			sum += w
			if w < 0 {
				t.Fatalf("%+v to %d: weights %v", from, want, weights)
			}
			if !f.excluded(i) {
				variants += w
				if d := float64(w) - shares[i]*float64(want); d > 1 || d < -1 {
					t.Fatalf("%+v to %d: variation %d gets %d, want %.1f", from, want, i, w, shares[i]*float64(want))
				}
			}
			to.Variations = append(to.Variations, weighted{i, w, false})
		}
		if sum != fullRange || variants != want {
			t.Fatalf("%+v to %d: weights %v add up to %d, the variants' to %d", from, want, weights, sum, variants)
		}
		old, _ := stretches(from)
		now, _ := stretches(to)
		kept := true
		for i, s := range old {
			kept = kept && (f.excluded(i) || s.from == s.to || now[i].from <= s.from && s.to <= now[i].to)
		}
		if still && !kept {
			t.Fatalf("%+v to %d: %v moves users and says that it does not", from, want, weights)
		}
		if float64(want) < included*fullRange-1 && still {
			t.Fatalf("%+v to %d: %v takes users out and says that it does not", from, want, weights)
		}
	}
	if outcomes[true] < 1_000 || outcomes[false] < 1_000 {
		t.Errorf("still: %v, want both outcomes often", outcomes)
	}
}

// Where every variant borders on an excluded variation that has room, any ramp up keeps users.
func TestLayoutFindsRoom(t *testing.T) {
	f := flag{}
	for _, name := range []string{"a", "excluded 1", "b", "c", "excluded 2", "d"} {
		f.Variations = append(f.Variations, variation{Name: name})
	}
	at := rollout{Variations: []weighted{{0, 1, false}, {1, 19_999 + 29_999, false}, {2, 1, false}, {3, 1, false}, {4, 24_999 + 24_999, false}, {5, 1, false}}}
	for want := 4_000; want <= fullRange; want += 4_000 {
		weights, still := f.layOut(at, want)
		if !still {
			t.Errorf("%v to %d: %v moves users", at, want, weights)
		}
		for i := range at.Variations {
			at.Variations[i].Weight = weights[i]
		}
	}
}

func anyRollout(random *rand.Rand) (flag, rollout) {
	var f flag
	var r rollout
	left := fullRange
	n := 2 + random.IntN(5)
	for i := range n {
		name := fmt.Sprintf("v%d", i)
		if random.IntN(2) == 0 {
			name = fmt.Sprintf("excluded %d", i)
		}
		f.Variations = append(f.Variations, variation{Name: name})
		w := left
		if i < n-1 {
			w = random.IntN(left + 1)
		}
		left -= w
		r.Variations = append(r.Variations, weighted{i, w, false})
	}
	return f, r
}
