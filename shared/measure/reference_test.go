package measure_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

// cellKey names one cell of one metric.
type cellKey struct{ metric, variant, date string }

// sample is the values of the units of a cell, one by one.
type sample struct{ y, d []float64 }

// samples computes row by row, from the definitions in athena-sql/README.md and nothing that
// measure uses, the value of every unit.
func samples(e *experiment.Experiment, metrics []metric.Metric, events []event, people map[string]string, asOf time.Time) map[cellKey]*sample {
	unitOf := func(entity string) string {
		if unit, ok := people[entity]; ok {
			return unit
		}
		return entity
	}
	type unit struct {
		variants map[string]bool
		variant  string
		first    time.Time
		events   []event
	}
	units := map[string]*unit{}
	for _, v := range events {
		if v.bot {
			continue
		}
		u := units[unitOf(v.entity)]
		if u == nil {
			u = &unit{variants: map[string]bool{}}
			units[unitOf(v.entity)] = u
		}
		u.events = append(u.events, v)
		if v.experiment == e.ID {
			u.variants[v.variant] = true
			u.variant = v.variant
			if u.first.IsZero() || v.at.Before(u.first) {
				u.first = v.at
			}
		}
	}
	out := map[cellKey]*sample{}
	for _, u := range units {
		date := u.first.Truncate(wholeDay)
		if len(u.variants) != 1 || date.Before(e.Start.Time) || !date.Before(e.End()) || !date.Before(asOf) {
			continue
		}
		for _, m := range metrics {
			k := cellKey{m.Name, u.variant, date.Format(time.DateOnly)}
			if out[k] == nil {
				out[k] = &sample{}
			}
			value := func(t metric.Term) (sum float64) {
				for _, v := range u.events {
					age := v.at.Sub(u.first)
					if !v.at.Before(asOf) || age < time.Duration(m.Window.Delay)*wholeDay || age >= time.Duration(m.Window.End())*wholeDay || !passes(t.Filter, v) {
						continue
					}
					switch {
					case t.Aggregation == "count" && (t.Expression == "1" || v.value != nil):
						sum++
					case t.Aggregation == "sum" && v.value != nil:
						sum += *v.value
					}
				}
				return sum
			}
			y, d := value(m.Numerator), 0.0
			switch m.Kind {
			case metric.Ratio:
				d = value(m.Denominator)
			case metric.Conversion, metric.Retention: // any matching event, whatever the measure
				y = min(1, value(metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: m.Numerator.Filter}))
			case metric.Mean, metric.Funnel, metric.Quantile, metric.TimeToEvent:
			}
			out[k].y, out[k].d = append(out[k].y, y), append(out[k].d, d)
		}
	}
	return out
}

// passes reads the few filters that the test draws from.
func passes(filter string, e event) bool {
	if filter == "" {
		return true
	}
	for part := range strings.SplitSeq(filter, " or ") {
		if part == "e.event_name = '"+e.name+"'" {
			return true
		}
	}
	return false
}

// moments takes the definition at its word: two passes over the values.
func (s sample) moments() measure.Statistic {
	n := float64(len(s.y))
	var g measure.Statistic
	for i := range s.y {
		g.MeanY += s.y[i] / n
		g.MeanD += s.d[i] / n
		if s.y[i] != 0 {
			g.Nonzero++
		}
	}
	for i := range s.y {
		y, d := s.y[i]-g.MeanY, s.d[i]-g.MeanD
		g.YY, g.YD, g.DD = g.YY+y*y, g.YD+y*d, g.DD+d*d
	}
	g.Units = int64(len(s.y))
	return g
}

// near tells whether two moments are equal but for rounding, which scales with the sizes of what
// was added: a difference of 1 in a sum of squares of 1e18 is nothing.
func near(got, want measure.Statistic, relative float64) bool {
	n := float64(want.Units)
	sizeY, sizeD := math.Sqrt(want.YY/n)+math.Abs(want.MeanY), math.Sqrt(want.DD/n)+math.Abs(want.MeanD)
	within := func(a, b, size float64) bool { return math.Abs(a-b) <= relative*size }
	return got.Units == want.Units && got.Nonzero == want.Nonzero &&
		within(got.MeanY, want.MeanY, sizeY) && within(got.MeanD, want.MeanD, sizeD) &&
		within(got.YY, want.YY, n*sizeY*sizeY) && within(got.DD, want.DD, n*sizeD*sizeD) && within(got.YD, want.YD, n*sizeY*sizeD)
}

// world is random history: people with devices, bots, several experiments, and events that often
// stand exactly on the edge of a window.
type world struct {
	events []event
	people map[string]string
}

const (
	worldUnits = 120
	worldDays  = 12
)

func newWorld(rng *rand.Rand) world {
	w := world{people: map[string]string{}}
	names := []string{"order_completed", "order_refunded", "page_viewed"}
	variants := []string{"control", "treatment"}
	for u := range worldUnits {
		devices := []string{fmt.Sprintf("a:%d", u)}
		if rng.IntN(4) == 0 {
			devices = append(devices, fmt.Sprintf("a:%d-2", u), fmt.Sprintf("u:%d", u))
			w.people[devices[0]], w.people[devices[1]] = devices[2], devices[2]
		}
		first := day(rng.IntN(worldDays) - 1).Add(time.Duration(rng.Int64N(int64(wholeDay))).Truncate(millisecond))
		variant := variants[rng.IntN(2)]
		for range rng.IntN(4) { // nobody, once, again
			v := variant
			if rng.IntN(25) == 0 {
				v = variants[rng.IntN(2)]
			}
			w.events = append(w.events, exposed("x", devices[rng.IntN(len(devices))], v, first))
			first = first.Add(time.Duration(rng.Int64N(int64(2 * wholeDay))).Truncate(millisecond))
		}
		w.events = append(w.events, exposed("y", devices[0], variants[rng.IntN(2)], day(rng.IntN(worldDays))))
		for range rng.IntN(20) {
			e := event{entity: devices[rng.IntN(len(devices))], name: names[rng.IntN(len(names))], bot: rng.IntN(12) == 0}
			at := w.events[rng.IntN(len(w.events))].at // beside what somebody did
			switch rng.IntN(3) {
			case 0:
				e.at = at.Add(time.Duration(rng.IntN(9)-2) * wholeDay)
			case 1:
				e.at = at.Add(time.Duration(rng.IntN(9)-2)*wholeDay - millisecond)
			default:
				e.at = at.Add(time.Duration(rng.Int64N(int64(6*wholeDay))) - wholeDay).Truncate(millisecond)
			}
			if own := w.firstOf(e.entity); rng.IntN(2) == 0 && !own.IsZero() {
				e.at = own.Add(e.at.Sub(at))
			}
			if rng.IntN(8) > 0 {
				value := math.Round(100*math.Exp(3+rng.NormFloat64())) / 100
				e.value = &value
			}
			w.events = append(w.events, e)
		}
	}
	return w
}

// firstOf is when a device first saw the experiment x.
func (w world) firstOf(entity string) time.Time {
	for _, e := range w.events {
		if e.entity == entity && e.experiment == "x" {
			return e.at
		}
	}
	return time.Time{}
}

func randomMetrics(rng *rand.Rand) []metric.Metric {
	filters := []string{"", isOrder, isOrder, isOrder + " or e.event_name = 'order_refunded'"}
	term := func() metric.Term {
		t := metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: filters[rng.IntN(len(filters))]}
		switch rng.IntN(3) {
		case 0:
			t.Expression = "e.value"
		case 1:
			t.Aggregation, t.Expression = "sum", "e.value"
		}
		return t
	}
	out := make([]metric.Metric, 12)
	for i := range out {
		kind := []metric.Kind{metric.Conversion, metric.Retention, metric.Mean, metric.Ratio}[i%4]
		out[i] = metric.Metric{Name: fmt.Sprintf("m%d", i), Kind: kind, Window: days(rng.IntN(3), 1+rng.IntN(4)), Numerator: term()}
		switch kind {
		case metric.Retention:
			out[i].Window.Delay = 1 + rng.IntN(2)
		case metric.Ratio:
			out[i].Denominator = term()
		case metric.Conversion, metric.Mean, metric.Funnel, metric.Quantile, metric.TimeToEvent:
		}
	}
	return out
}

// rounding is what the order of additions may change: some units in the last place of a float64.
const rounding = 1e-12

func TestAgreesWithRowByRow(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(rng)
			h := newHome(t)
			h.land(t, w.events, w.people)
			metrics := randomMetrics(rng)
			e := running("x", 9, metrics...)
			for _, asOf := range []time.Time{day(3), day(worldDays), day(40)} {
				want := samples(e, metrics, w.events, w.people, asOf)
				cells := h.cells(t, e, metrics, asOf)
				if len(want) < len(metrics)*4 {
					t.Fatalf("only %d cells: the test shows nothing", len(want))
				}
				whole := map[cellKey]*sample{}
				merged := map[cellKey]stats.Gram{}
				for _, got := range cells {
					k := cellKey{got.Metric, got.Variant, got.ExposureDate}
					s := want[k]
					if s == nil {
						t.Errorf("as of %s there is a cell too many: %+v", asOf.Format(time.DateOnly), got)
						continue
					}
					delete(want, k)
					if !near(got, s.moments(), rounding) {
						t.Errorf("as of %s cell %+v:\ngot  %+v\nwant %+v", asOf.Format(time.DateOnly), k, got, s.moments())
					}
					k.date = ""
					merged[k] = merged[k].Merge(got.Gram())
					if whole[k] == nil {
						whole[k] = &sample{}
					}
					whole[k].y, whole[k].d = append(whole[k].y, s.y...), append(whole[k].d, s.d...)
				}
				for k := range want {
					t.Errorf("as of %s the cell %+v is missing", asOf.Format(time.DateOnly), k)
				}
				for k, g := range merged {
					total := whole[k].moments()
					got := measure.Statistic{Units: g.N, MeanY: g.MeanY, MeanD: g.MeanD, YY: g.YY, YD: g.YD, DD: g.DD, Nonzero: total.Nonzero}
					if !near(got, total, rounding) {
						t.Errorf("cells of %+v add up to\n%+v, want\n%+v", k, got, total)
					}
				}
			}
		})
	}
}

// A cell whose units have lived through the metric's window is final: measured on any later day it
// is the same. Before, it may still grow, which is why evaluations leave it out.
func TestACompleteCellIsFinal(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 2))
	w := newWorld(rng)
	h := newHome(t)
	h.land(t, w.events, w.people)
	metrics := randomMetrics(rng)
	e := running("x", 9, metrics...)
	final := map[cellKey]measure.Statistic{}
	for _, s := range h.cells(t, e, metrics, day(40)) {
		final[cellKey{s.Metric, s.Variant, s.ExposureDate}] = s
	}
	complete, grown := 0, 0
	for n := 1; n < worldDays; n++ {
		for _, s := range h.cells(t, e, metrics, day(n)) {
			m, err := metric.Find(metrics, s.Metric)
			if err != nil {
				t.Fatal(err)
			}
			exposure, err := time.Parse(time.DateOnly, s.ExposureDate)
			if err != nil {
				t.Fatal(err)
			}
			// The last unit of the day may have come in at its last moment.
			lived := !day(n).Before(exposure.AddDate(0, 0, 1+m.Window.End()))
			same := near(s, final[cellKey{s.Metric, s.Variant, s.ExposureDate}], rounding)
			switch {
			case lived && !same:
				t.Errorf("as of day %d: %+v changes later", n, s)
			case lived:
				complete++
			case !same:
				grown++
			}
		}
	}
	if complete == 0 || grown == 0 {
		t.Errorf("%d complete cells and %d that grew: the test shows nothing", complete, grown)
	}
}

// An event that arrives late changes the cell of its unit, and no other.
func TestALateEventChangesItsCellOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 3))
	w := newWorld(rng)
	h := newHome(t)
	h.land(t, w.events, w.people)
	metrics := []metric.Metric{
		{Name: "spent", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()},
		{Name: "counted", Kind: metric.Mean, Window: days(0, 3), Numerator: orders()},
		{Name: "later", Kind: metric.Mean, Window: days(2, 3), Numerator: revenue()},
	}
	e := running("x", 9, metrics...)
	before := h.cells(t, e, metrics, day(40))
	single := slices.IndexFunc(w.events, func(v event) bool {
		return v.experiment == "x" && v.at.After(day(2)) && v.at.Before(day(5)) && w.people[v.entity] == "" && w.units(v.entity) == 1
	})
	if single < 0 {
		t.Fatal("nobody was exposed exactly once")
	}
	unit := w.events[single]
	h.land(t, append(w.events, ordered(unit.entity, unit.at.Add(hour), 1000)), w.people)
	after := h.cells(t, e, metrics, day(40))
	if len(before) != len(after) {
		t.Fatalf("%d cells became %d", len(before), len(after))
	}
	var changed []string
	for i := range after {
		if near(after[i], before[i], rounding) {
			continue
		}
		changed = append(changed, after[i].Metric)
		if after[i].Variant != unit.variant || after[i].ExposureDate != unit.at.Format(time.DateOnly) {
			t.Errorf("the cell of somebody else changed: %+v", after[i])
		}
		if after[i].Metric == "spent" {
			if got := (after[i].MeanY - before[i].MeanY) * float64(after[i].Units); math.Abs(got-1000) > 1e-6 {
				t.Errorf("the cell grew by %g, want 1000", got)
			}
		}
	}
	slices.SortFunc(changed, cmp.Compare)
	if diff := gocmp.Diff([]string{"counted", "spent"}, changed); diff != "" {
		t.Errorf("changed -want +got:\n%s", diff)
	}
}

// units is how often an id was exposed to the experiment x.
func (w world) units(entity string) int {
	n := 0
	for _, e := range w.events {
		if e.entity == entity && e.experiment == "x" && !e.bot {
			n++
		}
	}
	return n
}

// Sums of squares would lose a deviation of 1 beside a mean of 1e9 altogether: 1e18 and 1 are
// further apart than a float64 has digits.
func TestLargeMeansKeepTheirVariance(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 4))
	h := newHome(t)
	var events []event
	var s sample
	for u := range 200 {
		entity := fmt.Sprintf("a:%d", u)
		value := 1e9 + math.Round(1000*rng.NormFloat64())/1000
		events = append(events, exposed("x", entity, "control", day(0)), ordered(entity, day(0), value))
		s.y, s.d = append(s.y, value), append(s.d, 0)
	}
	h.land(t, events, nil)
	metrics := []metric.Metric{{Name: "spent", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}}
	cells := h.cells(t, running("x", 9, metrics...), metrics, day(9))
	if len(cells) != 1 {
		t.Fatalf("got %d cells, want 1", len(cells))
	}
	got, want := cells[0], s.moments()
	// A value of 1e9 is itself known to 1e-7.
	if math.Abs(got.YY/want.YY-1) > 1e-6 || got.Units != 200 {
		t.Errorf("sum of squares %g of %d units, want %g of 200", got.YY, got.Units, want.YY)
	}
}
