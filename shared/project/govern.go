package project

import (
	"fmt"
	"io/fs"

	"verdict/shared/definition"
	"verdict/shared/experiment"
	"verdict/shared/lineage"
	"verdict/shared/metric"
	"verdict/shared/plan"
)

// govern refuses experiments that would be decided by a metric which may not decide: a draft, one that reads personal
// data, or one that no sequence of looks can be valid for. Such a metric may still be looked at, as a secondary one.
func (p *Project) govern(files fs.FS) error {
	names, err := fs.Glob(files, "experiments/*.yaml")
	if err != nil {
		return fmt.Errorf("list experiments: %w", err)
	}
	graph := lineage.New(p.Models, p.Plan)
	for _, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read experiment: %w", err)
		}
		var e experiment.Experiment
		doc, err := definition.Decode(name, source, &e)
		if err != nil {
			return err
		}
		for i, used := range e.Metrics {
			m, err := metric.Find(p.Metrics, used.Name)
			if err != nil {
				return err
			}
			if reason := unfit(m, graph); reason != "" && used.Role != experiment.Secondary {
				return doc.Errorf(fmt.Sprintf("$.metrics[%d].role", i), "%s cannot be a %s: %s", m.Name, used.Role, reason)
			}
		}
	}
	return nil
}

// unfit says why a metric may not decide; empty: it may.
func unfit(m metric.Metric, graph *lineage.Graph) string {
	if m.Status == metric.Draft {
		return "its status is draft"
	}
	if m.Incomplete {
		return "it counts units whose window is not complete yet, so that its mean moves with time"
	}
	for _, t := range m.Reads() {
		for _, used := range graph.Properties(t.Table.Name, t) {
			if used.Class == plan.Personal {
				return fmt.Sprintf("it reads %s of %s, which the tracking plan calls personal", used.Name, used.Event)
			}
		}
	}
	return ""
}
