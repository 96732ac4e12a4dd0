package e2e_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plan is made on the lake of a demo; a margin that is widened shows the readout under both definitions.
func TestExperimentPlan(t *testing.T) {
	lake := t.TempDir()
	if _, complaints, err := verdict(t, "demo", "--json", "--visitors", "1500", "--days", "6", "--seed", "7", "--addr", "127.0.0.1:0", "--lake", lake); err != nil {
		t.Fatalf("demo: %v\n%s", err, complaints)
	}
	out, complaints, err := verdict(t, "experiment", "plan", "--lake", lake, "--as-of", "2026-01-11", "one_page_checkout")
	if err != nil || !strings.Contains(out, "on the units of one_page_checkout from 2026-01-05 to 2026-01-11") || !strings.Contains(out, "The definition is as registered") {
		t.Errorf("%v\n%s%s", err, out, complaints)
	}
	dir := t.TempDir()
	for _, folder := range []string{"events", "athena-sql"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join("../..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "events", "experiments", "one_page_checkout.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), "margin: 0.08", "margin: 0.5", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, err = verdict(t, "experiment", "plan", "--json", "--lake", lake, "--project", dir, "--as-of", "2026-01-11", "one_page_checkout")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	type readout struct {
		Definition string
		Results    []struct {
			Metric    string
			Lift      float64
			Guardrail string
		}
	}
	var got struct {
		Plan struct {
			Seen    int64 `json:"units_seen"`
			Metrics []struct {
				Needed *float64 `json:"units_needed"`
			}
		}
		Change struct {
			Changes       []struct{ Field, From, To string }
			Before, After readout
		}
	}
	out = strings.NewReplacer("as_registered", "before", "as_changed", "after").Replace(out)
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Change
	if len(c.Changes) != 1 || c.Changes[0].To != "0.5" || c.Before.Definition == c.After.Definition || len(c.Before.Results) != 4 || len(c.After.Results) != 4 {
		t.Errorf("change %+v", c)
	}
	for i, r := range c.Before.Results {
		if math.Abs(r.Lift-c.After.Results[i].Lift) > 1e-9 { // sums have no order
			t.Errorf("the margin changes the lift of %s", r.Metric)
		}
	}
	if got.Plan.Seen == 0 || got.Plan.Metrics[0].Needed == nil || *got.Plan.Metrics[0].Needed < 1000 {
		t.Errorf("plan %+v", got.Plan)
	}
	if out, complaints, err := verdict(t, "notifications", "--lake", lake); err != nil || !strings.Contains(out, "messages were delivered") {
		t.Errorf("%v\n%s%s", err, out, complaints)
	}
	if _, complaints, err := verdict(t, "experiment", "plan", "--lake", lake, "--as-of", "2025-01-01", "one_page_checkout"); err == nil || !strings.Contains(complaints, "has no traffic between") {
		t.Errorf("%v\n%s", err, complaints)
	}
}
