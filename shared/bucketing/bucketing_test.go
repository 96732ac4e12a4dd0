package bucketing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"verdict/shared/bucketing"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/experiment"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/optimizely"
)

var day = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// datafile is Optimizely's, with one experiment that includes a share of the users.
func datafile(t *testing.T, included float64) []byte {
	t.Helper()
	platform, err := flagapi.New(flagapi.Config{Project: "1", Token: "t", Default: "control"}, []feature.Flag{{
		Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{{
			Key: "one_page", Kind: feature.Experiment, Included: included,
			Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}},
		}},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	body, err := platform.Datafile("production")
	if err != nil {
		t.Fatal(err)
	}
	return body
}

type home struct {
	store   *directory.Store
	w       *duck.Warehouse
	auditor *bucketing.Auditor
}

func newHome(t *testing.T) *home {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	runs := 0
	return &home{store, w, &bucketing.Auditor{
		Open:    func(body []byte) (bucketing.Bucketer, error) { return optimizely.NewBucketer(body) },
		Objects: store, Engine: w, Catalog: w, Slack: time.Hour,
		NewRun: func() string { runs++; return fmt.Sprint("r", runs) },
	}}
}

// seen is one exposure.
type seen struct {
	anonymous, user, variant string
	at                       time.Time
}

// audit lands exposures of a day and audits it.
func (h *home) audit(t *testing.T, exposures []seen) (audited, mismatched int64, example string) {
	t.Helper()
	rows := make([]string, len(exposures))
	for i, x := range exposures {
		null := func(s string) string {
			if s == "" {
				return "null"
			}
			return lake.Quote(s)
		}
		rows[i] = fmt.Sprintf("('e%d', 'experiment_exposed', '{\"experiment_id\":\"one_page\",\"variant\":\"%s\"}', cast(%s as varchar), cast(%s as varchar), 'x', false, timestamp '%s', '%s')",
			i, x.variant, null(x.anonymous), null(x.user), x.at.Format(lake.TimeLayout), x.at.Format(time.DateOnly))
	}
	sql := "select * from (values " + strings.Join(rows, ", ") + ") as t(event_id, event_name, properties, anonymous_id, user_id, entity_id, is_bot, event_ts, event_date)"
	location := "warehouse/fact_event/run=" + h.auditor.NewRun() + "/"
	if err := h.w.Unload(t.Context(), sql, location, []string{"event_date"}); err != nil {
		t.Fatal(err)
	}
	date := exposures[0].at.Format(time.DateOnly)
	table := lake.Table{
		Name: "fact_event", PartitionBy: []string{"event_date"}, Partitions: []lake.Partition{{Values: []string{date}, Location: location + "event_date=" + date + "/"}},
		Columns: []lake.Column{
			{Name: "event_id", Type: "varchar"},
			{Name: "event_name", Type: "varchar"},
			{Name: "properties", Type: "varchar"},
			{Name: "anonymous_id", Type: "varchar"},
			{Name: "user_id", Type: "varchar"},
			{Name: "entity_id", Type: "varchar"},
			{Name: "is_bot", Type: "boolean"},
			{Name: "event_ts", Type: "timestamp(3)"},
		},
	}
	if err := h.w.Publish(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	asOf := exposures[0].at.Truncate(24*time.Hour).AddDate(0, 0, 1)
	if err := h.auditor.Run(t.Context(), []*experiment.Experiment{{ID: "one_page"}, {ID: "other"}}, asOf); err != nil {
		t.Fatal(err)
	}
	got, err := lake.Read[bucketing.Row](t.Context(), h.w, "select * from fact_bucketing_audit where as_of = "+lake.Quote(asOf.Format(time.DateOnly)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		return 0, 0, ""
	}
	return got[0].Audited, got[0].Mismatched, got[0].Example
}

func (h *home) keep(t *testing.T, body []byte, at time.Time) {
	t.Helper()
	if err := h.auditor.Keep(t.Context(), body, at); err != nil {
		t.Fatal(err)
	}
}

// given is what Optimizely's SDK gives a thousand users.
func given(t *testing.T, body []byte, at time.Time) []seen {
	t.Helper()
	b, err := optimizely.NewBucketer(body)
	if err != nil {
		t.Fatal(err)
	}
	var out []seen
	for i := range 1000 {
		id := fmt.Sprint("u", i)
		d, err := b.Decide("checkout", id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind == feature.Experiment {
			out = append(out, seen{anonymous: id, variant: d.Variation, at: at})
		}
	}
	return out
}

func TestAudit(t *testing.T) {
	all := datafile(t, 1)
	cases := map[string]struct {
		break1   func(x []seen)
		mismatch int64
	}{
		"as the SDK decides": {func([]seen) {}, 0},
		"by another id of the person": {func(x []seen) {
			for i := range x {
				x[i].user, x[i].anonymous = x[i].anonymous, "device"
			}
		}, 0},
		"by an id that landed hashed": {func(x []seen) {
			for i := range x {
				x[i].user, x[i].anonymous = "hmac:0123456789abcdef0123456789abcdef", "device"
			}
		}, -1},
		"ten forced into treatment": {func(x []seen) {
			n := 0
			for i := range x {
				if x[i].variant == "control" && n < 10 {
					x[i].variant = "treatment"
					n++
				}
			}
		}, 10},
		"a variant that there is not": {func(x []seen) { x[0].variant = "third" }, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.keep(t, all, day)
			x := given(t, all, day.Add(10*time.Hour))
			c.break1(x)
			audited, mismatched, example := h.audit(t, x)
			want := int64(len(x))
			if c.mismatch < 0 { // nobody can tell what the platform would say
				want, c.mismatch = 0, 0
			}
			if audited != want || mismatched != c.mismatch || (example != "") != (c.mismatch > 0) {
				t.Errorf("audited %d, want %d, mismatched %d, want %d: %s", audited, want, mismatched, c.mismatch, example)
			}
		})
	}
}

// Half the users are let in, then all: who came in before is judged by what was in force, give or take the slack.
func TestTheConfigurationInForceCounts(t *testing.T) {
	half, all := datafile(t, 0.5), datafile(t, 1)
	change := day.AddDate(0, 0, 1).Add(12 * time.Hour)
	h := newHome(t)
	h.keep(t, half, day)
	h.keep(t, half, day.Add(time.Hour)) // no news
	h.keep(t, all, change)
	if kept, err := h.store.List(t.Context(), "flags/datafiles/"); err != nil || len(kept) != 2 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	for name, c := range map[string]struct {
		body []byte
		at   time.Time
		ok   bool
	}{
		"half, before the first was kept": {half, day.Add(-time.Hour), true},
		"half, in time":                   {half, change.Add(-3 * time.Hour), true},
		"all, too early":                  {all, change.Add(-3 * time.Hour), false},
		"all, before we saw it":           {all, change.Add(-30 * time.Minute), true},
		"half, by a client that polls":    {half, change.Add(30 * time.Minute), true},
		"all, in time":                    {all, change.Add(3 * time.Hour), true},
	} {
		_, mismatched, example := h.audit(t, given(t, c.body, c.at))
		if (mismatched == 0) != c.ok {
			t.Errorf("%s: %d mismatched: %s", name, mismatched, example)
		}
	}
}

func TestWithoutAConfigurationNothingIsAudited(t *testing.T) {
	h := newHome(t)
	if audited, _, _ := h.audit(t, given(t, datafile(t, 1), day)); audited != 0 {
		t.Errorf("audited %d", audited)
	}
}
