package job

import (
	"log/slog"
	"net/http"
	"time"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/lake"
	"verdict/shared/lineage"
	"verdict/shared/project"
)

// lineageTimeout is short: nothing waits for lineage that people wait for.
const lineageTimeout = 3 * time.Second

// told tells of runs in the lake, and to the OpenLineage endpoint that is set. Tables are named as OpenLineage names
// Athena's.
func told(home *awsio.Home, p *project.Project, objects lake.Objects, catalog lake.Catalog, database string, newRun func() string) *lineage.Recorder {
	r := &lineage.Recorder{
		Graph: lineage.New(p.Models, p.Plan), Objects: objects, Catalog: catalog,
		Namespace: "awsathena://athena." + home.Config.Region + ".amazonaws.com", Prefix: "AwsDataCatalog." + database + ".",
		NewRun: newRun, Now: home.Now, Lost: func(err error) { slog.Warn("lineage was not told", slog.Any("error", err)) },
	}
	if url := home.Optional(setting.Lineage); url != "" {
		r.Post = lineage.HTTP(url, "", &http.Client{Timeout: lineageTimeout})
	}
	return r
}
