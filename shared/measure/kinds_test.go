package measure_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/table"
)

func named(event string) metric.Term {
	return metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = '" + event + "'"}
}

func step(event string, within time.Duration) metric.Step {
	return metric.Step{Filter: named(event).Filter, Within: int(within.Milliseconds())}
}

// Small tables worked out by hand: what each kind of metric and each of its edges makes of one unit. A unit's first
// exposure is at 10:00 on the first day; it alone is in its experiment, so the cell's mean is its value.
func TestEveryKindByHand(t *testing.T) {
	first := day(0).Add(10 * hour)
	at := func(name string, after time.Duration, value float64) event {
		return event{entity: "a:me", name: name, at: first.Add(after), value: &value}
	}
	do := func(name string, after time.Duration) event {
		return event{entity: "a:me", name: name, at: first.Add(after)}
	}
	events := func(all ...event) []event { return all }
	three := days(0, 3)
	of := func(aggregation, expression string) metric.Term {
		return metric.Term{Table: metric.Events(), Aggregation: aggregation, Expression: expression, Filter: isOrder}
	}
	touch := func(which metric.Touch) metric.Metric {
		return metric.Metric{Kind: metric.Mean, Window: three, Numerator: revenue(), Touch: which}
	}
	net := metric.Metric{Kind: metric.Mean, Window: three, Numerator: metric.Term{
		Table: metric.Events(), Aggregation: "sum", Expression: "case when e.event_name = 'order_refunded' then -e.value else e.value end",
		Filter: "e.event_name in ('order_completed', 'order_refunded')",
	}}
	hours := metric.Metric{Kind: metric.Mean, Window: metric.Window{Delay: 2, Length: 3, Unit: "hour"}, Numerator: orders()}
	sooner := metric.Metric{Kind: metric.TimeToEvent, Window: metric.Window{Length: 36, Unit: "hour"}, Numerator: orders()}
	inDays := metric.Metric{Kind: metric.TimeToEvent, Window: three, Numerator: orders()}
	funnel := metric.Metric{Kind: metric.Funnel, Window: three, Numerator: metric.Term{Table: metric.Events()}, Steps: []metric.Step{
		step("view", 0), step("add", 2*hour), step("pay", hour),
	}}
	paid := at("order_completed", hour, 5)
	covariate := metric.Metric{Kind: metric.Mean, Window: three, Numerator: revenue(), Covariate: 7}
	rate := metric.Metric{Kind: metric.Ratio, Window: three, Numerator: revenue(), Denominator: orders(), Covariate: 7}
	firstRate := metric.Metric{Kind: metric.Ratio, Window: three, Numerator: revenue(), Denominator: orders(), Touch: metric.FirstTouch}
	type value struct{ Y, D, X, Z float64 }
	cases := map[string]struct {
		metric metric.Metric
		events []event
		want   value
	}{
		"a refund counts against":            {net, events(paid, at("order_refunded", 2*hour, 3)), value{Y: 2}},
		"a refund after the window does not": {net, events(paid, at("order_refunded", 3*wholeDay, 3)), value{Y: 5}},
		"distinct values":                    {metric.Metric{Kind: metric.Mean, Window: three, Numerator: of("count_distinct", "e.value")}, events(paid, at("order_completed", 2*hour, 5), at("order_completed", 3*hour, 6)), value{Y: 2}},
		"largest":                            {metric.Metric{Kind: metric.Mean, Window: three, Numerator: of("max", "e.value")}, events(paid, at("order_completed", 2*hour, 9), at("order_completed", 3*hour, 6)), value{Y: 9}},
		"largest of nothing":                 {metric.Metric{Kind: metric.Mean, Window: three, Numerator: of("max", "e.value")}, nil, value{}},
		"first touch":                        {touch(metric.FirstTouch), events(at("order_completed", 2*hour, 9), paid, at("order_completed", -hour, 7)), value{Y: 5}},
		"last touch":                         {touch(metric.LastTouch), events(at("order_completed", 2*hour, 9), paid, at("order_completed", 3*wholeDay, 7)), value{Y: 9}},
		"first touch of a ratio":             {firstRate, events(paid, at("order_completed", 2*hour, 9)), value{Y: 5, D: 1}},
		"hours: before the delay":            {hours, events(do("order_completed", 2*hour-millisecond)), value{}},
		"hours: from the delay on":           {hours, events(do("order_completed", 2*hour), do("order_completed", 5*hour-millisecond), do("order_completed", 5*hour)), value{Y: 2}},
		"time to the first":                  {sooner, events(do("order_completed", 90*time.Minute), do("order_completed", hour*2)), value{Y: 1.5}},
		"time in days":                       {inDays, events(do("order_completed", 36*hour)), value{Y: 1.5}},
		"time at exposure":                   {sooner, events(do("order_completed", 0)), value{}},
		"time without an event":              {sooner, events(do("order_completed", 36*hour)), value{Y: 36}},
		"funnel in order":                    {funnel, events(do("view", 0), do("add", 2*hour), do("pay", 3*hour)), value{Y: 1}},
		"funnel out of order":                {funnel, events(do("add", 0), do("view", hour), do("pay", 2*hour)), value{}},
		"funnel without an end":              {funnel, events(do("view", 0), do("add", hour)), value{}},
		"funnel step too late":               {funnel, events(do("view", 0), do("add", 2*hour+millisecond), do("pay", 3*hour)), value{}},
		"funnel last step too late":          {funnel, events(do("view", 0), do("add", hour), do("pay", 2*hour+millisecond)), value{}},
		"funnel by a later first step":       {funnel, events(do("view", 0), do("view", 4*hour), do("add", 5*hour), do("pay", 5*hour)), value{Y: 1}},
		"funnel by a later second step":      {funnel, events(do("view", 0), do("add", hour), do("add", 2*hour), do("pay", 2*hour+30*time.Minute)), value{Y: 1}},
		"funnel in one instant":              {funnel, events(do("view", hour), do("add", hour), do("pay", hour)), value{Y: 1}},
		"funnel begun before exposure":       {funnel, events(do("view", -hour), do("add", 0), do("pay", hour)), value{}},
		"funnel ended after the window":      {funnel, events(do("view", 3*wholeDay-2*hour), do("add", 3*wholeDay-hour), do("pay", 3*wholeDay)), value{}},
		"covariate": {
			covariate, events(paid, at("order_completed", -millisecond, 7), at("order_completed", -7*wholeDay, 2), at("order_completed", -7*wholeDay-millisecond, 90), at("order_completed", 0, 1)),
			value{Y: 6, X: 9},
		},
		"covariates of a ratio": {rate, events(paid, at("order_completed", -hour, 7), at("order_completed", -2*hour, 2)), value{Y: 5, D: 1, X: 9, Z: 2}},
	}
	h := newHome(t)
	var all []event
	for name, c := range cases {
		all = append(all, exposed(name, "a:"+name, "treatment", first))
		for _, e := range c.events {
			e.entity = "a:" + name
			all = append(all, e)
		}
	}
	h.land(t, all, nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.metric.Name = "m"
			// Metrics of other kinds beside it must not change anything.
			beside := []metric.Metric{c.metric, covariate, funnel, touch(metric.LastTouch), sooner}
			for i := 1; i < len(beside); i++ {
				beside[i].Name = fmt.Sprint("beside", i)
			}
			cells := h.cells(t, running(name, 14, beside...), beside, day(30))
			got := value{cells[0].MeanY, cells[0].MeanD, cells[0].MeanX, cells[0].MeanZ}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if alone := h.cells(t, running(name, 14, c.metric), beside[:1], day(30)); alone[0] != cells[0] {
				t.Errorf("beside others the cell is %+v, alone %+v", cells[0], alone[0])
			}
		})
	}
}

// In Berlin clocks went from 02:00 to 03:00 on 29 March 2026: that calendar day has 23 hours. In New York they did so
// on 8 March.
func TestCalendarDays(t *testing.T) {
	utc := func(text string) time.Time {
		at, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	window := func(delay, length int, zone string) metric.Window {
		return metric.Window{Delay: delay, Length: length, Unit: "day", TimeZone: zone}
	}
	cases := map[string]struct {
		window   metric.Window
		exposure string
		event    string
		want     float64
	}{
		"the same day there":                 {window(0, 1, "Europe/Berlin"), "2026-02-01 22:30", "2026-02-01 22:45", 1},
		"after midnight there":               {window(0, 1, "Europe/Berlin"), "2026-02-01 22:30", "2026-02-01 23:00", 0},
		"the next day there":                 {window(1, 1, "Europe/Berlin"), "2026-02-01 22:30", "2026-02-01 23:00", 1},
		"the short day's end, summer time":   {window(0, 1, "Europe/Berlin"), "2026-03-28 23:00", "2026-03-29 21:59", 1},
		"after the short day":                {window(0, 1, "Europe/Berlin"), "2026-03-28 23:00", "2026-03-29 22:00", 0},
		"day 1 begins by winter time":        {window(1, 1, "Europe/Berlin"), "2026-03-28 10:00", "2026-03-28 23:00", 1},
		"day 2 begins by summer time":        {window(2, 1, "Europe/Berlin"), "2026-03-28 10:00", "2026-03-29 22:00", 1},
		"a minute before day 2":              {window(2, 1, "Europe/Berlin"), "2026-03-28 10:00", "2026-03-29 21:59", 0},
		"west of Greenwich, still yesterday": {window(0, 1, "America/New_York"), "2026-02-02 04:30", "2026-02-02 04:59", 1},
		"west of Greenwich, today":           {window(0, 1, "America/New_York"), "2026-02-02 04:30", "2026-02-02 05:00", 0},
		"New York in summer":                 {window(0, 1, "America/New_York"), "2026-03-09 03:30", "2026-03-09 03:59", 1},
		"before the exposure, the same day":  {window(0, 1, "Europe/Berlin"), "2026-02-01 22:30", "2026-02-01 22:29", 0},
		"half hours":                         {window(1, 1, "Asia/Kolkata"), "2026-02-01 18:29", "2026-02-01 18:30", 1},
	}
	h := newHome(t)
	var all []event
	for name, c := range cases {
		all = append(all, exposed(name, "a:"+name, "control", utc(c.exposure)), ordered("a:"+name, utc(c.event), 1))
	}
	h.land(t, all, nil)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			metrics := []metric.Metric{{Name: "m", Kind: metric.Conversion, Window: c.window, Numerator: orders()}}
			cells := h.cells(t, running(name, 90, metrics...), metrics, day(100))
			if len(cells) != 1 || cells[0].MeanY != c.want {
				t.Errorf("got %+v, want one unit of %g", cells, c.want)
			}
		})
	}
}

// The last two days before the look: of a unit that was there before them.
func TestLookback(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{
		exposed("x", "a:1", "control", day(0)),
		ordered("a:1", day(2).Add(-millisecond), 1), ordered("a:1", day(2), 2), ordered("a:1", day(4).Add(-millisecond), 4), ordered("a:1", day(4), 8),
		exposed("x", "a:2", "control", day(3)), ordered("a:2", day(3).Add(-hour), 16), ordered("a:2", day(3), 32),
	}, nil)
	metrics := []metric.Metric{{Name: "m", Kind: metric.Mean, Window: metric.Window{Lookback: 2, Unit: "day"}, Numerator: revenue()}}
	for n, want := range map[int][]float64{4: {6, 32}, 5: {12, 32}, 30: {12, 32}} { // the experiment ends with day 5
		var got []float64
		for _, s := range h.cells(t, running("x", 5, metrics...), metrics, day(n)) {
			got = append(got, s.MeanY)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("as of day %d -want +got:\n%s", n, diff)
		}
	}
}

// Of twenty units with the values 1 to 20, whose windows are complete, and one of a later day with 1,000.
func TestQuantiles(t *testing.T) {
	h := newHome(t)
	var events []event
	for n := range 20 {
		entity := fmt.Sprintf("a:%d", n)
		events = append(events, exposed("x", entity, "control", day(n%2)), ordered(entity, day(n%2).Add(hour), float64(n+1)))
		if n < 4 { // some are slower, and twice
			events = append(events, ordered(entity, day(n%2).Add(2*hour), 30))
		}
	}
	h.land(t, append(events, exposed("x", "a:late", "control", day(3)), ordered("a:late", day(3), 1000)), nil)
	largest := revenue()
	largest.Aggregation = "max"
	median := metric.Metric{Name: "median", Kind: metric.Quantile, Window: days(0, 1), Numerator: revenue(), Level: 0.5}
	high := metric.Metric{Name: "high", Kind: metric.Quantile, Window: days(0, 1), Numerator: largest, Level: 0.9}
	each := metric.Metric{Name: "each", Kind: metric.Quantile, Window: days(0, 1), Numerator: revenue(), Level: 0.75, OfEvents: true}
	plain := metric.Metric{Name: "plain", Kind: metric.Mean, Window: days(0, 1), Numerator: revenue()}
	capped := metric.Metric{Name: "capped", Kind: metric.Mean, Window: days(0, 1), Numerator: revenue(), CapQuantile: 0.5}
	metrics := []metric.Metric{median, high, each, plain, capped}
	got := map[string]measure.Statistic{}
	for _, s := range h.cells(t, running("x", 9, metrics...), metrics, day(4)) {
		if s.Metric == "plain" || s.Metric == "capped" {
			s.Metric += s.ExposureDate
		}
		got[s.Metric] = s
	}
	// The values of the units: 5 to 20, and 31, 32, 33, 34. Their ranks: 20/2 -/+ 1.96 sqrt(20)/2 = 5.6 to 14.4.
	ranks := func(name string, low, q, high float64) {
		s := got[name]
		if s.QuantileLow != low || s.Quantile != q || s.QuantileHigh != high || s.Units != 20 || s.ExposureDate != "2026-01-06" {
			t.Errorf("%s: got %+v; want the values %g, %g, %g of 20 units up to the second day", name, s, low, q, high)
		}
	}
	ranks("median", 10, 14, 19)
	// The largest: 5 to 20 and four times 30; 18 -/+ 2.63.
	ranks("high", 20, 30, 30)
	// All events: 1 to 20 and four times 30; 24 * 3/4 = 18 -/+ 4.16. Up to 18 there are 18 of 24.
	ranks("each", 14, 18, 30)
	if s := got["each"]; math.Abs(s.MeanY-18.0/20) > 1e-15 || math.Abs(s.MeanD-24.0/20) > 1e-15 || s.YD == 0 {
		t.Errorf("events up to the quantile and all events of a unit: got %+v, want means 0.9 and 1.2", s)
	}
	// The median, 14, caps: of the first day 1, 3, 5 ... 19 where 1 and 3 are 31 and 33; of the late day 1,000.
	if s := got["capped2026-01-05"]; math.Abs(s.MeanY-(5+7+9+11+13+14*5)/10.0) > 1e-12 {
		t.Errorf("capped: got %+v", s)
	}
	if s := got["capped2026-01-08"]; s.MeanY != 14 {
		t.Errorf("capped of a day that is not complete: got %+v, want 14", s)
	}
	if s := got["plain2026-01-08"]; s.MeanY != 1000 || s.Units != 1 {
		t.Errorf("plain: got %+v, want 1000", s)
	}
	t.Run("before any is complete there is none", func(t *testing.T) {
		for _, s := range h.cells(t, running("x", 9, metrics...), metrics, day(1)) {
			if s.Metric == "median" || s.Metric == "each" {
				t.Errorf("got %+v", s)
			}
		}
	})
}

// ticket is a row of a second table of facts.
type ticket struct {
	Who  string    `lake:"who"`
	When time.Time `lake:"opened"`
	Cost float64   `lake:"cost"`
}

func TestTwoTables(t *testing.T) {
	h := newHome(t)
	h.land(t, []event{
		exposed("x", "a:1", "control", day(0)), exposed("x", "a:2", "control", day(0)), exposed("x", "u:3", "treatment", day(0)),
		ordered("a:1", day(0).Add(hour), 10), ordered("a:1", day(1), 20), ordered("a:3", day(0).Add(hour), 7),
	}, map[string]string{"a:3": "u:3"})
	to := table.Place{Table: "fact_ticket", Run: h.newRun()}
	if err := table.Write(t.Context(), h.store, h.warehouse, to, []ticket{
		{"a:1", day(0).Add(hour), 3},
		{"a:1", day(0).Add(2 * hour), 4},
		{"a:1", day(0).Add(-hour), 50},
		{"a:1", day(2), 60},
		{"a:2", day(1), 5},
		{"a:3", day(1), 6},
		{"u:3", day(1), 7},
		{"a:9", day(1), 8},
	}); err != nil {
		t.Fatal(err)
	}
	tickets := metric.Table{Name: "fact_ticket", Entity: "who", Time: "opened"}
	cost := metric.Term{Table: tickets, Aggregation: "sum", Expression: "e.cost"}
	metrics := []metric.Metric{
		{Name: "per_cost", Kind: metric.Ratio, Window: days(0, 2), Numerator: revenue(), Denominator: cost},
		{Name: "dearest", Kind: metric.Quantile, Window: days(0, 2), Numerator: cost, Level: 0.5, OfEvents: true},
		{Name: "bought", Kind: metric.Conversion, Window: days(0, 2), Numerator: orders()},
	}
	got := map[string][3]float64{}
	for _, s := range h.cells(t, running("x", 9, metrics...), metrics, day(9)) {
		got[s.Metric+" "+s.Variant] = [3]float64{s.MeanY, s.MeanD, s.Quantile}
	}
	want := map[string][3]float64{
		"per_cost control": {15, 6, 0}, "per_cost treatment": {7, 13, 0},
		"dearest control": {1, 1.5, 4}, "dearest treatment": {1, 2, 6},
		"bought control": {0.5, 0, 0}, "bought treatment": {1, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// One signs in on a second device after the exposure: what either did since then is theirs.
func TestMergedAfterExposure(t *testing.T) {
	h := newHome(t)
	people := map[string]string{"a:1": "u:1", "a:2": "u:1"}
	h.land(t, []event{
		exposed("x", "a:1", "control", day(0)), ordered("a:1", day(0).Add(hour), 1),
		ordered("a:2", day(1), 2), ordered("u:1", day(2), 4), ordered("a:2", day(0).Add(-hour), 8),
	}, people)
	metrics := []metric.Metric{{Name: "m", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue()}}
	cells := h.cells(t, running("x", 9, metrics...), metrics, day(9))
	if len(cells) != 1 || cells[0].Units != 1 || cells[0].MeanY != 7 {
		t.Errorf("got %+v, want one unit of 7", cells)
	}
}

// However many metrics, each table of facts is named once: engines scan it once.
func TestOneScanForAllMetrics(t *testing.T) {
	metrics := []metric.Metric{
		{Name: "a", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), Covariate: 7},
		{Name: "b", Kind: metric.Funnel, Window: days(0, 3), Numerator: metric.Term{Table: metric.Events()}, Steps: []metric.Step{step("view", 0), step("add", 0), step("pay", 0)}},
		{Name: "c", Kind: metric.Quantile, Window: days(0, 3), Numerator: revenue(), Level: 0.5, OfEvents: true},
		{Name: "d", Kind: metric.Quantile, Window: days(0, 3), Numerator: revenue(), Level: 0.5},
		{Name: "e", Kind: metric.Mean, Window: days(0, 3), Numerator: revenue(), CapQuantile: 0.9},
		{Name: "f", Kind: metric.Ratio, Window: days(0, 3), Numerator: revenue(), Denominator: orders(), Touch: metric.LastTouch},
	}
	sql := measure.Query(running("x", 9, metrics...), metrics, experiment.Date{Time: day(9)}.Time)
	if n := strings.Count(sql, "fact_event"); n != 1 {
		t.Errorf("fact_event stands %d times in\n%s", n, sql)
	}
	// No SELECT of the query is read twice either: Trino would compute it twice, from the scan on.
	for line := range strings.SplitSeq(sql, "\n") {
		name, ok := strings.CutSuffix(line, " as (")
		if name = strings.TrimPrefix(name, "with "); ok && name != "" && !strings.Contains(name, " ") {
			if n := strings.Count(sql, "from "+name+"\n") + strings.Count(sql, "from "+name+" as"); n != 1 {
				t.Errorf("%s is read %d times", name, n)
			}
		}
	}
}
