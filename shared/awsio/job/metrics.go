package job

import (
	"log/slog"
	"net/http"
	"strconv"

	"verdict/shared/awsio"
	"verdict/shared/awsio/glue"
	"verdict/shared/awsio/setting"
	"verdict/shared/fault"
	"verdict/shared/lambdaio"
	"verdict/shared/metricsapi"
	"verdict/shared/project"
	"verdict/shared/semantic"
)

// Metrics is the metrics API over the lake.
func Metrics(home *awsio.Home, log *slog.Logger) (http.Handler, error) {
	v, err := home.Settings(setting.GlueDatabase, setting.QueryBytes)
	if err != nil {
		return nil, err
	}
	most, err := strconv.ParseInt(v[1], 10, 64)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read %s: %w", setting.QueryBytes, err)
	}
	objects, err := home.Objects()
	if err != nil {
		return nil, err
	}
	engine, err := Engine(home)
	if err != nil {
		return nil, err
	}
	p, err := project.BuiltIn()
	if err != nil {
		return nil, err
	}
	return metricsapi.New(metricsapi.Config{
		Project: p,
		Source:  &semantic.Source{Layer: p.Layer, Objects: objects, Engine: engine, Catalog: glue.New(home.Config, v[0], objects.Location), MaxBytes: most},
		Keys:    home.ReadKeys,
		Signed:  lambdaio.Signed,
		Log:     log,
		Now:     home.Now,
	}), nil
}
