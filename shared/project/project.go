// Package project is all that people define, read and checked as one: the tracking plan, the models,
// the metrics, the experiments. Nothing runs on a project of which any part is broken.
package project

import (
	"fmt"
	"io/fs"

	athenasql "verdict/athena-sql"
	"verdict/events"
	"verdict/shared/definition"
	"verdict/shared/experiment"
	"verdict/shared/metric"
	"verdict/shared/model"
	"verdict/shared/plan"
)

// Project is a sound set of definitions.
type Project struct {
	Plan        *plan.Plan
	Models      *model.Project
	Metrics     []metric.Metric
	Experiments []*experiment.Experiment
}

// BuiltIn is the project that stands in this repository.
func BuiltIn() (*Project, error) {
	return load(events.Files, events.Files, athenasql.Files, athenasql.Files)
}

// Load reads a folder with events/ and athena-sql/ like those of this repository. Each of four parts
// that the folder does not have is the built-in one: the tracking plan with its schemas, the
// experiments, the models with their sources, and the metrics. A broken part is fault.Invalid with
// file, line and reason.
func Load(folder fs.FS) (*Project, error) {
	eventFiles, err := fs.Sub(folder, "events")
	if err != nil {
		return nil, fmt.Errorf("read project: %w", err)
	}
	sqlFiles, err := fs.Sub(folder, "athena-sql")
	if err != nil {
		return nil, fmt.Errorf("read project: %w", err)
	}
	own := func(files fs.FS, part string, builtIn fs.FS) fs.FS {
		if _, err := fs.Stat(files, part); err != nil {
			return builtIn
		}
		return files
	}
	return load(
		own(eventFiles, "plan.yaml", events.Files), own(eventFiles, "experiments", events.Files),
		own(sqlFiles, "models", athenasql.Files), own(sqlFiles, "metrics", athenasql.Files),
	)
}

func load(planFiles, experimentFiles, modelFiles, metricFiles fs.FS) (*Project, error) {
	p := &Project{}
	var err error
	if p.Plan, err = plan.Load(planFiles); err != nil {
		return nil, fmt.Errorf("events/%w", err)
	}
	if p.Models, err = model.Load(modelFiles); err != nil {
		return nil, fmt.Errorf("athena-sql/%w", err)
	}
	if p.Metrics, err = metric.Load(metricFiles, "metrics"); err != nil {
		return nil, fmt.Errorf("athena-sql/%w", err)
	}
	known := func(name string) bool {
		_, err := metric.Find(p.Metrics, name)
		return err == nil
	}
	if p.Experiments, err = experiment.Load(experimentFiles, "experiments", known); err != nil {
		return nil, definition.Under("events", err)
	}
	return p, nil
}
