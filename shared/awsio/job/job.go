// Package job builds what the scheduled functions, the dashboard and the metrics API work with: the lake's tables and
// the pipeline over them. What moves its flags stands apart, in flags.
package job

import (
	"time"

	"github.com/google/uuid"

	"verdict/shared/awsio"
	"verdict/shared/awsio/athena"
	"verdict/shared/awsio/glue"
	"verdict/shared/awsio/lease"
	"verdict/shared/awsio/setting"
	"verdict/shared/pipeline"
	"verdict/shared/project"
)

// leaseHold is longer than a Lambda can run, which is 15 minutes.
const leaseHold = 16 * time.Minute

// Engine is Athena.
func Engine(home *awsio.Home) (*athena.Engine, error) {
	v, err := home.Settings(setting.AthenaWorkgroup, setting.GlueDatabase)
	if err != nil {
		return nil, err
	}
	objects, err := home.Objects()
	if err != nil {
		return nil, err
	}
	return athena.New(home.Config, athena.Config{Workgroup: v[0], Database: v[1]}, objects, awsio.Wait, home.Now), nil
}

// Pipeline is the pipeline over the lake; the steps' own parts are for the caller to add.
func Pipeline(home *awsio.Home) (*pipeline.Pipeline, error) {
	objects, err := home.Objects()
	if err != nil {
		return nil, err
	}
	engine, err := Engine(home)
	if err != nil {
		return nil, err
	}
	database, err := home.Setting(setting.GlueDatabase)
	if err != nil {
		return nil, err
	}
	p, err := project.BuiltIn()
	if err != nil {
		return nil, err
	}
	catalog, newRun := glue.New(home.Config, database, objects.Location), func() string { return uuid.Must(uuid.NewV7()).String() }
	return &pipeline.Pipeline{
		Project: p, Objects: objects, Engine: engine, Catalog: catalog, NewRun: newRun, Now: home.Now,
		Lineage: told(home, p, objects, catalog, database, newRun), Views: catalog,
	}, nil
}

// Lease is the table of leases.
func Lease(home *awsio.Home) (*lease.Table, error) {
	table, err := home.Setting(setting.StateTable)
	if err != nil {
		return nil, err
	}
	return lease.New(home.Config, table, leaseHold, uuid.NewString, home.Now), nil
}
