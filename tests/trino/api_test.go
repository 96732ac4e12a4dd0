package trino_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/metricsapi"
	"verdict/shared/project"
	"verdict/shared/semantic"
	"verdict/tests/trinoserver"
)

// asks is an engine that is only asked.
type asks struct {
	lake.Engine
	server *trinoserver.Server
}

func (a asks) Query(ctx context.Context, sql string) (lake.Result, error) {
	return a.server.Query(ctx, sql)
}

// sameAnswers wants the metrics API to answer the same to the byte on both engines: its ETags are strong.
func sameAnswers(t *testing.T, w *duck.Warehouse, p *project.Project, shared []string) {
	t.Helper()
	api := func(engine lake.Engine) http.Handler {
		return metricsapi.New(metricsapi.Config{
			Project: p, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
			Source: &semantic.Source{Layer: p.Layer, Objects: &directory.Store{Root: filepath.Join(folder, "demo")}, Engine: engine, Catalog: w, MaxBytes: 1 << 40},
			Signed: func(context.Context) (string, bool) { return "a test", true },
		})
	}
	for _, name := range []string{"fact_experiment_results", "fact_experiment_check", "fact_decision", "fact_experiment_registration"} {
		if slices.Contains(shared, name) {
			continue
		}
		published, err := w.Table(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		columns := published.Columns
		for _, by := range published.PartitionBy {
			columns = append(columns, lake.Column{Name: by, Type: "varchar"})
		}
		share(t, w, name, columns)
	}
	ours, theirs := api(w), api(asks{server: engine(t)})
	targets := []string{"/experiments", "/experiments/one_page_checkout", "/experiments/one_page_checkout/results", "/experiments/gift_wrap/results?limit=5&from=2026-01-08"}
	for _, d := range p.Layer.Definitions {
		if _, err := semantic.Compile(p.Layer, semantic.Question{Metric: d.Name, From: time.Unix(0, 0), To: time.Unix(1e6, 0), Grain: semantic.Total}); err != nil {
			continue // it is not served by period
		}
		for _, grain := range semantic.Grains() {
			for _, rest := range []string{"", "&by=device", "&by=event_name,page_type&limit=3", "&filter=device:mobile&filter=device:desktop&filter=currency:EUR"} {
				targets = append(targets, fmt.Sprintf("/metrics/%s/values?from=2026-01-05&to=2026-01-14&grain=%s%s", d.Name, grain, rest))
			}
		}
	}
	rows := 0
	for _, target := range targets {
		get := func(api http.Handler) string {
			answer := httptest.NewRecorder()
			api.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, metricsapi.Base+target, http.NoBody))
			if answer.Code != http.StatusOK {
				t.Errorf("%s: %d %s", target, answer.Code, answer.Body)
			}
			return answer.Body.String()
		}
		duck, trino := get(ours), get(theirs)
		rows += strings.Count(duck, `"value":`)
		if duck != trino {
			t.Errorf("%s: DuckDB\n%s\nTrino\n%s", target, duck, trino)
		}
	}
	if rows < 500 {
		t.Errorf("only %d rows were compared", rows)
	}
}
