package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"verdict/shared/pipeline"
)

// The readout under other policies, through the binary: the first is the readout itself.
func TestSensitivity(t *testing.T) {
	lake := t.TempDir()
	o := demo(t, lake)
	out, complaints, err := verdict(t, "identity", "sensitivity", "one_page_checkout", "--lake", lake, "--json")
	var s pipeline.Sensitivity
	if err != nil || json.Unmarshal([]byte(out), &s) != nil {
		t.Fatalf("%v: %s%s", err, out, complaints)
	}
	if len(s.Readings) != 4 || s.Readings[0].Policy != "resolved" || s.Conflicts > s.Multiple {
		t.Fatalf("%+v", s)
	}
	for _, e := range o.Experiments {
		if e.ID != s.ExperimentID {
			continue
		}
		if len(e.Results) != len(s.Readings[0].Metrics) {
			t.Errorf("%d results in the readout, %d under resolved", len(e.Results), len(s.Readings[0].Metrics))
		}
		for _, r := range e.Results {
			for _, m := range s.Readings[0].Metrics {
				if r.Metric == m.Metric && (r.UnitsControl != m.Control || r.UnitsTreatment != m.Treatment || r.Guardrail != m.Guardrail) {
					t.Errorf("the readout says %+v, resolved %+v", r, m)
				}
			}
		}
	}
	text, complaints, err := verdict(t, "identity", "sensitivity", "--lake", lake, "--as-of", s.AsOf, "one_page_checkout")
	if err != nil || !strings.Contains(text, "does not depend on identity") == !s.Depends || strings.Count(text, "returned_d1_d4") != 4 {
		t.Errorf("%v: %s%s", err, text, complaints)
	}
	if out, _, err := verdict(t, "identity", "sensitivity", "--lake", lake, "nothing"); err == nil {
		t.Errorf("an experiment that is not there: %s", out)
	}
	if out, complaints, err := verdict(t, "tables", "show", "fact_experiment_guardrail"); err != nil || !strings.Contains(out, "is_complete") {
		t.Errorf("%v: %s%s", err, out, complaints)
	}
	for _, wrong := range [][]string{{}, {"list"}, {"show", "nothing"}, {"page", "more"}} {
		if out, _, err := verdict(t, append([]string{"tables"}, wrong...)...); err == nil {
			t.Errorf("tables %v: %s", wrong, out)
		}
	}
}
