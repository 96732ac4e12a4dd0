package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"verdict/shared/lineage"
)

// lineage tells of runs in the lake, and to the OpenLineage endpoint that OPENLINEAGE_URL and OPENLINEAGE_API_KEY name.
func (h *home) lineage() *lineage.Recorder {
	folder := h.store.Path("warehouse")
	if absolute, err := filepath.Abs(folder); err == nil {
		folder = absolute
	}
	r := &lineage.Recorder{
		Graph: lineage.New(h.project.Models, h.project.Plan), Objects: h.store, Catalog: h.warehouse, Namespace: "file", Prefix: filepath.ToSlash(folder) + "/",
		NewRun: newRun, Now: h.now, Lost: func(err error) { h.log.Warn("lineage was not told", slog.Any("error", err)) },
	}
	if url := os.Getenv("OPENLINEAGE_URL"); url != "" {
		r.Post = lineage.HTTP(url, os.Getenv("OPENLINEAGE_API_KEY"), &http.Client{Timeout: 5 * time.Second})
	}
	return r
}
