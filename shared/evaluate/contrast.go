package evaluate

import (
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// Contrast compares a variant with control as the results do: by units whose windows are complete, with the metric's
// covariates. Given some days' statistics only it is that of their units, for who looks into a result.
func (in Input) Contrast(m metric.Metric, variant string) stats.Contrast {
	if in.AsOf.After(in.Experiment.End()) {
		in.AsOf = in.Experiment.End()
	}
	control, _ := in.matured(m, in.Experiment.Control)
	treatment, _ := in.matured(m, variant)
	c, _ := in.contrast(m, control, treatment)
	return c
}

// Compare contrasts two cells of a metric that is no quantile, without covariates.
func Compare(m metric.Metric, control, treatment stats.Gram) stats.Contrast {
	return stats.Compare(control.Arm(family(m.Kind)), treatment.Arm(family(m.Kind)))
}
