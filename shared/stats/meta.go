package stats

import "math"

// History is what a random-effects model says of past experiments: true effects are normal with
// Mean and variance Tau2, estimates scatter about them with their own errors.
type History struct {
	N        int
	Mean     float64
	SE       float64 // of Mean
	Tau2     float64 // variance of true effects
	Q        float64 // Cochran's heterogeneity, chi-square with N-1 degrees of freedom when all effects are alike
	QP       float64
	I2       float64 // share of the scatter that is heterogeneity
	Effects  []Normal
	Total    Normal // sum of the shrunken effects: what a programme of launches brought
	Status   Status
	Reason   string
	estimate []float64
	variance []float64
}

// TauMethod estimates the variance of true effects.
type TauMethod uint8

// The estimators of tau^2.
const (
	REML             TauMethod = iota // restricted maximum likelihood, the default
	PauleMandel                       // solves Q(tau^2) = N-1
	DerSimonianLaird                  // moments, one step
)

// leastHistory is how many past experiments make a prior of their own: fewer say little about tau.
const leastHistory = 20

// Learn fits the model to estimates and their variances (Viechtbauer, Journal of Educational and
// Behavioral Statistics 30:261, 2005; Paule and Mandel 1982; DerSimonian and Laird 1986). Effects
// are the best linear unbiased predictions: each estimate shrunk towards the mean by its own
// unreliability (Raudenbush and Bryk 1985), with the error of the mean counted.
func Learn(estimates, variances []float64, m TauMethod) History {
	h := History{N: len(estimates), estimate: estimates, variance: variances, QP: 1}
	if len(estimates) != len(variances) || len(estimates) == 0 {
		h.Status, h.Reason = Insufficient, "no past effects, or not a variance for each"
		return h
	}
	for i, v := range variances {
		if !(v >= smallest && v <= largest && math.Abs(estimates[i]) <= largest) {
			h.Status, h.Reason = Undefined, "a past effect or its variance is not a usable number"
			return h
		}
	}
	fixed, _ := h.mean(0)
	for i, y := range estimates {
		h.Q += (y - fixed) * (y - fixed) / variances[i]
	}
	if h.N == 1 {
		h.Status, h.Reason = Insufficient, "one effect says nothing of how effects differ"
	} else {
		h.QP = ChiSquareUpper(h.Q, float64(h.N-1))
		h.Tau2 = h.tau2(m)
	}
	h.Mean, h.SE = h.mean(h.Tau2)
	h.I2 = h.i2()
	h.shrink()
	return h
}

// Prior is the distribution of a new experiment's effect; [DefaultPrior] when there are fewer than
// 20 past ones, and never narrower than a flat guess about the mean allows.
func (h History) Prior() Normal {
	if h.Status != OK || h.N < leastHistory {
		return DefaultPrior()
	}
	return Normal{Mean: h.Mean, SD: math.Sqrt(h.Tau2 + h.SE*h.SE)}
}

// mean is the weighted mean and its standard error given tau^2.
func (h History) mean(tau2 float64) (mean, se float64) {
	var sum, weights float64
	for i, y := range h.estimate {
		w := 1 / (h.variance[i] + tau2)
		sum += w * y
		weights += w
	}
	return sum / weights, 1 / math.Sqrt(weights)
}

// sums are of the weights and of their squares.
func (h History) sums(tau2 float64) (w1, w2 float64) {
	for _, v := range h.variance {
		w := 1 / (v + tau2)
		w1 += w
		w2 += w * w
	}
	return w1, w2
}

func (h History) tau2(m TauMethod) float64 {
	df := float64(h.N - 1)
	if m == DerSimonianLaird {
		w1, w2 := h.sums(0)
		return max(0, (h.Q-df)/(w1-w2/w1))
	}
	score := h.score
	if m == PauleMandel {
		score = func(tau2 float64) float64 {
			mean, _ := h.mean(tau2)
			q := -df
			for i, y := range h.estimate {
				q += (y - mean) * (y - mean) / (h.variance[i] + tau2)
			}
			return q
		}
	}
	// Both fall through 0 at the estimate. The restricted likelihood may have several maxima: the scan finds
	// every change of sign, and the highest maximum counts, 0 included.
	top := 0.0
	for _, y := range h.estimate {
		d := y - h.estimate[0]
		top = max(top, 4*d*d)
	}
	best, high := 0.0, top
	const steps = 400 // of a tenth on the logarithm: down to 4e-18 of the largest
	for i := 0; top > 0 && i < steps; i++ {
		low := top * math.Exp(-float64(i+1)*0.1)
		if i == steps-1 {
			low = 0
		}
		if score(low) > 0 && score(high) <= 0 {
			root := bisect(low, high, func(t float64) float64 { return -score(t) })
			if m == PauleMandel {
				return root
			}
			if h.likelihood(root) > h.likelihood(best) {
				best = root
			}
		}
		high = low
	}
	return best
}

// likelihood is the restricted log likelihood of tau^2, but for a constant.
func (h History) likelihood(tau2 float64) float64 {
	mean, se := h.mean(tau2)
	l := math.Log(se)
	for i, y := range h.estimate {
		v := h.variance[i] + tau2
		l -= 0.5 * (math.Log(v) + (y-mean)*(y-mean)/v)
	}
	return l
}

// score is the derivative of the restricted log likelihood by tau^2.
func (h History) score(tau2 float64) float64 {
	mean, _ := h.mean(tau2)
	w1, w2 := h.sums(tau2)
	sum := 0.0
	for i, y := range h.estimate {
		w := 1 / (h.variance[i] + tau2)
		sum += w*w*(y-mean)*(y-mean) - w
	}
	return 0.5 * (sum + w2/w1)
}

// i2 is tau^2 over tau^2 plus the typical variance of an estimate (Higgins and Thompson, Statistics
// in Medicine 21:1539, 2002), in percent of 1.
func (h History) i2() float64 {
	if h.N < 2 {
		return 0
	}
	w1, w2 := h.sums(0)
	typical := float64(h.N-1) * w1 / (w1*w1 - w2)
	return h.Tau2 / (h.Tau2 + typical)
}

func (h *History) shrink() {
	var kept, total, product float64
	for i, y := range h.estimate {
		v := h.variance[i]
		reliable := h.Tau2 / (h.Tau2 + v)
		e := Normal{
			Mean: reliable*y + (1-reliable)*h.Mean,
			SD:   math.Sqrt(reliable*v + (1-reliable)*(1-reliable)*h.SE*h.SE),
		}
		h.Effects = append(h.Effects, e)
		total += e.Mean
		kept += reliable * v
		product += 1 - reliable
	}
	h.Total = Normal{Mean: total, SD: math.Sqrt(kept + product*product*h.SE*h.SE)}
}
