package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
)

func TestTMixtureMatchesAVLM(t *testing.T) {
	type in struct {
		T, Nu, G, F, Alpha float64
		N                  int64
		D, Coefs           int
	}
	type out struct {
		LogE   float64 `json:"log_e"`
		P      float64
		Radius float64 `json:"t_radius"`
		Z      float64 `json:"z_radius"`
		G      float64
	}
	for _, c := range golden[in, out](t, "avlm.json") {
		m := TMixture{G: c.In.G}
		switch c.Kind {
		case "t":
			near(t, c.ID, m.LogE(c.In.N, c.In.T, c.In.Nu), c.Out.LogE, 1e-10)
			near(t, c.ID+" p", PValue(m.LogE(c.In.N, c.In.T, c.In.Nu)), c.Out.P, 1e-9)
		case "F":
			near(t, c.ID, m.LogEF(c.In.N, c.In.F, c.In.D, c.In.Nu), c.Out.LogE, 1e-10)
		case "radius":
			near(t, c.ID, m.Critical(c.In.N, c.In.Alpha, float64(c.In.N-int64(c.In.Coefs))), c.Out.Radius, 1e-9)
			near(t, c.ID+" normal", Mixture{Rho2: 1 / c.In.G}.Critical(c.In.N, c.In.Alpha), c.Out.Z, 1e-10)
		case "optimal_g":
			near(t, c.ID, TuneT(c.In.Alpha, c.In.N, c.In.Coefs).G, c.Out.G, 1e-3)
		default:
			t.Fatalf("unknown kind %q", c.Kind)
		}
	}
}

func TestTMixtureLaws(t *testing.T) {
	near(t, "avlm 0.1.0: t 3.5, 48 df, n 50, g 1", TMixture{1}.LogE(50, 3.5, 48), 3.48068108887972, 1e-12)
	m := Tune(0.05, 500)
	near(t, "many degrees of freedom", m.T().LogE(400, 2.2, 1e9), m.LogE(400, 2.2), 1e-6)
	near(t, "critical with many", m.T().Critical(400, 0.05, 1e9), m.Critical(400, 0.05), 1e-6)
	near(t, "F of one is t squared", m.T().LogEF(60, 9, 1, 58), m.T().LogE(60, 3, 58), 1e-14)
	for _, n := range []int64{5, 20, 100, 5000} {
		df := float64(n - 2)
		if c := m.T().Critical(n, 0.05, df); !math.IsInf(c, 1) {
			near(t, "interval inverts test", m.T().LogE(n, c, df), math.Log(20), 1e-9)
		}
	}
	if c := m.T().Critical(3, 0.05, 1); !math.IsInf(c, 1) {
		t.Errorf("three units: critical %v", c)
	}
	if e := m.T().LogE(10, math.NaN(), 8); e != 0 {
		t.Errorf("no t: log e %v", e)
	}
}

// Two to fifty units an arm, a look after each: the t-mixture holds where the normal one does not.
func TestTMixtureHoldsFromTheFirstUnits(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 1))
	const runs, alpha = 2000, 0.05
	m := Tune(alpha, 10)
	var exact, normal int
	for range runs {
		var c, k Gram
		var hitT, hitZ bool
		for range 50 {
			c = c.Merge(Gram{N: 1, MeanY: r.NormFloat64()})
			k = k.Merge(Gram{N: 1, MeanY: r.NormFloat64()})
			if c.N < 2 {
				continue
			}
			// The pooled variance: the model of the theorem.
			df := float64(c.N + k.N - 2)
			v := (c.YY + k.YY) / df
			z := (k.MeanY - c.MeanY) / math.Sqrt(v*2/float64(c.N))
			n := c.N + k.N
			hitT = hitT || m.T().LogE(n, z, df) >= -math.Log(alpha)
			hitZ = hitZ || m.LogE(n, z) >= -math.Log(alpha)
		}
		if hitT {
			exact++
		}
		if hitZ {
			normal++
		}
	}
	if share := float64(exact) / runs; share > alpha+3*math.Sqrt(alpha*(1-alpha)/runs) {
		t.Errorf("t-mixture errs in %.3f of runs", share)
	}
	if normal <= exact {
		t.Errorf("the normal mixture errs in %d runs, no more than the exact one's %d: the test shows nothing", normal, exact)
	}
}

func TestMultinomialMatchesReference(t *testing.T) {
	type in struct {
		Counts   []int64
		Null     []float64
		K, Alpha float64
	}
	type out struct {
		LogBF float64 `json:"log_bayes_factor"`
		P     float64
		Set   [][2]float64 `json:"confidence_set_coordinates"`
	}
	for _, c := range golden[in, out](t, "multinomial_anytime_ci.json") {
		near(t, c.ID, SplitLogEAt(c.In.Counts, c.In.Null, c.In.K), c.Out.LogBF, 1e-9)
		for i, got := range Multinomial(c.In.Counts, c.In.Null, c.In.K, c.In.Alpha) {
			near(t, c.ID+" low", got.Low, c.Out.Set[i][0], 1e-7)
			near(t, c.ID+" high", got.High, c.Out.Set[i][1], 1e-7)
		}
	}
	if got := Multinomial([]int64{1, 2}, []float64{1, 0}, 100, 0.05); got != nil {
		t.Errorf("a leak: %v", got)
	}
}

func TestConfseqMatchesReference(t *testing.T) {
	type in struct {
		S, V, C, G, H, Alpha float64
		VOpt                 float64 `json:"v_opt"`
		AlphaOpt             float64 `json:"alpha_opt"`
		One                  bool    `json:"one_sided"`
		Successes, N         int64
		TOpt                 int64 `json:"t_opt"`
	}
	type out struct{ Value, Lower, Upper float64 }
	checked := map[string]int{}
	for _, c := range golden[in, out](t, "confseq.json") {
		checked[c.Fn]++
		// confseq tunes by an approximation of the optimum that Tune finds.
		tuned := func(alpha float64) float64 { l := -2 * math.Log(alpha); return 1 / (l + math.Log1p(l)) }
		rho := c.In.VOpt * tuned(2*c.In.AlphaOpt)
		m := Mixture{Rho2: 1 / rho}
		scale := math.Sqrt(c.In.V)
		switch c.Fn {
		case "normal_log_mixture":
			near(t, c.ID, m.at(c.In.V, c.In.S/scale), c.Out.Value, 1e-9)
		case "normal_mixture_bound":
			near(t, c.ID, Mixture{Rho2: m.Rho2 * c.In.V}.CriticalGreater(1, c.In.Alpha)*scale, c.Out.Value, 1e-9)
		case "gamma_exponential_log_mixture":
			near(t, c.ID, newGammaExponential(rho, c.In.C).logE(c.In.S, c.In.V), c.Out.Value, 1e-9)
		case "gamma_exponential_mixture_bound":
			near(t, c.ID, newGammaExponential(rho, c.In.C).bound(c.In.V, c.In.Alpha), c.Out.Value, 1e-9)
		case "bernoulli_confidence_interval":
			got := bernoulli(c.In.Successes, c.In.N, c.In.TOpt, c.In.Alpha, tuned(c.In.AlphaOpt))
			near(t, c.ID+" low", got.Low, c.Out.Lower, 1e-8)
			near(t, c.ID+" high", got.High, c.Out.Upper, 1e-8)
		case "beta_binomial_mixture_bound", "beta_binomial_log_mixture", "poly_stitching_bound", "double_stitching_bound",
			"quantile_ab_p_value", "gamma_poisson_log_mixture", "empirical_process_lil_bound":
			// Not offered: docs/divergences.md.
		default:
			t.Errorf("%s: unknown function %q", c.ID, c.Fn)
		}
	}
	for _, fn := range []string{"normal_log_mixture", "gamma_exponential_mixture_bound", "bernoulli_confidence_interval"} {
		if checked[fn] == 0 {
			t.Errorf("no case of %s", fn)
		}
	}
}

// at is the one-sided mixture at intrinsic time v.
func (m Mixture) at(v, z float64) float64 { return Mixture{Rho2: m.Rho2 * v}.LogEGreater(1, z) }

// The priors by quadrature over the share.
func TestCountsAreTheMixture(t *testing.T) {
	c := Counts{Control: 9, Treatment: 21, Exposure: 0.4}
	for _, ratio := range []float64{0.7, 1, 1.3} {
		theta := c.share(ratio)
		integral := func(from float64) float64 {
			sum := 0.0
			for _, k := range countConcentrations {
				a, b := k*c.Exposure, k*(1-c.Exposure)
				// x = sin^2 takes the singularities of small a and b away.
				prior := func(x float64) float64 {
					x = min(max(x, 1e-15), 1-1e-15)
					return 2 * math.Pow(x, a-0.5) * math.Pow(1-x, b-0.5) / math.Exp(lbeta(a, b))
				}
				part := func(f func(x float64) float64) float64 {
					return quad.Fixed(func(u float64) float64 { s := math.Sin(u); return f(s * s) }, math.Asin(math.Sqrt(from)), math.Pi/2, 3000, nil, 0)
				}
				likelihood := func(x float64) float64 {
					return math.Exp(21*math.Log(x/theta) + 9*math.Log((1-x)/(1-theta)))
				}
				norm := part(prior)
				if from == 0 {
					norm = 1
				}
				sum += part(func(x float64) float64 { return prior(x) * likelihood(x) }) / norm
			}
			return math.Log(sum / float64(len(countConcentrations)))
		}
		near(t, "two-sided", c.LogE(ratio), integral(0), 1e-4)
		near(t, "one-sided", c.LogEGreater(ratio), integral(theta), 1e-3)
	}
}

func TestCountsLaws(t *testing.T) {
	c := NewCounts(30, 1000, 55, 1100)
	i := c.Ratio(0.05)
	near(t, "interval inverts test, low", c.LogE(i.Low), math.Log(20), 1e-9)
	near(t, "interval inverts test, high", c.LogE(i.High), math.Log(20), 1e-9)
	if !(i.Low < 55.0/1100/(30.0/1000) && i.High > 55.0/1100/(30.0/1000)) {
		t.Errorf("interval %v leaves out the estimate", i)
	}
	swapped := NewCounts(55, 1100, 30, 1000)
	near(t, "labels", swapped.LogE(1/1.3), c.LogE(1.3), 1e-10)
	near(t, "labels one-sided", swapped.LogELess(1/1.3), c.LogEGreater(1.3), 1e-10)
	// 0 of 10,000 against 300 is a violation; 0 against 1 is not; nothing at all says nothing.
	if e := NewCounts(0, 10000, 300, 10000).LogEGreater(1); e < 100 {
		t.Errorf("0 against 300: log e %v", e)
	}
	if e := NewCounts(0, 10000, 1, 10000).LogEGreater(1); e > math.Log(20) {
		t.Errorf("0 against 1: log e %v", e)
	}
	for _, ratio := range []float64{1e-9, 1e-3, 1e3, 1e9} { // priors that have nothing beyond
		for _, e := range []float64{c.LogE(ratio), c.LogEGreater(ratio), c.LogELess(ratio)} {
			if math.IsNaN(e) {
				t.Errorf("ratio %v: NaN", ratio)
			}
		}
	}
	if e := NewCounts(0, 10, 0, 10).LogE(1); e != 0 {
		t.Errorf("no events: log e %v", e)
	}
	if got := NewCounts(0, 10, 0, 10).Ratio(0.05); got.Low != 0 || !math.IsInf(got.High, 1) {
		t.Errorf("no events: %v", got)
	}
	if e := (Counts{Control: -1}).LogE(1); e != 0 {
		t.Errorf("negative count: %v", e)
	}
}

// Rates that differ by time of day and only their ratio fixed, a look after every few events.
func TestCountsKeepTheLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	const runs, alpha = 3000, 0.05
	var two, one, covered int
	for range runs {
		c := Counts{Exposure: 0.3}
		var hitTwo, hitOne, missed bool
		for range 60 {
			for range 1 + r.IntN(5) {
				if r.Float64() < 0.3 {
					c.Treatment++
				} else {
					c.Control++
				}
			}
			hitTwo = hitTwo || c.LogE(1) >= -math.Log(alpha)
			hitOne = hitOne || c.LogEGreater(1) >= -math.Log(alpha)
		}
		if i := c.Ratio(alpha); i.Excludes(1) {
			missed = true
		}
		if hitTwo {
			two++
		}
		if hitOne {
			one++
		}
		if !missed {
			covered++
		}
	}
	limit := alpha + 3*math.Sqrt(alpha*(1-alpha)/runs)
	if share := float64(two) / runs; share > limit || share < 0.003 {
		t.Errorf("two-sided errs in %.4f of runs", share)
	}
	if share := float64(one) / runs; share > limit || share < 0.003 {
		t.Errorf("one-sided errs in %.4f of runs", share)
	}
	if share := float64(covered) / runs; share < 1-limit {
		t.Errorf("covers in %.4f of runs", share)
	}
}

// Values at the ends of their range, the worst case for asymptotics.
func TestBoundedCoversFromTheFirstUnit(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	const runs, alpha, p = 600, 0.1, 0.02
	missed, wide := 0, 0.0
	for range runs {
		b := &Strict{Low: 0, High: 1}
		miss := false
		for range 60 {
			var g Gram
			for range 10 {
				y := 0.0
				if r.Float64() < p {
					y = 1
				}
				g = g.Merge(Gram{N: 1, MeanY: y})
			}
			b.Add(g)
			i := b.Interval(alpha, 600, p*(1-p))
			miss = miss || i.Excludes(p)
			wide = i.High - i.Low
		}
		if miss {
			missed++
		}
	}
	if share := float64(missed) / runs; share > alpha {
		t.Errorf("misses in %.3f of runs", share)
	}
	if wide > 0.12 {
		t.Errorf("width %v after 600 units says nothing", wide)
	}
	c, k := &Strict{Low: 0, High: 1}, &Strict{Low: 0, High: 1}
	c.Add(Gram{N: 1000, MeanY: 0.3, YY: 210})
	k.Add(Gram{N: 1000, MeanY: 0.5, YY: 250})
	if d := k.Difference(c, 0.05, 1000, 0.2); !d.Excludes(0) || d.Excludes(0.2) {
		t.Errorf("difference %v", d)
	}
	if i := (&Strict{Low: 0, High: 1}).Interval(0.05, 100, 0.1); i.Low != 0 || i.High != 1 {
		t.Errorf("no data: %v", i)
	}
}
