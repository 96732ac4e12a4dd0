package stats

import "math"

// Segments is whether an effect differs between segments, and where it is there at all.
type Segments struct {
	Q        float64 // Cochran's heterogeneity of the segments' effects
	DF       int
	P        float64  // of Q, for one look
	LogE     float64  // anytime-valid evidence of heterogeneity
	Effects  []Normal // shrunk towards the common effect
	Differ   bool     // the omnibus test rejects: only then are single segments judged
	Rejected []bool   // segments with an effect, by e-BH; all false unless Differ
	Status   Status
	Reason   string
}

// CompareSegments judges disjoint segments in two steps, because a dozen segments tested one by one
// always show something: first whether effects differ at all, then, if they do, which are not 0, by
// e-BH at level alpha. Effects are shrunk towards the common one in any case; these are the ones to
// show.
//
// The anytime-valid omnibus evidence is a chi-square mixture: under the same effect everywhere the
// vector of standardised deviations lives in DF dimensions, and its normal mixture is
// (1+q)^(-DF/2) exp(q/(1+q) Q/2) with q = n rho^2, the DF-dimensional form of [Mixture.LogE]
// (Lindon, Ham, Tingley and Bojinov, arXiv 2210.08589, section 4, known variance).
func CompareSegments(contrasts []Contrast, m Mixture, alpha float64) Segments {
	s := Segments{P: 1, Rejected: make([]bool, len(contrasts))}
	var estimates, variances, logE []float64
	var known []int // segments that can be judged; the others wait for more units
	var n int64
	for i, c := range contrasts {
		if c.Status == OK {
			known = append(known, i)
			estimates, variances, logE = append(estimates, c.Effect()), append(variances, c.SE()*c.SE()), append(logE, m.LogE(c.N, c.Z()))
			n += c.N
		}
	}
	h := Learn(estimates, variances, REML)
	if h.Status != OK {
		s.Status, s.Reason = h.Status, "fewer than two segments with an effect"
		return s
	}
	s.Q, s.DF, s.P = h.Q, len(known)-1, h.QP
	s.LogE = m.LogEChiSquare(n, s.Q, s.DF)
	s.Differ = s.LogE >= -math.Log(alpha)
	// Of a segment that cannot be judged, the others are all that is known.
	s.Effects = make([]Normal, len(contrasts))
	for i := range s.Effects {
		s.Effects[i] = Normal{Mean: h.Mean, SD: math.Sqrt(h.Tau2 + h.SE*h.SE)}
	}
	for i, e := range h.Effects {
		s.Effects[known[i]] = e
	}
	if s.Differ {
		for i, rejected := range EBH(logE, alpha) {
			s.Rejected[known[i]] = rejected
		}
	}
	return s
}

// LogEChiSquare is the natural logarithm of the e-value of a statistic that is chi-square with df
// degrees of freedom under the hypothesis: the anytime-valid test of several effects at once.
func (m Mixture) LogEChiSquare(n int64, q2 float64, df int) float64 {
	q := m.Rho2 * float64(n)
	return 0.5 * (q*q2/(q+1) - float64(df)*math.Log1p(q))
}

// Interaction is what two experiments on the same units do to each other.
type Interaction struct {
	Effect      float64 // what both treatments together add to the sum of each alone
	SE          float64 // heteroskedasticity-consistent (HC2)
	P           float64 // normal, for one look
	LogE        float64 // anytime-valid
	Independent Split   // chi-square of the two assignments
	Status      Status
	Reason      string
}

// Interact contrasts the four cells of two experiments: cells[a][b] holds the units in arm a of the
// one and arm b of the other. The standard error sqrt(sum s2/n) is HC2 of the saturated regression
// exactly.
func Interact(cells [2][2]Arm, m Mixture) Interaction {
	out := Interaction{P: 1}
	var counts [4]float64
	var n int64
	for a := range 2 {
		for b := range 2 {
			c := cells[a][b]
			if c.Status != OK {
				out.Status, out.Reason = c.Status, c.Reason
				return out
			}
			sign := 1.0
			if a != b {
				sign = -1
			}
			out.Effect += sign * c.Mean
			out.SE += c.Variance / float64(c.N)
			counts[2*a+b] = float64(c.N)
			n += c.N
		}
	}
	out.SE = math.Sqrt(out.SE)
	if !(out.SE > 0) {
		out.Status, out.Reason = Undefined, "no unit differs from another"
		return out
	}
	z := out.Effect / out.SE
	out.P, out.LogE = 2*upperTail(math.Abs(z)), m.LogE(n, z)
	d := counts[0]*counts[3] - counts[1]*counts[2]
	margins := (counts[0] + counts[1]) * (counts[2] + counts[3]) * (counts[0] + counts[2]) * (counts[1] + counts[3])
	statistic := float64(n) * d * d / margins
	out.Independent = Split{Statistic: statistic, DF: 1, P: ChiSquareUpper(statistic, 1)}
	return out
}

// Trend is how the effect changes with the time a unit has been in the experiment: novelty wears off,
// habits are learnt.
type Trend struct {
	Slope  float64 // effect per day
	SE     float64
	P      float64 // normal, for one look
	Status Status
	Reason string
}

// FitTrend fits a line to the daily effects by weighted least squares, with the weights of their
// variances.
func FitTrend(days []float64, daily []Contrast) Trend {
	var w, wx, wy float64
	use := func(visit func(v, day, effect float64)) {
		for i, c := range daily {
			if i < len(days) && c.Status == OK && finite(days[i]) {
				visit(1/(c.SE()*c.SE()), days[i], c.Effect())
			}
		}
	}
	use(func(v, day, effect float64) {
		w += v
		wx += v * day
		wy += v * effect
	})
	// About the means, which a first pass has found: days may be counted from anywhere.
	var sxx, sxy float64
	use(func(v, day, effect float64) {
		sxx += v * (day - wx/w) * (day - wx/w)
		sxy += v * (day - wx/w) * (effect - wy/w)
	})
	if !(w > 0) || !(sxx > roundingFloor*roundingFloor*wx*wx/w) {
		return Trend{P: 1, Status: Insufficient, Reason: "fewer than two days with an effect"}
	}
	t := Trend{Slope: sxy / sxx, SE: 1 / math.Sqrt(sxx)}
	t.P = 2 * upperTail(math.Abs(t.Slope/t.SE))
	return t
}
