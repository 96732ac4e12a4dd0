package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func procedures() map[string]func([]float64) []float64 {
	return map[string]func([]float64) []float64{
		"bonferroni": Bonferroni, "sidak": Sidak, "holm": Holm, "hochberg": Hochberg, "hommel": Hommel,
		"bh": BenjaminiHochberg, "by": BenjaminiYekutieli,
	}
}

func TestAdjustedPMatchesReference(t *testing.T) {
	type in struct{ P []float64 }
	type out struct {
		Bonferroni, Holm, Sidak, Hommel []float64
		Hochberg                        []float64 `json:"simes-hochberg"`
		BH                              []float64 `json:"fdr_bh"`
		BY                              []float64 `json:"fdr_by"`
	}
	for _, c := range golden[in, out](t, "multiplicity.json") {
		want := map[string][]float64{
			"bonferroni": c.Out.Bonferroni, "sidak": c.Out.Sidak, "holm": c.Out.Holm, "hochberg": c.Out.Hochberg,
			"hommel": c.Out.Hommel, "bh": c.Out.BH, "by": c.Out.BY,
		}
		for name, adjust := range procedures() {
			if diff := cmp.Diff(want[name], adjust(c.In.P), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", c.ID, name, diff)
			}
		}
	}
}

// statsmodels 0.13.5, multipletests.
func TestAdjustedPAnchors(t *testing.T) {
	p := []float64{0.01, 0.04, 0.03, 0.005}
	want := map[string][]float64{
		"bonferroni": {0.04, 0.16, 0.12, 0.02}, "sidak": {0.03940399, 0.15065344, 0.11470719, 0.019850499375},
		"holm": {0.03, 0.06, 0.06, 0.02}, "hochberg": {0.03, 0.04, 0.04, 0.02}, "hommel": {0.03, 0.04, 0.04, 0.02},
		"bh": {0.02, 0.04, 0.04, 0.02}, "by": {0.0416666666666666, 0.0833333333333333, 0.0833333333333333, 0.0416666666666666},
	}
	for name, adjust := range procedures() {
		if diff := cmp.Diff(want[name], adjust(p), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAdjustedPLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		p := make([]float64, 1+r.IntN(9))
		for i := range p {
			p[i] = math.Pow(r.Float64(), 3)
		}
		got := map[string][]float64{}
		for name, adjust := range procedures() {
			got[name] = adjust(p)
			order := r.Perm(len(p))
			shuffled := make([]float64, len(p))
			for i, j := range order {
				shuffled[i] = p[j]
			}
			for i, v := range adjust(shuffled) {
				if v != got[name][order[i]] {
					t.Fatalf("%s: order of input changed an adjusted p: got %v, want %v", name, v, got[name][order[i]])
				}
			}
		}
		for i := range p {
			for _, pair := range [][2]string{{"holm", "bonferroni"}, {"hochberg", "holm"}, {"hommel", "hochberg"}, {"bh", "hommel"}, {"bh", "by"}} {
				if got[pair[0]][i] > got[pair[1]][i]*(1+1e-12) {
					t.Fatalf("%s gives %v, more than %s with %v, on %v", pair[0], got[pair[0]][i], pair[1], got[pair[1]][i], p)
				}
			}
			if got["bh"][i] < p[i] || got["by"][i] > 1 {
				t.Fatalf("adjusted p outside [p, 1] for %v", p)
			}
		}
	}
}

// Hommel is the closure of Simes' test: a hypothesis is rejected when every set that holds it is.
func TestHommelIsClosedSimes(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	simes := func(p []float64, set int) float64 {
		var in []float64
		for i, v := range p {
			if set>>i&1 == 1 {
				in = append(in, v)
			}
		}
		least := 1.0
		for rank, i := range ascending(len(in), func(i int) float64 { return in[i] }) {
			least = min(least, float64(len(in))*in[i]/float64(rank+1))
		}
		return least
	}
	for range 100 {
		p := make([]float64, 6)
		for i := range p {
			p[i] = r.Float64() * r.Float64()
		}
		for i, got := range Hommel(p) {
			want := 0.0
			for set := range 1 << len(p) {
				if set>>i&1 == 1 {
					want = max(want, simes(p, set))
				}
			}
			near(t, "hommel", got, want, 1e-12)
		}
	}
}

func TestWeightedHolm(t *testing.T) {
	// By hand: p/w = .03, .04, .2 of weights 1/2, 1/4, 1/4 (p .015, .01, .05): .03*1, .04*.5 -> .03, .2*.25 -> .05.
	got := WeightedHolm([]float64{0.015, 0.01, 0.05}, []float64{2, 1, 1})
	if diff := cmp.Diff([]float64{0.03, 0.03, 0.05}, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := WeightedHolm([]float64{0, 0.01}, []float64{0, 1}); got[0] != 1 || got[1] != 0.01 {
		t.Errorf("weight 0: got %v", got)
	}
}

func TestImproperPCountsAsOne(t *testing.T) {
	for name, adjust := range procedures() {
		if got := adjust(nil); len(got) != 0 {
			t.Errorf("%s of none: %v", name, got)
		}
		for i, v := range adjust([]float64{math.NaN(), -1, 7, 0.5}) {
			if !(v >= 0 && v <= 1) {
				t.Errorf("%s: %v at %d", name, v, i)
			}
		}
	}
}
