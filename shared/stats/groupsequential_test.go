package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
)

func even(k int) []float64 {
	out := make([]float64, k)
	for i := range out {
		out[i] = float64(i+1) / float64(k)
	}
	return out
}

func TestBoundsMatchReference(t *testing.T) {
	type in struct {
		Type  string
		K     int
		One   float64 `json:"alpha_one_sided"`
		Two   float64 `json:"alpha_two_sided"`
		Gamma float64
		Info  []float64
	}
	type out struct {
		Z    []float64 `json:"z"`
		High []float64 `json:"z_highprec"`
	}
	for _, c := range golden[in, out](t, "gs_boundaries.json") {
		t.Run(c.ID+" "+c.In.Type, func(t *testing.T) {
			g := GroupSequential{Alpha: c.In.One}
			if c.In.Two > 0 {
				g = GroupSequential{Alpha: c.In.Two, TwoSided: true}
			}
			times := c.In.Info
			if len(times) == 0 {
				times = even(c.In.K)
			}
			var got []float64
			switch c.In.Type {
			case "asOF":
				g.Spend = OBrienFleming()
			case "asP":
				g.Spend = Pocock()
			case "asKD":
				g.Spend = SpendPower(c.In.Gamma)
			case "asHSD":
				g.Spend = HwangShihDeCani(c.In.Gamma)
			case "OF":
				got = g.Classic(times, 0)
			case "P":
				got = g.Classic(times, 0.5)
			}
			if got == nil {
				got = g.Bounds(times, true)
			}
			want, tolerance := c.Out.High, 1e-8
			if len(want) == 0 {
				want, tolerance = c.Out.Z, 1e-4
			}
			for i := range want {
				if want[i] != 0 { // the reference leaves out bounds it could not reach
					near(t, "bound", got[i], want[i], tolerance)
				}
			}
		})
	}
}

// The published tables of K = 5 at two-sided .05 (Lan and DeMets; Pocock; O'Brien and Fleming), printed
// with four digits, of which some cut the fifth.
func TestBoundsAnchors(t *testing.T) {
	g := GroupSequential{Alpha: 0.025, Spend: OBrienFleming()}
	for i, want := range []float64{4.8769, 3.3569, 2.6803, 2.2898, 2.0310} {
		nearAbs(t, "Lan-DeMets O'Brien-Fleming", g.Bounds(even(5), true)[i], want, 1.2e-4)
	}
	g.Spend = Pocock()
	for i, want := range []float64{2.4380, 2.4268, 2.4101, 2.3966, 2.3859} {
		nearAbs(t, "Lan-DeMets Pocock", g.Bounds(even(5), true)[i], want, 1.2e-4)
	}
	nearAbs(t, "Pocock", g.Classic(even(5), 0.5)[0], 2.4132, 5e-5)
	nearAbs(t, "O'Brien-Fleming", g.Classic(even(5), 0)[0], 4.5617, 5e-5)
}

// Two looks have a closed form: the bivariate normal distribution, here by plain quadrature.
func TestTwoLooksAreBivariateNormal(t *testing.T) {
	const t1, b1, b2, drift = 0.3, 2.4, 2.0, 1.7
	got := Operate([]float64{t1, 1}, nil, []float64{b1, b2}, drift)
	joint := quad.Fixed(func(z float64) float64 {
		return density(z-drift*math.Sqrt(t1)) * upperTail((b2-z*math.Sqrt(t1)-drift*(1-t1))/math.Sqrt(1-t1))
	}, -12, b1, 200, nil, 0)
	near(t, "first", got.Upper[0], upperTail(b1-drift*math.Sqrt(t1)), 1e-13)
	near(t, "second", got.Upper[1], joint, 1e-10)
}

func TestErrorIsSpentAsPlanned(t *testing.T) {
	times := []float64{0.1, 0.35, 0.36, 0.8, 1.1} // an unplanned look, and more information than planned
	for name, s := range map[string]Spending{"of": OBrienFleming(), "pocock": Pocock(), "power": SpendPower(2), "hsd": HwangShihDeCani(-3), "even": HwangShihDeCani(0)} {
		for _, two := range []bool{false, true} {
			g := GroupSequential{Alpha: 0.05, TwoSided: two, Spend: s}
			bounds := g.Bounds(times, true)
			var lower []float64
			if two {
				lower = negated(bounds)
			}
			o := Operate(times, lower, bounds, 0)
			near(t, name+" in all", o.Rejects(), 0.05, 1e-8)
			spent := 0.0
			for i, at := range times {
				spent += o.Upper[i]
				near(t, name+" so far", spent, s.Spent(at, g.side()), 1e-7)
			}
			// What was decided at a look does not depend on later ones.
			for i, b := range g.Bounds(times[:3], false) {
				if b != bounds[i] {
					t.Errorf("%s: bound %d is %v with three looks and %v with five", name, i, b, bounds[i])
				}
			}
		}
	}
	if g := (GroupSequential{Alpha: 0.05}); g.Bounds([]float64{0.5, 0.4}, true) != nil || g.Bounds(nil, true) != nil || g.Classic([]float64{-1}, 0) != nil {
		t.Error("bounds for times that do not rise")
	}
}

func TestInflationMatchesReference(t *testing.T) {
	type in struct {
		Type  string
		K     int
		Alpha float64 `json:"alpha_one_sided"`
		Power float64
	}
	type out struct {
		Max  float64 `json:"inflation_factor"`
		With float64 `json:"avg_n_ratio_H1"`
		None float64 `json:"avg_n_ratio_H0"`
	}
	for _, c := range golden[in, out](t, "gs_inflation.json") {
		g := GroupSequential{Alpha: c.In.Alpha, Spend: OBrienFleming()}
		times := even(c.In.K)
		var bounds []float64
		switch c.In.Type {
		case "asOF":
			bounds = g.Bounds(times, true)
		case "asP":
			g.Spend = Pocock()
			bounds = g.Bounds(times, true)
		case "OF":
			bounds = g.Classic(times, 0)
		case "P":
			bounds = g.Classic(times, 0.5)
		}
		got := g.Inflate(times, bounds, c.In.Power)
		near(t, c.ID+" most", got.Max, c.Out.Max, 1e-6)
		near(t, c.ID+" with the effect", got.MeanEffect, c.Out.With, 1e-6)
		near(t, c.ID+" without", got.MeanNone, c.Out.None, 1e-6)
	}
}

// The rules of the notes as bounds on z, by exact recursion.
func TestOperatingMatchesReference(t *testing.T) {
	type in struct {
		Rule     string
		Looks    int
		Alpha    float64
		AlphaSeq float64 `json:"alpha_seq"`
	}
	type out struct {
		Type1  float64
		Power  float64 `json:"power_by_final"`
		Sample float64 `json:"avg_sample_fraction"`
		FinalZ float64 `json:"final_z"`
	}
	fixedDrift := upperQuantile(0.025) + upperQuantile(0.2)
	sequence := func(times []float64, alpha, tuned float64) []float64 {
		q := Tune(alpha, 1).Rho2 / tuned
		bounds := make([]float64, len(times))
		for i, at := range times {
			bounds[i] = mixtureCritical(q*at, alpha)
		}
		return bounds
	}
	checked := map[string]int{}
	for _, c := range golden[in, out](t, "peeking_properties.json") {
		times := even(max(1, c.In.Looks))
		var bounds []float64
		switch c.Kind + " " + c.In.Rule {
		case "naive_z_peeking ":
			bounds = fill(c.In.Looks, upperQuantile(c.In.Alpha/2))
		case "srm_chi2_two_arm_peeking ":
			bounds = fill(c.In.Looks, upperQuantile(c.In.Alpha/2))
		case "sequential_rule asympcs_nopt=final":
			bounds = sequence(times, c.In.Alpha, 1)
		case "sequential_rule asympcs_nopt=final/10":
			bounds = sequence(times, c.In.Alpha, 0.1)
		case "sequential_rule asympcs_nopt=10xfinal":
			bounds = sequence(times, c.In.Alpha, 10)
		case "sequential_rule asympcs_nopt=half":
			bounds = sequence(times, c.In.Alpha, 0.5)
		case "sequential_rule statsig_const":
			bounds = fill(c.In.Looks, 3.5845153597486736)
		case "gst asOF", "gst asP":
			g := GroupSequential{Alpha: c.In.Alpha / 2, Spend: OBrienFleming()}
			if c.In.Rule == "asP" {
				g.Spend = Pocock()
			}
			bounds = g.Bounds(times, true)
		case "hybrid_half_alpha ":
			bounds = sequence(times, c.In.Alpha/2, 1)
			bounds[len(bounds)-1] = min(bounds[len(bounds)-1], upperQuantile(c.In.Alpha/4))
		case "hybrid_calibrated ":
			bounds = sequence(times, c.In.AlphaSeq, 1)
			bounds[len(bounds)-1] = c.Out.FinalZ
		default:
			continue
		}
		if c.Kind == "hybrid_calibrated" && c.In.AlphaSeq == 0 {
			t.Fatalf("%s: no alpha_seq", c.ID)
		}
		checked[c.Kind]++
		o := Operate(times, negated(bounds), bounds, 0)
		near(t, c.ID+" "+c.Kind+" type I", o.Rejects(), c.Out.Type1, 1e-7)
		if c.Out.Power > 0 {
			o := Operate(times, negated(bounds), bounds, fixedDrift)
			near(t, c.ID+" "+c.Kind+" power", o.Rejects(), c.Out.Power, 1e-7)
			near(t, c.ID+" "+c.Kind+" sample", o.Sample, c.Out.Sample, 1e-7)
		}
	}
	for _, kind := range []string{"naive_z_peeking", "sequential_rule", "gst", "hybrid_half_alpha", "hybrid_calibrated", "srm_chi2_two_arm_peeking"} {
		if checked[kind] == 0 {
			t.Errorf("no case of %s was checked", kind)
		}
	}
}

// Armitage, McPherson and Rowe (1969), table 2: looking k times at 5%.
func TestPeekingAnchors(t *testing.T) {
	for k, want := range map[int]float64{1: 0.05, 2: 0.0831, 3: 0.1073, 4: 0.1262, 5: 0.1417, 10: 0.1934, 20: 0.2479, 50: 0.3205} {
		b := fill(k, upperQuantile(0.025))
		nearAbs(t, "type I", Operate(even(k), negated(b), b, 0).Rejects(), want, 6e-5)
	}
}

// Experiments stopped by their design: p-values are uniform, intervals cover, half the estimates are
// below the truth.
func TestInferenceAfterStopping(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	g := GroupSequential{Alpha: 0.05, TwoSided: true, Spend: Pocock()}
	times := []float64{0.3, 0.6, 1}
	bounds := g.Bounds(times, true)
	const runs = 400
	for _, truth := range []float64{0, 2.5} {
		var small, covered, repeated, below int
		for range runs {
			b, at := 0.0, 0
			var z float64
			for k, now := range times {
				before := 0.0
				if k > 0 {
					before = times[k-1]
				}
				b += truth*(now-before) + math.Sqrt(now-before)*r.NormFloat64()
				at, z = k, b/math.Sqrt(now)
				if math.Abs(z) > bounds[k] {
					break
				}
			}
			got, _ := g.After(times[:at+1], bounds[:at+1], z)
			if got.P <= 0.05 {
				small++
			}
			if !got.Interval.Excludes(truth) {
				covered++
			}
			if !got.Repeated.Excludes(truth) {
				repeated++
			}
			if got.MedianUnbiased < truth {
				below++
			}
		}
		share := func(k int) float64 { return float64(k) / runs }
		if truth == 0 && math.Abs(share(small)-0.05) > 0.033 {
			t.Errorf("p at most .05 in %.3f of null experiments", share(small))
		}
		if math.Abs(share(covered)-0.95) > 0.033 || share(repeated) < 0.93 || math.Abs(share(below)-0.5) > 0.075 {
			t.Errorf("truth %v: covered %.3f, repeated %.3f, below %.3f", truth, share(covered), share(repeated), share(below))
		}
	}
	// One look is the plain test.
	one, _ := GroupSequential{Alpha: 0.05, TwoSided: true}.After([]float64{1}, []float64{upperQuantile(0.025)}, 2.3)
	near(t, "p", one.P, 2*upperTail(2.3), 1e-12)
	near(t, "estimate", one.MedianUnbiased, 2.3, 1e-10)
	near(t, "low", one.Interval.Low, 2.3-upperQuantile(0.025), 1e-10)
	near(t, "high", one.Interval.High, 2.3+upperQuantile(0.025), 1e-10)
	if bad, status := g.After([]float64{1}, nil, 2); status != Undefined || bad.P != 1 {
		t.Errorf("%+v", bad)
	}
}

func TestMSPRTMatchesReference(t *testing.T) {
	type in struct {
		N                         int64 `json:"n_per_arm"`
		Diff, Sigma2, Tau2, Alpha float64
		Var                       float64 `json:"var_each"`
	}
	type out struct {
		Lambda, Halfwidth float64
		P                 float64 `json:"p_single"`
		Tau               float64
		Z                 float64 `json:"z_star"`
	}
	for _, c := range golden[in, out](t, "msprt.json") {
		n := float64(c.In.N)
		if c.Kind == "statsig_documented" {
			// tau is proportional to V there, which makes the critical value constant.
			k := Contrast{N: 2 * c.In.N, VarControl: c.In.Var / n, VarTreatment: c.In.Var / n}
			near(t, c.ID, MSPRT{Tau2: c.Out.Tau}.Critical(k, c.In.Alpha/2), math.Sqrt((c.Out.Tau+2*c.In.Var/n)/c.Out.Tau*(-2*math.Log(c.In.Alpha/2)-math.Log(2*c.In.Var/n/(2*c.In.Var/n+c.Out.Tau)))), 1e-12)
			near(t, c.ID+" as documented", c.Out.Z, 3.5845153597486736, 1e-12)
			continue
		}
		k := Contrast{N: 2 * c.In.N, Treatment: c.In.Diff, VarControl: c.In.Sigma2 / n, VarTreatment: c.In.Sigma2 / n}
		m := MSPRT{Tau2: c.In.Tau2}
		near(t, c.ID+" lambda", math.Exp(m.LogE(k)), c.Out.Lambda, 1e-10)
		near(t, c.ID+" p", PValue(m.LogE(k)), c.Out.P, 1e-10)
		near(t, c.ID+" half width", m.Critical(k, c.In.Alpha)*k.SE(), c.Out.Halfwidth, 1e-10)
	}
	if e := (MSPRT{Tau2: 1}).LogE(Contrast{Status: Insufficient}); e != 0 {
		t.Errorf("without data: %v", e)
	}
}

func BenchmarkGroupSequential100(b *testing.B) {
	g := GroupSequential{Alpha: 0.025, Spend: OBrienFleming()}
	times := even(100)
	for b.Loop() {
		if g.Bounds(times, true)[99] < 1.96 {
			b.Fatal("below the fixed test")
		}
	}
}
