package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gramOf is the two-pass reference.
func gramOf(y, d []float64) Gram {
	g := Gram{N: int64(len(y))}
	for i := range y {
		g.MeanY += y[i] / float64(len(y))
		g.MeanD += d[i] / float64(len(y))
	}
	for i := range y {
		g.YY += (y[i] - g.MeanY) * (y[i] - g.MeanY)
		g.YD += (y[i] - g.MeanY) * (d[i] - g.MeanD)
		g.DD += (d[i] - g.MeanD) * (d[i] - g.MeanD)
	}
	return g
}

func TestMergeOfPartsIsTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n := 20 + rng.IntN(200)
		y, d := make([]float64, n), make([]float64, n)
		for i := range y {
			d[i] = 1 + rng.ExpFloat64()
			y[i] = 1e9 + d[i] + rng.NormFloat64()
		}
		whole := gramOf(y, d)
		var parts Gram
		for left := 0; left < n; {
			right := min(n, left+1+rng.IntN(30))
			part := gramOf(y[left:right], d[left:right])
			if rng.IntN(2) == 0 {
				parts = parts.Merge(part)
			} else {
				parts = part.Merge(parts)
			}
			parts = parts.Merge(Gram{}) // an empty cell changes nothing
			left = right
		}
		if got, want := parts.N, whole.N; got != want {
			t.Fatalf("units: got %d, want %d", got, want)
		}
		// The mean of 1e9 is itself known to 1e-7 only.
		near(t, "mean of value", parts.MeanY, whole.MeanY, 1e-15)
		near(t, "mean of denominator", parts.MeanD, whole.MeanD, 1e-13)
		near(t, "YY", parts.YY, whole.YY, 1e-6)
		near(t, "YD", parts.YD, whole.YD, 1e-6)
		near(t, "DD", parts.DD, whole.DD, 1e-12)
	}
}

func TestMergeWithEmptyIsIdentity(t *testing.T) {
	g := Gram{N: 3, MeanY: 2, MeanD: 5, YY: 7, YD: 1, DD: 4}
	for name, got := range map[string]Gram{"right": g.Merge(Gram{}), "left": Gram{}.Merge(g)} {
		if diff := cmp.Diff(g, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestVarianceSurvivesLargeMean(t *testing.T) {
	// 1e9-1, 1e9, 1e9+1 has variance 1; raw sums of squares have lost it by then.
	var g Gram
	for _, y := range []float64{1e9 - 1, 1e9, 1e9 + 1} {
		g = g.Merge(Gram{N: 1, MeanY: y})
	}
	near(t, "variance", g.Arm(Mean).Variance, 1, 1e-6)
}

func TestArmSaysWhatItCannotKnow(t *testing.T) {
	tests := []struct {
		name   string
		gram   Gram
		family Family
		want   Status
	}{
		{"no units", Gram{}, Mean, Insufficient},
		{"one unit", Gram{N: 1, MeanY: 3}, Mean, Insufficient},
		{"zero denominator", Gram{N: 10, MeanY: 1, YY: 2}, Ratio, Undefined},
		{"share above one", Gram{N: 10, MeanY: 1.5}, Proportion, Undefined},
		{"not a number", Gram{N: 10, MeanY: math.NaN()}, Mean, Undefined},
		{"infinite sum of squares", Gram{N: 10, YY: math.Inf(1)}, Mean, Undefined},
		{"fine", Gram{N: 10, MeanY: 1, YY: 2}, Mean, OK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			arm := tt.gram.Arm(tt.family)
			if got := arm.Status; got != tt.want {
				t.Errorf("status: got %v, want %v", got, tt.want)
			}
			if (arm.Reason == "") != (tt.want == OK) {
				t.Errorf("reason %q does not go with status %v", arm.Reason, tt.want)
			}
			// Whatever it is, no figure claims anything.
			c := Compare(arm, Gram{N: 100, MeanY: 5, MeanD: 1, YY: 99}.Arm(tt.family))
			if tt.want == OK {
				return
			}
			if got := c.Status; got != tt.want {
				t.Errorf("status of contrast: got %v, want %v", got, tt.want)
			}
			m := Tune(0.05, 1000)
			if got := c.WelchP(); got != 1 {
				t.Errorf("p: got %v, want 1", got)
			}
			if got := m.LogE(c.N, c.Z()); got > 0 {
				t.Errorf("log e: got %v, want at most 0", got)
			}
			for name, i := range map[string]Interval{
				"absolute": c.Absolute(m.Critical(c.N, 0.05)), "relative": c.Relative(2), "fixed": c.Absolute(c.WelchCritical(0.05)),
			} {
				if i.Shape != Line || i.Excludes(0) {
					t.Errorf("%s interval: got %v, want the whole line", name, i)
				}
			}
			if got, want := DefaultPrior().Update(c.Lift(), c.LiftSE()), DefaultPrior(); got != want {
				t.Errorf("posterior: got %v, want the prior %v", got, want)
			}
		})
	}
}

func TestRatioOfIdenticalSumsDoesNotVary(t *testing.T) {
	y := []float64{0.1, 0.7, 1.3, 2.9}
	if got := gramOf(y, y).Arm(Ratio).Variance; got != 0 {
		t.Errorf("variance of y/y: got %v, want 0", got)
	}
}
