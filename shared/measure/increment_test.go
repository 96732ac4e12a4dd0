package measure_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"verdict/shared/dialect"
	"verdict/shared/experiment"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/table"
)

// spy is an engine that remembers what totals were made of.
type spy struct {
	lake.Engine
	t       testing.TB
	unloads []string
}

func (s *spy) Unload(ctx context.Context, sql, prefix string, by []string) error {
	if strings.Contains(prefix, "fact_user_metric") {
		s.unloads = append(s.unloads, sql)
	}
	return s.Engine.Unload(ctx, sql, prefix, by)
}

// history lands a world as time goes by: events when they arrive, merges when they are found.
type history struct {
	*home
	arrived map[string][]event // by day
	people  map[string]string
}

// arrive lands events; the day before one that changes is made anew too, as fact_event is, with the same rows.
func (h *history) arrive(t *testing.T, events []event) {
	t.Helper()
	changed := map[string]bool{}
	for _, e := range events {
		for _, n := range []int{-1, 0} {
			changed[e.at.AddDate(0, 0, n).Format(time.DateOnly)] = true
		}
		date := e.at.Format(time.DateOnly)
		h.arrived[date] = append(h.arrived[date], e)
	}
	var all []event
	for date := range changed {
		all = append(all, h.arrived[date]...)
	}
	if len(all) > 0 {
		h.landEvents(t, all)
	}
}

func (h *history) resolve(t *testing.T) {
	t.Helper()
	var members []identity.Member
	for entity, unit := range h.people {
		members = append(members, identity.Member{EntityID: entity, UnitID: unit, Method: "signed_in", Confidence: 1})
	}
	if err := table.Write(t.Context(), h.store, h.warehouse, table.Place{Table: "identity_map", Run: h.newRun()}, members); err != nil {
		t.Fatal(err)
	}
	h.build(t)
}

// manyMetrics are of every kind, those that do not add up too.
func manyMetrics(rng *rand.Rand) []metric.Metric {
	out := randomMetrics(rng)
	anyOrder := metric.Term{Table: metric.Events(), Aggregation: "max", Expression: "e.value", Filter: isOrder}
	distinct := metric.Term{Table: metric.Events(), Aggregation: "count_distinct", Expression: "e.event_name"}
	return append(out,
		metric.Metric{Name: "largest", Kind: metric.Mean, Window: days(0, 3), Numerator: anyOrder},
		metric.Metric{Name: "capped", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), Cap: 50},
		metric.Metric{Name: "soon", Kind: metric.TimeToEvent, Window: days(0, 3), Numerator: orders()},
		metric.Metric{Name: "hours", Kind: metric.Mean, Window: metric.Window{Delay: 6, Length: 30, Unit: "hour"}, Numerator: revenue()},
		metric.Metric{Name: "calendar", Kind: metric.Mean, Window: metric.Window{Length: 2, Unit: "day", TimeZone: "Australia/Sydney"}, Numerator: revenue()},
		metric.Metric{Name: "adjusted", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), Covariate: rng.IntN(4)},
		metric.Metric{Name: "per_order", Kind: metric.Ratio, Window: days(0, 3), Numerator: revenue(), Denominator: orders(), Covariate: 2 * rng.IntN(2)},
		metric.Metric{Name: "kinds", Kind: metric.Mean, Window: days(0, 3), Numerator: distinct},
		metric.Metric{Name: "winsorized", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), CapQuantile: 0.9},
		metric.Metric{Name: "median", Kind: metric.Quantile, Window: days(0, 3), Numerator: revenue(), Level: 0.5},
		metric.Metric{Name: "lately", Kind: metric.Mean, Window: metric.Window{Lookback: 3, Unit: "day"}, Numerator: revenue()},
		metric.Metric{Name: "first", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), Touch: metric.FirstTouch})
}

// Looks day by day, as events arrive late, people merge and part, devices meet a second variant, days are looked at twice or not
// at all, and a definition changes, give the cells that the query over everything gives.
func TestIncrementsAgree(t *testing.T) {
	total := 0
	for seed, often := range []struct{ late, lateExposure, merge int }{{50, 50, 1000}, {1000, 12, 1000}, {1000, 1000, 30}} { // one in so many
		t.Run(fmt.Sprintf("late 1:%d, exposures 1:%d, merges 1:%d", often.late, often.lateExposure, often.merge), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 9)) //nolint:gosec // small
			w := newWorld(rng)
			h := &history{home: newHome(t), arrived: map[string][]event{}, people: map[string]string{}}
			engine := &spy{Engine: h.warehouse, t: t}
			h.measurer.Engine = engine
			anew, late := 0, 0
			h.measurer.Say = func(_, what string) {
				anew++
				if strings.Contains(what, "unit came in late") {
					late++
				}
			}
			arrival := make([]int, len(w.events))
			for i, e := range w.events {
				arrival[i] = int(e.at.Sub(start())/wholeDay) + 1
				if rng.IntN(often.late) == 0 || e.experiment == "x" && rng.IntN(often.lateExposure) == 0 {
					arrival[i] += rng.IntN(5)
				}
			}
			metrics := manyMetrics(rng)
			advanced, kept := 0, 0
			for n := 1; n < worldDays+4; n++ {
				var today []event
				for i, e := range w.events {
					if arrival[i] == n || n == 1 && arrival[i] < n {
						today = append(today, e)
					}
				}
				h.arrive(t, today)
				for entity, unit := range w.people {
					switch rng.IntN(often.merge) {
					case 0:
						h.people[entity] = unit
					case 1:
						delete(h.people, entity)
					}
				}
				h.resolve(t)
				if rng.IntN(6) == 0 {
					continue // nobody looked
				}
				if n == worldDays-2 {
					metrics[0].Window.Length++
				}
				e := running("x", 9, metrics...)
				for range 1 + rng.IntN(5)/4 {
					before := len(engine.unloads)
					got, _ := h.run(t, []*experiment.Experiment{e}, metrics, day(n))
					for _, sql := range engine.unloads[before:] {
						if strings.Contains(sql, "join fact_user_metric_x as s") {
							advanced++
						}
						if strings.Contains(sql, "on s.exposure_date = x.exposure_date") {
							kept++
						}
						if found := dialect.Check(sql); len(found) > 0 {
							t.Fatalf("not in the dialect: %v", found)
						}
					}
					compareCells(t, n, h.cells(t, e, metrics, day(n)), got)
				}
			}
			t.Logf("%d looks added to totals, %d kept closed cohorts, %d cohorts were measured anew, %d for a unit", advanced, kept, anew, late)
			total += advanced
		})
	}
	if total < 12 {
		t.Errorf("%d looks added to totals: the test shows nothing", total)
	}
}

// alike tells whether two cells are equal but for rounding, covariates and quantiles included.
func alike(got, want measure.Statistic) bool {
	size := func(ss, mean float64) float64 { return math.Sqrt(ss/float64(want.Units)) + math.Abs(mean) }
	y, d, x, z := size(want.YY, want.MeanY), size(want.DD, want.MeanD), size(want.XX, want.MeanX), size(want.ZZ, want.MeanZ)
	n := float64(want.Units)
	for _, c := range []struct{ got, want, size float64 }{
		{got.MeanX, want.MeanX, x},
		{got.MeanZ, want.MeanZ, z},
		{got.YX, want.YX, n * y * x},
		{got.DX, want.DX, n * d * x},
		{got.XX, want.XX, n * x * x},
		{got.YZ, want.YZ, n * y * z},
		{got.DZ, want.DZ, n * d * z},
		{got.XZ, want.XZ, n * x * z},
		{got.ZZ, want.ZZ, n * z * z},
		{got.Quantile, want.Quantile, math.Abs(want.Quantile)},
		{got.QuantileLow, want.QuantileLow, math.Abs(want.QuantileLow)},
		{got.QuantileHigh, want.QuantileHigh, math.Abs(want.QuantileHigh)},
	} {
		if same := math.IsNaN(c.got) && math.IsNaN(c.want) || math.Abs(c.got-c.want) <= rounding*c.size; !same {
			return false
		}
	}
	return near(got, want, rounding)
}

func compareCells(t *testing.T, n int, want, got []measure.Statistic) {
	t.Helper()
	of := map[cellKey]measure.Statistic{}
	for _, s := range want {
		of[cellKey{s.Metric, s.Variant, s.ExposureDate}] = s
	}
	for _, s := range got {
		k := cellKey{s.Metric, s.Variant, s.ExposureDate}
		full, ok := of[k]
		delete(of, k)
		if !ok || !alike(s, full) {
			t.Errorf("as of day %d cell %v:\ngot  %+v\nwant %+v", n, k, s, full)
		}
	}
	for k := range of {
		t.Errorf("as of day %d the cell %v is missing", n, k)
	}
}

// A unit whose first exposure turns out to have been another day takes nothing of its old total along.
func TestAUnitMovesToAnotherCohort(t *testing.T) {
	h := &history{home: newHome(t), arrived: map[string][]event{}, people: map[string]string{}}
	h.arrive(t, []event{
		exposed("x", "a:1", "control", day(8)), ordered("a:1", day(8).Add(hour), 10),
		exposed("x", "a:2", "control", day(0)), ordered("a:2", day(0).Add(hour), 30),
		exposed("x", "a:3", "control", day(8)), ordered("a:3", day(8).Add(hour), 70),
	})
	h.resolve(t)
	metrics := []metric.Metric{{Name: "spent", Kind: metric.Mean, Window: days(0, 1), Numerator: revenue()}}
	e := running("x", 9, metrics...)
	look := func() []measure.Statistic {
		cells, _ := h.run(t, []*experiment.Experiment{e}, metrics, day(11))
		compareCells(t, 11, h.cells(t, e, metrics, day(11)), cells)
		return cells
	}
	before := look()
	h.arrive(t, []event{exposed("x", "a:1", "control", day(0).Add(2*hour))})
	h.resolve(t)
	after := look()
	if len(before) != 2 || len(after) != 2 || before[0].Units != 1 || after[0].Units != 2 || after[0].MeanY != 15 || after[1].MeanY != 70 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

// A cohort whose windows have ended is not measured anew when a unit leaves it, and is when one turns out to be somebody else.
func TestAClosedCohortLosesAUnit(t *testing.T) {
	h := &history{home: newHome(t), arrived: map[string][]event{}, people: map[string]string{}}
	engine := &spy{Engine: h.warehouse, t: t}
	h.measurer.Engine = engine
	h.arrive(t, []event{
		exposed("x", "a:1", "control", day(0)), ordered("a:1", day(0).Add(hour), 10),
		exposed("x", "a:2", "control", day(0)), ordered("a:2", day(0).Add(hour), 30),
		exposed("x", "a:3", "control", day(0)), ordered("a:3", day(0).Add(hour), 70),
		ordered("a:4", day(0).Add(2*hour), 5),
	})
	h.resolve(t)
	metrics := []metric.Metric{
		{Name: "spent", Kind: metric.Mean, Window: days(0, 1), Numerator: revenue()},
		{Name: "soon", Kind: metric.TimeToEvent, Window: days(0, 1), Numerator: orders()},
	}
	e := running("x", 9, metrics...)
	look := func(n int) (cells []measure.Statistic, unloads []string) {
		before := len(engine.unloads)
		cells, _ = h.run(t, []*experiment.Experiment{e}, metrics, day(n))
		compareCells(t, n, h.cells(t, e, metrics, day(n)), cells)
		return cells, engine.unloads[before:]
	}
	look(4)
	h.arrive(t, []event{exposed("x", "a:3", "treatment", day(4))})
	h.resolve(t)
	cells, unloads := look(6)
	if len(unloads) != 1 || strings.Contains(unloads[0], "fact_event") || len(cells) != 2 || cells[0].Units != 2 || cells[1].MeanY != 20 {
		t.Errorf("%+v\n%s", cells, strings.Join(unloads, "\n\n"))
	}
	h.people["a:4"] = "a:2"
	h.resolve(t)
	cells, unloads = look(7)
	if len(unloads) != 2 || !strings.Contains(unloads[1], "fact_event") || len(cells) != 2 || cells[1].MeanY != 22.5 {
		t.Errorf("%+v\n%s", cells, strings.Join(unloads, "\n\n"))
	}
}
