package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestBestMatchesReference(t *testing.T) {
	type in struct{ Mean, SD []float64 }
	type out struct {
		Chance []float64 `json:"p_best"`
		Max    float64   `json:"e_max"`
		Loss   []float64 `json:"expected_loss"`
	}
	for _, c := range golden[in, out](t, "pbest_quadrature.json") {
		var arms, negative []Normal
		for i := range c.In.Mean {
			arms = append(arms, Normal{c.In.Mean[i], c.In.SD[i]})
			negative = append(negative, Normal{-c.In.Mean[i], c.In.SD[i]})
		}
		got, turned := PickBest(arms, false), PickBest(negative, true)
		near(t, c.ID+" value", got.Value, c.Out.Max, 1e-10)
		near(t, c.ID+" value, smaller is better", turned.Value, -c.Out.Max, 1e-10)
		for i := range arms {
			near(t, c.ID+" chance", got.Chance[i], c.Out.Chance[i], 1e-9)
			near(t, c.ID+" loss", got.Loss[i], c.Out.Loss[i], 1e-9)
			near(t, c.ID+" chance, smaller is better", turned.Chance[i], got.Chance[i], 1e-13)
		}
	}
}

func TestBestOfTwoIsClosedForm(t *testing.T) {
	for _, arms := range [][]Normal{
		{{0, 1}, {0, 1}},
		{{1, 1e-6}, {1.2, 1}}, // a step to the other
		{{1e6, 0.5}, {1e6 + 1, 2}},
		{{0, 1}, {12, 1}},
	} {
		d := Normal{Mean: arms[1].Mean - arms[0].Mean, SD: math.Hypot(arms[0].SD, arms[1].SD)}
		got := PickBest(arms, false)
		near(t, "chance", got.Chance[1], d.ChancePositive(), 1e-12)
		nearAbs(t, "loss of the second", got.Loss[1], d.LossTreatment(), 1e-10*d.SD)
		nearAbs(t, "loss of the first", got.Loss[0], d.LossControl(), 1e-9*d.SD)
	}
	if got := PickBest([]Normal{{1, 0}}, false); got.Status != Undefined {
		t.Errorf("%+v", got)
	}
	if got := PickBest(nil, false); got.Status != Insufficient {
		t.Errorf("%+v", got)
	}
}

func TestBetasMatchReference(t *testing.T) {
	type in struct {
		Control   [2]float64 `json:"control_beta"`
		Treatment [2]float64 `json:"treatment_beta"`
	}
	type out struct {
		Chance float64 `json:"p_treatment_better"`
		Loss   float64 `json:"loss_if_ship_treatment"`
	}
	for _, c := range golden[in, out](t, "beta_binomial.json") {
		got := CompareBetas(Beta{c.In.Control[0], c.In.Control[1]}, Beta{c.In.Treatment[0], c.In.Treatment[1]}, 0)
		near(t, c.ID+" chance", got.Chance, c.Out.Chance, 1e-9)
		near(t, c.ID+" loss", got.LossTreatment, c.Out.Loss, 1e-5) // the reference's quadrature ends there: docs/divergences.md
	}
}

// The integral in 25 digits (mpmath).
func TestBetaLossAnchor(t *testing.T) {
	near(t, "loss", CompareBetas(Beta{2, 50}, Beta{8, 46}, 0).LossTreatment, 0.000384436379802550634609, 1e-9)
}

func TestBetaLaws(t *testing.T) {
	// Miller's sum for whole parameters: P(treatment > control) = sum over i < a_t of
	// B(a_c + i, b_c + b_t) / ((b_t + i) B(1 + i, b_t) B(a_c, b_c)).
	control, treatment := Beta{11, 91}, Beta{16, 96}
	sum := 0.0
	for i := range 16 {
		x := float64(i)
		sum += math.Exp(lbeta(11+x, 91+96) - math.Log(96+x) - lbeta(1+x, 96) - lbeta(11, 91))
	}
	got := CompareBetas(control, treatment, 0.02)
	near(t, "chance", got.Chance, sum, 1e-12)
	near(t, "losses differ by the means", got.LossControl-got.LossTreatment, treatment.Mean()-control.Mean(), 1e-11)
	near(t, "labels", CompareBetas(treatment, control, 0.02).Chance, 1-sum, 1e-12)
	near(t, "region, labels", CompareBetas(treatment, control, 0.02).Equivalent, got.Equivalent, 1e-10)
	near(t, "everything is a region", CompareBetas(control, treatment, 1).Equivalent, 1, 1e-12)
	jeffreys := Beta{0.5, 0.5}
	near(t, "no data", CompareBetas(jeffreys, jeffreys, 0).Chance, 0.5, 1e-9)
	sure := CompareBetas(jeffreys.Update(0, 10000), jeffreys.Update(300, 10000), 0)
	if !(sure.Chance > 1-1e-12) || !(sure.LossTreatment >= 0 && sure.LossTreatment < 1e-12) {
		t.Errorf("0 against 300: %+v", sure)
	}
	i := Beta{3, 9}.Interval(0.1)
	near(t, "low", Beta{3, 9}.below(i.Low), 0.05, 1e-9)
	near(t, "high", Beta{3, 9}.below(i.High), 0.95, 1e-9)
	if bad := CompareBetas(Beta{0, 1}, jeffreys, 0); bad.Status != Undefined || bad.Chance != 0.5 {
		t.Errorf("%+v", bad)
	}
}

func TestAllocate(t *testing.T) {
	// By simulation of top-two Thompson: draw the best, with probability 1/2 draw again until another.
	chance := []float64{0.6, 0.3, 0.1}
	r := rand.New(rand.NewPCG(13, 1))
	draw := func() int {
		u := r.Float64()
		switch {
		case u < 0.6:
			return 0
		case u < 0.9:
			return 1
		}
		return 2
	}
	const n = 200000
	want := make([]float64, 3)
	for range n {
		i := draw()
		if r.IntN(2) == 1 {
			j := draw()
			for j == i {
				j = draw()
			}
			i = j
		}
		want[i] += 1.0 / n
	}
	got := Allocate(chance, 0)
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 0.004)); diff != "" {
		t.Errorf("(-simulated +got):\n%s", diff)
	}
	floored := Allocate([]float64{1, 0, 0}, 0.05)
	if diff := cmp.Diff([]float64{0.9, 0.05, 0.05}, floored, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("a sure winner (-want +got):\n%s", diff)
	}
	near(t, "too large a floor", Allocate(chance, 3)[0], 1.0/3, 1e-12)
	if got := Allocate([]float64{1}, 0.1); got[0] != 1 {
		t.Errorf("one arm: %v", got)
	}
}

// Behaviour drifts while traffic moves to treatment: pooled, a null effect looks large.
func TestEpochsAreFreeOfSimpson(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 1))
	const runs = 400
	covered, fooled := 0, 0
	for range runs {
		var epochs []Contrast
		var pooledC, pooledT Gram
		for e := range 5 {
			level := float64(e) // a sale warms up
			var c, k Gram
			for range 400 {
				y := level + r.NormFloat64()
				if r.Float64() < 0.1+0.2*float64(e) {
					k = k.Merge(Gram{N: 1, MeanY: y})
				} else {
					c = c.Merge(Gram{N: 1, MeanY: y})
				}
			}
			epochs = append(epochs, Compare(c.Arm(Mean), k.Arm(Mean)))
			pooledC, pooledT = pooledC.Merge(c), pooledT.Merge(k)
		}
		got := Stratify(epochs)
		if !got.Absolute(got.WelchCritical(0.05)).Excludes(0) {
			covered++
		}
		pooled := Compare(pooledC.Arm(Mean), pooledT.Arm(Mean))
		if pooled.WelchP() < 0.05 {
			fooled++
		}
	}
	if share := float64(covered) / runs; share < 0.92 {
		t.Errorf("covers in %.3f", share)
	}
	if fooled < runs*9/10 {
		t.Errorf("the pooled difference was fooled in %d of %d runs only: the test shows nothing", fooled, runs)
	}
	if got := Stratify([]Contrast{{Status: Insufficient}}); got.Status != Insufficient {
		t.Errorf("%+v", got)
	}
}
