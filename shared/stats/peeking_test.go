package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

const replications = 2000

// bound is alpha plus three binomial standard errors.
func bound(alpha float64) float64 {
	return alpha + 3*math.Sqrt(alpha*(1-alpha)/replications)
}

// Nothing differs, 20 looks at skewed data: what rejects at any look errs.
func TestPeekingKeepsTheLevel(t *testing.T) {
	const (
		alpha    = 0.05
		looks    = 20
		perLook  = 100 // units of an arm
		planned  = 2 * looks * perLook
		alphaSeq = 0.01
	)
	rng := rand.New(rand.NewPCG(20240607, 1))
	cell := func() Gram {
		var y, d [perLook]float64
		for i := range y {
			y[i] = rng.ExpFloat64()
		}
		return gramOf(y[:], d[:])
	}
	sequence, hybrid := Tune(alpha, planned), NewHybrid(alpha, alphaSeq, planned)
	errors := map[string]int{}
	for range replications {
		var control, treatment Gram
		rejected := map[string]bool{}
		for look := 1; look <= looks; look++ {
			control, treatment = control.Merge(cell()), treatment.Merge(cell())
			c := Compare(control.Arm(Mean), treatment.Arm(Mean))
			if c.WelchP() < alpha {
				rejected["naive"] = true
			}
			if c.Absolute(sequence.Critical(c.N, alpha)).Excludes(0) {
				rejected["sequence"] = true
			}
			if c.Relative(sequence.Critical(c.N, alpha)).Excludes(0) {
				rejected["lift"] = true
			}
			if c.Relative(hybrid.Critical(c.N, look == looks)).Excludes(0) {
				rejected["hybrid"] = true
			}
		}
		for rule := range rejected {
			errors[rule]++
		}
	}
	rate := func(rule string) float64 { return float64(errors[rule]) / replications }
	for _, rule := range []string{"sequence", "lift", "hybrid"} {
		if got := rate(rule); got > bound(alpha) {
			t.Errorf("%s errs in %.3f, want at most %.3f", rule, got, bound(alpha))
		}
	}
	if errors["lift"] != errors["sequence"] {
		t.Errorf("lift errs %d times, effect %d: they must agree", errors["lift"], errors["sequence"])
	}
	// Armitage, McPherson and Rowe 1969: a naive test errs in .248 at 20 looks. If ours did not show
	// it, the simulation could not show that the others are right.
	if got := rate("naive"); math.Abs(got-0.248) > 0.04 {
		t.Errorf("naive test errs in %.3f, want .248", got)
	}
	// The hybrid spends most of its level at the end: .0427 by the exact recursion.
	if got := rate("hybrid"); got < 0.025 {
		t.Errorf("hybrid errs in %.3f only: the final test is missing", got)
	}
}

// A 1% ramp of a rare event: the treatment's few successes must not raise false alarms.
func TestGuardrailKeepsItsLevelInSmallArm(t *testing.T) {
	const (
		alpha = 0.05
		looks = 20
		rate  = 0.004
	)
	rng := rand.New(rand.NewPCG(20240607, 2))
	count := func(n int) int64 { // of rare successes, by the gaps between them
		successes := int64(0)
		for left := n; ; successes++ {
			left -= 1 + int(math.Log(1-rng.Float64())/math.Log1p(-rate))
			if left < 0 {
				return successes
			}
		}
	}
	for name, increaseIsBad := range map[string]bool{"sales": false, "errors": true} {
		t.Run(name, func(t *testing.T) {
			m := TuneOneSided(alpha, looks*10000)
			alarms := 0
			for range replications {
				var xc, xt, nc, nt int64
				for range looks {
					xc, nc = xc+count(9900), nc+9900
					xt, nt = xt+count(100), nt+100
					v := Guardrail{IncreaseIsBad: increaseIsBad}.Test(Compare(proportion(xc, nc), proportion(xt, nt)), m)
					if v.LogEViolated > -math.Log(alpha) {
						alarms++
						break
					}
				}
			}
			if got := float64(alarms) / replications; got > bound(alpha) {
				t.Errorf("false alarms in %.3f, want at most %.3f", got, bound(alpha))
			}
		})
	}
}
