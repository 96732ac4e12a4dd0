package evaluate_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/table"
)

// home is a lake on this machine.
type home struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	evaluator *evaluate.Evaluator
	runs      int
}

func newHome(t *testing.T) *home {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	h := &home{store: store, warehouse: w}
	h.evaluator = &evaluate.Evaluator{Objects: store, Engine: w, Catalog: w, NewRun: h.newRun}
	return h
}

func (h *home) newRun() string {
	h.runs++
	return strconv.Itoa(h.runs)
}

// measured publishes what measure would for a day.
func (h *home) measured(t *testing.T, asOf time.Time, cells []measure.Statistic, units []measure.Exposure) {
	t.Helper()
	day := asOf.Format(time.DateOnly)
	place := func(name string) table.Place {
		return table.Place{Table: name, Run: h.newRun(), PartitionBy: []string{"as_of"}, Values: []string{day}}
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, place("fact_experiment_statistic"), cells); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, place("fact_experiment_traffic"), units); err != nil {
		t.Fatal(err)
	}
}

func (h *home) run(t *testing.T, e *experiment.Experiment, asOf time.Time) evaluate.Result {
	t.Helper()
	results, checks, err := h.evaluator.Run(t.Context(), []*experiment.Experiment{e}, []metric.Metric{purchase(metric.Conversion)}, asOf)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 1 || len(checks) != 4 {
		t.Fatalf("%d results and %d checks, want 1 and 4", len(results), len(checks))
	}
	return results[0]
}

func (h *home) published(t *testing.T) ([]evaluate.Result, []evaluate.Check) {
	t.Helper()
	results, err := lake.Read[evaluate.Result](t.Context(), h.warehouse, "select * from fact_experiment_results order by as_of, metric")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := lake.Read[evaluate.Check](t.Context(), h.warehouse, "select * from fact_experiment_check order by as_of, name")
	if err != nil {
		t.Fatal(err)
	}
	return results, checks
}

func TestRunPublishesWhatItReturns(t *testing.T) {
	h, e := newHome(t), defined(goal("purchase"))
	h.measured(t, day(4), []measure.Statistic{converted("control", start(), 1000, 100), converted("short", start(), 1000, 180)},
		[]measure.Exposure{traffic("control", 1000, 1), traffic("short", 1000, 0)})
	var results []evaluate.Result
	var checks []evaluate.Check
	for range 2 {
		var err error
		results, checks, err = h.evaluator.Run(t.Context(), []*experiment.Experiment{e}, []metric.Metric{purchase(metric.Conversion)}, day(4))
		if err != nil {
			t.Fatal(err)
		}
		gotResults, gotChecks := h.published(t)
		if diff := cmp.Diff(results, gotResults); diff != "" {
			t.Errorf("results (-returned +published):\n%s", diff)
		}
		if diff := cmp.Diff(checks, gotChecks, cmpopts.SortSlices(func(a, b evaluate.Check) bool { return a.Name < b.Name })); diff != "" {
			t.Errorf("checks (-returned +published):\n%s", diff)
		}
	}
	if results[0].Significance != "better" || results[0].AsOf != "2026-01-09" || !results[0].EvaluatedAt.Equal(day(4)) {
		t.Errorf("result %+v", results[0])
	}
}

// The effect of the first days turns round later: the evidence goes again, the p-value does not rise.
func TestThePValueNeverRises(t *testing.T) {
	h, e := newHome(t), defined(goal("purchase"))
	random := rand.New(rand.NewPCG(3, 4))
	rule := evaluate.Rule(e)
	var cells []measure.Statistic
	least, rose := 1.0, false
	for n := range e.PlannedDays + 3 {
		if n < e.PlannedDays {
			lead := int64(12)
			if n >= e.PlannedDays/2 {
				lead = -12
			}
			cells = append(cells, converted("control", day(n), 200, 20+random.Int64N(20)), converted("short", day(n), 200, 20+lead+random.Int64N(20)))
		}
		h.measured(t, day(n+1), cells, nil)
		got := h.run(t, e, day(n+1))
		if got.AnytimeP > least {
			t.Errorf("day %d: p rose from %v to %v", n+1, least, got.AnytimeP)
		}
		alone, _ := evaluate.Evaluate(evaluate.Input{
			Experiment: e, Metrics: []metric.Metric{purchase(metric.Conversion)}, Statistics: cells, AsOf: day(min(n+1, e.PlannedDays)), Rule: rule,
		})
		rose = rose || alone[0].AnytimeP > least
		least = min(least, alone[0].AnytimeP)
		if got.AnytimeP != least {
			t.Errorf("day %d: p %v, want the least one so far, %v", n+1, got.AnytimeP, least)
		}
	}
	if !rose {
		t.Error("the evidence never weakened: the test cannot fail")
	}
}

func TestANewDefinitionStartsAnew(t *testing.T) {
	h, e := newHome(t), defined(goal("purchase"))
	strong := []measure.Statistic{converted("control", start(), 1000, 100), converted("short", start(), 1000, 180)}
	weak := append([]measure.Statistic{converted("control", day(1), 1000, 180), converted("short", day(1), 1000, 100)}, strong...)
	h.measured(t, day(3), strong, nil)
	h.measured(t, day(4), weak, nil)
	first := h.run(t, e, day(3))
	if first.AnytimeP > 0.01 {
		t.Fatalf("p %v of strong evidence", first.AnytimeP)
	}
	if got := h.run(t, e, day(4)); got.AnytimeP != first.AnytimeP || got.Significance != "" {
		t.Errorf("p %v, %q, want the p-value of the day before, %v, and nothing significant any more", got.AnytimeP, got.Significance, first.AnytimeP)
	}
	e.MDE = 0.1
	if got := h.run(t, e, day(4)); got.AnytimeP != 1 {
		t.Errorf("p %v under a new definition, want 1", got.AnytimeP)
	}
	// Neither does the past know the future.
	if got := h.run(t, e, day(3)); math.Abs(got.AnytimeP-first.AnytimeP) > 1e-15 {
		t.Errorf("p %v on the day before, want %v", got.AnytimeP, first.AnytimeP)
	}
}

// Looked at on time, late, or every day afterwards: it is the same look, at the same units.
func TestThePlannedEndIsOneLook(t *testing.T) {
	e := defined(goal("purchase"))
	var cells []measure.Statistic
	for n := range e.PlannedDays {
		cells = append(cells, converted("control", day(n), 300, 30), converted("short", day(n), 300, 39))
	}
	want := evaluated(t, e, purchase(metric.Conversion), day(e.PlannedDays), cells...)
	if want.Significance != "better" || want.UnitsControl != 300*12 {
		t.Fatalf("at the end: %q of %d units", want.Significance, want.UnitsControl)
	}
	for name, looks := range map[string][]int{"on time": {14}, "late": {30}, "again and again": {14, 15, 17, 18}} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			for _, n := range looks {
				h.measured(t, day(n), cells, nil)
				got := h.run(t, e, day(n))
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(evaluate.Result{}, "AsOf")); diff != "" {
					t.Errorf("on day %d (-on time +now):\n%s", n, diff)
				}
				if got.AsOf != day(n).Format(time.DateOnly) {
					t.Errorf("as of %s on day %d", got.AsOf, n)
				}
			}
		})
	}
}

func TestRunLeavesOutWhatHasNotStarted(t *testing.T) {
	h, e := newHome(t), defined(goal("purchase"))
	h.measured(t, day(0), nil, nil)
	results, checks, err := h.evaluator.Run(t.Context(), []*experiment.Experiment{e}, nil, day(0))
	if err != nil || len(results) != 0 || len(checks) != 0 {
		t.Errorf("%v, %v, %v, want nothing", results, checks, err)
	}
}

// full is a store that has no room left for one table.
type full struct {
	lake.Objects
	table string
}

func (f full) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if strings.Contains(key, f.table) {
		return fault.New(fault.Transient, "no room for %s", key)
	}
	return f.Objects.Put(ctx, key, body, mode)
}

func TestNoResultsWithoutChecks(t *testing.T) {
	h, e := newHome(t), defined(goal("purchase"))
	h.measured(t, day(4), []measure.Statistic{converted("control", start(), 1000, 100), converted("short", start(), 1000, 180)}, nil)
	h.evaluator.Objects = full{h.store, "fact_experiment_check"}
	_, _, err := h.evaluator.Run(t.Context(), []*experiment.Experiment{e}, []metric.Metric{purchase(metric.Conversion)}, day(4))
	if !fault.Is(err, fault.Transient) {
		t.Fatalf("got %v, want that there is no room", err)
	}
	if _, err := h.warehouse.Table(t.Context(), "fact_experiment_results"); !fault.Is(err, fault.NotFound) {
		t.Errorf("there are results that nobody has checked: %v", err)
	}
}
