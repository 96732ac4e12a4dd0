package stats

import (
	"math"
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
		N1     float64
		Z      float64 `json:"z_approx_d"`
		PowerZ float64 `json:"power_z"`
		Wald   float64 `json:"n_unpooled_wald"`
		Simple float64 `json:"mde_absolute_simple"`
	}
	for _, c := range golden[in, out](t, "power_mde.json") {
		t.Run(c.ID, func(t *testing.T) {
			in := c.In
			if in.Alternative == "larger" {
				in.Alpha *= 2
			}
			switch c.Kind {
			case "t_ind_n1": // by the noncentral t: about z^2/4 units more than the closed form
				got := SampleSize(in.D, 1, 1, in.Ratio, in.Alpha, in.Power)
				nearAbs(t, "units of control", got, c.Out.N1, 2.5+1e-9*c.Out.N1)
			case "t_ind_mde":
				near(t, "effect", DetectableEffect(math.Sqrt(2/in.N1), in.Alpha, in.Power), c.Out.Z, 1e-10)
			case "t_ind_power":
				near(t, "power", Power(in.D, math.Sqrt(2/in.N1), in.Alpha), c.Out.PowerZ, 1e-10)
			case "two_prop_n":
				got := SampleSize(in.P2-in.P1, in.P1*(1-in.P1), in.P2*(1-in.P2), 1, in.Alpha, in.Power)
				near(t, "units", got, c.Out.Wald, 1e-10)
			case "relative_mde_delta":
				near(t, "effect", DetectableEffect(math.Sqrt(2*in.Var/in.N), in.Alpha, in.Power), c.Out.Simple, 1e-10)
			default:
				t.Fatalf("unknown kind %q", c.Kind)
			}
		})
	}
}

func TestPlanningFiguresAgree(t *testing.T) {
	// The textbook n = 16 sd^2 / effect^2 (Lehr 1992) for power .8 at .05 is 15.7.
	n := SampleSize(1, 1, 1, 1, 0.05, 0.8)
	near(t, "units", n, 15.697759, 1e-6)
	near(t, "power at that size", Power(1, math.Sqrt(2/n), 0.05), 0.8, 1e-4)
	near(t, "power without an effect", Power(0, 1, 0.05), 0.05, 1e-12)
}
