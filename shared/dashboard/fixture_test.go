package dashboard_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"verdict/events"
	"verdict/shared/dashboard"
	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/project"
	"verdict/shared/register"
	"verdict/shared/restate"
	"verdict/shared/table"
)

const hostile = `<script>alert("x")</script>`

// rows are what the evaluation and the decisions of a fixture wrote.
type rows struct {
	results       []evaluate.Result
	checks        []evaluate.Check
	decisions     []decide.Decision
	registrations []register.Entry
	restatements  []restate.Restatement
}

// publish writes the rows as the product does and returns the warehouse that reads them.
func publish(tb testing.TB, r rows) lake.Engine {
	tb.Helper()
	store := &directory.Store{Root: tb.TempDir()}
	warehouse, err := duck.Open(tb.Context(), store)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { warehouse.Close() })
	write(tb, store, warehouse, "fact_experiment_results", r.results, func(x evaluate.Result) string { return x.AsOf })
	write(tb, store, warehouse, "fact_experiment_check", r.checks, func(x evaluate.Check) string { return x.AsOf })
	if len(r.decisions) > 0 {
		if err := table.Write(tb.Context(), store, warehouse, table.Place{Table: "fact_decision", Run: "fixture"}, r.decisions); err != nil {
			tb.Fatal(err)
		}
	}
	if len(r.restatements) > 0 {
		if err := table.Write(tb.Context(), store, warehouse, table.Place{Table: "fact_decision_restatement", Run: "fixture"}, r.restatements); err != nil {
			tb.Fatal(err)
		}
	}
	if len(r.registrations) > 0 {
		if err := table.Write(tb.Context(), store, warehouse, table.Place{Table: "fact_experiment_registration", Run: "fixture"}, r.registrations); err != nil {
			tb.Fatal(err)
		}
	}
	return &published{warehouse, store}
}

// published is a lake with what a fixture wrote.
type published struct {
	*duck.Warehouse
	store *directory.Store
}

func write[T any](tb testing.TB, objects lake.Objects, catalog lake.Catalog, name string, all []T, asOf func(T) string) {
	tb.Helper()
	days := map[string][]T{}
	for _, row := range all {
		days[asOf(row)] = append(days[asOf(row)], row)
	}
	for day, some := range days {
		to := table.Place{Table: name, Run: "fixture", PartitionBy: []string{"as_of"}, Values: []string{day}}
		if err := table.Write(tb.Context(), objects, catalog, to, some); err != nil {
			tb.Fatal(err)
		}
	}
}

// broken is an engine that fails in one way.
type broken struct{ err error }

var _ lake.Engine = broken{}

func (b broken) Query(context.Context, string) (lake.Result, error) { return lake.Result{}, b.err }
func (b broken) Unload(context.Context, string, string, []string) error {
	return b.err
}

func defined(t *testing.T) []*experiment.Experiment {
	t.Helper()
	all, err := experiment.Load(events.Files, "experiments", func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	next := *all[0]
	next.ID, next.Name, next.Owner = "next_week", "Starts "+hostile, `"><img src=x onerror=alert(1)>`
	next.Start = experiment.Date{Time: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
	three := *all[1]
	three.ID, three.Name = "three_arms", "Delivery promise, three arms"
	three.Variants = []experiment.Variant{{Key: "control", Share: 0.4}, {Key: "next_day", Share: 0.3}, {Key: "same_day", Share: 0.3}}
	three.Mode = experiment.Propose
	return append(all, &next, &three)
}

func today() time.Time { return time.Date(2026, 1, 24, 9, 30, 0, 0, time.UTC) }

// simulate makes daily looks whose intervals shrink as units arrive.
func simulate(all []*experiment.Experiment) rows {
	var s rows
	random := rand.New(rand.NewPCG(20260105, 1))
	truth := map[string]float64{"one_page_checkout": 0.12, "urgency_banner": 0.03, "new_navigation": 0.005, "gift_wrap": 0.004, "cart_service_rewrite": 0.06, "three_arms": 0.09}
	days := map[string]int{"one_page_checkout": 19, "urgency_banner": 9, "new_navigation": 19, "gift_wrap": 15, "cart_service_rewrite": 19, "three_arms": 18}
	for _, e := range all {
		for d := 1; d <= days[e.ID]; d++ {
			asOf := e.Start.AddDate(0, 0, d).Format(time.DateOnly)
			for i, m := range e.Metrics {
				for j, v := range e.Variants[1:] {
					s.results = append(s.results, look(e, m, v.Key, asOf, d, truth[e.ID]*(1-0.5*float64(j)), float64(i), random))
				}
			}
			s.checks = append(s.checks, checks(e, asOf, d)...)
		}
	}
	s.decisions = decisions(all)
	s.registrations = []register.Entry{
		{ExperimentID: all[0].ID, AsOf: "2026-01-12", Hash: "bbbb", Definition: all[0].Hash(), Changes: []register.Change{
			{Field: "metrics.returned_d1_d4.margin", From: "0.05", To: "0.08"}, {Field: "planned_days", From: "14", To: "21", Foreseen: true}, {Field: "name", To: hostile},
		}},
		{ExperimentID: all[0].ID, AsOf: "2026-01-07", Hash: "aaaa", Definition: "0123", DaysLate: 2},
		{ExperimentID: all[1].ID, AsOf: "2026-01-05", Hash: "cccc", Definition: all[1].Hash()},
	}
	return s
}

func look(e *experiment.Experiment, m experiment.Metric, variant, asOf string, d int, truth, kind float64, random *rand.Rand) evaluate.Result {
	ready := max(0, d-3)
	r := evaluate.Result{
		ExperimentID: e.ID, Definition: e.Hash(), Metric: m.Name, Role: string(m.Role), Margin: m.Margin, Variant: variant, Control: e.Control,
		Label: map[string]string{
			"purchase_conversion_d3": "Purchase conversion, 3 days", "revenue_per_user_d3": "Revenue per user, 3 days",
			"returned_d1_d4": "Came back, days 1 to 4", "average_order_value_d3": "Average order value, 3 days",
		}[m.Name],
		Format:    map[string]string{"purchase_conversion_d3": "percent", "revenue_per_user_d3": "currency", "returned_d1_d4": "percent", "average_order_value_d3": "currency"}[m.Name],
		Direction: "increase", Status: "ok", AsOf: asOf, EvaluatedAt: today(),
		UnitsControl: int64(1190*ready + 7), UnitsTreatment: int64(1203*ready + 11),
	}
	if ready == 0 || e.ID == "new_navigation" && m.Name == "average_order_value_d3" {
		r.Status, r.Reason = "insufficient", "No unit has a complete window yet."
		return r
	}
	r.MeanControl = map[string]float64{"percent": 0.0873, "currency": 1234.5}[r.Format]
	if e.ID == "urgency_banner" && m.Name == "returned_d1_d4" {
		truth = -0.4
	}
	deviation := (0.022 + 0.006*kind) * math.Sqrt(14/float64(ready))
	r.Lift = truth*(1-kind/8) + deviation*random.NormFloat64()*0.35
	r.MeanTreatment = r.MeanControl * (1 + r.Lift)
	r.Effect = r.MeanTreatment - r.MeanControl
	r.FixedLiftLow, r.FixedLiftHigh = r.Lift-2.576*deviation, r.Lift+2.576*deviation
	r.LiftLow, r.LiftHigh = r.Lift-3.7*deviation, r.Lift+3.9*deviation
	if ready == 1 {
		r.LiftLow, r.LiftHigh = math.Inf(-1), math.Inf(1)
	}
	if ready == 2 || e.ID == "new_navigation" && m.Name == "returned_d1_d4" {
		r.LiftHigh = math.Inf(1)
	}
	r.EffectLow, r.EffectHigh = r.LiftLow*r.MeanControl, r.LiftHigh*r.MeanControl
	z := r.Lift / deviation
	r.AnytimeP = min(1, 4*math.Exp(-z*z/2))
	r.ChanceToBeat = 0.5 * math.Erfc(-z/math.Sqrt2)
	r.ExpectedLoss = deviation * math.Exp(-z*z/2-max(0, z)) / 2.5
	switch {
	case r.LiftLow > 0:
		r.Significance = "better"
	case r.LiftHigh < 0:
		r.Significance = "worse"
	}
	if m.Role == experiment.Guardrail {
		r.Guardrail = "undetermined"
		if r.LiftLow > -m.Margin {
			r.Guardrail = "non_inferior"
		}
		if r.LiftHigh < -m.Margin {
			r.Guardrail = "violated"
		}
	}
	return r
}

func checks(e *experiment.Experiment, asOf string, d int) []evaluate.Check {
	srm := evaluate.Check{ExperimentID: e.ID, Name: "srm", Status: "pass", Value: 0.4213, Threshold: 0.001, AsOf: asOf, Detail: "The arms have 24,310 and 24,188 units; the shares promise half each."}
	crossed := evaluate.Check{ExperimentID: e.ID, Name: "multiple_exposure", Status: "pass", Value: 0.0007, Threshold: 0.01, AsOf: asOf, Detail: "34 of 48,498 units saw more than one variant."}
	if d < 2 {
		srm.Status, srm.Detail = "insufficient", "Too few units yet."
	}
	if e.ID == "cart_service_rewrite" && d > 6 {
		srm.Status, srm.Value, srm.Detail = "fail", 3.1e-11, "The arms have 24,310 and 22,802 units; the shares promise half each. Chance alone does that less than once in a billion."
	}
	return []evaluate.Check{srm, crossed}
}

func decisions(all []*experiment.Experiment) []decide.Decision {
	find := func(id string) *experiment.Experiment {
		return all[slices.IndexFunc(all, func(e *experiment.Experiment) bool { return e.ID == id })]
	}
	var out []decide.Decision
	add := func(id string, day int, verdict decide.Verdict, headline string, reasons ...string) *decide.Decision {
		e := find(id)
		at := e.Start.AddDate(0, 0, day)
		d := decide.Decision{
			ID: fmt.Sprintf("%s-%s-%s", id, at.Format(time.DateOnly), verdict), ExperimentID: id, Definition: e.Hash(), AsOf: at.Format(time.DateOnly),
			Verdict: verdict, Headline: headline, Flag: e.Flag, Mode: string(e.Mode), DecidedAt: at.Add(4*time.Hour + 3*time.Minute),
		}
		for i, r := range reasons {
			d.Reasons = append(d.Reasons, decide.Reason{Code: "reason_" + strconv.Itoa(i), Text: r})
		}
		out = append(out, d)
		return &out[len(out)-1]
	}
	for _, id := range []string{"one_page_checkout", "urgency_banner", "new_navigation", "gift_wrap", "cart_service_rewrite", "three_arms"} {
		add(id, 1, decide.Running, "Too early to tell.", "No goal metric is significantly better yet.", "Day 1 of 21; no ship before day 14.")
	}
	d := add("one_page_checkout", 14, decide.Ship, "Purchase conversion, 3 days is 11.8% better, and every guardrail holds.",
		"Purchase conversion, 3 days: +11.8%, anytime-valid interval [+1.6%, +22.3%].", "Revenue per user, 3 days: shown not to be worse by 10%.",
		"Came back, days 1 to 4: shown not to be worse by 5%.", "Sample ratio and multiple exposure are in order.")
	d.Variant, d.Action, d.AppliedAt, d.Revision = "treatment", decide.Conclude, d.DecidedAt.Add(2*time.Second), "18"
	d.Change = `[{"op":"test","path":"/environments/production/rules/one_page_checkout/type","value":"a/b"},{"op":"replace","path":"/environments/production/rules/one_page_checkout","value":{"type":"targeted_delivery","variations":[{"key":"treatment","percentage_included":10000}]}}]`
	d = add("urgency_banner", 9, decide.RollBack, "Came back, days 1 to 4 is worse than its margin of 5% tolerates.", "Came back, days 1 to 4: −14.2%, anytime-valid interval [−22.0%, −5.9%] lies beyond −5%. "+hostile)
	d.Variant, d.Action, d.AppliedAt, d.Revision, d.Change = "control", decide.Rollback, d.DecidedAt.Add(time.Second), "12", hostile
	add("cart_service_rewrite", 7, decide.Blocked, "The arms do not have the sizes they should: nobody should read the effects.", "Sample ratio mismatch: p < 0.0001 is below 0.001.")
	d = add("three_arms", 18, decide.Ship, "Purchase conversion, 3 days is 9% better with next_day.", "Purchase conversion, 3 days of next_day: significantly better.")
	d.Variant, d.Action = "next_day", decide.Conclude
	return out
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func handler(t *testing.T, engine lake.Engine) http.Handler {
	t.Helper()
	return handlerOf(t, engine, defined(t), today)
}

func handlerOf(t *testing.T, engine lake.Engine, experiments []*experiment.Experiment, now func() time.Time) http.Handler {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	if experiments != nil {
		p.Experiments = experiments
	}
	source := dashboard.Source{Project: p, Engine: engine, Now: now, Log: quiet(), Howto: "bin/verdict evaluate"}
	if shown, ok := engine.(*published); ok {
		source.Catalog, source.Objects = shown.Warehouse, shown.store
	}
	return dashboard.New(source)
}

// TestServe shows the fixture to a browser: DASHBOARD_ADDRESS=127.0.0.1:8099 go test -run TestServe. With DASHBOARD_LAKE it
// shows the lake of a demo that has ended.
func TestServe(t *testing.T) {
	address := os.Getenv("DASHBOARD_ADDRESS")
	if address == "" {
		t.Skip("for people: set DASHBOARD_ADDRESS to look at the fixture")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	first := handler(t, publish(t, simulate(defined(t))))
	if folder := os.Getenv("DASHBOARD_LAKE"); folder != "" {
		store := &directory.Store{Root: folder}
		w, err := duck.Open(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		first = handlerOf(t, &published{w, store}, nil, func() time.Time { return time.Date(2026, 1, 26, 9, 30, 0, 0, time.UTC) })
	}
	mux.Handle("/", first)
	mux.Handle("/late/", http.StripPrefix("/late", handler(t, publish(t, answered(t)))))
	mux.Handle("/empty/", http.StripPrefix("/empty", handler(t, publish(t, rows{}))))
	mux.Handle("/busy/", http.StripPrefix("/busy", handler(t, broken{fault.New(fault.Transient, "throttled")})))
	t.Fatal(http.Serve(listener, mux)) //nolint:gosec // a fixture on loopback
}

// hundred are 28 looks at every metric of an experiment.
func hundred(e *experiment.Experiment) rows {
	var s rows
	random := rand.New(rand.NewPCG(1, 2))
	for d := 1; d <= 28; d++ {
		for _, m := range e.Metrics {
			s.results = append(s.results, look(e, m, e.Variants[1].Key, e.Start.AddDate(0, 0, d).Format(time.DateOnly), d, 0.02, 1, random))
		}
	}
	return s
}
