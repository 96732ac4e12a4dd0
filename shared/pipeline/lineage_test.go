package pipeline_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/uuid"

	"verdict/shared/lineage"
	"verdict/shared/view"
)

// Each step and each model that it builds tells of one start and one end, and of tables that exist.
func TestLineageOfARun(t *testing.T) {
	p, store := open(t)
	land(t, p, store, 40)
	p.Lineage = &lineage.Recorder{
		Graph: lineage.New(p.Project.Models, p.Project.Plan), Objects: store, Catalog: p.Catalog, Namespace: "file", NewRun: uuid.NewString, Now: p.Now,
		Lost: func(err error) { t.Error(err) },
	}
	views, ok := p.Catalog.(view.Publisher)
	if !ok {
		t.Fatal("the catalog shows no views")
	}
	p.Views = views
	asOf := start().AddDate(0, 0, 7)
	for _, s := range p.Steps() {
		if err := s.Run(t.Context(), asOf); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
	}
	starts, ends, outputs := map[string]string{}, map[string]string{}, []string{}
	objects, err := store.List(t.Context(), "lineage/")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		body, err := store.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(bytes.TrimSpace(body), []byte("\n")) {
			var e lineage.Event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatal(err)
			}
			to := ends
			if e.Type == lineage.Start {
				to = starts
			} else if e.Type != lineage.Complete {
				t.Errorf("%s ended with %s", e.Job.Name, e.Type)
			}
			if other := to[e.Run.ID]; other != "" {
				t.Errorf("%s told of %s twice", e.Job.Name, e.Type)
			}
			to[e.Run.ID] = e.Job.Name
			for _, d := range e.Outputs {
				outputs = append(outputs, d.Name)
			}
		}
	}
	if len(starts) != len(ends) || len(starts) < 6+5 {
		t.Errorf("starts of %v, ends of %v", starts, ends)
	}
	for _, want := range []string{
		"fact_event", "dim_user", "fact_experiment_exposure", "identity_edge", "identity_map", "fact_experiment_statistic",
		"fact_experiment_traffic", "fact_experiment_results", "fact_experiment_check", "fact_experiment_registration", "fact_decision",
	} {
		if !slices.Contains(outputs, want) {
			t.Errorf("nobody told of writing %s, only of %v", want, outputs)
		}
	}
	got, err := p.Engine.Query(t.Context(), "select count(*) from experiment_readout")
	if err != nil || *got.Rows[0][0] == "0" {
		t.Errorf("the readout shows %v, %v", got, err)
	}
}
