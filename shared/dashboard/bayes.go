package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"verdict/shared/evaluate"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// bayes is the Bayesian view of a metric: the posterior lift of each variant, and which arm is best.
type bayes struct {
	Prior number      `json:"prior_sd"` // of the lift; its mean is 0
	Arms  []posterior `json:"arms"`     // control first
	Axis  []tick      `json:"-"`
	Zero  string      `json:"-"`
}

// posterior is what is believed of one arm. The lift's has the prior; chance to be best and loss have none, and are
// those of the arms' own means.
type posterior struct {
	Variant  string `json:"variant"`
	Lift     number `json:"posterior_lift"`
	SD       number `json:"posterior_sd"`
	Interval bounds `json:"credible_interval"` // 95 %
	Chance   number `json:"chance_to_beat_control"`
	Best     number `json:"chance_best"`
	Loss     number `json:"expected_loss"` // in the metric's unit, of choosing the arm
	Curve    string `json:"-"`
	Worse    string `json:"-"` // part of the curve that is worse than control
}

const (
	bayesWidth, bayesHeight = 560.0, 120.0
	credible                = 0.05
)

func bayesOf(in evaluate.Input, m metric.Metric) *bayes {
	out := &bayes{Prior: number(stats.DefaultPrior().SD), Arms: []posterior{{Variant: in.Experiment.Control, Chance: number(math.NaN()), Interval: bounds{}}}}
	var lifts, arms []stats.Normal
	low, high := 0.0, 0.0
	for _, v := range in.Experiment.Variants {
		if v.Key == in.Experiment.Control {
			continue
		}
		c := in.Contrast(m, v.Key)
		if c.Status != stats.OK {
			return nil
		}
		if arms == nil {
			arms = append(arms, stats.Normal{Mean: c.Control, SD: math.Sqrt(c.VarControl)})
		}
		arms = append(arms, stats.Normal{Mean: c.Treatment, SD: math.Sqrt(c.VarTreatment)})
		p := stats.DefaultPrior().Update(c.Lift(), c.LiftSE())
		within := p.Interval(credible)
		one := posterior{Variant: v.Key, Lift: number(p.Mean), SD: number(p.SD), Interval: bounds{number(within.Low), number(within.High)}, Chance: number(p.ChancePositive())}
		if !m.Increase {
			one.Chance = number(1 - p.ChancePositive())
		}
		lifts, out.Arms = append(lifts, p), append(out.Arms, one)
		low, high = min(low, p.Mean-4*p.SD), max(high, p.Mean+4*p.SD)
	}
	if len(lifts) == 0 {
		return nil
	}
	best := stats.PickBest(arms, !m.Increase)
	for i := range out.Arms {
		out.Arms[i].Best, out.Arms[i].Loss = number(math.NaN()), number(math.NaN())
		if best.Status == stats.OK {
			out.Arms[i].Best, out.Arms[i].Loss = number(best.Chance[i]), number(best.Loss[i])
		}
	}
	x := scale{low, high, 10, bayesWidth - 10}
	out.Axis, out.Zero = x.labels(6), px(x.at(0))
	for i, p := range lifts {
		whole := func(float64) bool { return true }
		worse := func(lift float64) bool { return lift < 0 == m.Increase }
		out.Arms[i+1].Curve, out.Arms[i+1].Worse = density(p, x, whole), density(p, x, worse)
	}
	return out
}

// density draws the part of a posterior that is kept, as a polygon on the axis.
func density(p stats.Normal, x scale, keep func(float64) bool) string {
	const steps = 160
	var out []string
	for i := range steps + 1 {
		lift := x.low + (x.high-x.low)*float64(i)/steps
		if !keep(lift) {
			continue
		}
		z := (lift - p.Mean) / p.SD
		y := bayesHeight - 20 - (bayesHeight-30)*math.Exp(-z*z/2)
		if len(out) == 0 {
			out = append(out, fmt.Sprintf("%.1f,%.1f", x.at(lift), bayesHeight-20))
		}
		out = append(out, fmt.Sprintf("%.1f,%.1f", x.at(lift), y))
		if i == steps || !keep(x.low+(x.high-x.low)*float64(i+1)/steps) {
			out = append(out, fmt.Sprintf("%.1f,%.1f", x.at(lift), bayesHeight-20))
		}
	}
	return strings.Join(out, " ")
}

// meter draws an amount as a part of the largest.
func meter(n, most int64) template.HTML {
	width := 100 * float64(n) / float64(max(most, 1))
	return template.HTML(fmt.Sprintf(`<svg class="amount" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect class="fill" width="%.1f" height="6"/></svg>`, width)) //nolint:gosec // a number
}
