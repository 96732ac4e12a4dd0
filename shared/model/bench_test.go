package model_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/model"
)

var benchEvents = flag.Int("events", 1_000_000, "landed events of BenchmarkELT")

const (
	benchDays  = 10
	perFile    = 25_000 // Firehose closes a file at some 30 MB of lines
	copiesEach = 50     // every so many events are landed twice, as retries are
)

// landEvents lands events of 1.1 KB with every field that the collector writes, a fiftieth of them twice.
func landEvents(b *testing.B, store *directory.Store, events int) (lineBytes int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"page_viewed", "product_viewed", "product_added", "order_completed", "experiment_exposed"}
	agent := "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	var body bytes.Buffer
	z, err := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if err != nil {
		b.Fatal(err)
	}
	written := 0
	for file := 0; file*perFile < events; file++ {
		day := time.Date(2026, 1, 5+file%benchDays, 0, 0, 0, 0, time.UTC)
		body.Reset()
		z.Reset(&body)
		for i := range min(perFile, events-file*perFile) {
			n, person := file*perFile+i, rng.IntN(200_000)
			at := day.Add(time.Duration(rng.IntN(86_400_000)) * time.Millisecond)
			user := ""
			if person%4 == 0 {
				user = fmt.Sprintf(`"user_id":"user-%d",`, person)
			}
			line := func(received time.Time) {
				stamp := func(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }
				k, _ := fmt.Fprintf(z, `{"namespace":"shop","event_date":"%s","event_ts":"%s","client_ts":"%s","received_ts":"%s","is_bot":%t,"event_id":"%08x-%04x-7000-8000-%012x","event_name":"%s","schema_version":"1-0-0","seq":%d,"consent":{"analytics_storage":"granted","ad_storage":"granted","ad_user_data":"granted","ad_personalization":"denied"},"anonymous_id":"%016x-%08x",%s"session_id":"s-%016x","network_id":"n-%016x","ip":"203.0.%d.0","user_agent":"%s","context":{"page":{"url":"https://shop.example/products/%d?utm_source=newsletter&utm_campaign=spring-%d","referrer":"https://www.example.com/","title":"Product %d, blue, large"},"device":{"type":"desktop","viewport":{"width":%d,"height":%d}},"locale":"en-GB","time_zone":"Europe/London"},"experiments":{"checkout":"treatment","gift_wrap":"control"},"properties":{"product_id":"sku-%d","category":"shoes","value":%.2f,"currency":"EUR","quantity":%d}}`+"\n",
					day.Format(time.DateOnly), stamp(at), stamp(at.Add(-time.Second)), stamp(received), person%97 == 0, n, n&65535, uint64(n)*0x9e3779b97f4a7c15>>16,
					names[rng.IntN(len(names))], rng.IntN(60), uint64(person)*0x9e3779b97f4a7c15, person, user, uint64(person)*0x9e3779b97f4a7c15+uint64(n%7), rng.Uint64(), person%250, agent,
					rng.IntN(5000), rng.IntN(12), rng.IntN(5000), 320+rng.IntN(1600), 500+rng.IntN(900), rng.IntN(5000), rng.Float64()*200, 1+rng.IntN(3))
				lineBytes += k
				written++
			}
			received := at.Add(300 * time.Millisecond)
			line(received)
			if i%copiesEach == 0 {
				line(received.Add(time.Minute))
			}
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
		key := fmt.Sprintf("raw/namespace=shop/event_date=%s/%05d.ndjson.gz", day.Format(time.DateOnly), file)
		if err := store.Put(b.Context(), key, body.Bytes(), lake.Create); err != nil {
			b.Fatal(err)
		}
	}
	return lineBytes / written
}

// handwritten is what somebody who knows DuckDB writes to read, deduplicate and write the same files
// with the same columns, and no more: no audit, no partition of its own for each day that changed.
func handwritten(store *directory.Store, to string) string {
	return `COPY (
    SELECT namespace, event_id, event_name, schema_version, anonymous_id, user_id,
        coalesce('u:' || user_id, 'a:' || anonymous_id) AS entity_id, session_id, properties, context, consent, seq,
        CAST(properties ->> '$.value' AS DOUBLE) AS value, is_bot, event_ts, received_ts, event_date
    FROM (
        FROM read_json('` + store.Path("raw/") + `/*/*/*.ndjson.gz', format = 'newline_delimited', hive_partitioning = true,
            hive_types = {namespace: VARCHAR, event_date: VARCHAR},
            columns = {event_id: 'VARCHAR', event_name: 'VARCHAR', schema_version: 'VARCHAR', event_ts: 'TIMESTAMP', received_ts: 'TIMESTAMP',
                anonymous_id: 'VARCHAR', user_id: 'VARCHAR', session_id: 'VARCHAR', seq: 'BIGINT', is_bot: 'BOOLEAN', consent: 'JSON', context: 'JSON', properties: 'JSON'})
        QUALIFY row_number() OVER (PARTITION BY namespace, event_id ORDER BY received_ts, event_ts) = 1
    )
) TO '` + to + `' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (event_date))`
}

// peakMemory is the most memory that this process has held since the last call.
func peakMemory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("only Linux tells the peak of memory")
	}
	kib, err := strconv.ParseFloat(regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(string(status))[1], 64)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
	return kib / (1 << 20)
}

// BenchmarkELT makes landed files of events into audited, published facts, and beside it runs the
// statement that does nothing but read, deduplicate and write the same files.
func BenchmarkELT(b *testing.B) {
	project := loadProject(b)
	store := &directory.Store{Root: b.TempDir()}
	bytesEach := landEvents(b, store, *benchEvents)
	var landing []lake.Table
	for _, s := range project.Sources {
		if s.Location != "" {
			landing = append(landing, s.Landing())
		}
	}
	var ours, theirs time.Duration
	var peak, peakTheirs float64
	runs := 0
	for b.Loop() {
		runs++
		func() {
			home := &directory.Store{Root: filepath.Join(b.TempDir(), "home")}
			if err := os.MkdirAll(home.Root, 0o700); err != nil {
				b.Fatal(err)
			}
			if err := os.Symlink(store.Path("raw/"), home.Path("raw")); err != nil {
				b.Fatal(err)
			}
			w, err := duck.Open(b.Context(), home, landing...)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			builder := &model.Builder{Project: project, Objects: store, Engine: w, Catalog: w, NewRun: func() string { return "1" }}
			peakMemory(b)
			began := time.Now()
			if _, err := builder.Build(b.Context(), "fact_event"); err != nil {
				b.Fatal(err)
			}
			ours += time.Since(began)
			peak = max(peak, peakMemory(b))
			facts, err := w.Query(b.Context(), "select count(*) from fact_event")
			if err != nil {
				b.Fatal(err)
			}
			if got := *facts.Rows[0][0]; got != strconv.Itoa(*benchEvents) {
				b.Fatalf("%s facts of %d events", got, *benchEvents)
			}
		}()
		func() {
			w, err := duck.Open(b.Context(), store)
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			peakMemory(b)
			began := time.Now()
			if _, err := w.Query(b.Context(), handwritten(store, filepath.Join(b.TempDir(), "hand"))); err != nil {
				b.Fatal(err)
			}
			theirs += time.Since(began)
			peakTheirs = max(peakTheirs, peakMemory(b))
		}()
	}
	million := float64(runs) * float64(*benchEvents) / 1e6
	b.ReportMetric(float64(bytesEach), "B/event")
	b.ReportMetric(ours.Seconds()/million, "elt-s/million")
	b.ReportMetric(theirs.Seconds()/million, "handwritten-s/million")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-handwritten")
	b.ReportMetric(peak, "elt-GB")
	b.ReportMetric(peakTheirs, "handwritten-GB")
}
