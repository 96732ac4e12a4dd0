package main

import (
	"context"
	"net/http"

	"verdict/shared/metricsapi"
	"verdict/shared/semantic"
)

// readKey lets in whoever reaches this machine. It is no secret, and keeps pages of other sites out: a browser lets
// them send no such header.
const readKey = "rk_local"

// questionBytes is what one question may read here: some seconds of one core.
const questionBytes = 10 << 30

// metrics is the metrics API over this lake.
func (h *home) metrics() http.Handler {
	return metricsapi.New(metricsapi.Config{
		Project: h.project,
		Source:  &semantic.Source{Layer: h.project.Layer, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, MaxBytes: questionBytes},
		Keys:    func(context.Context) (map[string]string, error) { return map[string]string{readKey: "local"}, nil },
		Log:     h.log,
		Now:     h.now,
	})
}
