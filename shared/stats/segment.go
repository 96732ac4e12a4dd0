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
	var estimates, variances []float64
	var n int64
	for _, c := range contrasts {
		if c.Status != OK {
			s.Status, s.Reason = c.Status, "a segment: "+c.Reason
			return s
		}
		estimates, variances = append(estimates, c.Effect()), append(variances, c.SE()*c.SE())
		n += c.N
	}
	h := Learn(estimates, variances, REML)
	if h.Status != OK {
		s.Status, s.Reason = h.Status, h.Reason
		return s
	}
	s.Q, s.DF, s.P, s.Effects = h.Q, len(contrasts)-1, h.QP, h.Effects
	s.LogE = m.LogEChiSquare(n, s.Q, s.DF)
	s.Differ = s.LogE >= -math.Log(alpha)
	if s.Differ {
		logE := make([]float64, len(contrasts))
		for i, c := range contrasts {
			logE[i] = m.LogE(c.N, c.Z())
		}
		s.Rejected = EBH(logE, alpha)
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
	var w, wx, wy, wxx, wxy float64
	for i, c := range daily {
		if i >= len(days) || c.Status != OK || !finite(days[i]) {
			continue
		}
		v := 1 / (c.SE() * c.SE())
		w += v
		wx += v * days[i]
		wy += v * c.Effect()
		wxx += v * days[i] * days[i]
		wxy += v * days[i] * c.Effect()
	}
	sxx := wxx - wx*wx/w
	if !(w > 0) || !(sxx > roundingFloor*wxx) {
		return Trend{P: 1, Status: Insufficient, Reason: "fewer than two days with an effect"}
	}
	t := Trend{Slope: (wxy - wx*wy/w) / sxx, SE: 1 / math.Sqrt(sxx)}
	t.P = 2 * upperTail(math.Abs(t.Slope/t.SE))
	return t
}
