package analyze

import (
	"errors"
	"fmt"
	"math"

	"verdict/shared/stats"
)

const (
	two     = "two"
	greater = "greater"
	less    = "less"
)

// Method is how an experiment is analysed. Every field has a default.
type Method struct {
	Alpha    float64 `json:"alpha,omitempty" jsonschema_description:"error rate, default 0.05"`
	Sides    string  `json:"sides,omitempty" jsonschema:"enum=two,enum=greater,enum=less" jsonschema_description:"alternative, default two: greater means that the effect is above 0"`
	Planned  int64   `json:"planned,omitempty" jsonschema_description:"planned units of both arms, for which sequential methods are tuned; default: the units at hand"`
	Rho2     float64 `json:"rho2,omitempty" jsonschema_description:"mixing scale per unit instead of the optimum for planned"`
	AlphaSeq float64 `json:"alpha_seq,omitempty" jsonschema_description:"part of alpha that the horizon-calibrated rule spends before the planned end, default a fifth"`
	End      bool    `json:"end,omitempty" jsonschema_description:"this is the one look at the planned end"`
	Adjust   string  `json:"adjust,omitempty" jsonschema:"enum=none,enum=lin,enum=pooled" jsonschema_description:"covariate adjustment, default lin when there are covariates"`
	Prior    *Prior  `json:"prior,omitempty" jsonschema_description:"default N(0, 0.1^2) on the lift"`
	ROPE     float64 `json:"rope,omitempty" jsonschema_description:"half width of the region of practical equivalence, on the prior's scale"`
}

// Prior is a normal prior of the effect.
type Prior struct {
	Mean  float64 `json:"mean"`
	SD    float64 `json:"sd,omitempty" jsonschema_description:"standard deviation"`
	Flat  bool    `json:"flat,omitempty" jsonschema_description:"improper: every effect equally likely"`
	Scale string  `json:"scale,omitempty" jsonschema:"enum=relative,enum=absolute" jsonschema_description:"of prior and posterior, default relative: the lift"`
}

// Metric is one metric of an experiment with its statistics by variant.
type Metric struct {
	Name          string    `json:"name,omitempty"`
	Family        string    `json:"family" jsonschema:"enum=mean,enum=proportion,enum=ratio,enum=count,enum=quantile" jsonschema_description:"count: events per unit"`
	Nu            float64   `json:"nu,omitempty" jsonschema_description:"quantile: 0.5 is the median"`
	Role          string    `json:"role,omitempty" jsonschema:"enum=goal,enum=guardrail,enum=secondary" jsonschema_description:"default goal; goals are corrected for their number"`
	IncreaseIsBad bool      `json:"increase_is_bad,omitempty"`
	Margin        *float64  `json:"margin,omitempty" jsonschema_description:"worsening that a guardrail tolerates, as a share of control's mean"`
	MarginScale   string    `json:"margin_scale,omitempty" jsonschema:"enum=relative,enum=absolute"`
	Variants      []Data    `json:"variants,omitempty" jsonschema_description:"control first"`
	Strata        [][]Data  `json:"strata,omitempty" jsonschema_description:"instead of variants: the variants of each stratum; the estimate is post-stratified"`
	Contrast      *Contrast `json:"contrast,omitempty" jsonschema_description:"instead of variants: two means and their variances"`
}

// Contrast is two means that somebody else estimated.
type Contrast struct {
	N            int64   `json:"n" jsonschema_description:"units of both arms"`
	Control      float64 `json:"control" jsonschema_description:"mean of control"`
	Treatment    float64 `json:"treatment"`
	VarControl   float64 `json:"var_control" jsonschema_description:"variance of the mean, not of a unit"`
	VarTreatment float64 `json:"var_treatment"`
	Covariance   float64 `json:"covariance,omitempty" jsonschema_description:"of the two means"`
	DF           float64 `json:"df,omitempty" jsonschema_description:"degrees of freedom, default infinite"`
}

// Experiment is a case of op compare.
type Experiment struct {
	head
	Metrics    []Metric  `json:"metrics"`
	Weights    []float64 `json:"weights,omitempty" jsonschema_description:"planned split, for the sample ratio check"`
	Correction string    `json:"correction,omitempty" jsonschema:"enum=none,enum=bonferroni,enum=holm,enum=hochberg,enum=hommel,enum=bh,enum=by" jsonschema_description:"of the goals' p-values, default holm"`
	Method
}

// Report is the answer of op compare.
type Report struct {
	ID      string       `json:"id,omitempty"`
	Metrics []MetricOut  `json:"metrics"`
	Split   *SplitResult `json:"split,omitempty" jsonschema_description:"sample ratio check, when weights were given"`
}

// MetricOut is the result of a metric.
type MetricOut struct {
	ID       string       `json:"id,omitempty"`
	Name     string       `json:"name,omitempty"`
	Variants []Comparison `json:"variants" jsonschema_description:"every variant but control"`
}

// Comparison is one treatment against control.
type Comparison struct {
	Variant     string      `json:"variant,omitempty"`
	Status      string      `json:"status" jsonschema:"enum=ok,enum=insufficient,enum=undefined"`
	Reason      string      `json:"reason,omitempty" jsonschema_description:"why the status is not ok"`
	N           int64       `json:"n" jsonschema_description:"units of both arms"`
	Control     Number      `json:"control" jsonschema_description:"mean of control, adjusted if covariates were"`
	Treatment   Number      `json:"treatment"`
	Effect      Number      `json:"effect" jsonschema_description:"treatment - control, in the metric's unit"`
	SE          Number      `json:"se"`
	DF          Number      `json:"df" jsonschema_description:"Welch-Satterthwaite degrees of freedom"`
	Lift        Number      `json:"lift" jsonschema_description:"effect over the absolute value of control's mean: 0.02 is 2 %"`
	LiftSE      Number      `json:"lift_se" jsonschema_description:"by the delta method; intervals are Fieller's"`
	Adjustment  *Adjustment `json:"adjustment,omitempty"`
	Fixed       Inference   `json:"fixed" jsonschema_description:"Welch's t, valid for one look"`
	Sequential  Inference   `json:"sequential" jsonschema_description:"anytime-valid: any number of looks"`
	SequentialT Inference   `json:"sequential_t" jsonschema_description:"the same by the t-mixture, for small samples; two-sided"`
	Hybrid      Inference   `json:"hybrid" jsonschema_description:"sequential until the planned end, where a calibrated test spends the rest of alpha; two-sided"`
	Bayes       Posterior   `json:"bayes"`
	Counts      *CountsOut  `json:"counts,omitempty" jsonschema_description:"exact at any size: proportions and counts given as successes"`
	Guardrail   *Guardrail  `json:"guardrail,omitempty" jsonschema_description:"when a margin was given"`
	Corrected   *Corrected  `json:"corrected,omitempty" jsonschema_description:"p-values of goals corrected for their number"`
}

// Adjustment says what covariates did.
type Adjustment struct {
	Covariates int    `json:"covariates" jsonschema_description:"that took part"`
	Removed    Number `json:"variance_removed" jsonschema_description:"share of the variance of the effect"`
	GivenX     Number `json:"se_given_covariates" jsonschema_description:"as regression software prints it: without the sampling of the covariates"`
	Theta      Number `json:"theta" jsonschema_description:"slope of pooled adjustment"`
}

// Inference is a test with its interval.
type Inference struct {
	Method    string   `json:"method" jsonschema:"enum=welch,enum=mixture,enum=t_mixture,enum=counts,enum=hybrid" jsonschema_description:"below 100 units an arm, sequential is t_mixture or, for counts, exact (with no absolute interval)"`
	Statistic Number   `json:"statistic" jsonschema_description:"effect in standard errors"`
	P         Number   `json:"p"`
	LogE      *Number  `json:"log_e,omitempty" jsonschema_description:"natural logarithm of the e-value"`
	Critical  Number   `json:"critical" jsonschema_description:"standard errors to each side"`
	Absolute  Interval `json:"absolute"`
	Relative  Interval `json:"relative" jsonschema_description:"Fieller: leaves out 0 exactly when absolute does"`
}

// Posterior is the belief after the data.
type Posterior struct {
	Scale         string   `json:"scale" jsonschema:"enum=relative,enum=absolute"`
	Mean          Number   `json:"mean"`
	SD            Number   `json:"sd"`
	Interval      Interval `json:"interval" jsonschema_description:"central, of probability 1 - alpha"`
	ChanceToBeat  Number   `json:"chance_to_beat" jsonschema_description:"that treatment is better than control"`
	LossTreatment Number   `json:"loss_treatment" jsonschema_description:"expected loss of choosing treatment"`
	LossControl   Number   `json:"loss_control"`
	Equivalent    *Number  `json:"equivalent,omitempty" jsonschema_description:"probability of the region of practical equivalence"`
}

// Guardrail is the evidence that a metric is within its margin, or beyond.
type Guardrail struct {
	PNonInferior    Number `json:"p_noninferior" jsonschema_description:"anytime-valid: small means safe"`
	LogENonInferior Number `json:"log_e_noninferior"`
	PViolated       Number `json:"p_violated" jsonschema_description:"anytime-valid: small means harm"`
	LogEViolated    Number `json:"log_e_violated"`
	PFixed          Number `json:"p_noninferior_fixed" jsonschema_description:"for one look, normal"`
	Slack           Number `json:"slack" jsonschema_description:"effect plus margin in the better direction"`
	SlackSE         Number `json:"slack_se"`
	Bound           Number `json:"bound" jsonschema_description:"anytime-valid bound on the slack: above 0 is safe"`
}

// Corrected is p-values corrected for the number of goals.
type Corrected struct {
	Fixed      Number `json:"fixed_p"`
	Sequential Number `json:"sequential_p"`
	Hybrid     Number `json:"hybrid_p"`
}

func (m *Method) defaults() error {
	if m.Alpha == 0 {
		m.Alpha = 0.05
	}
	if m.AlphaSeq == 0 {
		m.AlphaSeq = m.Alpha / 5
	}
	if m.Sides == "" {
		m.Sides = two
	}
	switch {
	case !(m.Alpha > 0 && m.Alpha < 0.5):
		return fmt.Errorf("alpha is %g; want between 0 and 0.5", m.Alpha)
	case !(m.AlphaSeq > 0 && m.AlphaSeq < m.Alpha):
		return fmt.Errorf("alpha_seq is %g; want between 0 and alpha", m.AlphaSeq)
	case m.Sides != two && m.Sides != greater && m.Sides != less:
		return fmt.Errorf("sides is %q; want two, greater or less", m.Sides)
	case m.Planned < 0 || m.Rho2 < 0:
		return errors.New("planned and rho2 cannot be negative")
	case m.Prior != nil && !m.Prior.Flat && !(m.Prior.SD > 0):
		return fmt.Errorf("prior: sd is %g; want above 0, or flat", m.Prior.SD)
	case m.Prior != nil && m.Prior.Scale != "" && m.Prior.Scale != "relative" && m.Prior.Scale != "absolute":
		return fmt.Errorf("prior: scale is %q; want relative or absolute", m.Prior.Scale)
	}
	return nil
}

// finals remembers final critical values, each of which takes longer than everything else.
type finals map[[2]float64]float64

func (f finals) z(m Method) float64 {
	key := [2]float64{m.Alpha, m.AlphaSeq}
	if _, ok := f[key]; !ok {
		f[key] = stats.FinalZ(m.Alpha, m.AlphaSeq)
	}
	return f[key]
}

func (f finals) compare(in Experiment) (Report, error) {
	out := Report{ID: in.ID}
	if err := in.defaults(); err != nil {
		return out, err
	}
	if len(in.Metrics) == 0 {
		return out, errors.New("metrics is empty")
	}
	var goals []*Comparison
	for i, m := range in.Metrics {
		contrasts, err := m.contrasts(in.Method)
		if err != nil {
			return out, fmt.Errorf("metric %d %q: %w", i+1, m.Name, err)
		}
		result := MetricOut{Name: m.Name}
		for _, c := range contrasts {
			result.Variants = append(result.Variants, m.infer(c, in.Method, f.z(in.Method)))
		}
		out.Metrics = append(out.Metrics, result)
	}
	for i := range out.Metrics {
		if role := in.Metrics[i].Role; role != "" && role != "goal" {
			continue
		}
		for j := range out.Metrics[i].Variants {
			goals = append(goals, &out.Metrics[i].Variants[j])
		}
	}
	if err := correct(goals, in.Correction); err != nil {
		return out, err
	}
	if in.Weights != nil {
		var counts []int64
		for _, v := range in.Metrics[0].Variants {
			counts = append(counts, v.N)
		}
		split, err := checkSplit(Split{Counts: counts, Weights: in.Weights})
		if err != nil {
			return out, err
		}
		out.Split = &split
	}
	return out, nil
}

// contrast is one comparison before inference.
type contrast struct {
	stats.Adjusted
	variant  string
	adjusted bool
	events   *stats.Counts
	least    int64 // units of the smaller arm, 0 when unknown
}

// asymptotic is the units of an arm from which on the mixture is trusted: docs/calibration.md, "From how
// many units on".
const asymptotic = 100

func (m Metric) contrasts(method Method) ([]contrast, error) {
	if m.Contrast != nil {
		return m.Contrast.read()
	}
	f, err := family(m.Family)
	switch {
	case err != nil:
		return nil, err
	case m.Strata != nil:
		return stratified(m.Strata, f)
	case len(m.Variants) < 2:
		return nil, fmt.Errorf("%d variants; want control and at least one more", len(m.Variants))
	case f == stats.Quantile:
		return m.quantiles()
	}
	arms := make([]stats.Moments, len(m.Variants))
	var everybody stats.Moments
	for i, v := range m.Variants {
		var err error
		if arms[i], err = v.moments(f); err != nil {
			return nil, err
		}
		if i == 0 {
			everybody = stats.NewMoments(arms[0].Covariates())
		}
		if arms[i].Covariates() != arms[0].Covariates() {
			return nil, fmt.Errorf("variant %q has %d covariates, control %d", v.Name, arms[i].Covariates(), arms[0].Covariates())
		}
		everybody.Merge(arms[i])
	}
	var out []contrast
	for i := 1; i < len(arms); i++ {
		c := contrast{variant: m.Variants[i].Name, adjusted: arms[0].Covariates() > 0, least: min(arms[0].N, arms[i].N)}
		switch method.Adjust {
		case "", "lin":
			c.Adjusted = stats.AdjustLin(arms[0], arms[i], everybody, f)
		case "pooled":
			c.Adjusted = stats.AdjustPooled(arms[0], arms[i], f)
		case "none":
			c.adjusted = false
			c.Contrast = stats.Compare(arms[0].Gram().Arm(f), arms[i].Gram().Arm(f))
		default:
			return nil, fmt.Errorf("adjust is %q; want none, lin or pooled", method.Adjust)
		}
		if x, y := m.Variants[0].Successes, m.Variants[i].Successes; x != nil && y != nil && arms[0].N > 0 && arms[i].N > 0 {
			events := stats.NewCounts(*x, arms[0].N, *y, arms[i].N)
			c.events = &events
		}
		out = append(out, c)
	}
	return out, nil
}

func (m Metric) quantiles() ([]contrast, error) {
	control, err := m.Variants[0].ranks(m.Nu)
	if err != nil {
		return nil, err
	}
	var out []contrast
	for _, v := range m.Variants[1:] {
		treatment, err := v.ranks(m.Nu)
		if err != nil {
			return nil, err
		}
		out = append(out, contrast{variant: v.Name, Adjusted: stats.Adjusted{Contrast: stats.Compare(control, treatment)}})
	}
	return out, nil
}

func stratified(strata [][]Data, f stats.Family) ([]contrast, error) {
	if f == stats.Quantile {
		return nil, errors.New("quantiles cannot be post-stratified")
	}
	read, err := readStrata(strata, f)
	if err != nil {
		return nil, err
	}
	return []contrast{{variant: strata[0][1].Name, Adjusted: stats.Adjusted{Contrast: stats.PostStratify(read, f, stats.LinStratum(f))}}}, nil
}

func readStrata(strata [][]Data, f stats.Family) ([]stats.Stratum, error) {
	if len(strata) == 0 {
		return nil, errors.New("there are no variants")
	}
	out := make([]stats.Stratum, len(strata))
	for i, s := range strata {
		if len(s) != 2 {
			return nil, fmt.Errorf("%d: %d variants; want control and one more", i+1, len(s))
		}
		c, err := s[0].moments(f)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		t, err := s[1].moments(f)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		out[i] = stats.Stratum{Control: c, Treatment: t}
		if k := out[0].Control.Covariates(); c.Covariates() != k || t.Covariates() != k {
			return nil, fmt.Errorf("%d: another number of covariates than the first", i+1)
		}
	}
	return out, nil
}

func (c Contrast) read() ([]contrast, error) {
	out := stats.Contrast{
		N: c.N, Control: c.Control, Treatment: c.Treatment, VarControl: c.VarControl, VarTreatment: c.VarTreatment,
		Covariance: c.Covariance, DF: c.DF,
	}
	if c.DF == 0 {
		out.DF = math.MaxFloat64 // the normal distribution
	}
	switch v := c.VarControl + c.VarTreatment - 2*c.Covariance; {
	case c.N < 1:
		return nil, fmt.Errorf("contrast: n is %d; want 1 or more", c.N)
	case !(c.VarControl >= 0 && c.VarTreatment >= 0 && v > 0) || c.DF < 0:
		return nil, errors.New("contrast: variances must not be negative, nor that of the effect 0")
	}
	return []contrast{{Adjusted: stats.Adjusted{Contrast: out.Checked()}}}, nil
}

func (m Metric) infer(c contrast, method Method, finalZ float64) Comparison {
	out := Comparison{
		Variant: c.variant, Status: c.Status.String(), Reason: c.Reason, N: c.N,
		Control: Number(c.Control), Treatment: Number(c.Treatment), Effect: Number(c.Effect()), SE: Number(c.SE()), DF: Number(c.DF),
		Lift: Number(c.Lift()), LiftSE: Number(c.LiftSE()),
	}
	if c.adjusted {
		out.Adjustment = &Adjustment{Covariates: c.Used, Removed: Number(c.Removed), GivenX: Number(c.GivenX), Theta: Number(c.Theta)}
	}
	n := max(c.N, 1)
	planned := method.Planned
	if planned == 0 {
		planned = n
	}
	out.Fixed = fixed(c.Contrast, method)
	out.Sequential = sequential(c.Contrast, method, n, planned)
	out.SequentialT = sequentialT(c.Contrast, method, n, planned)
	out.Counts = c.counts(method.Alpha)
	if c.least < asymptotic && c.least > 0 && method.Rho2 == 0 && method.Sides == two {
		out.Sequential = out.exact()
	}
	h := stats.Hybrid{Alpha: method.Alpha, AlphaSeq: method.AlphaSeq, FinalZ: finalZ, Mixture: stats.Tune(method.AlphaSeq, planned)}
	out.Hybrid = inference("hybrid", c.Contrast, h.P(n, c.Z(), method.End), h.Critical(n, method.End), two)
	out.Bayes = m.posterior(c.Contrast, method)
	if m.Margin != nil {
		out.Guardrail = m.guardrail(c.Contrast, method, n, planned)
	}
	return out
}

func inference(method string, c stats.Contrast, p, critical float64, sides string) Inference {
	return Inference{
		Method: method, Statistic: Number(c.Z()), P: Number(p), Critical: Number(critical),
		Absolute: half(interval(c.Absolute(critical)), sides), Relative: half(interval(c.Relative(critical)), sides),
	}
}

func fixed(c stats.Contrast, m Method) Inference {
	switch m.Sides {
	case greater:
		return inference("welch", c, c.WelchPGreater(), c.WelchCritical(2*m.Alpha), m.Sides)
	case less:
		return inference("welch", c, c.WelchPLess(), c.WelchCritical(2*m.Alpha), m.Sides)
	}
	return inference("welch", c, c.WelchP(), c.WelchCritical(m.Alpha), two)
}

func sequential(c stats.Contrast, m Method, n, planned int64) Inference {
	mixture := stats.Tune(m.Alpha, planned)
	if m.Sides != two {
		mixture = stats.TuneOneSided(m.Alpha, planned)
	}
	if m.Rho2 > 0 {
		mixture.Rho2 = m.Rho2
	}
	logE, critical := mixture.LogE(n, c.Z()), mixture.Critical(n, m.Alpha)
	switch m.Sides {
	case greater:
		logE, critical = mixture.LogEGreater(n, c.Z()), mixture.CriticalGreater(n, m.Alpha)
	case less:
		logE, critical = mixture.LogEGreater(n, -c.Z()), mixture.CriticalGreater(n, m.Alpha)
	}
	out := inference("mixture", c, stats.PValue(logE), critical, m.Sides)
	e := Number(logE)
	out.LogE = &e
	return out
}

func sequentialT(c stats.Contrast, m Method, n, planned int64) Inference {
	mixture := stats.Tune(m.Alpha, planned)
	if m.Rho2 > 0 {
		mixture.Rho2 = m.Rho2
	}
	t := mixture.T()
	e := t.LogE(n, c.Z(), c.DF)
	out := inference("t_mixture", c, stats.PValue(e), t.Critical(n, m.Alpha, c.DF), two)
	logE := Number(e)
	out.LogE = &logE
	return out
}

// exact replaces the sequence where it is not to be trusted yet: by the comparison of counts where there
// are such, else by the t-mixture.
func (c Comparison) exact() Inference {
	if c.Counts == nil {
		return c.SequentialT
	}
	ratio := c.Counts.Interval
	ratio.Low, ratio.High = ratio.Low-1, ratio.High-1
	e := c.Counts.LogE
	return Inference{
		Method: "counts", Statistic: c.Sequential.Statistic, P: c.Counts.P, LogE: &e, Critical: Number(math.NaN()),
		Absolute: interval(stats.Interval{Shape: stats.Line}), Relative: ratio,
	}
}

// counts is the exact comparison of events, where the arms hold such.
func (c contrast) counts(alpha float64) *CountsOut {
	if c.events == nil {
		return nil
	}
	out := countsOut("", *c.events, 1, alpha)
	return &out
}

func (m Metric) posterior(c stats.Contrast, method Method) Posterior {
	prior, scale := stats.DefaultPrior(), "relative"
	if p := method.Prior; p != nil {
		prior = stats.Normal{Mean: p.Mean, SD: p.SD}
		if p.Flat {
			prior = stats.Normal{SD: math.Inf(1)}
		}
		if p.Scale != "" {
			scale = p.Scale
		}
	}
	estimate, se := c.Lift(), c.LiftSE()
	if scale == "absolute" {
		estimate, se = c.Effect(), c.SE()
	}
	post := prior.Update(estimate, se)
	out := Posterior{Scale: scale, Mean: Number(post.Mean), SD: Number(post.SD)}
	if math.IsInf(post.SD, 1) { // a flat prior and no data
		out.Interval = interval(stats.Interval{Shape: stats.Line})
		out.ChanceToBeat = 0.5
		out.LossTreatment, out.LossControl = Number(math.Inf(1)), Number(math.Inf(1))
		return out
	}
	out.Interval = interval(post.Interval(method.Alpha))
	better := post
	if m.IncreaseIsBad {
		better.Mean = -post.Mean
	}
	out.ChanceToBeat, out.LossTreatment, out.LossControl = Number(better.ChancePositive()), Number(better.LossTreatment()), Number(better.LossControl())
	if method.ROPE > 0 {
		p := Number(post.ChanceWithin(-method.ROPE, method.ROPE))
		out.Equivalent = &p
	}
	return out
}

func (m Metric) guardrail(c stats.Contrast, method Method, n, planned int64) *Guardrail {
	mixture := stats.TuneOneSided(method.Alpha, planned)
	if method.Rho2 > 0 {
		mixture.Rho2 = method.Rho2
	}
	v := stats.Guardrail{Margin: *m.Margin, Absolute: m.MarginScale == "absolute", IncreaseIsBad: m.IncreaseIsBad}.Test(c, mixture)
	out := &Guardrail{
		PNonInferior: Number(stats.PValue(v.LogENonInferior)), LogENonInferior: Number(v.LogENonInferior),
		PViolated: Number(stats.PValue(v.LogEViolated)), LogEViolated: Number(v.LogEViolated),
		Slack: Number(math.NaN()), SlackSE: Number(math.NaN()), Bound: Number(math.NaN()), PFixed: 1,
	}
	if v.Status == stats.OK {
		out.Slack, out.SlackSE = Number(v.Slack), Number(v.SE)
		out.Bound = Number(v.Slack - mixture.CriticalGreater(n, method.Alpha)*v.SE)
		out.PFixed = Number(stats.UpperTail(v.Slack / v.SE))
	}
	return out
}

// Analyses answer the cases of `verdict analyze`.
func Analyses() Ops {
	f := finals{}
	return Ops{
		"compare": on(f.compare), "epochs": on(f.epochs), "segments": on(segments), "interaction": on(interaction), "trend": on(trend),
		"srm": on(checkSplit), "srm_segments": on(splitSegments), "multinomial": on(multinomial), "balance": on(balance), "loss": on(loss), "rate": on(rate),
		"calibration": on(calibration), "correct": on(correctP), "ebh": on(discover), "unselect": on(unselect), "learn": on(learn),
		"mixture": on(tune), "group_sequential": on(design), "operate": on(operate), "counts": on(counts), "bernoulli": on(bernoulli), "bounded": on(bounded),
		"best": on(best), "betas": on(betas), "distribution": on(distribution),
	}
}
