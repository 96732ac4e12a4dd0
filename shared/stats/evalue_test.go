package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func logs(e []float64) []float64 {
	out := make([]float64, len(e))
	for i, v := range e {
		out[i] = math.Log(v)
	}
	return out
}

func TestEBHMatchesReference(t *testing.T) {
	type in struct {
		E     []float64
		Alpha float64
	}
	type out struct{ Reject []bool }
	for _, c := range golden[in, out](t, "ebh.json") {
		if diff := cmp.Diff(c.Out.Reject, EBH(logs(c.In.E), c.In.Alpha)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.ID, diff)
		}
	}
}

func TestEBHByHand(t *testing.T) {
	// 10 of them at .05: the k-th largest must reach 200/k: 200, 100, 66.7, 50, 40.
	e := logs([]float64{400, 200, 100, 50, 25, 10, 5, 2, 1, 0.5})
	if diff := cmp.Diff([]bool{true, true, true, true, false, false, false, false, false, false}, EBH(e, 0.05)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Overflowing, infinite and missing evidence.
	if diff := cmp.Diff([]bool{true, true, false}, EBH([]float64{5000, math.Inf(1), math.NaN()}, 0.05)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{false, false}, WeightedEBH(logs([]float64{1e9, 1e9}), []float64{1}, 0.05)); diff != "" {
		t.Errorf("a weight is missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, false}, WeightedEBH(logs([]float64{25, 25}), []float64{1.6e308, 0.4e308}, 0.05)); diff != "" {
		t.Errorf("weights whose sum overflows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true, false}, WeightedEBH(logs([]float64{25, 25}), []float64{8, 2}, 0.05)); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

// Dependent nulls, adversarial choice of when to look: the false discovery rate stays below alpha.
func TestEBHControlsFalseDiscoveries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	const runs, k, alpha = 1500, 10, 0.1
	m := Tune(alpha, 50)
	fdr := 0.0
	for range runs {
		var z [k]float64
		worst := 0.0
		for n := int64(1); n <= 50; n++ {
			common := r.NormFloat64()
			logE := make([]float64, k)
			for i := range z {
				z[i] += 0.8*common + 0.6*r.NormFloat64()
				logE[i] = m.LogE(n, z[i]/math.Sqrt(float64(n)))
			}
			for _, rejected := range EBH(logE, alpha) {
				if rejected {
					worst = 1
				}
			}
		}
		fdr += worst / runs
	}
	if limit := alpha + 3*math.Sqrt(alpha*(1-alpha)/runs); fdr > limit {
		t.Errorf("false discoveries in %.3f of runs, want at most %.3f", fdr, limit)
	}
}

func TestRunningMaximumMatchesReference(t *testing.T) {
	type in struct {
		E float64 `json:"running_max_e"`
	}
	type out struct {
		E float64 `json:"adjusted_log_mixture"`
	}
	for _, c := range golden[in, out](t, "e_adjusters.json") {
		near(t, c.ID, math.Exp(AdjustRunningMaximum(math.Log(c.In.E))), c.Out.E, 1e-12)
	}
	near(t, "e = 20", math.Exp(AdjustRunningMaximum(math.Log(20))), 1.7833221814823381, 1e-12)
}

func TestRunningMaximumIsAnAdjuster(t *testing.T) {
	// An adjuster A of a maximum M with P(M >= m) <= 1/m has integral of A(m)/m^2 over m >= 1 at most 1.
	sum, const1 := 0.0, 1e-3
	for l := const1 / 2; l < 2000; l += const1 {
		sum += math.Exp(AdjustRunningMaximum(l)-l) * const1
	}
	if sum > 1+1e-3 || sum < 0.99 {
		t.Errorf("integral %v, want 1", sum)
	}
	for _, at := range []float64{1e-3, 700} {
		near(t, "seam", AdjustRunningMaximum(at*(1+1e-9)), AdjustRunningMaximum(at*(1-1e-9)), 1e-6)
	}
	if got := AdjustRunningMaximum(math.Inf(1)); !math.IsInf(got, 1) {
		t.Errorf("certainty: %v", got)
	}
	if got := AdjustRunningMaximum(math.NaN()); got != math.Log(0.5) {
		t.Errorf("unknown maximum: %v", got)
	}
}

func TestSelectedLevel(t *testing.T) {
	for _, c := range []struct {
		selected, all int
		want          float64
	}{{4, 10, 0.02}, {10, 10, 0.05}, {0, 10, 0.05}, {1, 0, 0.05}} {
		if got := SelectedLevel(0.05, c.selected, c.all); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%d of %d: %v, want %v", c.selected, c.all, got, c.want)
		}
	}
}
