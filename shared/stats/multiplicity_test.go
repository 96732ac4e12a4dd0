package stats

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestHolmMatchesReference(t *testing.T) {
	type in struct{ P []float64 }
	type out struct{ Holm []float64 }
	for _, c := range golden[in, out](t, "multiplicity.json") {
		if diff := cmp.Diff(c.Out.Holm, Holm(c.In.P), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.ID, diff)
		}
	}
}

func TestHolm(t *testing.T) {
	// statsmodels 0.13.5, multipletests(method="holm").
	if diff := cmp.Diff([]float64{0.03, 0.06, 0.06, 0.02}, Holm([]float64{0.01, 0.04, 0.03, 0.005}), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Holm(nil); len(got) != 0 {
		t.Errorf("none: got %v", got)
	}
	rng := rand.New(rand.NewPCG(7, 8))
	p := make([]float64, 12)
	for i := range p {
		p[i] = rng.Float64() / 10
	}
	want := Holm(p)
	order := rng.Perm(len(p))
	shuffled := make([]float64, len(p))
	for i, j := range order {
		shuffled[i] = p[j]
	}
	for i, got := range Holm(shuffled) {
		if got != want[order[i]] {
			t.Errorf("order of input changed an adjusted p: got %v, want %v", got, want[order[i]])
		}
	}
}
