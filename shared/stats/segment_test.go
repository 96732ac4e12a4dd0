package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mat"
)

func TestInteractionMatchesEstimatr(t *testing.T) {
	type cell struct {
		A, B int
		sums
	}
	type in struct{ Cells []cell }
	type out struct {
		Interaction float64
		SE          float64 `json:"se_HC2"`
		Chi2        float64 `json:"assign_chi2"`
		P           float64 `json:"assign_p"`
	}
	for _, c := range golden[in, out](t, "interaction_2x2.json") {
		var cells [2][2]Arm
		for _, x := range c.In.Cells {
			cells[x.A][x.B] = x.gram().Arm(Mean)
		}
		got := Interact(cells, Tune(0.05, 1000))
		near(t, c.ID+" effect", got.Effect, c.Out.Interaction, 1e-9)
		near(t, c.ID+" se", got.SE, c.Out.SE, 1e-9)
		near(t, c.ID+" chi-square", got.Independent.Statistic, c.Out.Chi2, 1e-9)
		near(t, c.ID+" p", got.Independent.P, c.Out.P, 1e-9)
	}
}

func TestInteractionByHand(t *testing.T) {
	arm := func(mean float64) Arm { return Arm{N: 100, Mean: mean, Variance: 4} }
	got := Interact([2][2]Arm{{arm(1), arm(2)}, {arm(3), arm(7)}}, Tune(0.05, 400))
	near(t, "effect", got.Effect, 3, 1e-14) // 7 - 3 - 2 + 1
	near(t, "se", got.SE, 0.4, 1e-14)
	near(t, "p", got.P, 6.381782700964e-14, 1e-4)
	if got.Independent.Statistic != 0 || got.Independent.P != 1 {
		t.Errorf("balanced cells: %+v", got.Independent)
	}
	if got := Interact([2][2]Arm{{arm(1), {Status: Insufficient}}, {arm(3), arm(7)}}, Mixture{}); got.Status != Insufficient || got.P != 1 {
		t.Errorf("an empty cell: %+v", got)
	}
}

// The mixture over effects in two dimensions by quadrature.
func TestChiSquareMixtureIsTheIntegral(t *testing.T) {
	m, n := Mixture{Rho2: 0.01}, int64(300)
	q := m.Rho2 * float64(n)
	for _, z := range [][2]float64{{0, 0}, {1, 2}, {-3, 0.5}} {
		one := func(z float64) float64 { // mixture of exp(d z - d^2/2) over d ~ N(0, q)
			return quad.Fixed(func(d float64) float64 {
				return math.Exp(d*z-d*d/2-d*d/(2*q)) / math.Sqrt(2*math.Pi*q)
			}, -12*math.Sqrt(q), 12*math.Sqrt(q), 400, nil, 0)
		}
		near(t, "log e", m.LogEChiSquare(n, z[0]*z[0]+z[1]*z[1], 2), math.Log(one(z[0])*one(z[1])), 1e-9)
	}
	near(t, "one dimension", m.LogEChiSquare(n, 4, 1), m.LogE(n, 2), 1e-14)
}

func segments(r *rand.Rand, effects []float64) []Contrast {
	var out []Contrast
	for _, e := range effects {
		se := 0.05
		out = append(out, Contrast{N: 4000, Control: 1, Treatment: 1 + e + se*r.NormFloat64(), VarControl: se * se / 2, VarTreatment: se * se / 2, DF: 1e6})
	}
	return out
}

func TestSegmentsAskFirstWhetherAnythingDiffers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	m := Tune(0.05, 40000)
	const runs = 1000
	called := 0
	for range runs {
		s := CompareSegments(segments(r, fill(10, 0.1)), m, 0.05) // the same effect everywhere
		if s.Differ {
			called++
		} else {
			for _, rejected := range s.Rejected {
				if rejected {
					t.Fatal("a segment was judged although they do not differ")
				}
			}
		}
	}
	if called > 25 {
		t.Errorf("called different in %d of %d runs", called, runs)
	}
	s := CompareSegments(segments(r, []float64{0.6, 0, 0, 0, 0, 0, 0, 0}), m, 0.05)
	if !s.Differ || !s.Rejected[0] {
		t.Errorf("one segment of eight moves by 12 standard errors: %+v", s)
	}
	if !(s.Effects[0].Mean > 0.4 && s.Effects[0].Mean < s.Effects[0].Mean+1) || math.Abs(s.Effects[1].Mean) > 0.15 {
		t.Errorf("effects %v", s.Effects)
	}
	some := append(segments(r, []float64{0.6, 0, 0, 0}), Contrast{Status: Insufficient, Reason: "few"})
	if got := CompareSegments(some, m, 0.05); got.Status != OK || !got.Rejected[0] || got.Rejected[4] || got.DF != 3 || !(got.Effects[4].SD > got.Effects[1].SD) {
		t.Errorf("a segment without units hides the others: %+v", got)
	}
	if got := CompareSegments([]Contrast{{Status: Insufficient, Reason: "few"}}, m, 0.05); got.Status != Insufficient || got.P != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTrend(t *testing.T) {
	// By hand: weights 1, 1, 4 on (0, 1), (1, 2), (2, 6): means x 1.5, y 4.5; slope (1.5*3.5 + .5*2.5 + 4*.5*1.5)/(2.25 + .25 + 1).
	day := func(effect, se float64) Contrast { return Contrast{Treatment: effect, VarTreatment: se * se} }
	got := FitTrend([]float64{0, 1, 2}, []Contrast{day(1, 1), day(2, 1), day(6, 0.5)})
	near(t, "slope", got.Slope, 9.5/3.5, 1e-13)
	near(t, "se", got.SE, 1/math.Sqrt(3.5), 1e-13)
	far := FitTrend([]float64{2e7, 2e7 + 1, 2e7 + 2}, []Contrast{day(1, 1), day(2, 1), day(6, 0.5)})
	near(t, "slope, days counted from far", far.Slope, 9.5/3.5, 1e-12)
	for _, c := range [][]Contrast{nil, {day(1, 1)}, {day(1, 1), {Status: Insufficient}}} {
		if got := FitTrend([]float64{3, 4}, c); got.Status != Insufficient || got.P != 1 {
			t.Errorf("%+v", got)
		}
	}
}

// kolmogorovExact is P(D_n < d): Marsaglia, Tsang and Wang, Journal of Statistical Software 8(18),
// 2003, with its example P(D_10 < .274).
func kolmogorovExact(d float64, n int) float64 {
	k := int(float64(n)*d) + 1
	m := 2*k - 1
	h := float64(k) - float64(n)*d
	matrix := mat.NewDense(m, m, nil)
	for i := range m {
		for j := range m {
			if i-j+1 >= 0 {
				matrix.Set(i, j, 1)
			}
		}
	}
	for i := range m {
		matrix.Set(i, 0, matrix.At(i, 0)-math.Pow(h, float64(i+1)))
		matrix.Set(m-1, i, matrix.At(m-1, i)-math.Pow(h, float64(m-i)))
	}
	if 2*h-1 > 0 {
		matrix.Set(m-1, 0, matrix.At(m-1, 0)+math.Pow(2*h-1, float64(m)))
	}
	for i := range m {
		for j := range m {
			if f := i - j + 1; f > 0 {
				matrix.Set(i, j, matrix.At(i, j)/math.Gamma(float64(f)+1))
			}
		}
	}
	// n!/n^n H^n, scaled at each step.
	product := mat.NewDense(m, m, nil)
	for i := range m {
		product.Set(i, i, 1)
	}
	for i := 1; i <= n; i++ {
		var next mat.Dense
		next.Mul(product, matrix)
		next.Scale(float64(i)/float64(n), &next)
		product = &next
	}
	return product.At(k-1, k-1)
}

func TestUniformity(t *testing.T) {
	near(t, "the published example", kolmogorovExact(0.274, 10), 0.6284796154565043, 1e-10)
	for _, n := range []int{100, 400} {
		for _, x := range []float64{0.6, 1, 1.36, 1.8} {
			d := x / math.Sqrt(float64(n))
			tolerance := 0.012
			if x > 1.3 {
				tolerance = 0.001
			}
			nearAbs(t, "limit", 1-kolmogorovUpper(d, float64(n)), kolmogorovExact(d, n), tolerance)
		}
	}
	r := rand.New(rand.NewPCG(6, 1))
	low := 0
	const runs = 600
	for range runs {
		p := make([]float64, 200)
		for i := range p {
			p[i] = r.Float64()
		}
		if CheckUniform(p, 0.05).P < 0.05 {
			low++
		}
	}
	if share := float64(low) / runs; share > 0.08 || share < 0.02 {
		t.Errorf("uniform p-values fail in %.3f of runs, want .05", share)
	}
	p := make([]float64, 200)
	for i := range p {
		p[i] = math.Pow(r.Float64(), 1.6)
	}
	bad := CheckUniform(p, 0.05)
	if bad.P > 1e-4 || !(bad.Interval.Low > 0.05) {
		t.Errorf("p-values that are too small pass: %+v", bad)
	}
	if got := CheckUniform([]float64{0.5}, 0.05); got.Status != Insufficient {
		t.Errorf("%+v", got)
	}
	if got := CheckUniform([]float64{math.NaN()}, 0.05); got.Status != Undefined || got.P != 1 {
		t.Errorf("%+v", got)
	}
}
