package stats

import (
	"math"
	"testing"
)

func TestPosteriorMatchesGrowthBook(t *testing.T) {
	type out struct {
		Chance   float64 `json:"chance_to_win"`
		Expected float64
		CI       [2]float64
		SD       float64    `json:"post_sd"`
		Risk     [2]float64 `json:"risk_control_treatment"`
	}
	for _, c := range golden[sumsPair, out](t, "gb_bayes.json") {
		t.Run(c.ID, func(t *testing.T) {
			k, estimate, se := c.In.estimate()
			prior := Normal{Mean: c.In.Prior.Mean, SD: math.Sqrt(c.In.Prior.Variance)}
			if c.In.Difference == "absolute" {
				prior.Mean *= math.Abs(k.Control)
				prior.SD *= math.Abs(k.Control)
			}
			if !c.In.Prior.Proper {
				prior = Normal{SD: math.Inf(1)}
			}
			p := prior.Update(estimate, se)
			chance, control, treatment := p.ChancePositive(), p.LossControl(), p.LossTreatment()
			if c.In.Inverse { // less is better
				chance, control, treatment = 1-chance, treatment, control
			}
			near(t, "mean", p.Mean, c.Out.Expected, 1e-9)
			near(t, "sd", p.SD, c.Out.SD, 1e-9)
			near(t, "chance", chance, c.Out.Chance, 1e-9)
			i := p.Interval(c.In.Alpha)
			nearAbs(t, "low", i.Low, c.Out.CI[0], 1e-9*p.SD)
			nearAbs(t, "high", i.High, c.Out.CI[1], 1e-9*p.SD)
			nearAbs(t, "loss of control", control, c.Out.Risk[0], 1e-9*p.SD)
			nearAbs(t, "loss of treatment", treatment, c.Out.Risk[1], 1e-9*p.SD)
		})
	}
}

func TestPosteriorByHand(t *testing.T) {
	// Prior and data of the same precision: halfway, sd over sqrt 2.
	p := Normal{SD: 0.1}.Update(0.2, 0.1)
	near(t, "mean", p.Mean, 0.1, 1e-15)
	near(t, "sd", p.SD, 0.1/math.Sqrt2, 1e-15)
	near(t, "chance", p.ChancePositive(), 0.9213503964748575, 1e-12) // Phi(sqrt 2)
	near(t, "losses differ by the mean", p.LossControl()-p.LossTreatment(), p.Mean, 1e-13)
}
