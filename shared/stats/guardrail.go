package stats

import "math"

// Guardrail is a metric that must not get worse than a margin.
type Guardrail struct {
	Margin        float64 // tolerated worsening, as a share of control's mean: 0.02 is 2%
	Absolute      bool    // the margin is in the metric's unit instead
	IncreaseIsBad bool    // errors, latency, refunds
}

// Evidence is the anytime-valid evidence on a guardrail.
type Evidence struct {
	Slack           float64 // effect plus margin in the better direction: above 0 is within the margin
	SE              float64 // its standard error
	LogENonInferior float64 // against "worse than the margin": large means safe
	LogEViolated    float64 // against "no worse than the margin": large means harm
	Status          Status
	Reason          string
}

// Test weighs both one-sided hypotheses on the linear form treatment - (1-margin) control >= 0
// (1+margin and turned round when an increase is bad), so that the margin's own uncertainty, being
// a share of an estimated mean, counts. Guardrails need no share of alpha: shipping asks that all
// of them pass (Schultzberg, Ankargren and Frånberg, arXiv 2402.11609). An arm without successes is
// informative: see [Compare].
func (g Guardrail) Test(c Contrast, m Mixture) Evidence {
	if c.Status != OK {
		return Evidence{Status: c.Status, Reason: c.Reason}
	}
	better := 1.0
	if g.IncreaseIsBad {
		better = -1
	}
	// effect in the better direction + margin |control| = better (treatment - keep control) + fixed
	keep, fixed := 1-better*math.Copysign(g.Margin, c.Control), 0.0
	if g.Absolute {
		keep, fixed = 1, g.Margin
	}
	slack := better*(c.Treatment-keep*c.Control) + fixed
	se := math.Sqrt(c.VarTreatment + keep*keep*c.VarControl - 2*keep*c.Covariance)
	return Evidence{
		Slack:           slack,
		SE:              se,
		LogENonInferior: m.LogEGreater(c.N, slack/se),
		LogEViolated:    m.LogEGreater(c.N, -slack/se),
	}
}
