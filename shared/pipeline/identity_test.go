package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"verdict/shared/embedded/directory"
	"verdict/shared/evaluate"
	"verdict/shared/identity/identitytest"
	"verdict/shared/lake"
	"verdict/shared/measure"
)

// landVisitors lands what simulated visitors did, as the collector would: a view at each of their times of week, an
// exposure dealt by device, an order here and there, and their sign-ins.
func landVisitors(t *testing.T, store *directory.Store, persons int) {
	t.Helper()
	v := identitytest.NewVisitors(persons, 21)
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days := map[string]*bytes.Buffer{}
	n := 0
	add := func(at time.Time, name, device, user, properties, more string) {
		n++
		if user != "" {
			more += fmt.Sprintf(`,"user_id":%q`, user)
		}
		date := at.Format(time.DateOnly)
		if days[date] == nil {
			days[date] = &bytes.Buffer{}
		}
		fmt.Fprintf(days[date], `{"event_id":"e%d","event_name":%q,"schema_version":"1-0-0","event_ts":%q,"received_ts":%q,"is_bot":false,"anonymous_id":%q,"consent":{"analytics_storage":"granted"},"properties":%s%s}`+"\n",
			n, name, at.Format(time.RFC3339), at.Format(time.RFC3339), device, properties, more)
	}
	for _, l := range v.Links {
		add(l.First, "user_signed_in", l.A[2:], l.B[2:], `{"method":"sso"}`, "")
	}
	for _, row := range v.Table.Rows {
		browser, networks := strings.Fields(row[3]), strings.Fields(row[2])
		from, _ := strconv.Atoi(browser[0])
		to, _ := strconv.Atoi(browser[1])
		device := row[0][2:]
		hash := fnv.New32a()
		fmt.Fprint(hash, device) //nolint:errcheck // a hash takes everything
		number := hash.Sum32()
		for slot, text := range strings.Fields(row[6]) {
			if text == "0" {
				continue
			}
			day := from + int(number+uint32(slot))%(to-from+1) //nolint:gosec // small
			for d := from; d <= to; d++ {
				weekend := first.AddDate(0, 0, d).Weekday() == time.Saturday || first.AddDate(0, 0, d).Weekday() == time.Sunday
				if weekend == (slot >= 8) {
					day = d
				}
			}
			at := first.AddDate(0, 0, day).Add(time.Duration(3*(slot%8)) * time.Hour)
			signals := fmt.Sprintf(`,"ip":%q,"user_agent":%q,"context":{"device":{"locale":%q,"time_zone":%q}}`, networks[slot%len(networks)], browser[2], row[4], row[5])
			add(at, "page_viewed", device, "", `{"page_type":"home"}`, signals)
			add(at.Add(time.Minute), "experiment_exposed", device, "", fmt.Sprintf(`{"experiment_id":"one_page_checkout","variant":%q}`, []string{"control", "treatment"}[number%2]), signals)
			if number%5 == 0 {
				add(at.Add(2*time.Minute), "order_completed", device, "", fmt.Sprintf(`{"order_id":"o%d","value":%d,"currency":"EUR"}`, n, 10+number%90), signals)
			}
		}
	}
	for date, lines := range days {
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		if _, err := z.Write(lines.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), "raw/namespace=shop/event_date="+date+"/a.ndjson.gz", body.Bytes(), lake.Overwrite); err != nil {
			t.Fatal(err)
		}
	}
}

// Devices are linked from landed events to the readout when a project says so, and not before; what the readout owes to
// that can be asked.
func TestLinkedDevicesReachTheReadout(t *testing.T) {
	p, store := open(t)
	landVisitors(t, store, 200)
	type counts struct {
		Linked    int64 `lake:"linked"`
		Multiple  int64 `lake:"multiple"`
		Conflicts int64 `lake:"conflicts"`
	}
	count := func() counts {
		got, err := lake.Read[counts](t.Context(), p.Engine, `select
    (select count(*) from dim_user where method = 'linked' and confidence between 0.8 and 0.999999 and valid_to is null) as linked,
    count(case when is_multi_variant then 1 end) as multiple,
    count(case when is_identity_conflict then 1 end) as conflicts
from fact_experiment_exposure`)
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	runAll(t, p)
	before := count()
	if before.Linked != 0 || before.Conflicts != before.Multiple {
		t.Fatalf("linked without being told to: %+v", before)
	}
	s, err := p.Sensitivity(t.Context(), "one_page_checkout", start().AddDate(0, 0, 7))
	if err != nil || len(s.Readings) != len(measure.Policies())-1 {
		t.Fatalf("%+v, %v: want all policies but the one that nothing is linked for", s, err)
	}

	p.Project.Identity.LinkDevices = true
	runAll(t, p)
	after := count()
	t.Logf("%+v", after)
	if after.Linked < 40 || after.Conflicts < before.Conflicts+10 || after.Conflicts != after.Multiple {
		t.Errorf("%+v: want many devices linked, and none that was itself served several variants", after)
	}
	if s, err = p.Sensitivity(t.Context(), "one_page_checkout", start().AddDate(0, 0, 7)); err != nil {
		t.Fatal(err)
	}
	units := map[measure.Policy]int64{}
	for _, r := range s.Readings {
		units[r.Policy] = r.Units
		if r.Verdict == "" || len(r.Metrics) == 0 {
			t.Errorf("%s says nothing: %+v", r.Policy, r)
		}
	}
	// Taken together, ids make fewer units than taken apart; those that saw several variants take part or not.
	r, c, f, l, x := units[measure.Resolved], units[measure.Certain], units[measure.FirstTouch], units[measure.LastTouch], units[measure.Strict]
	if len(units) != len(measure.Policies()) || r >= c || c >= x || r >= f || f != l || f >= x {
		t.Errorf("units %v", units)
	}
	published, err := lake.Read[evaluate.Result](t.Context(), p.Engine, "select * from fact_experiment_results where experiment_id = 'one_page_checkout' and as_of = "+lake.Quote(s.AsOf))
	if err != nil || len(published) != len(s.Readings[0].Metrics) {
		t.Fatalf("published %d results, %v, want %d", len(published), err, len(s.Readings[0].Metrics))
	}
	for _, m := range s.Readings[0].Metrics {
		for _, r := range published {
			if r.Metric == m.Metric && (r.UnitsControl != m.Control || r.UnitsTreatment != m.Treatment || math.Abs(r.Lift-m.Lift) > 1e-12) {
				t.Errorf("the readout says %+v, the resolved policy %+v", r, m)
			}
		}
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
	if _, err := p.Monitor(t.Context(), uncounted{}, start().AddDate(0, 0, 7)); err != nil {
		t.Fatal(err)
	}
	publishedAsDescribed(t, p, store)
	if _, err := p.Sensitivity(t.Context(), "nothing", start()); err == nil {
		t.Error("measured an experiment that is not there")
	}
}
