package athena_test

// Athena's SQL itself runs nowhere but on AWS: what its dialect gives is tested on DuckDB (and, in a
// later step, on Trino). Here stands what happens on the wire.

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/athena"
	"verdict/shared/awsio/awstest"
	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// bucket is a folder that says it were on S3.
type bucket struct{ *directory.Store }

func (bucket) Location(prefix string) string { return "s3://lake/" + prefix }

func holding(t *testing.T, keys ...string) bucket {
	t.Helper()
	b := bucket{&directory.Store{Root: t.TempDir()}}
	for _, key := range keys {
		if err := b.Put(t.Context(), key, nil, lake.Overwrite); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

type object map[string]any

const scanned = 12345 // bytes, by any query

// server answers like Athena: a query goes through states, and has rows in pages of a thousand.
type server struct {
	started []object
	states  []object // one per GetQueryExecution, the last one for ever
	rows    [][]any
	asked   int
}

func (s *server) start(input []byte) (any, error) {
	var in object
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	for i, before := range s.started { // the same token again is the same query
		if in["ClientRequestToken"] == before["ClientRequestToken"] {
			return object{"QueryExecutionId": "q" + strconv.Itoa(i+1)}, nil
		}
	}
	s.started = append(s.started, in)
	return object{"QueryExecutionId": "q" + strconv.Itoa(len(s.started))}, nil
}

func (s *server) state([]byte) (any, error) {
	status := s.states[min(s.asked, len(s.states)-1)]
	s.asked++
	return object{"QueryExecution": object{"QueryExecutionId": "q1", "Status": status, "Statistics": object{"DataScannedInBytes": scanned}}}, nil
}

func (s *server) results(input []byte) (any, error) {
	var in struct{ NextToken string }
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	row := func(values ...any) object {
		data := []object{}
		for _, v := range values {
			if v == nil {
				data = append(data, object{})
				continue
			}
			data = append(data, object{"VarCharValue": v})
		}
		return object{"Data": data}
	}
	rows := []object{row("n", "v")}
	for _, r := range s.rows {
		rows = append(rows, row(r...))
	}
	from := 0
	if in.NextToken != "" {
		var err error
		if from, err = strconv.Atoi(in.NextToken); err != nil {
			return nil, err
		}
	}
	to := min(from+1000, len(rows))
	answer := object{"ResultSet": object{
		"Rows":              rows[from:to],
		"ResultSetMetadata": object{"ColumnInfo": []object{{"Name": "n", "Type": "bigint"}, {"Name": "v", "Type": "double"}}},
	}}
	if to < len(rows) {
		answer["NextToken"] = strconv.Itoa(to)
	}
	return answer, nil
}

func open(t *testing.T, s *server, b bucket) (*awstest.Service, *athena.Engine, *[]time.Duration) {
	t.Helper()
	service, config := awstest.New(t, "athena", map[string]awstest.Action{
		"StartQueryExecution": s.start, "GetQueryExecution": s.state, "GetQueryResults": s.results,
		"StopQueryExecution": func([]byte) (any, error) { return object{}, nil },
	})
	var pauses []time.Duration
	return service, athena.New(config, athena.Config{Workgroup: "pipeline", Database: "verdict"}, b, func(ctx context.Context, d time.Duration) error {
		pauses = append(pauses, d)
		return ctx.Err()
	}, now), &pauses
}

func now() time.Time { return time.Unix(1_800_000_000, 0) }

func succeeded() []object { return []object{ended("SUCCEEDED", time.Minute)} }

// ended is the status of a query that ended some time ago.
func ended(state string, ago time.Duration) object {
	return object{"State": state, "CompletionDateTime": now().Add(-ago).Unix()}
}

func TestQuery(t *testing.T) {
	s := &server{
		states: []object{{"State": "QUEUED"}, {"State": "RUNNING"}, {"State": "RUNNING"}, {"State": "RUNNING"}, {"State": "SUCCEEDED"}},
		rows:   [][]any{{"1", "1.0E10"}, {"2", nil}},
	}
	_, engine, pauses := open(t, s, holding(t))
	type row struct {
		N int64   `lake:"n"`
		V float64 `lake:"v"`
	}
	got, err := lake.Read[row](t.Context(), engine, "select n, v from t")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]row{{1, 1e10}, {2, 0}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(s.started) != 1 || s.started[0]["QueryString"] != "select n, v from t" || s.started[0]["WorkGroup"] != "pipeline" ||
		cmp.Diff(s.started[0]["QueryExecutionContext"], map[string]any{"Database": "verdict"}) != "" || s.started[0]["ClientRequestToken"] == nil {
		t.Errorf("started %v", s.started)
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 2000 * ms}, *pauses); diff != "" {
		t.Errorf("pauses -want +got:\n%s", diff)
	}
}

// A page holds a thousand rows at most: what reads one page only loses the rest silently.
func TestAllPagesAreRead(t *testing.T) {
	for _, count := range []int{0, 1, 999, 1000, 1001, 3456} {
		t.Run(strconv.Itoa(count), func(t *testing.T) {
			s := &server{states: succeeded()}
			for i := range count {
				s.rows = append(s.rows, []any{strconv.Itoa(i), "0"})
			}
			_, engine, _ := open(t, s, holding(t))
			result, err := engine.Query(t.Context(), "select n, v from t")
			if err != nil || len(result.Rows) != count {
				t.Fatalf("%d rows, %v; want %d", len(result.Rows), err, count)
			}
			for i, r := range result.Rows {
				if *r[0] != strconv.Itoa(i) {
					t.Fatalf("row %d is %s", i, *r[0])
				}
			}
		})
	}
}

func TestUnload(t *testing.T) {
	s := &server{states: succeeded()}
	_, engine, _ := open(t, s, holding(t, "warehouse/fact/run=1/x"))
	if err := engine.Unload(t.Context(), "select 1 as a, '2026-01-05' as event_date", "warehouse/fact/run=2/", []string{"event_date"}); err != nil {
		t.Fatal(err)
	}
	want := `UNLOAD (select 1 as a, '2026-01-05' as event_date
) TO 's3://lake/warehouse/fact/run=2/' WITH (format = 'PARQUET', compression = 'ZSTD', partitioned_by = ARRAY['event_date'])`
	if got := s.started[0]["QueryString"]; got != want {
		t.Errorf("ran %s\nwant %s", got, want)
	}
	if err := engine.Unload(t.Context(), "select 1 as a", "warehouse/dim/run=1/", nil); err != nil || strings.Contains(s.started[1]["QueryString"].(string), "partitioned_by") {
		t.Errorf("without partitions: %v, %v", err, s.started[1]["QueryString"])
	}
	if err := engine.Unload(t.Context(), "select 1 as a", "warehouse/fact/run=1/", nil); !fault.Is(err, fault.Conflict) || len(s.started) != 2 {
		t.Errorf("onto something: %v, want a conflict before anything runs", err)
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		state object
		class fault.Class
		want  string
	}{
		"wrong SQL":            {object{"State": "FAILED", "StateChangeReason": "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved", "AthenaError": object{"ErrorCategory": 2, "ErrorType": 1006}}, fault.Invalid, "Column 'x'"},
		"Athena's own trouble": {object{"State": "FAILED", "AthenaError": object{"ErrorCategory": 1, "ErrorMessage": "internal"}}, fault.Transient, "internal"},
		"worth a retry":        {object{"State": "FAILED", "AthenaError": object{"ErrorCategory": 3, "Retryable": true, "ErrorMessage": "S3 is slow"}}, fault.Transient, "slow"},
		"stopped by somebody":  {object{"State": "CANCELLED", "StateChangeReason": "Query cancelled! : Bytes scanned limit was exceeded"}, fault.Internal, "Bytes scanned limit"},
	} {
		t.Run(name, func(t *testing.T) {
			_, engine, _ := open(t, &server{states: []object{c.state}}, holding(t))
			_, err := engine.Query(t.Context(), "select x")
			if fault.Of(err) != c.class || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v (%s), want %s: %s", err, fault.Of(err), c.class, c.want)
			}
		})
	}
	t.Run("throttled", func(t *testing.T) {
		service, engine, _ := open(t, &server{states: succeeded()}, holding(t))
		service.On("StartQueryExecution", func([]byte) (any, error) {
			return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "TooManyRequestsException", Message: "slow down"}
		})
		if _, err := engine.Query(t.Context(), "select 1"); !fault.Is(err, fault.Transient) {
			t.Errorf("%v, want transient", err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		s := &server{states: succeeded()}
		_, engine, _ := open(t, s, holding(t))
		if _, err := engine.Query(t.Context(), "select '"+strings.Repeat("x", 262144)+"'"); !fault.Is(err, fault.Invalid) || len(s.started) > 0 {
			t.Errorf("%v, want it refused before it runs", err)
		}
	})
}

// Nobody waits any more: the query is stopped, or it would go on and be paid for.
func TestAnAbandonedQueryIsStopped(t *testing.T) {
	s := &server{states: []object{{"State": "RUNNING"}}}
	service, engine, _ := open(t, s, holding(t))
	ctx, cancel := context.WithCancel(t.Context())
	service.On("GetQueryExecution", func(input []byte) (any, error) {
		cancel()
		return s.state(input)
	})
	_, err := engine.Query(ctx, "select 1")
	if !fault.Is(err, fault.Transient) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the cancellation", err)
	}
	calls := service.Calls()
	if calls[len(calls)-1] != "StopQueryExecution" {
		t.Errorf("calls %v, want a stop at the end", calls)
	}
}

// A Lambda that is cut off while Athena writes leaves the query to run; the next one finds and follows it.
func TestAnUnloadOutlivesWhoWaits(t *testing.T) {
	const prefix = "warehouse/fact/run=1/"
	unload := func(ctx context.Context, e *athena.Engine) error {
		return e.Unload(ctx, "select 1 as a", prefix, nil)
	}
	for name, c := range map[string]struct {
		states  []object // after the first call's
		started int
		class   fault.Class
		fails   bool
	}{
		"it runs still":           {[]object{{"State": "RUNNING"}, {"State": "RUNNING"}, ended("SUCCEEDED", 0)}, 1, 0, false},
		"it has ended":            {succeeded(), 1, 0, false},
		"it ended long ago":       {[]object{ended("SUCCEEDED", 2*time.Hour)}, 1, fault.Conflict, true},
		"it failed":               {[]object{ended("FAILED", time.Minute)}, 1, fault.Conflict, true},
		"it fails while followed": {[]object{{"State": "RUNNING"}, {"State": "FAILED", "AthenaError": object{"ErrorCategory": 2}}}, 1, fault.Invalid, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{states: []object{{"State": "RUNNING"}}}
			b := holding(t)
			service, engine, _ := open(t, s, b)
			ctx, cancel := context.WithCancel(t.Context())
			service.On("GetQueryExecution", func(input []byte) (any, error) {
				cancel()
				return s.state(input)
			})
			if err := unload(ctx, engine); !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "runs on") {
				t.Fatalf("cut off: %v, want that it runs on", err)
			}
			if slices.Contains(service.Calls(), "StopQueryExecution") {
				t.Error("it was stopped")
			}
			// What it writes is there before it has ended.
			if err := b.Put(t.Context(), prefix+"part", nil, lake.Overwrite); err != nil {
				t.Fatal(err)
			}
			s.states, s.asked = c.states, 0
			service.On("GetQueryExecution", s.state)
			err := unload(t.Context(), engine)
			if (err != nil) != c.fails || c.fails && fault.Of(err) != c.class || len(s.started) != c.started {
				t.Errorf("next: %v after %d starts; want failure %t (%s) after %d", err, len(s.started), c.fails, c.class, c.started)
			}
		})
	}
	t.Run("it died before it could note the query", func(t *testing.T) {
		s := &server{states: succeeded()}
		b := holding(t)
		_, engine, _ := open(t, s, b)
		for range 2 {
			if err := unload(t.Context(), engine); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(b.Path("warehouse/fact/run=1.query")); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.started) != 1 {
			t.Errorf("%d queries, want one", len(s.started))
		}
	})
	t.Run("another statement under the same prefix", func(t *testing.T) {
		_, engine, _ := open(t, &server{states: succeeded()}, holding(t))
		if err := unload(t.Context(), engine); err != nil {
			t.Fatal(err)
		}
		if err := engine.Unload(t.Context(), "select 2 as a", prefix, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("%v, want a conflict", err)
		}
	})
}

// What Athena bills is known to whoever asked, also of a query that failed.
func TestScannedBytesAreCounted(t *testing.T) {
	for _, states := range [][]object{succeeded(), {ended("FAILED", 0)}} {
		_, engine, _ := open(t, &server{states: states}, holding(t))
		outer, all := lake.Metered(t.Context())
		for range 2 {
			ctx, one := lake.Metered(outer)
			_, _ = engine.Query(ctx, "select 1") // its error is another test's
			if one.Bytes() != scanned {
				t.Errorf("one query read %d bytes, want %d", one.Bytes(), scanned)
			}
		}
		if all.Bytes() != 2*scanned {
			t.Errorf("both read %d bytes, want %d", all.Bytes(), 2*scanned)
		}
	}
}
