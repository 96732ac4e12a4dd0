package measure_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
	"verdict/shared/table"
)

// tenMillion is a SELECT of ten million events, each drawn from hashes of its number, so that every
// run makes the same ones. Of a million people who come within 33 days, 600,000 meet the experiment
// within 14 days, every fifth of them twice, and some of these in both variants. A tenth of people
// sign in now and then. All columns of fact_event are there, as wide as real ones.
const tenMillion = `with draw as (
    select
        range as n,
        cast(hash(range) % 1000003 as double) / 1000003 as a,
        cast(hash(range + 1000000007) % 1000003 as double) / 1000003 as b,
        cast(hash(range + 2000000011) % 2851200000 as bigint) as ms
    from range(10000000)
),

happened as (
    select
        n,
        n % 600000 as person,
        'experiment_exposed' as event_name,
        case when (hash(n % 600000) % 2 = 0) = (n < 600000 or hash(n) % 100 > 0) then 'control' else 'treatment' end as variant,
        timestamp '2026-01-05' + to_milliseconds(cast(hash(n % 600000 + 13) % 1209600000 as bigint) + case when n < 600000 then 0 else 3600000 end) as event_ts,
        cast(null as double) as value
    from draw
    where n < 720000
    union all
    select
        n,
        cast(floor(1000000 * pow(a, 1.3)) as bigint) as person,
        (['page_viewed', 'product_viewed', 'order_completed', 'search_performed', 'session_started', 'product_added', 'user_signed_in', 'checkout_started'])[1 + cast(floor(8 * b * b) as integer)] as event_name,
        null as variant,
        timestamp '2026-01-03' + to_milliseconds(ms) as event_ts,
        round(exp(3 + 2 * a), 2) as value
    from draw
    where n >= 720000
)

select
    'shop' as namespace,
    format('{:08x}-{:04x}-7000-8000-{:012x}', n, n & 65535, hash(n) & 281474976710655) as event_id,
    event_name,
    '1-0-0' as schema_version,
    'd' || person as anonymous_id,
    case when person % 10 = 0 and n % 2 = 0 then 'user-' || person end as user_id,
    coalesce('u:' || user_id, 'a:' || anonymous_id) as entity_id,
    's' || person || '-' || epoch_ms(event_ts) // 3600000 as session_id,
    case
        when variant is not null then '{"experiment_id":"checkout","variant":"' || variant || '"}'
        else '{"order_id":"o' || n || '","value":' || value || ',"currency":"EUR"}'
    end as properties,
    '{"device":{"type":"mobile"},"app":{"name":"shop","version":"4.2.0"}}' as context,
    '{"analytics_storage":"granted"}' as consent,
    n % 40 as seq,
    value,
    person % 97 = 96 as is_bot,
    event_ts,
    event_ts + interval 1 second as received_ts,
    cast(cast(event_ts as date) as varchar) as event_date
from happened`

// landTenMillion makes the events and what the models build on them.
func landTenMillion(b *testing.B, h *home) {
	b.Helper()
	var dates []string
	for n := range 33 {
		dates = append(dates, day(n-2).Format(time.DateOnly))
	}
	h.publishEvents(b, tenMillion, dates)
	var members []identity.Member
	for person := 0; person < 1_000_000; person += 10 {
		members = append(members, identity.Member{EntityID: fmt.Sprintf("a:d%d", person), UnitID: fmt.Sprintf("u:user-%d", person), Method: "signed_in", Confidence: 1})
	}
	if err := table.Write(b.Context(), h.store, h.warehouse, table.Place{Table: "identity_map", Run: h.newRun()}, members); err != nil {
		b.Fatal(err)
	}
	h.build(b)
}

// twentyMetrics are the metrics of the benchmark: conversions, counts, revenue, retention, ratios.
func twentyMetrics() []metric.Metric {
	named := func(event string) metric.Term {
		return metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: "e.event_name = '" + event + "'"}
	}
	var out []metric.Metric
	for _, event := range []string{"page_viewed", "product_viewed", "order_completed", "search_performed", "session_started", "product_added", "user_signed_in", "checkout_started"} {
		out = append(out, metric.Metric{Kind: metric.Conversion, Window: days(0, 7), Numerator: named(event)})
	}
	for _, event := range []string{"page_viewed", "product_viewed", "order_completed", "search_performed"} {
		out = append(out, metric.Metric{Kind: metric.Mean, Window: days(0, 7), Numerator: named(event)})
	}
	for _, length := range []int{1, 3, 7, 14} {
		out = append(out, metric.Metric{Kind: metric.Mean, Window: days(0, length), Numerator: revenue()})
	}
	for _, window := range []metric.Window{days(1, 7), days(7, 7)} {
		out = append(out, metric.Metric{Kind: metric.Retention, Window: window, Numerator: anything()})
	}
	out = append(out,
		metric.Metric{Kind: metric.Ratio, Window: days(0, 14), Numerator: named("product_viewed"), Denominator: named("session_started")},
		metric.Metric{Kind: metric.Ratio, Window: days(0, 14), Numerator: revenue(), Denominator: orders()})
	for i := range out {
		out[i].Name = "m" + strconv.Itoa(i)
	}
	return out
}

// handwritten is what an expert in DuckDB would write for these twenty metrics and nothing else,
// over the files themselves instead of the warehouse's views: one join, one aggregation per unit
// with counts where counts do, then plain sums and sums of squares per variant. Of nine ways to
// write it that were tried, this was the fastest. It does less than the generated query, which gives
// every day of first exposure a cell of its own with centred moments and the number of units that
// are not zero.
func handwritten(b *testing.B, h *home) string {
	b.Helper()
	files := func(name string) string {
		published, err := h.warehouse.Table(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		var patterns []string
		for _, p := range published.Partitions {
			patterns = append(patterns, filepath.Join(h.store.Path(p.Location), "*.parquet"))
		}
		days := ""
		if len(published.PartitionBy) > 0 {
			days = ", hive_types = {event_date: VARCHAR}"
		}
		return "read_parquet([" + lake.QuoteList(patterns) + "]" + days + ")"
	}
	var unit, sums strings.Builder
	add := func(column, value string) {
		fmt.Fprintf(&unit, ",\n        %s as %s", value, column)
		fmt.Fprintf(&sums, ",\n    sum(%[1]s) as %[1]s_s, sum(%[1]s * %[1]s) as %[1]s_ss", column)
	}
	within := func(event string, n int) string {
		return fmt.Sprintf("e.event_name = '%s' and e.event_ts < a.first_exposure_ts + interval %d day", event, n)
	}
	since := func(from, to int) string {
		return fmt.Sprintf("e.event_ts >= a.first_exposure_ts + interval %d day and e.event_ts < a.first_exposure_ts + interval %d day", from, to)
	}
	count := func(condition string) string { return "count(case when " + condition + " then 1 end)" }
	anyOf := func(condition string) string { return "cast(" + count(condition) + " > 0 as integer)" }
	money := func(condition string) string { return "sum(case when " + condition + " then e.value else 0 end)" }
	column := 0
	next := func() string { column++; return "y" + strconv.Itoa(column-1) }
	for _, event := range []string{"page_viewed", "product_viewed", "order_completed", "search_performed", "session_started", "product_added", "user_signed_in", "checkout_started"} {
		add(next(), anyOf(within(event, 7)))
	}
	for _, event := range []string{"page_viewed", "product_viewed", "order_completed", "search_performed"} {
		add(next(), count(within(event, 7)))
	}
	for _, n := range []int{1, 3, 7, 14} {
		add(next(), money(within("order_completed", n)))
	}
	add(next(), anyOf(since(1, 8)))
	add(next(), anyOf(since(7, 14)))
	add(next(), count(within("product_viewed", 14)))
	add("d18", count(within("session_started", 14)))
	add(next(), money(within("order_completed", 14)))
	add("d19", count(within("order_completed", 14)))
	return `with a as (
    select u.entity_id, x.unit_id, x.variant, x.first_exposure_ts
    from ` + files("fact_experiment_exposure") + ` as x
    join ` + files("dim_user") + ` as u on u.unit_id = x.unit_id and u.valid_to is null
    where x.experiment_id = 'checkout'
        and x.exposure_date between '2026-01-05' and '2026-01-18'
        and not x.is_multi_variant
),

per_unit as (
    select
        any_value(a.variant) as variant` + unit.String() + `
    from a
    left join ` + files("fact_event") + ` as e
        on e.entity_id = a.entity_id
        and e.event_date between '2026-01-05' and '2026-02-03'
        and e.event_ts >= a.first_exposure_ts
        and e.event_ts < a.first_exposure_ts + interval 14 day
        and not e.is_bot
    group by a.unit_id
)

select
    variant,
    count(*) as units` + sums.String() + `,
    sum(y18 * d18) as yd18,
    sum(y19 * d19) as yd19
from per_unit
group by variant
order by variant`
}

// checkSame fails unless both queries found the same units and sums.
func checkSame(b *testing.B, metrics []metric.Metric, cells []measure.Statistic, hand lake.Result) {
	b.Helper()
	merged := map[[2]string]stats.Gram{}
	for _, s := range cells {
		k := [2]string{s.Metric, s.Variant}
		merged[k] = merged[k].Merge(s.Gram())
	}
	if len(hand.Rows) != 2 {
		b.Fatalf("the handwritten query found %d variants", len(hand.Rows))
	}
	for _, row := range hand.Rows {
		of := map[string]string{}
		for i, c := range hand.Columns {
			of[c] = *row[i]
		}
		same := func(what string, got float64, column string) {
			want, err := strconv.ParseFloat(of[column], 64)
			if err != nil || want == 0 || math.Abs(got/want-1) > 1e-9 {
				b.Errorf("%s of %s: got %g, want %g (%v)", what, of["variant"], got, want, err)
			}
		}
		for i, m := range metrics {
			g := merged[[2]string{m.Name, of["variant"]}]
			n, at := float64(g.N), strconv.Itoa(i)
			same("units", n, "units")
			same("sum of y"+at, n*g.MeanY, "y"+at+"_s")
			same("squares of y"+at, g.YY+n*g.MeanY*g.MeanY, "y"+at+"_ss")
			if m.Kind == metric.Ratio {
				same("sum of d"+at, n*g.MeanD, "d"+at+"_s")
				same("squares of d"+at, g.DD+n*g.MeanD*g.MeanD, "d"+at+"_ss")
				same("products of "+at, g.YD+n*g.MeanY*g.MeanD, "yd"+at)
			}
		}
	}
}

// BenchmarkTenMillionEvents runs the generated query for twenty metrics of two variants beside the
// one that an expert would write by hand. Both read the same Parquet files, in turns, in the same
// process with the same settings; before anything is measured both have run once, and given the
// same sums. x-handwritten is how many times as long the generated one takes.
func BenchmarkTenMillionEvents(b *testing.B) {
	h := newHome(b)
	landTenMillion(b, h)
	metrics := twentyMetrics()
	e, asOf := running("checkout", 14, metrics...), experiment.Date{Time: day(30)}.Time
	byHand := handwritten(b, h)
	generated := func() (cells []measure.Statistic, took time.Duration) {
		began := time.Now()
		cells = h.cells(b, e, metrics, asOf)
		return cells, time.Since(began)
	}
	hand := func() (rows lake.Result, took time.Duration) {
		began := time.Now()
		rows, err := h.warehouse.Query(b.Context(), byHand)
		if err != nil {
			b.Fatal(err)
		}
		return rows, time.Since(began)
	}
	cells, _ := generated()
	rows, _ := hand()
	checkSame(b, metrics, cells, rows)
	var ours, theirs time.Duration
	for b.Loop() {
		_, took := generated()
		ours += took
		_, took = hand()
		theirs += took
	}
	b.ReportMetric(ours.Seconds()/float64(b.N), "generated-s")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "handwritten-s")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-handwritten")
}
