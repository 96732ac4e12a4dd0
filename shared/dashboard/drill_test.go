package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"verdict/shared/dashboard"
	"verdict/shared/experiment"
	"verdict/shared/identity"
	"verdict/shared/ledger"
	"verdict/shared/measure"
	"verdict/shared/monitor"
	"verdict/shared/project"
	"verdict/shared/table"
)

// add publishes one more table of a fixture.
func add[T any](tb testing.TB, p *published, name, asOf string, rows []T) {
	tb.Helper()
	to := table.Place{Table: name, Run: "more"}
	if asOf != "" {
		to.PartitionBy, to.Values = []string{"as_of"}, []string{asOf}
	}
	if err := table.Write(tb.Context(), p.store, p.Warehouse, to, rows); err != nil {
		tb.Fatal(err)
	}
}

// cells has a conversion whose effect is another in the second week: 400 units an arm and day, at 20 % against 20 % and then 35 %.
func cells(e *experiment.Experiment, later float64) []measure.Statistic {
	var out []measure.Statistic
	for day := range 14 {
		for _, v := range e.Variants {
			p, n := 0.2, int64(400)
			if v.Key != e.Control && day >= 7 {
				p = later
			}
			out = append(out, measure.Statistic{
				ExperimentID: e.ID, Metric: "purchase_conversion_d3", Variant: v.Key, ExposureDate: e.Start.AddDate(0, 0, day).Format(time.DateOnly),
				Units: n, Nonzero: int64(p * float64(n)), MeanY: p, YY: p * (1 - p) * float64(n), AsOf: "2026-01-24",
			})
		}
	}
	return out
}

type drilled struct {
	Cuts []struct {
		Key    string
		Differ bool
		Slices []struct {
			Units       int64
			Lift        *float64
			Significant bool
		}
	}
	Bayes struct {
		Arms []struct {
			Best *float64 `json:"chance_best"`
		}
	}
}

func TestDrillingDownControlsForManyGroups(t *testing.T) {
	all := defined(t)
	e := all[3]
	for name, later := range map[string]float64{"the second week differs": 0.35, "nothing differs": 0.2} {
		t.Run(name, func(t *testing.T) {
			shown := publish(t, simulate(all)).(*published)
			add(t, shown, "fact_experiment_statistic", "2026-01-24", cells(e, later))
			h := handler(t, shown)
			path := "/experiments/" + e.ID + "/metrics/purchase_conversion_d3"
			var got drilled
			if err := json.Unmarshal(get(t, h, path+"?format=json").Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Cuts) != 3 || len(got.Cuts[0].Slices) != 14 || len(got.Cuts[1].Slices) != 2 || got.Cuts[1].Slices[0].Units != 7*800 {
				t.Fatalf("got %+v", got)
			}
			differs := later > 0.2
			if got.Cuts[1].Differ != differs || got.Cuts[1].Slices[1].Significant != differs || got.Cuts[1].Slices[0].Significant {
				t.Errorf("weeks: %+v", got.Cuts[1])
			}
			best := 0.0
			for _, a := range got.Bayes.Arms {
				best += *a.Best
			}
			if len(got.Bayes.Arms) != 2 || best < 0.999 || best > 1.001 {
				t.Errorf("chances to be best add up to %g", best)
			}
			text := words(get(t, h, path))
			mustRead(t, text, "Bayesian view", "By week of first exposure", "The SQL that measures it", "with unit as")
			if differs {
				mustRead(t, text, "The effects differ between the groups")
			} else {
				mustRead(t, text, "no group is judged alone")
			}
		})
	}
}

func TestWhatIsNotDeclaredIsNotSplit(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	for path, status := range map[string]int{
		"/experiments/one_page_checkout/metrics/purchase_conversion_d3":              http.StatusOK,
		"/experiments/one_page_checkout/metrics/purchase_conversion_d3?by=page_type": http.StatusBadRequest,
		"/experiments/one_page_checkout/metrics/nope":                                http.StatusNotFound,
		"/bundles/one_page_checkout/2026-01-01/0000.json.gz":                         http.StatusNotFound,
		"/metrics/nope": http.StatusNotFound, "/metrics": http.StatusOK, "/metrics/purchase_conversion_d3": http.StatusOK,
		"/pipeline": http.StatusOK, "/identity": http.StatusOK, "/api/metrics": http.StatusOK, "/api/pipeline": http.StatusOK, "/api/identity": http.StatusOK,
	} {
		if got := get(t, h, path); got.Code != status {
			t.Errorf("%s: got %d, want %d", path, got.Code, status)
		}
	}
}

func TestMetricsSayWhoAnswersForThem(t *testing.T) {
	h := handler(t, publish(t, rows{}))
	mustRead(t, words(get(t, h, "/metrics?q=checkout")), "Purchase conversion, 3 days", "conversion", "certified", "one_page_checkout", "shown")
	mustRead(t, words(get(t, h, "/metrics?q=nothing+like+it")), "No metric matches")
	mustRead(t, words(get(t, h, "/metrics/purchase_conversion_d3")), "No chart:", "Owner checkout", "event_name = 'order_completed'")
}

func TestPipelineAndIdentityShowWhatIsHigh(t *testing.T) {
	shown := publish(t, rows{}).(*published)
	add(t, shown, "pipeline_reading", "2026-01-23", []monitor.Reading{{Name: "lag_seconds", Value: 1, Limit: 2, Says: "old"}})
	add(t, shown, "pipeline_reading", "2026-01-24", []monitor.Reading{{Name: "late_share", Value: 0.01, Limit: 0.05, Says: "few"}, {Name: "psi", Of: "order.value", Value: 0.9, Limit: 0.25, Says: "moved"}})
	add(t, shown, "ledger_balance", "2026-01-24", []ledger.Entry{{Link: ledger.Landing, In: 1000, Out: 993, Lost: 7}})
	add(t, shown, "identity_outcome", "", []identity.Outcome{{Fate: "joined", Links: 41}, {Fate: "too large", Links: 3, Held: true}})
	add(t, shown, "identity_map", "", []identity.Member{{EntityID: "a:1", UnitID: "u:x"}, {EntityID: "a:2", UnitID: "u:x"}, {EntityID: "a:3", UnitID: "u:y"}})
	h := handler(t, shown)
	mustRead(t, words(get(t, h, "/pipeline")), "1 of 2 readings are above their limit.", "24 Jan 2026", "psi order.value ✗ High", "collector to raw 1,000 993 7")
	text := words(get(t, h, "/identity"))
	mustRead(t, text, "joined 41", "too large 3 a guard or a person keeps the ids apart", "The largest has 3.")
}

func TestPipelineAndIdentitySayWhatTheirTablesWaitFor(t *testing.T) {
	shown := publish(t, rows{}).(*published)
	h := handler(t, shown)
	mustRead(t, words(get(t, h, "/pipeline")), "No readings yet.",
		"pipeline_reading , ledger_balance appear with the first reading of the pipeline's pulse. To get there: verdict health, or the monitor's schedule",
		"fact_event appears with the first run that makes facts of landed events. To get there: bin/verdict evaluate",
		"query_scan appears with the first run that counts what it reads.")
	mustRead(t, words(get(t, h, "/identity")), "appear with the first run that finds out who is who. To get there: bin/verdict evaluate")
	for _, path := range []string{"/pipeline", "/identity"} {
		if strings.Contains(words(get(t, h, path)), "evaluation") {
			t.Errorf("%s waits for an evaluation, which publishes none of its tables", path)
		}
	}
	add(t, shown, monitor.ReadingTable, "2026-01-24", []monitor.Reading{{Name: "late_share", Value: 0.01, Limit: 0.05, Says: "few"}})
	if text := words(get(t, h, "/pipeline")); strings.Contains(text, "pipeline_reading") || !strings.Contains(text, "ledger_balance appears with") {
		t.Errorf("what is published counts as missing: %s", text)
	}
}

// BenchmarkReadout is the page of an experiment of 100 metrics after 28 daily looks.
func BenchmarkReadout(b *testing.B) {
	p, err := project.BuiltIn()
	if err != nil {
		b.Fatal(err)
	}
	e := *p.Experiments[0]
	e.Metrics = nil
	for i := range 100 {
		e.Metrics = append(e.Metrics, experiment.Metric{Name: fmt.Sprintf("metric_%03d", i), Role: experiment.Secondary})
	}
	e.Metrics[0].Role = experiment.Goal
	p.Experiments = []*experiment.Experiment{&e}
	s := hundred(&e)
	shown := publish(b, s).(*published)
	h := dashboard.New(dashboard.Source{Project: p, Engine: shown, Catalog: shown.Warehouse, Objects: shown.store, Now: today, Log: quiet()})
	b.ResetTimer()
	for b.Loop() {
		if w := get(b, h, "/experiments/"+e.ID); w.Code != http.StatusOK {
			b.Fatalf("status %d", w.Code)
		}
	}
}
