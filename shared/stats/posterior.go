package stats

import "math"

// Normal is a normal distribution of an effect: a prior or a posterior.
type Normal struct {
	Mean float64
	SD   float64
}

// DefaultPrior is N(0, 0.1^2) on the relative scale, for metrics without a history of experiments:
// two changes in three move a metric by less than 10%. It lies between the proper priors of peers
// (0.3 in GrowthBook, 0.05 in Eppo) and, being proper, shrinks early noise.
func DefaultPrior() Normal { return Normal{SD: 0.1} }

// Update is the posterior after an estimate with a standard error, in the prior's unit; precisions
// add. An infinite standard error changes nothing, an infinite prior SD is a flat prior.
func (p Normal) Update(estimate, se float64) Normal {
	if math.IsInf(se, 1) || math.IsNaN(se) || !finite(estimate) {
		return p
	}
	if math.IsInf(p.SD, 1) {
		return Normal{Mean: estimate, SD: se}
	}
	// The weight of the data is prec/(prec+prior prec), in a form that survives any scale.
	r := se / p.SD
	return Normal{Mean: p.Mean + (estimate-p.Mean)/(1+r*r), SD: se / math.Hypot(1, r)}
}

// Interval is the central credible interval of probability 1-alpha.
func (p Normal) Interval(alpha float64) Interval {
	r := upperQuantile(alpha/2) * p.SD
	return Interval{Low: p.Mean - r, High: p.Mean + r}
}

// ChancePositive is the probability that the effect is above 0. Watched until it passes a
// threshold it has no guarantee on false positives; the e-value has.
func (p Normal) ChancePositive() float64 { return upperTail(-p.Mean / p.SD) }

// LossTreatment is the expected loss of choosing treatment when more is better: E[max(-effect, 0)].
func (p Normal) LossTreatment() float64 { return positivePart(-p.Mean, p.SD) }

// LossControl is the expected loss of choosing control when more is better: E[max(effect, 0)].
func (p Normal) LossControl() float64 { return positivePart(p.Mean, p.SD) }

// ChanceWithin is the probability that the effect lies between low and high, such as in a region of
// practical equivalence.
func (p Normal) ChanceWithin(low, high float64) float64 {
	a, b := (low-p.Mean)/p.SD, (high-p.Mean)/p.SD
	if a > 0 { // both ends in the upper tail: no cancellation
		return max(0, upperTail(a)-upperTail(b))
	}
	return max(0, upperTail(-b)-upperTail(-a))
}
