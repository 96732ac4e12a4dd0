package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPowerMatchesReference(t *testing.T) {
	type in struct {
		D, Alpha, Power, N1, P1, P2, Mean, Var float64
		N                                      float64 `json:"n_per_arm"`
		Ratio                                  float64 `json:"ratio_n2_n1"`
		Alternative                            string
	}
	type out struct {
		N1, D, Power float64
		Z            float64 `json:"z_approx_d"`
		PowerZ       float64 `json:"power_z"`
		Wald         float64 `json:"n_unpooled_wald"`
		Pooled       float64 `json:"n_pooled_null"`
		Simple       float64 `json:"mde_absolute_simple"`
		Relative     float64 `json:"mde_relative"`
	}
	for _, c := range golden[in, out](t, "power_mde.json") {
		t.Run(c.ID, func(t *testing.T) {
			in := c.In
			one := in.Alternative == "larger"
			twice := in.Alpha
			if one {
				twice *= 2
			}
			switch c.Kind {
			case "t_ind_n1":
				near(t, "units of control", TSampleSize(in.D, in.Ratio, in.Alpha, in.Power, one), c.Out.N1, 1e-7)
			case "t_ind_mde":
				tolerance := 3e-6 // where its root finder stops
				if in.N1 > 50000 {
					tolerance = 2e-4 // below its own z approximation, which is impossible: docs/divergences.md
				}
				d := TDetectable(in.N1, in.N1, in.Alpha, in.Power, one)
				near(t, "effect", d, c.Out.D, tolerance)
				z := DetectableEffect(math.Sqrt(2/in.N1), twice, in.Power)
				near(t, "effect of z", z, c.Out.Z, 1e-10)
				if d < z {
					t.Errorf("t finds smaller effects than z: %v, %v", d, z)
				}
			case "t_ind_power":
				near(t, "power", TPower(in.D, in.N1, in.N1, in.Alpha, false), c.Out.Power, 1e-8)
				near(t, "power of z", Power(in.D, math.Sqrt(2/in.N1), in.Alpha), c.Out.PowerZ, 1e-10)
			case "two_prop_n":
				got := SampleSize(in.P2-in.P1, in.P1*(1-in.P1), in.P2*(1-in.P2), 1, in.Alpha, in.Power)
				near(t, "units", got, c.Out.Wald, 1e-10)
				near(t, "units, pooled", SampleSizePooled(in.P1, in.P2, in.Alpha, in.Power), c.Out.Pooled, 1e-9)
			case "relative_mde_delta":
				near(t, "effect", DetectableEffect(math.Sqrt(2*in.Var/in.N), in.Alpha, in.Power), c.Out.Simple, 1e-10)
				v := in.Var / in.N / in.Mean / in.Mean
				near(t, "lift", DetectableLift(v, v, in.Alpha, in.Power), c.Out.Relative, 1e-9)
			default:
				t.Fatalf("unknown kind %q", c.Kind)
			}
		})
	}
}

func TestPowerMatchesR(t *testing.T) {
	type in struct{ N, Delta, SD, Alpha, P1, P2, Power float64 }
	type out struct{ Power, N float64 }
	for _, c := range golden[in, out](t, "power_R.json") {
		if c.Kind == "power.prop.test" {
			near(t, c.ID, SampleSizePooled(c.In.P1, c.In.P2, c.In.Alpha, c.In.Power), c.Out.N, 1e-6)
			continue
		}
		near(t, c.ID, TPower(c.In.Delta/c.In.SD, c.In.N, c.In.N, c.In.Alpha, false), c.Out.Power, 1e-9)
	}
}

func TestSampleSizeMatchesSpotify(t *testing.T) {
	type in struct {
		Binary bool
		Effect float64 `json:"effect_or_margin"`
		Mean   float64 `json:"control_mean"`
		Var    float64 `json:"control_var"`
		Kappa  float64 `json:"kappa_nc_over_nt"`
	}
	type out struct {
		Total float64 `json:"required_total"`
	}
	for _, c := range golden[in, out](t, "spotify_sample_size.json") {
		treated := c.In.Var
		if c.In.Binary {
			p := c.In.Mean + c.In.Effect
			treated = p * (1 - p)
		}
		control := SampleSize(c.In.Effect, c.In.Var, treated, 1/c.In.Kappa, 0.05, 0.8)
		treatment := math.Ceil(control / c.In.Kappa)
		near(t, c.ID, treatment+math.Ceil(treatment*c.In.Kappa), c.Out.Total, 1e-12)
	}
}

func TestProjectionMatchesGrowthBook(t *testing.T) {
	type in struct {
		Control, Treatment sums
		Alpha, Tuning      float64
		MDE                float64 `json:"target_mde"`
		Goals              int     `json:"goal_metrics"`
		Variations         int
		Sequential         bool
		Prior              *struct{ Mean, Variance float64 }
	}
	type out struct {
		Now    float64 `json:"power_now"`
		Double float64 `json:"power_double"`
		Scale  float64 `json:"scaling_factor"`
	}
	for _, c := range golden[in, out](t, "gb_mid_power.json") {
		t.Run(c.ID, func(t *testing.T) {
			k := Compare(c.In.Control.arm(), c.In.Treatment.arm())
			alpha := c.In.Alpha / float64(c.In.Goals*(c.In.Variations-1))
			p := Projection{N: k.N, SE: k.LiftSE(), Effect: c.In.MDE}
			p.Needs = func(float64) float64 { return upperQuantile(alpha / 2) }
			if c.In.Sequential {
				l := -2 * math.Log(alpha)
				m := Mixture{Rho2: (l + math.Log1p(l)) / c.In.Tuning} // its approximation of the tuning
				p.Needs = func(n float64) float64 { return mixtureCritical(m.Rho2*n, alpha) }
			}
			if c.In.Prior != nil {
				prior := Normal{Mean: c.In.Prior.Mean, SD: math.Sqrt(c.In.Prior.Variance)}
				p.Needs = func(n float64) float64 { return CredibleCritical(prior, p.SE*math.Sqrt(float64(k.N)/n), alpha) }
			}
			near(t, "power now", p.Power(1), c.Out.Now, 1e-9)
			near(t, "power with twice the units", p.Power(2), c.Out.Double, 1e-9)
			nearAbs(t, "more", p.More(math.Pow(0.8, 1/float64(c.In.Goals))), c.Out.Scale, 1e-4*(1+c.Out.Scale))
		})
	}
}

func TestNonInferiorityMatchesSpotify(t *testing.T) {
	type in struct {
		Control, Treatment sums
		Margin             float64 `json:"margin_relative"`
		Direction          string  `json:"preferred_direction"`
		Alpha              float64
	}
	type out struct {
		P          float64
		Difference float64
	}
	for _, c := range golden[in, out](t, "spotify_noninferiority.json") {
		k := Compare(c.In.Control.gram().Arm(Mean), c.In.Treatment.gram().Arm(Mean))
		g := Guardrail{Margin: c.In.Margin * k.Control, Absolute: true, IncreaseIsBad: c.In.Direction == "decrease"}
		v := g.Test(k, TuneOneSided(0.05, k.N))
		near(t, c.ID, upperTail(v.Slack/v.SE), c.Out.P, 1e-9)
		// A margin that is a share of an estimated mean is itself uncertain: ours is the more careful.
		g.Margin, g.Absolute = c.In.Margin, false
		if w := g.Test(k, TuneOneSided(0.05, k.N)); math.Abs(w.Slack-v.Slack) > 1e-12 || math.Abs(w.SE/v.SE-1) > 0.03 {
			t.Errorf("%s: relative margin gives %v +- %v, absolute %v +- %v", c.ID, w.Slack, w.SE, v.Slack, v.SE)
		}
	}
}

// R 4.2.2: power.t.test(n = 100, delta = .3, strict = TRUE), statsmodels: n1 for d = .5, ratio 2.
func TestTPowerAnchors(t *testing.T) {
	near(t, "power", TPower(0.3, 100, 100, 0.05, false), 0.560059253580899, 1e-10)
	near(t, "units", TSampleSize(0.5, 2, 0.05, 0.8, false), 47.74192064561705, 1e-8)
	near(t, "detectable", TPower(TDetectable(20, 30, 0.01, 0.9, false), 20, 30, 0.01, false), 0.9, 1e-10)
	near(t, "central", noncentralUpper(2.3, 17, 0), studentTails(2.3, 17)/2, 1e-11)
	near(t, "where the normal takes over", noncentralUpper(2.3, 1.0000001e7, 1.5), noncentralUpper(2.3, 0.9999999e7, 1.5), 1e-8)
	near(t, "central, many units", noncentralUpper(2.3, 1e6, 0), studentTails(2.3, 1e6)/2, 1e-9)
}

// A t test of simulated samples finds the effect as often as TPower says.
func TestTPowerBySimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 1))
	const runs = 8000
	found := 0
	for range runs {
		var a, b Gram
		for range 12 {
			a = a.Merge(Gram{N: 1, MeanY: r.NormFloat64()})
		}
		for range 20 {
			b = b.Merge(Gram{N: 1, MeanY: 0.9 + r.NormFloat64()})
		}
		pooled := (a.YY + b.YY) / 30
		if studentTails((b.MeanY-a.MeanY)/math.Sqrt(pooled*(1.0/12+1.0/20)), 30) < 0.05 {
			found++
		}
	}
	nearAbs(t, "power", float64(found)/runs, TPower(0.9, 12, 20, 0.05, false), 0.016)
}

func TestDetectableLiftLaws(t *testing.T) {
	r := DetectableLift(0.0004, 0.0006, 0.05, 0.8)
	se := math.Sqrt(0.0004*(1+r)*(1+r) + 0.0006)
	near(t, "power at it", Power(r, se, 0.05), 0.8, 1e-4)
	if !math.IsInf(DetectableLift(0.5, 0.5, 0.05, 0.8), 1) {
		t.Error("a lift is found although control's mean cannot be told from 0")
	}
	near(t, "one metric", PowerShare(0.8, 0), 0.8, 1e-15)
	near(t, "three guardrails", PowerShare(0.8, 3), 0.95, 1e-15)
	never := Projection{N: 10, SE: 1, Effect: 0, Needs: func(float64) float64 { return 2 }}
	if !math.IsInf(never.More(0.8), 1) || never.Power(0) != 0 {
		t.Error("no effect is found after all")
	}
}

func TestAccumulation(t *testing.T) {
	a := Accumulation{}
	for d := 1; d <= 28; d++ {
		a = append(a, 1000*math.Pow(float64(d), 0.7))
	}
	near(t, "extrapolates its own law", a.Units(90), 1000*math.Pow(90, 0.7), 1e-9)
	near(t, "between days", a.Units(2.5), (a[1]+a[2])/2, 1e-12)
	near(t, "inverts", a.Units(a.Days(25000)), 25000, 1e-9)
	if d := (Accumulation{500, 500, 500, 500}).Days(501); !math.IsInf(d, 1) {
		t.Errorf("nobody new ever comes, yet 501 after %v days", d)
	}
	if d := (Accumulation{}).Days(1); !math.IsInf(d, 1) {
		t.Errorf("no history: %v days", d)
	}
	if WholeWeeks(8) != 14 || WholeWeeks(14) != 14 || WholeWeeks(0.1) != 7 {
		t.Error("weeks are not whole")
	}
}

// Mean time to a decision against a simulation of the looks.
func TestRuntimeBySimulation(t *testing.T) {
	a := Accumulation{}
	for d := 1; d <= 14; d++ {
		a = append(a, 800*float64(d))
	}
	const units, drift = 10000.0, 3.0
	m := Tune(0.05, int64(units))
	rule := func(times []float64) []float64 { return m.Bounds(times, int64(units), 0.05) }
	got := PlanRuntime(a, 1, units, 1, drift, rule)
	if got.Planned != 14 || math.Abs(got.Days-12.5) > 1e-9 {
		t.Errorf("%+v", got)
	}
	r := rand.New(rand.NewPCG(16, 1))
	const runs = 4000
	sum, total := 0.0, a.Units(14)
	for range runs {
		b, before, day := 0.0, 0.0, 14
		for d := 1; d <= 14; d++ {
			now := a.Units(float64(d)) / total
			b += drift*math.Sqrt(total/units)*(now-before) + math.Sqrt(now-before)*r.NormFloat64()
			before = now
			if math.Abs(b)/math.Sqrt(now) > mixtureCritical(m.Rho2*now*units, 0.05) {
				day = d
				break
			}
		}
		sum += float64(day) / runs
	}
	nearAbs(t, "mean days", got.Expected, sum, 0.2)
	if one := PlanRuntime(a, 1, units, 1, drift, nil); one.Expected != 14 {
		t.Errorf("one look: %+v", one)
	}
}

func TestPlanningFiguresAgree(t *testing.T) {
	// The textbook n = 16 sd^2 / effect^2 (Lehr 1992) for power .8 at .05 is 15.7.
	n := SampleSize(1, 1, 1, 1, 0.05, 0.8)
	near(t, "units", n, 15.697759, 1e-6)
	near(t, "power at that size", Power(1, math.Sqrt(2/n), 0.05), 0.8, 1e-4)
	near(t, "power without an effect", Power(0, 1, 0.05), 0.05, 1e-12)
}
