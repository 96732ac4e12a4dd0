package measure_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/lake"
)

// ninetyDays is a SELECT of some sixteen million events of 90 days. Four hundred thousand people come for 90 days each,
// beginning on any day of 180, half of them before the experiment. Half meet it, at a seventh of what they do, and one in 500
// times in the other variant. Every tenth signs in.
const ninetyDays = `with draw as (
    select
        range as n,
        cast(hash(range + 5) % 400000 as bigint) as person,
        cast(hash(range + 1000000007) % 1000003 as double) / 1000003 as b,
        cast(hash(range + 2000000011) % 1000003 as double) / 1000003 as c
    from range(32000000)
),

visit as (
    select
        *,
        cast(hash(person + 17) % 180 as bigint) - 90 + cast(hash(person * 64 + n % 12) % 90 as bigint) as day,
        cast(hash(person * 64 + n % 12 + 99) % 80000000 as bigint) + cast(floor(c * 3600000) as bigint) as ms
    from draw
),

happened as (
    select
        *,
        case
            when hash(person) % 2 = 0 and b < 0.14 then 'experiment_exposed'
            else (['page_viewed', 'product_viewed', 'order_completed', 'search_performed', 'session_started', 'product_added', 'user_signed_in', 'checkout_started'])[1 + cast(floor(8 * b * b) as integer)]
        end as event_name,
        case when (hash(person + 3) % 2 = 0) = (hash(n + 4) % 500 > 0) then 'control' else 'treatment' end as variant,
        timestamp '2026-01-05' + to_days(cast(day as integer)) + to_milliseconds(ms) as event_ts
    from visit
    where day between FROM and TO
)

select
    md5(cast(person as varchar)) as anonymous_id,
    case when person % 10 = 0 and n % 2 = 0 then 'user-' || person end as user_id,
    coalesce('u:' || user_id, 'a:' || anonymous_id) as entity_id,
    event_name,
    case when event_name = 'experiment_exposed' then '{"experiment_id":"checkout","variant":"' || variant || '"}' else '{}' end as properties,
    case when event_name = 'order_completed' then round(exp(3 + 2 * c), 2) end as value,
    person % 97 = 96 as is_bot,
    event_ts,
    cast(cast(event_ts as date) as varchar) as event_date
from happened`

// merges are the people who signed in. Every tenth person did, and of those first seen late more as time goes on.
func merges(tb testing.TB, h *home, people int) {
	tb.Helper()
	location := "warehouse/identity_map/run=" + h.newRun() + "/"
	sql := fmt.Sprintf(`select 'a:' || md5(cast(range * 10 as varchar)) as entity_id, 'u:user-' || range * 10 as unit_id, 'signed_in' as method, 1e0 as confidence, cast(null as timestamp) as since
from range(40000) where hash(range + 71) %% 10000 < %d`, people)
	if err := h.warehouse.Unload(tb.Context(), sql, location, nil); err != nil {
		tb.Fatal(err)
	}
	columns := []lake.Column{{Name: "entity_id", Type: "varchar"}, {Name: "unit_id", Type: "varchar"}, {Name: "method", Type: "varchar"}, {Name: "confidence", Type: "double"}, {Name: "since", Type: "timestamp(3)"}}
	if err := h.warehouse.Publish(tb.Context(), lake.Table{Name: "identity_map", Columns: columns, Partitions: []lake.Partition{{Location: location}}}); err != nil {
		tb.Fatal(err)
	}
}

var bytesRead = regexp.MustCompile(`rchar: (\d+)`)

// readSoFar is how many bytes this process has read from files, Parquet footers included.
func readSoFar(tb testing.TB) int64 {
	tb.Helper()
	counters, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Skip("only Linux tells what a process has read")
	}
	n, err := strconv.ParseInt(string(bytesRead.FindSubmatch(counters)[1]), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// meter is an engine that knows what its statements have read, those that count traffic apart.
type meter struct {
	lake.Engine
	b             *testing.B
	read, traffic int64
	log           bool
}

func (m *meter) Query(ctx context.Context, sql string) (lake.Result, error) {
	before := readSoFar(m.b)
	defer func() {
		n := readSoFar(m.b) - before
		if strings.Contains(sql, "ledger_session") {
			m.traffic += n
		} else {
			m.read += n
		}
		if m.log {
			fmt.Printf("query %d bytes, %d of text: %.60q\n", n, len(sql), sql)
		}
	}()
	return m.Engine.Query(ctx, sql)
}

func (m *meter) Unload(ctx context.Context, sql, prefix string, by []string) error {
	before := readSoFar(m.b)
	defer func() {
		n := readSoFar(m.b) - before
		m.read += n
		if m.log {
			fmt.Printf("unload %d bytes\n", n)
		}
	}()
	return m.Engine.Unload(ctx, sql, prefix, by)
}

// BenchmarkNinetyDays looks at an experiment on its 90th day: over totals, and over everything. It reports what share of
// the bytes of the latter the statements of the former read from files: on a day on which nobody merges, and on one on which a hundred people
// sign in whose devices were known before. Metrics are the twenty of the other benchmark, whose windows are of up to
// 14 days. Traffic is counted in either alike, and told apart.
func BenchmarkNinetyDays(b *testing.B) {
	h := newHome(b)
	if _, err := h.warehouse.Query(b.Context(), "set enable_external_file_cache = false"); err != nil {
		b.Fatal(err)
	}
	engine := &meter{Engine: h.warehouse, b: b, log: os.Getenv("VERDICT_LOG") != ""}
	h.measurer.Engine = engine
	land := func(from, to int) {
		var dates []string
		for n := from; n <= to; n++ {
			dates = append(dates, day(n).Format(time.DateOnly))
		}
		h.publishEvents(b, strings.NewReplacer("FROM", strconv.Itoa(from), "TO", strconv.Itoa(to)).Replace(ninetyDays), dates)
	}
	metrics := twentyMetrics()
	experiments := []*experiment.Experiment{running("checkout", 90, metrics...)}
	look := func(young, n int) (statistics, all int64, took time.Duration) {
		h.measurer.Young, engine.read, engine.traffic = young, 0, 0
		began := time.Now()
		if err := h.measurer.Run(b.Context(), experiments, metrics, day(n)); err != nil {
			b.Fatal(err)
		}
		return engine.read, engine.read + engine.traffic, time.Since(began)
	}
	land(0, 86)
	merges(b, h, 8000)
	h.build(b)
	look(0, 87)
	for b.Loop() {
		land(86, 87) // a day is made anew when the next one lands
		h.build(b)
		quiet, quietAll, quietTook := look(0, 88)
		land(87, 88)
		merges(b, h, 8100)
		h.build(b)
		merging, _, _ := look(0, 89)
		full, fullAll, fullTook := look(1000, 89)
		percent := func(part, whole int64) float64 { return 100 * float64(part) / float64(whole) }
		b.ReportMetric(float64(full)/1e6, "full-MB")
		b.ReportMetric(percent(quiet, full), "%-of-full")
		b.ReportMetric(percent(quietAll, fullAll), "%-with-traffic")
		b.ReportMetric(percent(merging, full), "%-with-merges")
		b.ReportMetric(quietTook.Seconds(), "increment-s")
		b.ReportMetric(fullTook.Seconds(), "full-s")
	}
}
