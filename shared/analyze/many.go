package analyze

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"verdict/shared/stats"
)

// corrections are the procedures for many p-values, by the name a case gives.
func corrections() map[string]func([]float64) []float64 {
	return map[string]func([]float64) []float64{
		"bonferroni": stats.Bonferroni, "sidak": stats.Sidak, "holm": stats.Holm, "hochberg": stats.Hochberg, "hommel": stats.Hommel,
		"bh": stats.BenjaminiHochberg, "by": stats.BenjaminiYekutieli,
	}
}

func correction(name string) (func([]float64) []float64, error) {
	all := corrections()
	adjust, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("correction is %q; want none, %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	return adjust, nil
}

func correct(goals []*Comparison, name string) error {
	if name == "" {
		name = "holm"
	}
	if name == "none" {
		return nil
	}
	adjust, err := correction(name)
	if err != nil {
		return err
	}
	column := func(p func(*Comparison) Number) []float64 {
		out := make([]float64, len(goals))
		for i, g := range goals {
			out[i] = float64(p(g))
		}
		return adjust(out)
	}
	fixed := column(func(c *Comparison) Number { return c.Fixed.P })
	sequential := column(func(c *Comparison) Number { return c.Sequential.P })
	hybrid := column(func(c *Comparison) Number { return c.Hybrid.P })
	for i, g := range goals {
		g.Corrected = &Corrected{Fixed: Number(fixed[i]), Sequential: Number(sequential[i]), Hybrid: Number(hybrid[i])}
	}
	return nil
}

// PValues is a case of op correct.
type PValues struct {
	head
	P       []float64 `json:"p"`
	Weights []float64 `json:"weights,omitempty" jsonschema_description:"for weighted_holm"`
	Alpha   float64   `json:"alpha,omitempty" jsonschema_description:"default 0.05"`
}

// CorrectedP is the answer: p-values adjusted by each procedure, in the order given.
type CorrectedP struct {
	ID       string              `json:"id,omitempty"`
	Adjusted map[string][]Number `json:"adjusted"`
	Reject   map[string][]bool   `json:"reject" jsonschema_description:"adjusted p at most alpha"`
}

func correctP(in PValues) (CorrectedP, error) {
	alpha, err := level(in.Alpha)
	out := CorrectedP{ID: in.ID, Adjusted: map[string][]Number{}, Reject: map[string][]bool{}}
	if err != nil {
		return out, err
	}
	for i, p := range in.P {
		if !(p >= 0 && p <= 1) {
			return out, fmt.Errorf("p[%d] is %g; want 0 to 1", i, p)
		}
	}
	all := corrections()
	if in.Weights != nil {
		if len(in.Weights) != len(in.P) {
			return out, fmt.Errorf("%d weights for %d p-values", len(in.Weights), len(in.P))
		}
		all["weighted_holm"] = func(p []float64) []float64 { return stats.WeightedHolm(p, in.Weights) }
	}
	for name, adjust := range all {
		for _, v := range adjust(in.P) {
			out.Adjusted[name] = append(out.Adjusted[name], Number(v))
			out.Reject[name] = append(out.Reject[name], v <= alpha)
		}
	}
	return out, nil
}

// level reads an error rate with its default.
func level(alpha float64) (float64, error) {
	if alpha == 0 {
		return 0.05, nil
	}
	if !(alpha > 0 && alpha < 0.5) {
		return 0, fmt.Errorf("alpha is %g; want between 0 and 0.5", alpha)
	}
	return alpha, nil
}

// EValues is a case of op ebh.
type EValues struct {
	head
	E       []float64 `json:"e,omitempty" jsonschema_description:"e-values"`
	LogE    []float64 `json:"log_e,omitempty" jsonschema_description:"or their natural logarithms, which do not overflow"`
	Running bool      `json:"running_maxima,omitempty" jsonschema_description:"they are the largest so far: adjusted before use"`
	Weights []float64 `json:"weights,omitempty"`
	Alpha   float64   `json:"alpha,omitempty"`
}

// Discoveries is the answer.
type Discoveries struct {
	ID     string   `json:"id,omitempty"`
	Reject []bool   `json:"reject"`
	Level  Number   `json:"level" jsonschema_description:"of the confidence sequences to show for the rejected ones (e-BY)"`
	LogE   []Number `json:"log_e" jsonschema_description:"the e-values that were used"`
}

func discover(in EValues) (Discoveries, error) {
	alpha, err := level(in.Alpha)
	out := Discoveries{ID: in.ID}
	if err != nil {
		return out, err
	}
	logE := in.LogE
	if logE == nil {
		for i, e := range in.E {
			if !(e >= 0) {
				return out, fmt.Errorf("e[%d] is %g; want 0 or more", i, e)
			}
			logE = append(logE, math.Log(e))
		}
	} else if in.E != nil {
		return out, errors.New("want either e or log_e")
	}
	if in.Weights != nil && len(in.Weights) != len(logE) {
		return out, fmt.Errorf("%d weights for %d e-values", len(in.Weights), len(logE))
	}
	if in.Running {
		adjusted := make([]float64, len(logE))
		for i, e := range logE {
			adjusted[i] = stats.AdjustRunningMaximum(e)
		}
		logE = adjusted
	}
	out.Reject = stats.WeightedEBH(logE, in.Weights, alpha)
	selected := 0
	for i, r := range out.Reject {
		out.LogE = append(out.LogE, Number(logE[i]))
		if r {
			selected++
		}
	}
	out.Level = Number(stats.SelectedLevel(alpha, selected, len(logE)))
	return out, nil
}

// Selection is a case of op unselect: an effect that is only reported because it was significant.
type Selection struct {
	head
	Z         float64 `json:"z" jsonschema_description:"effect in standard errors"`
	SE        float64 `json:"se,omitempty" jsonschema_description:"default 1"`
	Threshold float64 `json:"threshold" jsonschema_description:"that |z| had to pass"`
	Alpha     float64 `json:"alpha,omitempty"`
}

// Unselected is the answer.
type Unselected struct {
	ID             string   `json:"id,omitempty"`
	Status         string   `json:"status"`
	Reason         string   `json:"reason,omitempty"`
	MLE            Number   `json:"conditional_mle"`
	MedianUnbiased Number   `json:"median_unbiased"`
	Interval       Interval `json:"interval"`
}

func unselect(in Selection) (Unselected, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return Unselected{}, err
	}
	if in.SE == 0 {
		in.SE = 1
	}
	s := stats.Unselect(in.Z, in.SE, in.Threshold, alpha)
	return Unselected{
		ID: in.ID, Status: s.Status.String(), Reason: s.Reason, MLE: Number(s.MLE), MedianUnbiased: Number(s.MedianUnbiased), Interval: interval(s.Interval),
	}, nil
}

// Past is a case of op learn: what past experiments say of the next.
type Past struct {
	head
	Effects   []float64 `json:"effects" jsonschema_description:"estimates of past experiments"`
	Variances []float64 `json:"variances" jsonschema_description:"squared standard errors"`
	Method    string    `json:"method,omitempty" jsonschema:"enum=reml,enum=pm,enum=dl" jsonschema_description:"of tau^2, default reml"`
}

// Learnt is the answer.
type Learnt struct {
	ID      string     `json:"id,omitempty"`
	Status  string     `json:"status"`
	Reason  string     `json:"reason,omitempty"`
	Mean    Number     `json:"mean"`
	SE      Number     `json:"se"`
	Tau2    Number     `json:"tau2" jsonschema_description:"variance of true effects"`
	Q       Number     `json:"q"`
	QP      Number     `json:"q_p"`
	I2      Number     `json:"i2"`
	Prior   Gaussian   `json:"prior" jsonschema_description:"for the next experiment; the default one below 20 past ones"`
	Effects []Gaussian `json:"effects" jsonschema_description:"shrunken"`
	Total   Gaussian   `json:"total" jsonschema_description:"of all shrunken effects"`
}

// Gaussian is a normal distribution.
type Gaussian struct {
	Mean Number `json:"mean"`
	SD   Number `json:"sd"`
}

func gaussian(n stats.Normal) Gaussian { return Gaussian{Mean: Number(n.Mean), SD: Number(n.SD)} }

func learn(in Past) (Learnt, error) {
	methods := map[string]stats.TauMethod{"": stats.REML, "reml": stats.REML, "pm": stats.PauleMandel, "dl": stats.DerSimonianLaird}
	m, ok := methods[in.Method]
	if !ok {
		return Learnt{}, fmt.Errorf("method is %q; want reml, pm or dl", in.Method)
	}
	h := stats.Learn(in.Effects, in.Variances, m)
	out := Learnt{
		ID: in.ID, Status: h.Status.String(), Reason: h.Reason, Mean: Number(h.Mean), SE: Number(h.SE), Tau2: Number(h.Tau2), Q: Number(h.Q), QP: Number(h.QP),
		I2: Number(h.I2), Prior: gaussian(h.Prior()), Total: gaussian(h.Total),
	}
	for _, e := range h.Effects {
		out.Effects = append(out.Effects, gaussian(e))
	}
	return out, nil
}
