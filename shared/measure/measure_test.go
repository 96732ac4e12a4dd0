package measure_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

const (
	hour        = time.Hour
	wholeDay    = 24 * hour
	millisecond = time.Millisecond
)

// One unit at a time, so that the mean of its cell is its value.
func TestValueOfAUnit(t *testing.T) {
	const me = "a:me"
	first := day(0).Add(10 * hour)
	buy := func(after time.Duration, value float64) event { return ordered(me, first.Add(after), value) }
	view := func(after time.Duration) event {
		return event{entity: me, name: "page_viewed", at: first.Add(after)}
	}
	changed := func(e event, change func(*event)) event {
		change(&e)
		return e
	}
	bought := metric.Metric{Kind: metric.Conversion, Window: days(0, 3), Numerator: orders()}
	spent := metric.Metric{Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}
	capped := metric.Metric{Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), Cap: 10.5}
	counted := metric.Metric{Kind: metric.Mean, Window: days(0, 3), Numerator: orders()}
	delayed := metric.Metric{Kind: metric.Mean, Window: days(2, 1), Numerator: revenue()}
	returned := metric.Metric{Kind: metric.Retention, Window: days(1, 3), Numerator: anything()}
	basket := metric.Metric{Kind: metric.Ratio, Window: days(0, 3), Numerator: revenue(), Denominator: orders()}
	valued := metric.Metric{Kind: metric.Mean, Window: days(0, 3), Numerator: metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "e.value", Filter: isOrder}}
	either := metric.Metric{Kind: metric.Mean, Window: days(0, 3), Numerator: metric.Term{
		Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = 'order_completed' or e.event_name = 'order_refunded'",
	}}
	type value struct{ Y, D float64 }
	cases := map[string]struct {
		metric metric.Metric
		events []event
		want   value
	}{
		"nothing but the exposure":           {bought, nil, value{}},
		"nothing bought spends zero":         {spent, []event{view(hour)}, value{}},
		"bought":                             {bought, []event{buy(hour, 5)}, value{Y: 1}},
		"bought twice converts once":         {bought, []event{buy(hour, 5), buy(2*hour, 5)}, value{Y: 1}},
		"bought twice counts twice":          {counted, []event{buy(hour, 5), buy(2*hour, 5)}, value{Y: 2}},
		"sums all orders":                    {spent, []event{buy(hour, 5), buy(2*hour, 7.25)}, value{Y: 12.25}},
		"at the moment of exposure":          {spent, []event{buy(0, 5)}, value{Y: 5}},
		"before the exposure":                {spent, []event{buy(-millisecond, 5), buy(hour, 1)}, value{Y: 1}},
		"last moment of the window":          {spent, []event{buy(3*wholeDay-millisecond, 5)}, value{Y: 5}},
		"end of the window is out":           {spent, []event{buy(3*wholeDay, 5)}, value{}},
		"before the delay":                   {delayed, []event{buy(2*wholeDay-millisecond, 5)}, value{}},
		"end of the delay is in":             {delayed, []event{buy(2*wholeDay, 5)}, value{Y: 5}},
		"end of a delayed window":            {delayed, []event{buy(3*wholeDay-millisecond, 5), buy(3*wholeDay, 1)}, value{Y: 5}},
		"same day is no return":              {returned, []event{view(wholeDay - millisecond)}, value{}},
		"next day is a return":               {returned, []event{view(wholeDay)}, value{Y: 1}},
		"last moment to return":              {returned, []event{view(4*wholeDay - millisecond)}, value{Y: 1}},
		"too late to return":                 {returned, []event{view(4 * wholeDay)}, value{}},
		"ratio keeps both sums":              {basket, []event{buy(hour, 5), buy(2*hour, 7), buy(-hour, 9)}, value{12, 2}},
		"ratio of a unit without orders":     {basket, []event{view(hour)}, value{}},
		"what bots do":                       {spent, []event{buy(hour, 5), changed(buy(2*hour, 7), func(e *event) { e.bot = true })}, value{Y: 5}},
		"what others do":                     {spent, []event{buy(hour, 5), ordered("a:other", first.Add(hour), 7)}, value{Y: 5}},
		"other events":                       {counted, []event{view(hour), buy(hour, 5)}, value{Y: 1}},
		"an order without a value adds zero": {spent, []event{buy(hour, 5), changed(buy(2*hour, 0), func(e *event) { e.value = nil })}, value{Y: 5}},
		"a count of a column skips null":     {valued, []event{buy(hour, 5), buy(hour, 0), changed(buy(2*hour, 0), func(e *event) { e.value = nil })}, value{Y: 2}},
		"or in a filter keeps the window":    {either, []event{buy(hour, 5), buy(4*wholeDay, 5), changed(buy(hour, 1), func(e *event) { e.name = "order_refunded" })}, value{Y: 2}},
		"a cap is on the unit's sum":         {capped, []event{buy(hour, 7), buy(2*hour, 7)}, value{Y: 10.5}},
		"below the cap":                      {capped, []event{buy(hour, 7)}, value{Y: 7}},
		"refunds below zero":                 {spent, []event{buy(hour, -5)}, value{Y: -5}},
	}
	h := newHome(t)
	var all []event
	for name, c := range cases { // each has an experiment and a unit of its own
		all = append(all, exposed(name, "a:"+name, "treatment", first))
		for _, e := range c.events {
			if e.entity == me {
				e.entity = "a:" + name
			}
			all = append(all, e)
		}
	}
	h.land(t, all, nil)
	longest := metric.Metric{Name: "longest", Kind: metric.Conversion, Window: days(0, 20), Numerator: orders()}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.metric.Name = "m"
			// A metric with a longer window beside it must not change anything.
			metrics := []metric.Metric{c.metric, longest}
			cells := h.cells(t, running(name, 14, metrics...), metrics, day(30))
			want := measure.Statistic{ExperimentID: name, Metric: "m", Variant: "treatment", ExposureDate: "2026-01-05", Units: 1, MeanY: c.want.Y, MeanD: c.want.D}
			if c.want.Y != 0 {
				want.Nonzero = 1
			}
			if len(cells) != 2 {
				t.Fatalf("got %d cells, want one a metric: %+v", len(cells), cells)
			}
			if diff := cmp.Diff(want, cells[0]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Four units, worked out by hand: 0 and 10 on the first day, 4 on the second, and 6 in the other arm.
func TestCellsAreDaysOfFirstExposure(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{
		exposed("x", "a:1", "control", day(0)), // the first moment of the experiment
		exposed("x", "a:1", "control", day(1).Add(hour)),
		exposed("x", "a:2", "control", day(1).Add(-millisecond)), ordered("a:2", day(2), 3), ordered("a:2", day(2), 7),
		exposed("x", "a:3", "control", day(1)), ordered("a:3", day(1).Add(hour), 4),
		exposed("x", "a:4", "treatment", day(0).Add(hour)), ordered("a:4", day(1), 6),
		exposed("y", "a:4", "treatment", day(0).Add(hour)), // another experiment
	}, nil)
	spent := metric.Metric{Name: "spent", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}
	basket := metric.Metric{Name: "basket", Kind: metric.Ratio, Window: days(0, 3), Numerator: revenue(), Denominator: orders()}
	metrics := []metric.Metric{spent, basket}
	got := h.cells(t, running("x", 14, metrics...), metrics, day(10))
	cell := func(metric, variant, date string, s measure.Statistic) measure.Statistic {
		s.ExperimentID, s.Metric, s.Variant, s.ExposureDate = "x", metric, variant, date
		return s
	}
	want := []measure.Statistic{
		cell("spent", "control", "2026-01-05", measure.Statistic{Units: 2, Nonzero: 1, MeanY: 5, YY: 50}),
		cell("basket", "control", "2026-01-05", measure.Statistic{Units: 2, Nonzero: 1, MeanY: 5, YY: 50, MeanD: 1, DD: 2, YD: 10}),
		cell("spent", "control", "2026-01-06", measure.Statistic{Units: 1, Nonzero: 1, MeanY: 4}),
		cell("basket", "control", "2026-01-06", measure.Statistic{Units: 1, Nonzero: 1, MeanY: 4, MeanD: 1}),
		cell("spent", "treatment", "2026-01-05", measure.Statistic{Units: 1, Nonzero: 1, MeanY: 6}),
		cell("basket", "treatment", "2026-01-05", measure.Statistic{Units: 1, Nonzero: 1, MeanY: 6, MeanD: 1}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhoIsCounted(t *testing.T) {
	bot := exposed("x", "a:bot", "treatment", day(0))
	bot.bot = true
	// The second day is the last one of the experiment.
	for name, c := range map[string]struct {
		events []event
		people map[string]string
		asOf   time.Time
		want   map[string]int64 // units by variant
		multi  map[string]int64 // units that saw several variants, by the first of these in the alphabet
	}{
		"nobody":                  {[]event{ordered("a:1", day(0), 1)}, nil, day(9), nil, nil},
		"bots do not":             {[]event{bot, exposed("x", "a:1", "control", day(0))}, nil, day(9), map[string]int64{"control": 1}, nil},
		"two variants do not":     {[]event{exposed("x", "a:1", "treatment", day(0)), exposed("x", "a:1", "control", day(0).Add(hour))}, nil, day(9), nil, map[string]int64{"control": 1}},
		"two devices are one":     {[]event{exposed("x", "a:1", "control", day(0)), exposed("x", "a:2", "control", day(0))}, map[string]string{"a:1": "u:1", "a:2": "u:1"}, day(9), map[string]int64{"control": 1}, nil},
		"two devices, two arms":   {[]event{exposed("x", "a:1", "control", day(0)), exposed("x", "a:2", "treatment", day(0))}, map[string]string{"a:1": "u:1", "a:2": "u:1"}, day(9), nil, map[string]int64{"control": 1}},
		"before the start do not": {[]event{exposed("x", "a:1", "control", day(0).Add(-millisecond)), exposed("x", "a:1", "control", day(0))}, nil, day(9), nil, nil},
		"at the end do not":       {[]event{exposed("x", "a:1", "control", day(2)), exposed("x", "a:2", "control", day(2).Add(-millisecond))}, nil, day(9), map[string]int64{"control": 1}, nil},
		"of today do not":         {[]event{exposed("x", "a:1", "control", day(1)), exposed("x", "a:2", "control", day(1).Add(-millisecond))}, nil, day(1), map[string]int64{"control": 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.land(t, c.events, c.people)
			bought := metric.Metric{Name: "bought", Kind: metric.Conversion, Window: days(0, 1), Numerator: orders()}
			cells, traffic := h.run(t, []*experiment.Experiment{running("x", 2, bought)}, []metric.Metric{bought}, c.asOf)
			units, single, multi := map[string]int64{}, map[string]int64{}, map[string]int64{}
			for _, s := range cells {
				units[s.Variant] += s.Units
			}
			for _, x := range traffic {
				single[x.Variant] += x.Units
				multi[x.Variant] += x.Crossed
			}
			none := func(_ string, n int64) bool { return n == 0 }
			maps.DeleteFunc(single, none)
			maps.DeleteFunc(multi, none)
			if diff := cmp.Diff(c.want, units, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("measured -want +got:\n%s", diff)
			}
			// The ratio of arms is checked on the very units that are measured.
			if diff := cmp.Diff(c.want, single, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("traffic -want +got:\n%s", diff)
			}
			if diff := cmp.Diff(c.multi, multi, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("saw several variants -want +got:\n%s", diff)
			}
		})
	}
}

// A unit is lossy when an event of any session since its exposure, on any of its devices, got lost.
func TestLossyUnits(t *testing.T) {
	h := newHome(t)
	const first, later, before = "2026-01-05", "2026-01-06", "2026-01-04"
	h.sessions = []session{
		{"a:1", first, false, 0}, {"a:1", later, false, 2}, {"u:1", later, false, 0}, // one person, lossy
		{"a:2", first, false, 0}, {"a:2", before, false, 1}, // lost before it came in
		{"a:3", first, true, 5}, // a bot in its name
		{"a:4", first, false, 1},
	}
	var events []event
	for _, entity := range []string{"a:1", "a:2", "a:3", "a:5"} {
		events = append(events, exposed("x", entity, "control", day(0)))
	}
	h.land(t, append(events, exposed("x", "a:4", "treatment", day(0))), map[string]string{"a:1": "u:1"})
	bought := metric.Metric{Name: "bought", Kind: metric.Conversion, Window: days(0, 1), Numerator: orders()}
	_, traffic := h.run(t, []*experiment.Experiment{running("x", 2, bought)}, []metric.Metric{bought}, day(9))
	got := map[string][3]int64{}
	for _, x := range traffic {
		got[x.Variant] = [3]int64{x.Units, x.Tracked, x.Lossy}
	}
	if diff := cmp.Diff(map[string][3]int64{"control": {4, 2, 1}, "treatment": {1, 1, 1}}, got); diff != "" {
		t.Errorf("units, tracked, lossy: -want +got:\n%s", diff)
	}
}

// Even a unit of which there is no event at all, not the exposure itself, is a zero.
func TestAUnitWithoutEventsCounts(t *testing.T) {
	h := newHome(t)
	there := []event{exposed("x", "a:1", "control", day(0)), ordered("a:1", day(0), 6)}
	h.land(t, append(there, exposed("x", "a:gone", "control", day(0))), nil)
	h.landEvents(t, there)
	metrics := []metric.Metric{{Name: "basket", Kind: metric.Ratio, Window: days(0, 3), Numerator: revenue(), Denominator: orders()}}
	want := []measure.Statistic{{
		ExperimentID: "x", Metric: "basket", Variant: "control", ExposureDate: "2026-01-05",
		Units: 2, Nonzero: 1, MeanY: 3, YY: 18, MeanD: 0.5, DD: 0.5, YD: 3,
	}}
	if diff := cmp.Diff(want, h.cells(t, running("x", 14, metrics...), metrics, day(9))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What a unit did on any of its devices is its value, once.
func TestDevicesOfAPersonAddUp(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{
		exposed("x", "a:phone", "control", day(0)), exposed("x", "a:desk", "control", day(1)),
		ordered("a:phone", day(1), 3), ordered("a:desk", day(2), 4), ordered("u:me", day(2), 5),
	}, map[string]string{"a:phone": "u:me", "a:desk": "u:me"})
	metrics := []metric.Metric{{Name: "spent", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}}
	want := []measure.Statistic{{ExperimentID: "x", Metric: "spent", Variant: "control", ExposureDate: "2026-01-05", Units: 1, Nonzero: 1, MeanY: 12}}
	if diff := cmp.Diff(want, h.cells(t, running("x", 14, metrics...), metrics, day(9))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRunAgainReplacesTheDay(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{
		exposed("x", "a:1", "control", day(0)), exposed("x", "a:2", "control", day(0)), ordered("a:2", day(1), 3),
		exposed("x", "a:3", "treatment", day(0)), exposed("x", "a:4", "treatment", day(1)), ordered("a:4", day(1), 7),
	}, nil)
	spent := metric.Metric{Name: "spent", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}
	bought := metric.Metric{Name: "bought", Kind: metric.Conversion, Window: days(0, 1), Numerator: orders()}
	metrics := []metric.Metric{spent, bought}
	first, firstTraffic := h.run(t, []*experiment.Experiment{running("x", 14, spent, bought)}, metrics, day(5))
	if len(first) != 6 || len(firstTraffic) != 3 {
		t.Fatalf("got %d cells and %d rows of traffic, want 6 and 3", len(first), len(firstTraffic))
	}
	again, againTraffic := h.run(t, []*experiment.Experiment{running("x", 14, spent, bought)}, metrics, day(5))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("cells of a second run -first +second:\n%s", diff)
	}
	if diff := cmp.Diff(firstTraffic, againTraffic); diff != "" {
		t.Errorf("traffic of a second run -first +second:\n%s", diff)
	}

	t.Run("another day stands beside it", func(t *testing.T) {
		h.run(t, []*experiment.Experiment{running("x", 14, spent)}, metrics, day(6))
		cells, err := lake.Read[measure.Statistic](t.Context(), h.warehouse, "select * from fact_experiment_statistic")
		if err != nil {
			t.Fatal(err)
		}
		byDay := map[string]int{}
		for _, s := range cells {
			byDay[s.AsOf]++
		}
		if diff := cmp.Diff(map[string]int{"2026-01-10": 6, "2026-01-11": 3}, byDay); diff != "" {
			t.Errorf("cells by day -want +got:\n%s", diff)
		}
	})
	t.Run("a changed definition is measured anew", func(t *testing.T) {
		shorter := running("x", 1, bought) // one day long, without a metric
		cells, traffic := h.run(t, []*experiment.Experiment{shorter}, metrics, day(5))
		for _, s := range cells {
			if s.Metric != "bought" || s.ExposureDate != "2026-01-05" {
				t.Errorf("cell %+v is left of the old definition", s)
			}
		}
		if len(cells) != 2 || len(traffic) != 2 {
			t.Errorf("got %d cells and %d rows of traffic, want 2 and 2", len(cells), len(traffic))
		}
	})
	t.Run("a removed experiment is gone", func(t *testing.T) {
		cells, traffic := h.run(t, nil, metrics, day(5))
		if len(cells) != 0 || len(traffic) != 0 {
			t.Errorf("got %+v and %+v, want nothing", cells, traffic)
		}
	})
}

func TestRunLeavesOutWhatHasNotStarted(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{exposed("x", "a:1", "control", day(0)), exposed("later", "a:1", "control", day(0))}, nil)
	bought := metric.Metric{Name: "bought", Kind: metric.Conversion, Window: days(0, 1), Numerator: orders()}
	later := running("later", 14, bought)
	later.Start.Time = day(1)
	cells, traffic := h.run(t, []*experiment.Experiment{running("x", 14, bought), later}, []metric.Metric{bought}, day(1))
	if len(cells) != 1 || cells[0].ExperimentID != "x" || len(traffic) != 1 || traffic[0].ExperimentID != "x" {
		t.Errorf("got %+v and %+v, want those of x", cells, traffic)
	}
}

func TestRunRefuses(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{exposed("x", "a:1", "control", day(0))}, nil)
	bought := metric.Metric{Name: "bought", Kind: metric.Conversion, Window: days(0, 1), Numerator: orders()}
	broken := bought
	broken.Numerator.Filter = "e.no_such_column = 1"
	for name, c := range map[string]struct {
		metrics []metric.Metric
		want    fault.Class
	}{
		"a metric that is not defined": {nil, fault.NotFound},
		"a filter that does not run":   {[]metric.Metric{broken}, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			err := h.measurer.Run(t.Context(), []*experiment.Experiment{running("x", 14, bought)}, c.metrics, day(3))
			if fault.Of(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if _, err := h.warehouse.Table(t.Context(), "fact_experiment_statistic"); !fault.Is(err, fault.NotFound) {
				t.Errorf("a failed run published something: %v", err)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	text := func(values ...string) []*string {
		out := make([]*string, len(values))
		for i := range values {
			if values[i] != "NULL" {
				out[i] = &values[i]
			}
		}
		return out
	}
	columns := []string{"variant", "exposure_date", "units", "y0_mean", "y0_ss", "y0_nonzero"}
	row := []string{"control", "2026-01-05", "2", "1", "0", "2"}
	metrics := []metric.Metric{{Name: "bought", Kind: metric.Conversion}}
	if got, err := measure.Decode("x", metrics, lake.Result{Columns: columns, Rows: [][]*string{text(row...)}}); err != nil || len(got) != 1 {
		t.Fatalf("a sound row: got %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(columns, row []string){
		"a missing column": func(columns, _ []string) { columns[4] = "z" },
		"a word":           func(_, row []string) { row[3] = "many" },
		"nothing":          func(_, row []string) { row[0] = "NULL" },
	} {
		t.Run(name, func(t *testing.T) {
			c, r := slices.Clone(columns), slices.Clone(row)
			spoil(c, r)
			_, err := measure.Decode("x", metrics, lake.Result{Columns: c, Rows: [][]*string{text(r...)}})
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v, want an invalid result", err)
			}
		})
	}
}
