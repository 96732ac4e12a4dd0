package analyze

import (
	"errors"
	"fmt"

	"verdict/shared/stats"
)

// Tuning is a case of op mixture: the confidence sequence itself.
type Tuning struct {
	head
	Alpha   float64 `json:"alpha,omitempty"`
	Planned int64   `json:"planned" jsonschema_description:"units at which the sequence is narrowest"`
	N       int64   `json:"n,omitempty" jsonschema_description:"units at hand, default planned"`
	Z       float64 `json:"z,omitempty" jsonschema_description:"estimate in standard errors"`
	DF      float64 `json:"df,omitempty" jsonschema_description:"degrees of freedom, for the t-mixture"`
	Rho2    float64 `json:"rho2,omitempty" jsonschema_description:"scale instead of the optimum"`
}

// Tuned is the answer.
type Tuned struct {
	ID              string  `json:"id,omitempty"`
	Rho2            Number  `json:"rho2"`
	Rho2OneSided    Number  `json:"rho2_one_sided"`
	Critical        Number  `json:"critical" jsonschema_description:"standard errors to each side"`
	CriticalGreater Number  `json:"critical_one_sided"`
	LogE            Number  `json:"log_e"`
	LogEGreater     Number  `json:"log_e_greater"`
	P               Number  `json:"p"`
	PGreater        Number  `json:"p_greater"`
	T               *TTuned `json:"t,omitempty" jsonschema_description:"the t-mixture, when df is given"`
}

// TTuned is the t-mixture.
type TTuned struct {
	G        Number `json:"g"`
	LogE     Number `json:"log_e"`
	P        Number `json:"p"`
	Critical Number `json:"critical"`
}

func tune(in Tuning) (Tuned, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return Tuned{}, err
	}
	if in.Planned < 1 || in.N < 0 || in.Rho2 < 0 || in.DF < 0 {
		return Tuned{}, errors.New("planned must be 1 or more; n, rho2 and df 0 or more")
	}
	if in.N == 0 {
		in.N = in.Planned
	}
	twoSided, one := stats.Tune(alpha, in.Planned), stats.TuneOneSided(alpha, in.Planned)
	if in.Rho2 > 0 {
		twoSided.Rho2, one.Rho2 = in.Rho2, in.Rho2
	}
	out := Tuned{
		ID: in.ID, Rho2: Number(twoSided.Rho2), Rho2OneSided: Number(one.Rho2), Critical: Number(twoSided.Critical(in.N, alpha)),
		CriticalGreater: Number(one.CriticalGreater(in.N, alpha)), LogE: Number(twoSided.LogE(in.N, in.Z)), LogEGreater: Number(one.LogEGreater(in.N, in.Z)),
	}
	out.P, out.PGreater = Number(stats.PValue(float64(out.LogE))), Number(stats.PValue(float64(out.LogEGreater)))
	if in.DF > 0 {
		t := twoSided.T()
		logE := t.LogE(in.N, in.Z, in.DF)
		out.T = &TTuned{G: Number(t.G), LogE: Number(logE), P: Number(stats.PValue(logE)), Critical: Number(t.Critical(in.N, alpha, in.DF))}
	}
	return out, nil
}

// Design is a case of op group_sequential.
type Design struct {
	head
	Alpha    float64   `json:"alpha,omitempty" jsonschema_description:"default 0.05 two-sided, 0.025 one-sided"`
	OneSided bool      `json:"one_sided,omitempty"`
	Spending string    `json:"spending,omitempty" jsonschema:"enum=obrien_fleming,enum=pocock,enum=power,enum=hwang_shih_decani,enum=classic_obrien_fleming,enum=classic_pocock" jsonschema_description:"default obrien_fleming; classic ones have the bounds of the papers of 1977 and 1979"`
	Gamma    float64   `json:"gamma,omitempty" jsonschema_description:"of power and hwang_shih_decani"`
	Times    []float64 `json:"times" jsonschema_description:"information at the looks so far, 1 being what is planned"`
	Ongoing  bool      `json:"ongoing,omitempty" jsonschema_description:"more looks will come: the last one does not spend what is left"`
	Z        *float64  `json:"z,omitempty" jsonschema_description:"found at the last look: asks for inference after stopping there"`
	Power    float64   `json:"power,omitempty" jsonschema_description:"asks for the inflation of the sample for this power"`
}

// Designed is the answer.
type Designed struct {
	ID        string        `json:"id,omitempty"`
	Bounds    []Number      `json:"bounds" jsonschema_description:"of z at each look; null: nothing is spent there"`
	Spent     []Number      `json:"spent" jsonschema_description:"error of one side by each look"`
	Inflation *InflationOut `json:"inflation,omitempty"`
	Stopped   *StoppedOut   `json:"stopped,omitempty"`
}

// InflationOut is sample sizes relative to a single look.
type InflationOut struct {
	Max        Number `json:"max"`
	MeanEffect Number `json:"mean_with_effect"`
	MeanNone   Number `json:"mean_without_effect"`
}

// StoppedOut is inference after stopping; effects in standard errors that the effect has at time 1.
type StoppedOut struct {
	P              Number   `json:"p"`
	MedianUnbiased Number   `json:"median_unbiased"`
	Interval       Interval `json:"interval"`
	Repeated       Interval `json:"repeated"`
}

// mostLooks keeps a case from running for hours: beyond it, use a sequence.
const mostLooks = 1000

func design(in Design) (Designed, error) {
	if in.Alpha == 0 && in.OneSided {
		in.Alpha = 0.025
	}
	alpha, err := level(in.Alpha)
	if err != nil {
		return Designed{}, err
	}
	if err := checkTimes(in.Times); err != nil {
		return Designed{}, err
	}
	g := stats.GroupSequential{Alpha: alpha, TwoSided: !in.OneSided}
	var bounds []float64
	switch in.Spending {
	case "", "obrien_fleming":
		g.Spend = stats.OBrienFleming()
	case "pocock":
		g.Spend = stats.Pocock()
	case "power":
		if !(in.Gamma > 0) {
			return Designed{}, errors.New("power spending needs gamma above 0")
		}
		g.Spend = stats.SpendPower(in.Gamma)
	case "hwang_shih_decani":
		g.Spend = stats.HwangShihDeCani(in.Gamma)
	case "classic_obrien_fleming":
		bounds = g.Classic(in.Times, 0)
	case "classic_pocock":
		bounds = g.Classic(in.Times, 0.5)
	default:
		return Designed{}, fmt.Errorf("spending is %q; want obrien_fleming, pocock, power, hwang_shih_decani, classic_obrien_fleming or classic_pocock", in.Spending)
	}
	if bounds == nil {
		bounds = g.Bounds(in.Times, !in.Ongoing)
	}
	out := Designed{ID: in.ID}
	var lower []float64
	if !in.OneSided {
		for _, b := range bounds {
			lower = append(lower, -b)
		}
	}
	spent := 0.0
	for i, p := range stats.Operate(in.Times, lower, bounds, 0).Upper {
		spent += p
		out.Bounds, out.Spent = append(out.Bounds, Number(bounds[i])), append(out.Spent, Number(spent))
	}
	if in.Power != 0 {
		if !(in.Power > alpha && in.Power < 1) {
			return Designed{}, fmt.Errorf("power is %g; want between alpha and 1", in.Power)
		}
		f := g.Inflate(in.Times, bounds, in.Power)
		out.Inflation = &InflationOut{Max: Number(f.Max), MeanEffect: Number(f.MeanEffect), MeanNone: Number(f.MeanNone)}
	}
	if in.Z != nil {
		s, _ := g.After(in.Times, bounds, *in.Z)
		out.Stopped = &StoppedOut{P: Number(s.P), MedianUnbiased: Number(s.MedianUnbiased), Interval: open(s.Interval), Repeated: open(s.Repeated)}
	}
	return out, nil
}

func checkTimes(times []float64) error {
	if len(times) == 0 || len(times) > mostLooks {
		return fmt.Errorf("%d times; want 1 to %d", len(times), mostLooks)
	}
	before := 0.0
	for i, t := range times {
		// Steps of a millionth of the whole would take for ever, and no experiment looks so often.
		if !(t > before+1e-6*times[len(times)-1]) || !(t < 1e6) {
			return fmt.Errorf("times[%d] is %g; want rising numbers above 0, a millionth of the last apart", i, t)
		}
		before = t
	}
	return nil
}

// Looks is a case of op operate: what does a rule of repeated looks do?
type Looks struct {
	head
	Times []float64 `json:"times" jsonschema_description:"information at each look, 1 at the planned end"`
	Upper []float64 `json:"upper" jsonschema_description:"stops above this z; one value for all looks, or one each"`
	Lower []float64 `json:"lower,omitempty" jsonschema_description:"stops below; default -upper"`
	Drift float64   `json:"drift,omitempty" jsonschema_description:"mean of z at time 1; 2.8016 is what a fixed test finds with power 0.8"`
}

// Operated is the answer.
type Operated struct {
	ID      string   `json:"id,omitempty"`
	Rejects Number   `json:"rejects" jsonschema_description:"probability to stop at all: type I error at drift 0, power else"`
	Above   Number   `json:"above"`
	Sample  Number   `json:"sample" jsonschema_description:"mean information at stopping"`
	Upper   []Number `json:"upper" jsonschema_description:"probability to stop above at each look"`
}

func operate(in Looks) (Operated, error) {
	if err := checkTimes(in.Times); err != nil {
		return Operated{}, err
	}
	if !(in.Drift > -100 && in.Drift < 100) {
		return Operated{}, fmt.Errorf("drift is %g; want between -100 and 100", in.Drift)
	}
	spread := func(v []float64) ([]float64, error) {
		if len(v) == 1 {
			out := make([]float64, len(in.Times))
			for i := range out {
				out[i] = v[0]
			}
			return out, nil
		}
		if len(v) != len(in.Times) {
			return nil, fmt.Errorf("%d bounds for %d times", len(v), len(in.Times))
		}
		return v, nil
	}
	upper, err := spread(in.Upper)
	if err != nil {
		return Operated{}, err
	}
	lower := make([]float64, len(upper))
	for i, b := range upper {
		lower[i] = -b
	}
	if in.Lower != nil {
		if lower, err = spread(in.Lower); err != nil {
			return Operated{}, err
		}
	}
	for i := range upper {
		if !(lower[i] < upper[i]) {
			return Operated{}, fmt.Errorf("look %d: the lower bound %g is not below the upper %g", i+1, lower[i], upper[i])
		}
	}
	o := stats.Operate(in.Times, lower, upper, in.Drift)
	out := Operated{ID: in.ID, Rejects: Number(o.Rejects()), Above: Number(o.Power()), Sample: Number(o.Sample)}
	for _, p := range o.Upper {
		out.Upper = append(out.Upper, Number(p))
	}
	return out, nil
}

// Events is a case of op counts: rare events of two arms, exactly.
type Events struct {
	head
	Control        int64   `json:"control" jsonschema_description:"events"`
	UnitsControl   int64   `json:"units_control" jsonschema_description:"or exposure time, in whole units"`
	Treatment      int64   `json:"treatment"`
	UnitsTreatment int64   `json:"units_treatment"`
	Ratio          float64 `json:"ratio,omitempty" jsonschema_description:"of the rates under the hypothesis, default 1"`
	Alpha          float64 `json:"alpha,omitempty"`
}

// CountsOut is the answer.
type CountsOut struct {
	ID          string   `json:"id,omitempty"`
	Ratio       Number   `json:"ratio" jsonschema_description:"of treatment's rate to control's, as seen"`
	LogE        Number   `json:"log_e"`
	P           Number   `json:"p" jsonschema_description:"anytime-valid"`
	LogEGreater Number   `json:"log_e_greater" jsonschema_description:"that treatment's rate is larger than ratio times control's"`
	LogELess    Number   `json:"log_e_less"`
	Interval    Interval `json:"interval" jsonschema_description:"confidence sequence of the ratio"`
}

func counts(in Events) (CountsOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return CountsOut{}, err
	}
	if in.Ratio == 0 {
		in.Ratio = 1
	}
	if in.Control < 0 || in.Treatment < 0 || in.UnitsControl <= 0 || in.UnitsTreatment <= 0 || !(in.Ratio > 0) {
		return CountsOut{}, errors.New("events must be 0 or more, units and ratio above 0")
	}
	c := stats.NewCounts(in.Control, in.UnitsControl, in.Treatment, in.UnitsTreatment)
	return countsOut(in.ID, c, in.Ratio, alpha), nil
}

func countsOut(id string, c stats.Counts, ratio, alpha float64) CountsOut {
	return CountsOut{
		ID: id, Ratio: Number(float64(c.Treatment) / float64(c.Control) * (1 - c.Exposure) / c.Exposure),
		LogE: Number(c.LogE(ratio)), P: Number(stats.PValue(c.LogE(ratio))), LogEGreater: Number(c.LogEGreater(ratio)), LogELess: Number(c.LogELess(ratio)),
		Interval: open(c.Ratio(alpha)),
	}
}

// Share is a case of op bernoulli: one proportion, exactly.
type Share struct {
	head
	Successes int64   `json:"successes"`
	N         int64   `json:"n"`
	Planned   int64   `json:"planned,omitempty" jsonschema_description:"units at which it is narrowest, default n"`
	Alpha     float64 `json:"alpha,omitempty"`
}

// ShareOut is the answer.
type ShareOut struct {
	ID       string   `json:"id,omitempty"`
	Interval Interval `json:"interval" jsonschema_description:"confidence sequence"`
}

func bernoulli(in Share) (ShareOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return ShareOut{}, err
	}
	if in.N < 1 || in.Successes < 0 || in.Successes > in.N || in.Planned < 0 {
		return ShareOut{}, fmt.Errorf("%d successes of %d units", in.Successes, in.N)
	}
	if in.Planned == 0 {
		in.Planned = in.N
	}
	return ShareOut{ID: in.ID, Interval: interval(stats.Bernoulli(in.Successes, in.N, in.Planned, alpha))}, nil
}

// Batches is a case of op bounded: the strict mode, which assumes nothing but the bounds of the values.
type Batches struct {
	head
	Low       float64 `json:"low" jsonschema_description:"no value lies below"`
	High      float64 `json:"high"`
	Control   []Data  `json:"control" jsonschema_description:"batches in the order they came"`
	Treatment []Data  `json:"treatment"`
	Planned   int64   `json:"planned,omitempty" jsonschema_description:"units of an arm, default those at hand"`
	Variance  float64 `json:"variance,omitempty" jsonschema_description:"typical, for tuning; default a hundredth of the squared range"`
	Alpha     float64 `json:"alpha,omitempty"`
}

// BatchesOut is the answer.
type BatchesOut struct {
	ID        string   `json:"id,omitempty"`
	Control   Interval `json:"control" jsonschema_description:"confidence sequence of the mean, with half of alpha"`
	Treatment Interval `json:"treatment"`
	Effect    Interval `json:"effect"`
}

func bounded(in Batches) (BatchesOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return BatchesOut{}, err
	}
	width := in.High - in.Low
	if !(width > 0 && width < 1e60) || in.Planned < 0 || in.Variance < 0 {
		return BatchesOut{}, errors.New("low must lie below high; planned and variance cannot be negative")
	}
	var units int64
	arm := func(batches []Data) (*stats.Strict, error) {
		out := &stats.Strict{Low: in.Low, High: in.High}
		for i, b := range batches {
			m, err := b.moments(stats.Mean)
			if err != nil {
				return nil, fmt.Errorf("batch %d: %w", i+1, err)
			}
			g := m.Gram()
			if g.N > 0 && !(g.MeanY >= in.Low && g.MeanY <= in.High && g.YY <= float64(g.N)*width*width) {
				return nil, fmt.Errorf("batch %d: values outside %g to %g", i+1, in.Low, in.High)
			}
			units = max(units, g.N)
			out.Add(g)
		}
		return out, nil
	}
	c, err := arm(in.Control)
	if err != nil {
		return BatchesOut{}, fmt.Errorf("control: %w", err)
	}
	t, err := arm(in.Treatment)
	if err != nil {
		return BatchesOut{}, fmt.Errorf("treatment: %w", err)
	}
	if in.Planned == 0 {
		in.Planned = max(1, units*int64(max(len(in.Control), len(in.Treatment))))
	}
	if in.Variance == 0 {
		in.Variance = width * width / 100
	}
	return BatchesOut{
		ID: in.ID, Control: interval(c.Interval(alpha/2, in.Planned, in.Variance)), Treatment: interval(t.Interval(alpha/2, in.Planned, in.Variance)),
		Effect: interval(t.Difference(c, alpha, in.Planned, in.Variance)),
	}, nil
}
