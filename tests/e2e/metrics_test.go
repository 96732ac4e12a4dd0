package e2e_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"verdict/shared/dialect"
)

// Metrics through the binary: each verb, and what it says of what is not there.
func TestMetrics(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		wants []string // in what it prints
		says  []string // on standard error
		fails bool
	}{
		"list":            {[]string{"list"}, []string{"METRIC", "average_order_value_d3   ratio", "draft"}, nil, false},
		"list as JSON":    {[]string{"list", "--json"}, []string{`"name": "orders"`, `"pii_class": "none"`}, nil, false},
		"show":            {[]string{"show", "returned_d1_d4"}, []string{"from 1 to 4 days after first exposure", "one_page_checkout"}, nil, false},
		"show a stranger": {[]string{"show", "profit"}, nil, []string{"there is no metric profit"}, true},
		"sql of an experiment": {
			[]string{"sql", "one_page_checkout", "--as-of", "2026-01-26"},
			[]string{"fact_experiment_exposure", "experiment_id = 'one_page_checkout'", "covar_pop"},
			nil, false,
		},
		"sql of a metric": {
			[]string{"sql", "--from", "2026-01-05", "--to", "2026-01-12", "--grain", "week", "--by", "device,currency", "orders"},
			[]string{"date_trunc('week'", "e.event_date >= '2026-01-05'", "d1"},
			nil, false,
		},
		"sql of neither":       {[]string{"sql", "profit"}, nil, []string{"neither an experiment nor a metric profit"}, true},
		"export":               {[]string{"export"}, []string{"semantic_model:", "primary_entity: fact_event"}, []string{"checkout_funnel_d3 is left out"}, false},
		"export for Eppo":      {[]string{"export", "--format", "eppo", "--entity", "Visitor"}, []string{"entity_name: Visitor"}, []string{"days_to_purchase_d3 is left out"}, false},
		"export as JSON":       {[]string{"export", "--format", "growthbook", "--json"}, []string{`"left_out": true`, `"format": "growthbook"`}, nil, false},
		"export views":         {[]string{"export", "--format", "views"}, []string{"create or replace view metric_orders as", "create or replace view experiment_readout as"}, nil, false},
		"export for nobody":    {[]string{"export", "--format", "cube"}, nil, []string{`not "cube"`}, true},
		"lineage":              {[]string{"lineage", "revenue"}, []string{"fact_event.value", "property order_completed.value (none)"}, nil, false},
		"lineage as JSON":      {[]string{"lineage", "--json", "revenue"}, []string{`"nodes": [`, `"event:order_completed"`}, nil, false},
		"lineage as a picture": {[]string{"lineage", "--svg", "revenue"}, []string{`<svg class="lineage"`}, nil, false},
		"nothing":              {nil, nil, []string{"metrics wants one of list, show, sql, export, lineage"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, append([]string{"metrics"}, c.args...)...)
			var out, complaints bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &complaints
			if err := cmd.Run(); (err != nil) != c.fails {
				t.Fatalf("%v: %s", err, complaints.String())
			}
			for _, want := range c.wants {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not print %q:\n%s", want, out.String())
				}
			}
			for _, want := range c.says {
				if !strings.Contains(complaints.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, complaints.String())
				}
			}
			if strings.Contains(name, "JSON") && !json.Valid(out.Bytes()) {
				t.Error("it is no JSON")
			}
			if len(c.args) > 0 && c.args[0] == "sql" {
				if found := dialect.Check(out.String()); found != nil {
					t.Errorf("not in the dialect: %v", found)
				}
			}
		})
	}
}
