package analyze

import (
	"errors"
	"fmt"
	"math"

	"verdict/shared/stats"
)

// Data is the statistics of one arm in any of these forms; give exactly one.
//
// Columns are value, denominator (ratio metrics only), then covariates.
type Data struct {
	Name string `json:"name,omitempty" jsonschema_description:"the variant; the first is control"`
	N    int64  `json:"n" jsonschema_description:"units"`

	Sum   *float64 `json:"sum,omitempty" jsonschema_description:"form 1: sum of the values"`
	SumSq *float64 `json:"sum_sq,omitempty" jsonschema_description:"form 1: sum of their squares"`

	Mean     *float64 `json:"mean,omitempty" jsonschema_description:"form 2: mean of the values"`
	Variance *float64 `json:"variance,omitempty" jsonschema_description:"form 2: sample variance of one unit"`

	Successes *int64 `json:"successes,omitempty" jsonschema_description:"form 3, proportion: units that did it; count: events"`

	Sums     []float64   `json:"sums,omitempty" jsonschema_description:"form 4: sum of each column"`
	Products [][]float64 `json:"products,omitempty" jsonschema_description:"form 4: sums of products of columns, a symmetric matrix"`

	Means   []float64   `json:"means,omitempty" jsonschema_description:"form 5: mean of each column"`
	Centred [][]float64 `json:"centred,omitempty" jsonschema_description:"form 5: sums of products of columns less their means; keeps its digits"`

	Ranks *Ranks `json:"ranks,omitempty" jsonschema_description:"form 6, quantile: the values at three ranks"`
}

// Ranks is a quantile with the values at the two ranks around it.
type Ranks struct {
	Value    float64 `json:"value" jsonschema_description:"the quantile"`
	Low      float64 `json:"low" jsonschema_description:"value at rank nu - z sqrt(nu(1-nu)/n), z = 1.96"`
	High     float64 `json:"high" jsonschema_description:"value at rank nu + z sqrt(nu(1-nu)/n)"`
	Ranked   int64   `json:"ranked,omitempty" jsonschema_description:"values that were ranked, when not all"`
	Clusters *Data   `json:"clusters,omitempty" jsonschema_description:"form 4 or 5 over units: columns values at or below the quantile, values"`
}

func family(name string) (stats.Family, error) {
	f, ok := map[string]stats.Family{
		"mean": stats.Mean, "count": stats.Mean, "proportion": stats.Proportion, "ratio": stats.Ratio, "quantile": stats.Quantile,
	}[name]
	if !ok {
		return f, fmt.Errorf("family is %q; want mean, count, proportion, ratio or quantile", name)
	}
	return f, nil
}

// mostUnits is more than there are, and few enough for sums of several arms.
const mostUnits = 1e15

// moments reads any form but ranks.
func (d Data) moments(f stats.Family) (stats.Moments, error) {
	forms := 0
	for _, given := range []bool{d.Sum != nil, d.Mean != nil, d.Successes != nil, d.Sums != nil, d.Means != nil} {
		if given {
			forms++
		}
	}
	switch {
	case d.N < 0 || d.N > mostUnits:
		return stats.Moments{}, fmt.Errorf("variant %q: n is %d; want 0 to 1e15", d.Name, d.N)
	case forms != 1:
		return stats.Moments{}, fmt.Errorf("variant %q: want exactly one of sum, mean, successes, sums, means, got %d of them", d.Name, forms)
	}
	m, err := d.read(f)
	if err != nil {
		return m, fmt.Errorf("variant %q: %w", d.Name, err)
	}
	return m, nil
}

func (d Data) read(f stats.Family) (stats.Moments, error) {
	switch {
	case d.Sums != nil:
		return stats.MomentsOfSums(d.N, columns(d.Sums, f), square(d.Products, f))
	case d.Means != nil:
		return stats.MomentsOfCentred(d.N, columns(d.Means, f), square(d.Centred, f))
	case f == stats.Ratio:
		return stats.Moments{}, errors.New("a ratio needs sums or means of value and denominator")
	}
	n := float64(max(d.N, 1))
	var mean, centred float64
	switch {
	case d.Successes != nil:
		mean = float64(*d.Successes) / n
		centred = n * mean * (1 - mean)
		if f == stats.Proportion && (*d.Successes < 0 || *d.Successes > d.N) {
			return stats.Moments{}, fmt.Errorf("%d successes of %d units", *d.Successes, d.N)
		}
		if f == stats.Mean {
			centred = n * mean // a Poisson count: the variance is the mean
		}
	case d.Sum != nil:
		mean = *d.Sum / n
		centred = n * mean * (1 - mean)
		if d.SumSq == nil && f != stats.Proportion {
			return stats.Moments{}, errors.New("sum without sum_sq")
		}
		if d.SumSq != nil {
			centred = max(0, *d.SumSq-*d.Sum*mean)
		}
	case d.Mean != nil:
		mean = *d.Mean
		centred = n * mean * (1 - mean)
		if d.Variance == nil && f != stats.Proportion {
			return stats.Moments{}, errors.New("mean without variance")
		}
		if d.Variance != nil {
			if *d.Variance < 0 {
				return stats.Moments{}, fmt.Errorf("variance is %g; want 0 or more", *d.Variance)
			}
			centred = *d.Variance * (n - 1)
		}
	}
	return stats.MomentsOfCentred(d.N, []float64{mean, 0}, [][]float64{{centred, 0}, {0, 0}})
}

// columns puts an empty denominator between value and covariates where the metric has none.
func columns(v []float64, f stats.Family) []float64 {
	if f == stats.Ratio || len(v) == 0 {
		return v
	}
	return append([]float64{v[0], 0}, v[1:]...)
}

func square(m [][]float64, f stats.Family) [][]float64 {
	if f == stats.Ratio || len(m) == 0 {
		return m
	}
	out := [][]float64{}
	for i, row := range m {
		out = append(out, columns(row, f))
		if i == 0 {
			out = append(out, make([]float64, len(m)+1))
		}
	}
	return out
}

func (d Data) ranks(nu float64) (stats.Arm, error) {
	if d.Ranks == nil {
		return stats.Arm{}, fmt.Errorf("variant %q: a quantile needs ranks", d.Name)
	}
	r := stats.Ranks{Nu: nu, N: d.N, Ranked: d.Ranks.Ranked, Value: d.Ranks.Value, Low: d.Ranks.Low, High: d.Ranks.High}
	if d.Ranks.Clusters != nil {
		m, err := d.Ranks.Clusters.moments(stats.Ratio)
		if err != nil {
			return stats.Arm{}, err
		}
		g := m.Gram()
		r.Clusters = &g
	}
	return r.Arm(), nil
}

// Interval is a confidence set. One-sided and unbounded ones have null ends.
type Interval struct {
	Low   Number `json:"low"`
	High  Number `json:"high"`
	Shape string `json:"shape" jsonschema:"enum=bounded,enum=half,enum=complement,enum=line" jsonschema_description:"bounded: low to high. half: one end is null and everything on that side belongs to it. complement: everything but what lies between low and high. line: everything"`
}

func interval(i stats.Interval) Interval {
	shape := [...]string{stats.Bounded: "bounded", stats.Complement: "complement", stats.Line: "line"}[i.Shape]
	if i.Shape == stats.Line {
		i.Low, i.High = math.Inf(-1), math.Inf(1)
	}
	return Interval{Low: Number(i.Low), High: Number(i.High), Shape: shape}
}

// open is an interval one end of which may be infinite.
func open(i stats.Interval) Interval {
	out := interval(i)
	if i.Shape == stats.Bounded && (math.IsInf(i.Low, 0) || math.IsInf(i.High, 0)) {
		out.Shape = "half"
	}
	return out
}

// half keeps one end of a set that was made with a one-sided critical value.
func half(i Interval, sides string) Interval {
	if i.Shape != "bounded" || sides == two {
		return i
	}
	i.Shape = "half"
	if sides == greater {
		i.High = Number(math.Inf(1))
	} else {
		i.Low = Number(math.Inf(-1))
	}
	return i
}
