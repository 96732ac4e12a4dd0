package evaluate

import (
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// Baseline is what a metric is where nobody is treated: the mean of one variant's units whose windows are complete, and
// the variance of one of them after its covariates took their share, which is removed.
func (in Input) Baseline(m metric.Metric, variant string) (a stats.Arm, removed float64) {
	cell, _ := in.matured(m, variant)
	a = arm(m, cell)
	if m.Covariate == 0 || a.Status != stats.OK {
		return a, 0
	}
	c, removed := in.contrast(m, cell, cell)
	if c.Status == stats.OK {
		a.Variance = c.VarControl * float64(a.N)
	}
	return a, removed
}
