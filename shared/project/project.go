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
	"verdict/shared/identity/linkage"
	"verdict/shared/metric"
	"verdict/shared/model"
	"verdict/shared/plan"
)

// Project is a sound set of definitions.
type Project struct {
	Plan        *plan.Plan
	Models      *model.Project
	Metrics     []metric.Metric // those that experiments can use
	Layer       *metric.Layer   // all of them, and what they can be split by
	Experiments []*experiment.Experiment
	Identity    linkage.Settings
}

// BuiltIn is the project that stands in this repository.
func BuiltIn() (*Project, error) {
	return load(files{events.Files, events.Files, athenasql.Files, athenasql.Files, athenasql.Files})
}

// Load reads a folder with events/ and athena-sql/ like those of this repository. Each of five parts
// that the folder does not have is the built-in one: the tracking plan with its schemas, the
// experiments, the models with their sources, the metrics, and identity.yaml. A broken part is fault.Invalid with
// file, line and reason.
func Load(folder fs.FS) (*Project, error) {
	f, err := filesOf(folder)
	if err != nil {
		return nil, err
	}
	return load(f)
}

// Metrics reads the metrics alone of such a folder.
func Metrics(folder fs.FS) ([]metric.Metric, error) {
	f, err := filesOf(folder)
	if err != nil {
		return nil, err
	}
	models, err := model.Load(f.models)
	if err != nil {
		return nil, definition.Under("athena-sql", err)
	}
	return loadMetrics(f.metrics, models)
}

// files are where each part stands.
type files struct{ plan, experiments, models, metrics, identity fs.FS }

func filesOf(folder fs.FS) (files, error) {
	eventFiles, err := fs.Sub(folder, "events")
	if err != nil {
		return files{}, fmt.Errorf("read project: %w", err)
	}
	sqlFiles, err := fs.Sub(folder, "athena-sql")
	if err != nil {
		return files{}, fmt.Errorf("read project: %w", err)
	}
	own := func(files fs.FS, part string, builtIn fs.FS) fs.FS {
		if _, err := fs.Stat(files, part); err != nil {
			return builtIn
		}
		return files
	}
	return files{
		own(eventFiles, "plan.yaml", events.Files), own(eventFiles, "experiments", events.Files),
		own(sqlFiles, "models", athenasql.Files), own(sqlFiles, "metrics", athenasql.Files),
		own(sqlFiles, identityFile, athenasql.Files),
	}, nil
}

func loadMetrics(files fs.FS, models *model.Project) ([]metric.Metric, error) {
	metrics, err := metric.Load(files, "metrics", columnsOf(models))
	if err != nil {
		return nil, definition.Under("athena-sql", err)
	}
	return metrics, nil
}

const identityFile = "identity.yaml"

func loadIdentity(files fs.FS) (linkage.Settings, error) {
	source, err := fs.ReadFile(files, identityFile)
	if err != nil {
		return linkage.Settings{}, fmt.Errorf("read identity settings: %w", err)
	}
	s, err := linkage.LoadSettings(identityFile, source)
	if err != nil {
		return s, definition.Under("athena-sql", err)
	}
	return s, nil
}

func load(f files) (*Project, error) {
	p := &Project{}
	var err error
	if p.Plan, err = plan.Load(f.plan); err != nil {
		return nil, fmt.Errorf("events/%w", err)
	}
	if p.Models, err = model.Load(f.models); err != nil {
		return nil, fmt.Errorf("athena-sql/%w", err)
	}
	if p.Metrics, err = loadMetrics(f.metrics, p.Models); err != nil {
		return nil, err
	}
	if p.Layer, err = metric.LoadLayer(f.metrics, "metrics", columnsOf(p.Models)); err != nil {
		return nil, definition.Under("athena-sql", err)
	}
	if p.Experiments, err = experiment.Load(f.experiments, "experiments", metric.Known(p.Metrics)); err != nil {
		return nil, definition.Under("events", err)
	}
	if p.Identity, err = loadIdentity(f.identity); err != nil {
		return nil, err
	}
	if err := p.govern(f.experiments); err != nil {
		return nil, fmt.Errorf("events/%w", err)
	}
	return p, nil
}

// columnsOf lists the columns of a table that metrics can be over.
func columnsOf(models *model.Project) func(table string) []string {
	return func(table string) []string {
		var out []string
		for _, c := range models.ColumnsOf(table) {
			out = append(out, c.Name)
		}
		return out
	}
}
