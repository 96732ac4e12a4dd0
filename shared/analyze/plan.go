package analyze

import (
	"errors"
	"fmt"
	"math"

	"verdict/shared/stats"
)

// Plan is a case of op power, sample_size and detectable. An arm's variance is that of one unit:
// p(1-p) of a proportion, and the delta method's of a ratio.
type Plan struct {
	head
	Family     string   `json:"family" jsonschema:"enum=mean,enum=count,enum=proportion,enum=ratio"`
	Mean       float64  `json:"mean" jsonschema_description:"of control"`
	Variance   *float64 `json:"variance,omitempty" jsonschema_description:"of one unit; default p(1-p) of a proportion, the mean of a count"`
	R2         float64  `json:"r2,omitempty" jsonschema_description:"share of the variance that covariates explain"`
	Effect     float64  `json:"effect,omitempty" jsonschema_description:"true effect; a share of control's mean when relative"`
	Relative   bool     `json:"relative,omitempty"`
	Margin     float64  `json:"margin,omitempty" jsonschema_description:"non-inferiority test with this margin, on the effect's scale, when the true effect is as given"`
	N          float64  `json:"n,omitempty" jsonschema_description:"units of control"`
	Ratio      float64  `json:"ratio,omitempty" jsonschema_description:"treatment's units for each of control's, default 1"`
	Alpha      float64  `json:"alpha,omitempty"`
	OneSided   bool     `json:"one_sided,omitempty"`
	Power      float64  `json:"power,omitempty" jsonschema_description:"default 0.8"`
	Guardrails int      `json:"guardrails,omitempty" jsonschema_description:"that must all pass: each metric then needs more power"`
	Goals      int      `json:"goals,omitempty" jsonschema_description:"among which alpha is shared, default 1"`
	Exact      bool     `json:"exact_t,omitempty" jsonschema_description:"Student's t test of samples with one variance, by the noncentral t"`
	PooledNull bool     `json:"pooled_null,omitempty" jsonschema_description:"proportions: the score test's error under the hypothesis"`
}

// Planned is the answer.
type Planned struct {
	ID               string  `json:"id,omitempty"`
	Power            Number  `json:"power" jsonschema_description:"reached, or asked for"`
	NControl         Number  `json:"n_control" jsonschema_description:"units, not rounded"`
	NTreatment       Number  `json:"n_treatment"`
	Effect           Number  `json:"effect" jsonschema_description:"on the metric's scale"`
	Lift             Number  `json:"lift" jsonschema_description:"relative to control's mean"`
	Sequential       *Number `json:"sequence_power,omitempty" jsonschema_description:"power of the confidence sequence tuned for this sample and looked at 30 times"`
	SequentialSample *Number `json:"sequence_sample,omitempty" jsonschema_description:"mean share of the sample it takes"`
	Hybrid           *Number `json:"hybrid_power,omitempty" jsonschema_description:"power of the horizon-calibrated rule"`
	HybridSample     *Number `json:"hybrid_sample,omitempty"`
}

func (p *Plan) defaults() error {
	alpha, err := level(p.Alpha)
	if err != nil {
		return err
	}
	p.Alpha = alpha
	if p.Goals == 0 {
		p.Goals = 1
	}
	if p.Power == 0 {
		p.Power = 0.8
	}
	if p.Ratio == 0 {
		p.Ratio = 1
	}
	f, err := family(p.Family)
	if err != nil || f == stats.Quantile {
		return errors.Join(err, errors.New("planning wants a mean, count, proportion or ratio"))
	}
	if p.Variance == nil {
		v := p.Mean
		switch p.Family {
		case "proportion":
			v = p.Mean * (1 - p.Mean)
		case "count":
		default:
			return errors.New("variance is missing")
		}
		p.Variance = &v
	}
	switch {
	case p.Goals < 1 || p.Guardrails < 0:
		return errors.New("goals must be 1 or more, guardrails 0 or more")
	case !(p.Power > 0 && p.Power < 1):
		return fmt.Errorf("power is %g; want between 0 and 1", p.Power)
	case !(p.Ratio > 0 && p.Ratio < 1e6) || p.N < 0 || p.N > 1e15:
		return errors.New("ratio must be above 0, n between 0 and 1e15")
	case !(*p.Variance > 0 && *p.Variance < 1e100) || !(p.R2 >= 0 && p.R2 < 1):
		return errors.New("variance must be above 0, r2 from 0 to below 1")
	case p.Relative && p.Mean == 0:
		return errors.New("a relative effect needs a mean that is not 0")
	case p.Margin < 0:
		return errors.New("margin cannot be negative")
	}
	p.Power = stats.PowerShare(p.Power, p.Guardrails)
	p.Alpha /= float64(p.Goals)
	return nil
}

// effect in the metric's unit that the test must find: the true one, plus the margin.
func (p Plan) effect() float64 {
	e := math.Abs(p.Effect)
	if p.Margin > 0 {
		e = p.Effect + p.Margin
	}
	if p.Relative {
		e *= math.Abs(p.Mean)
	}
	return e
}

// variances of one unit of control and, under the effect, of treatment.
func (p Plan) variances(effect float64) (control, treatment float64) {
	control = *p.Variance * (1 - p.R2)
	treatment = control
	if p.Family == "proportion" && p.Margin == 0 {
		q := min(1, max(0, p.Mean+effect))
		treatment = q * (1 - q) * (1 - p.R2)
	}
	return control, treatment
}

// twoSided is the level of the two-sided z test that spends as much on the right side.
func (p Plan) twoSided() float64 {
	if p.OneSided || p.Margin > 0 {
		return 2 * p.Alpha
	}
	return p.Alpha
}

func (p Plan) answer(n, effect, power float64) Planned {
	out := Planned{
		ID: p.ID, Power: Number(power), NControl: Number(n), NTreatment: Number(n * p.Ratio), Effect: Number(effect), Lift: Number(effect / math.Abs(p.Mean)),
	}
	c, t := p.variances(effect)
	drift := effect / math.Sqrt(c/n+t/(n*p.Ratio))
	if p.OneSided || p.Margin > 0 || !(drift < 50) {
		return out
	}
	const perRun = 30
	times := make([]float64, perRun)
	for i := range times {
		times[i] = float64(i+1) / perRun
	}
	rule := func(bounds []float64) (*Number, *Number) {
		lower := make([]float64, len(bounds))
		for i, b := range bounds {
			lower[i] = -b
		}
		o := stats.Operate(times, lower, bounds, drift)
		found, sample := Number(o.Rejects()), Number(o.Sample)
		return &found, &sample
	}
	const planned = 1000000 // any: only shares of it matter
	out.Sequential, out.SequentialSample = rule(stats.Tune(p.Alpha, planned).Bounds(times, planned, p.Alpha))
	out.Hybrid, out.HybridSample = rule(stats.NewHybrid(p.Alpha, p.Alpha/5, planned).Bounds(times, planned))
	return out
}

func planPower(in Plan) (Planned, error) {
	if err := in.defaults(); err != nil {
		return Planned{}, err
	}
	if !(in.N > 0) {
		return Planned{}, errors.New("n is missing")
	}
	e := in.effect()
	if in.Exact {
		if in.N*(1+in.Ratio) <= 2 {
			return Planned{}, errors.New("a t test needs three units")
		}
		power := stats.TPower(e/math.Sqrt(*in.Variance*(1-in.R2)), in.N, in.N*in.Ratio, in.Alpha, in.OneSided || in.Margin > 0)
		return in.answer(in.N, e, power), nil
	}
	c, t := in.variances(e)
	return in.answer(in.N, e, stats.Power(e, math.Sqrt(c/in.N+t/(in.N*in.Ratio)), in.twoSided())), nil
}

func planSize(in Plan) (Planned, error) {
	if err := in.defaults(); err != nil {
		return Planned{}, err
	}
	e := in.effect()
	if !(e > 0) {
		return Planned{}, errors.New("no sample finds an effect of 0")
	}
	c, t := in.variances(e)
	var n float64
	switch {
	case in.Exact:
		n = stats.TSampleSize(e/math.Sqrt(c), in.Ratio, in.Alpha, in.Power, in.OneSided || in.Margin > 0)
	case in.PooledNull && in.Family == "proportion":
		if in.Ratio != 1 || !(in.Mean+e < 1) {
			return Planned{}, errors.New("pooled_null wants arms of one size and proportions below 1")
		}
		n = stats.SampleSizePooled(in.Mean, in.Mean+e, in.twoSided(), in.Power)
	default:
		n = stats.SampleSize(e, c, t, in.Ratio, in.twoSided(), in.Power)
	}
	return in.answer(n, e, in.Power), nil
}

func planDetectable(in Plan) (Planned, error) {
	if err := in.defaults(); err != nil {
		return Planned{}, err
	}
	if !(in.N > 0) {
		return Planned{}, errors.New("n is missing")
	}
	v := *in.Variance * (1 - in.R2)
	var e float64
	switch {
	case in.Exact:
		if in.N*(1+in.Ratio) <= 2 {
			return Planned{}, errors.New("a t test needs three units")
		}
		e = math.Sqrt(v) * stats.TDetectable(in.N, in.N*in.Ratio, in.Alpha, in.Power, in.OneSided)
	case in.Relative:
		m2 := in.Mean * in.Mean
		e = math.Abs(in.Mean) * stats.DetectableLift(v/in.N/m2, v/(in.N*in.Ratio)/m2, in.twoSided(), in.Power)
	default:
		e = stats.DetectableEffect(math.Sqrt(v/in.N+v/(in.N*in.Ratio)), in.twoSided(), in.Power)
	}
	return in.answer(in.N, e, in.Power), nil
}

// Running is a case of op projection: has a running experiment enough units?
type Running struct {
	head
	N          int64   `json:"n" jsonschema_description:"units of both arms so far"`
	SE         float64 `json:"se" jsonschema_description:"standard error now, of the effect or of the lift"`
	Effect     float64 `json:"effect" jsonschema_description:"one wants to find, on the same scale"`
	Alpha      float64 `json:"alpha,omitempty"`
	Tests      int     `json:"tests,omitempty" jsonschema_description:"among which alpha is shared, default 1"`
	Power      float64 `json:"power,omitempty" jsonschema_description:"default 0.8"`
	Sequential bool    `json:"sequential,omitempty"`
	Planned    int64   `json:"planned,omitempty" jsonschema_description:"for which the sequence is tuned"`
	Rho2       float64 `json:"rho2,omitempty"`
	Prior      *Prior  `json:"prior,omitempty" jsonschema_description:"judges by the credible interval"`
}

// Projected is the answer.
type Projected struct {
	ID     string `json:"id,omitempty"`
	Now    Number `json:"power_now"`
	Double Number `json:"power_double" jsonschema_description:"with twice the units"`
	More   Number `json:"more" jsonschema_description:"times the units of now that are still needed; null: no sample will do"`
	Units  Number `json:"more_units"`
}

func project(in Running) (Projected, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return Projected{}, err
	}
	if in.Power == 0 {
		in.Power = 0.8
	}
	if in.N < 1 || !(in.SE > 0) || in.Tests < 0 || in.Rho2 < 0 || !(in.Power > 0 && in.Power < 1) {
		return Projected{}, errors.New("n and se must be above 0, power between 0 and 1")
	}
	alpha /= float64(max(1, in.Tests))
	p := stats.Projection{N: in.N, SE: in.SE, Effect: in.Effect, Needs: func(float64) float64 { return stats.CredibleCritical(stats.Normal{SD: math.Inf(1)}, 1, alpha) }}
	switch {
	case in.Prior != nil && !in.Prior.Flat:
		if !(in.Prior.SD > 0) {
			return Projected{}, errors.New("prior: sd must be above 0")
		}
		prior := stats.Normal{Mean: in.Prior.Mean, SD: in.Prior.SD}
		p.Needs = func(n float64) float64 { return stats.CredibleCritical(prior, in.SE*math.Sqrt(float64(in.N)/n), alpha) }
	case in.Sequential:
		m := stats.Tune(alpha, max(in.Planned, 1))
		if in.Planned == 0 {
			m = stats.Tune(alpha, in.N)
		}
		if in.Rho2 > 0 {
			m.Rho2 = in.Rho2
		}
		p.Needs = func(n float64) float64 { return m.Bounds([]float64{n}, 1, alpha)[0] }
	}
	more := p.More(in.Power)
	return Projected{ID: in.ID, Now: Number(p.Power(1)), Double: Number(p.Power(2)), More: Number(more), Units: Number(more * float64(in.N))}, nil
}

// Runtime is a case of op runtime: how long will it take?
type Runtime struct {
	head
	Accumulated []float64 `json:"accumulated" jsonschema_description:"different units by the end of each past day"`
	Share       float64   `json:"share,omitempty" jsonschema_description:"of the traffic in the experiment, default 1"`
	Units       float64   `json:"units" jsonschema_description:"needed in all arms"`
	Power       float64   `json:"power,omitempty" jsonschema_description:"for which they are needed, default 0.8"`
	Alpha       float64   `json:"alpha,omitempty"`
}

// RuntimeOut is the answer.
type RuntimeOut struct {
	ID       string `json:"id,omitempty"`
	Days     Number `json:"days" jsonschema_description:"until the units have come; null: never"`
	Planned  Number `json:"planned_days" jsonschema_description:"in whole weeks"`
	Sequence Number `json:"sequence_days" jsonschema_description:"mean days to a decision of the confidence sequence, looked at daily, when the effect is there"`
	Hybrid   Number `json:"hybrid_days" jsonschema_description:"of the horizon-calibrated rule"`
}

func runtime(in Runtime) (RuntimeOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return RuntimeOut{}, err
	}
	if in.Share == 0 {
		in.Share = 1
	}
	if in.Power == 0 {
		in.Power = 0.8
	}
	if !(in.Share > 0 && in.Share <= 1) || !(in.Units > 0 && in.Units < 1e15) || !(in.Power > alpha && in.Power < 1) {
		return RuntimeOut{}, errors.New("share must lie between 0 and 1, units above 0, power between alpha and 1")
	}
	before := 0.0
	for i, n := range in.Accumulated {
		if !(n >= before && n < 1e15) {
			return RuntimeOut{}, fmt.Errorf("accumulated[%d] is %g; want numbers that never fall", i, n)
		}
		before = n
	}
	a := stats.Accumulation(in.Accumulated)
	drift := stats.DetectableEffect(1, alpha, in.Power)
	days := a.Days(in.Units / in.Share)
	if days > mostLooks { // three years: nobody looks daily that long
		return RuntimeOut{ID: in.ID, Days: Number(days), Planned: Number(stats.WholeWeeks(days)), Sequence: Number(math.NaN()), Hybrid: Number(math.NaN())}, nil
	}
	const planned = 1000000
	sequence, hybrid := stats.Tune(alpha, planned), stats.NewHybrid(alpha, alpha/5, planned)
	s := stats.PlanRuntime(a, 1, in.Units, in.Share, drift, func(t []float64) []float64 { return sequence.Bounds(t, planned, alpha) })
	h := stats.PlanRuntime(a, 1, in.Units, in.Share, drift, func(t []float64) []float64 { return hybrid.Bounds(t, planned) })
	return RuntimeOut{ID: in.ID, Days: Number(s.Days), Planned: Number(s.Planned), Sequence: Number(s.Expected), Hybrid: Number(h.Expected)}, nil
}

// Plans answer the cases of `verdict power`.
func Plans() Ops {
	return Ops{
		"power": on(planPower), "sample_size": on(planSize), "detectable": on(planDetectable), "projection": on(project), "runtime": on(runtime),
	}
}
