package analyze

import (
	"errors"
	"fmt"

	"verdict/shared/stats"
)

// Arms is a case of op best: which of several arms is best, and where should traffic go?
type Arms struct {
	head
	Mean    []float64 `json:"mean" jsonschema_description:"posterior means"`
	SD      []float64 `json:"sd"`
	Smaller bool      `json:"smaller_is_better,omitempty"`
	Floor   float64   `json:"floor,omitempty" jsonschema_description:"least share of traffic of an arm"`
}

// BestOut is the answer.
type BestOut struct {
	ID         string   `json:"id,omitempty"`
	Status     string   `json:"status"`
	Reason     string   `json:"reason,omitempty"`
	Chance     []Number `json:"chance" jsonschema_description:"to be best"`
	Loss       []Number `json:"expected_loss"`
	Value      Number   `json:"expected_best"`
	Allocation []Number `json:"allocation" jsonschema_description:"top-two Thompson sampling"`
}

func best(in Arms) (BestOut, error) {
	if len(in.Mean) != len(in.SD) || len(in.Mean) == 0 || len(in.Mean) > 200 {
		return BestOut{}, fmt.Errorf("%d means and %d standard deviations; want as many of each, 1 to 200", len(in.Mean), len(in.SD))
	}
	if !(in.Floor >= 0 && in.Floor <= 1/float64(len(in.Mean))) {
		return BestOut{}, fmt.Errorf("floor is %g; want 0 to 1/%d", in.Floor, len(in.Mean))
	}
	var arms []stats.Normal
	for i := range in.Mean {
		arms = append(arms, stats.Normal{Mean: in.Mean[i], SD: in.SD[i]})
	}
	b := stats.PickBest(arms, in.Smaller)
	return BestOut{
		ID: in.ID, Status: b.Status.String(), Reason: b.Reason, Chance: numbers(b.Chance), Loss: numbers(b.Loss), Value: Number(b.Value),
		Allocation: numbers(stats.Allocate(b.Chance, in.Floor)),
	}, nil
}

func numbers(v []float64) []Number {
	out := make([]Number, len(v))
	for i, x := range v {
		out[i] = Number(x)
	}
	return out
}

// Betas is a case of op betas: two proportions with beta posteriors, exactly.
type Betas struct {
	head
	Control   [2]float64 `json:"control" jsonschema_description:"alpha and beta of the posterior: prior plus successes and failures"`
	Treatment [2]float64 `json:"treatment"`
	ROPE      float64    `json:"rope,omitempty"`
	Alpha     float64    `json:"alpha,omitempty"`
}

// BetasOut is the answer.
type BetasOut struct {
	ID            string   `json:"id,omitempty"`
	Status        string   `json:"status"`
	Reason        string   `json:"reason,omitempty"`
	Chance        Number   `json:"chance_to_beat"`
	LossTreatment Number   `json:"loss_treatment"`
	LossControl   Number   `json:"loss_control"`
	Equivalent    Number   `json:"equivalent"`
	Control       Interval `json:"control" jsonschema_description:"credible interval"`
	Treatment     Interval `json:"treatment"`
}

func betas(in Betas) (BetasOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return BetasOut{}, err
	}
	c, t := stats.Beta{A: in.Control[0], B: in.Control[1]}, stats.Beta{A: in.Treatment[0], B: in.Treatment[1]}
	for _, p := range []stats.Beta{c, t} {
		if !(p.A >= 0.5 && p.B >= 0.5 && p.A < 1e12 && p.B < 1e12) {
			return BetasOut{}, errors.New("alpha and beta of a posterior must lie between 0.5 and 1e12")
		}
	}
	b := stats.CompareBetas(c, t, in.ROPE)
	return BetasOut{
		ID: in.ID, Status: b.Status.String(), Reason: b.Reason, Chance: Number(b.Chance), LossTreatment: Number(b.LossTreatment), LossControl: Number(b.LossControl),
		Equivalent: Number(b.Equivalent), Control: interval(c.Interval(alpha)), Treatment: interval(t.Interval(alpha)),
	}, nil
}

// Epochs is a case of op epochs: an experiment whose allocation changed.
type Epochs struct {
	head
	Family string   `json:"family" jsonschema:"enum=mean,enum=count,enum=proportion,enum=ratio"`
	Epochs [][]Data `json:"epochs" jsonschema_description:"control and treatment of each stretch of constant allocation"`
	Method
}

func (z finals) epochs(in Epochs) (MetricOut, error) {
	if err := in.defaults(); err != nil {
		return MetricOut{}, err
	}
	f, err := family(in.Family)
	if err != nil || f == stats.Quantile {
		return MetricOut{}, errors.Join(err, errors.New("epochs want a mean, count, proportion or ratio"))
	}
	strata, err := readStrata(in.Epochs, f)
	if err != nil {
		return MetricOut{}, err
	}
	var contrasts []stats.Contrast
	for _, s := range strata {
		contrasts = append(contrasts, stats.PlainStratum(f)(s))
	}
	c := contrast{Adjusted: stats.Adjusted{Contrast: stats.Stratify(contrasts)}, variant: in.Epochs[0][1].Name}
	return MetricOut{ID: in.ID, Variants: []Comparison{Metric{Family: in.Family}.infer(c, in.Method, z.z(in.Method))}}, nil
}
