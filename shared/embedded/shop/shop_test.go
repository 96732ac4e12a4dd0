package shop_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/valyala/fastjson"

	"verdict/events"
	"verdict/shared/embedded/shop"
	"verdict/shared/plan"
	"verdict/shared/stats"
)

func start() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

// request is one request as the collector gets it.
type request struct {
	At                time.Time // by the collector's clock
	Agent, From, Body string
}

// collector stores what it is sent.
type collector struct {
	mu       sync.Mutex
	clock    time.Time
	requests []request
	answer   func(n int) (status int, body string) // to the n-th request
}

func (c *collector) setClock(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = to
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	status, text := c.answer(len(c.requests))
	c.requests = append(c.requests, request{c.clock, r.UserAgent(), r.Header.Get("X-Forwarded-For"), string(body)})
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// decide splits units evenly, as the flag platform does with one experiment on each flag.
func decide(flag, unit string) shop.Decision {
	experiments := map[string]string{
		"checkout": "one_page_checkout", "banner": "urgency_banner", "cart_service": "cart_service_rewrite",
		"navigation": "new_navigation", "gift_wrap": "gift_wrap",
	}
	h := fnv.New64a()
	io.WriteString(h, flag+"\x00"+unit)
	sum := h.Sum64()
	sum ^= sum >> 29
	variant := "control"
	if sum*0x9e3779b97f4a7c15>>63 == 1 {
		variant = "treatment"
	}
	return shop.Decision{Variant: variant, Experiment: experiments[flag]}
}

// play runs a shop to its end.
func play(t *testing.T, seed uint64, visitors, days int, answer func(int) (int, string)) ([]request, shop.Counts, error) {
	t.Helper()
	c := &collector{answer: answer}
	server := httptest.NewServer(c)
	defer server.Close()
	s := shop.New(shop.Config{
		Seed: seed, Visitors: visitors, Days: days, Start: start(), CollectorURL: server.URL, WriteKey: "wk", Decide: decide,
		SetClock: c.setClock, Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}},
	})
	for day := range days {
		if err := s.PlayDay(t.Context(), day); err != nil {
			return nil, s.Counts(), err
		}
	}
	err := s.Drain(t.Context())
	// Requests of one moment are sent concurrently: their order means nothing.
	slices.SortFunc(c.requests, func(a, b request) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Body, b.Body)) })
	return c.requests, s.Counts(), err
}

func stored(int) (int, string) { return http.StatusOK, "{}" }

func TestASeedDecidesEveryByte(t *testing.T) {
	first, counts, err := play(t, 1, 300, 5, stored)
	if err != nil {
		t.Fatal(err)
	}
	again, againCounts, err := play(t, 1, 300, 5, stored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(first, again); diff != "" {
		t.Errorf("two runs of a seed differ:\n%s", diff)
	}
	if counts != againCounts || counts.Batches != len(first) || len(first) < 300 {
		t.Errorf("counts %+v and %+v for %d requests", counts, againCounts, len(first))
	}
	other, _, err := play(t, 2, 300, 5, stored)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(first, other) {
		t.Error("another seed sent the same")
	}
}

// sent is an event as it came first, and what is known of its copies.
type sent struct {
	event    *fastjson.Value
	text     string
	copies   int
	bot      bool
	skew     time.Duration // of the device's clock
	delay    time.Duration // from when it happened to when it was received first
	failures []plan.Failure
}

// eventsOf reads requests, which are in order of time.
func eventsOf(t *testing.T, requests []request) map[string]*sent {
	t.Helper()
	tracking, err := plan.Load(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*sent{}
	for _, r := range requests {
		batch, err := fastjson.Parse(r.Body) // a parser each: the values outlive the loop
		if err != nil {
			t.Fatal(err)
		}
		if string(batch.GetStringBytes("write_key")) != "wk" {
			t.Fatalf("batch with another write key: %s", r.Body)
		}
		sentAt, err := plan.ParseTime(batch.GetStringBytes("sent_at"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.GetArray("events") {
			id := string(e.GetStringBytes("event_id"))
			if known := out[id]; known != nil {
				known.copies++
				if text := string(e.MarshalTo(nil)); text != known.text {
					t.Errorf("a copy differs from what was sent first:\n%s\n%s", text, known.text)
				}
				continue
			}
			at, err := plan.ParseTime(e.GetStringBytes("ts"))
			if err != nil {
				t.Fatal(err)
			}
			out[id] = &sent{
				event: e, text: string(e.MarshalTo(nil)), copies: 1, bot: strings.Contains(r.Agent, "Bot"),
				skew: sentAt.Sub(r.At), delay: sentAt.Sub(at), failures: tracking.Check(e),
			}
		}
	}
	return out
}

func (s *sent) field(path ...string) string { return string(s.event.GetStringBytes(path...)) }

// Every difficulty that the shop promises occurs, as often as it says it did.
func TestDifficultiesOccur(t *testing.T) {
	requests, counts, err := play(t, 3, 2000, 8, stored)
	if err != nil {
		t.Fatal(err)
	}
	all := eventsOf(t, requests)
	got := shop.Counts{Batches: len(requests)}
	devices, signedIn := map[string]map[string]bool{}, map[string]map[string]bool{}
	breaches := map[string]int{}
	fast, slow, ahead := 0, 0, time.Duration(0)
	for id, s := range all {
		got.Events += s.copies
		got.Duplicates += s.copies - 1
		if s.bot {
			got.Bots++
		}
		if s.delay > time.Hour { // other events are sent within ten minutes
			got.Late++
		}
		if s.skew > time.Minute {
			fast++
		} else if s.skew < -time.Minute {
			slow++
		}
		ahead = max(ahead, s.skew)
		if s.field("consent", "analytics_storage") == "denied" {
			got.Refused++
			for _, name := range []string{"anonymous_id", "user_id", "session_id", "seq", "experiments", "context"} {
				if s.event.Exists(name) {
					t.Errorf("event %s has %s in spite of the refusal", id, name)
				}
			}
		} else if user, device := s.field("user_id"), s.field("anonymous_id"); user != "" {
			add(devices, user, device)
			add(signedIn, device, user)
		} else if device == "" {
			t.Errorf("event %s has no device", id)
		}
		if len(s.failures) > 0 {
			got.Invalid++
			breaches[s.failures[0].Path]++
			if len(s.failures) != 1 {
				t.Errorf("event %s breaks its contract in %d ways, want one: %+v", id, len(s.failures), s.failures)
			}
		}
	}
	// The shop's own counts are what the demo reports: they must be what was sent.
	if diff := gocmp.Diff(counts, got); diff != "" {
		t.Errorf("-counted +sent:\n%s", diff)
	}
	several := 0
	for _, of := range devices {
		if len(of) > 1 {
			several++
		}
	}
	for device, users := range signedIn {
		if len(users) > 1 {
			t.Errorf("device %s has users %v: people of this shop share none", device, users)
		}
	}
	for what, n := range map[string]int{
		"duplicates": got.Duplicates, "late events": got.Late, "bots": got.Bots, "refusals": got.Refused, "invalid events": got.Invalid,
		"fast clocks": fast, "slow clocks": slow, "people with several devices": several,
		"unplanned events": breaches["/event"], "unplanned properties": breaches["/properties/debug"], "ids that are none": breaches["/event_id"],
	} {
		if n <= 0 {
			t.Errorf("there are no %s", what)
		}
	}
	if ahead > 26*time.Hour || ahead < 10*time.Hour {
		t.Errorf("the fastest clock is %s ahead, want up to 26 hours", ahead)
	}
}

func add(to map[string]map[string]bool, key, member string) {
	if to[key] == nil {
		to[key] = map[string]bool{}
	}
	to[key][member] = true
}

// The navigation experiment loses exposures of its treatment; all others split as planned.
func TestOneExperimentLosesUnits(t *testing.T) {
	requests, _, err := play(t, 4, 6000, 8, stored)
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{} // of devices
	all := eventsOf(t, requests)
	for _, s := range all {
		if user := s.field("user_id"); user != "" {
			users[s.field("anonymous_id")] = user
		}
	}
	units := map[string]map[string]map[string]bool{} // experiment, unit, variants
	for _, s := range all {
		unit := s.field("anonymous_id")
		if s.field("event") != "experiment_exposed" || s.bot || unit == "" || len(s.failures) > 0 {
			continue
		}
		if user := users[unit]; user != "" {
			unit = user
		}
		experiment := s.field("properties", "experiment_id")
		if units[experiment] == nil {
			units[experiment] = map[string]map[string]bool{}
		}
		add(units[experiment], unit, s.field("properties", "variant"))
	}
	if len(units) != 5 {
		t.Errorf("exposures of %d experiments, want 5", len(units))
	}
	for experiment, of := range units {
		counts, crossed := []int64{0, 0}, 0
		for _, variants := range of {
			switch {
			case len(variants) > 1:
				crossed++
			case variants["control"]:
				counts[0]++
			default:
				counts[1]++
			}
		}
		p := stats.CheckSplit(counts, []float64{1, 1}).P
		if mismatch := p < 0.001; mismatch != (experiment == "new_navigation") {
			t.Errorf("%s: units %v, p = %g", experiment, counts, p)
		}
		if crossed == 0 {
			t.Errorf("%s: nobody saw both variants", experiment)
		}
	}
	lost := float64(len(units["new_navigation"])) / float64(len(units["one_page_checkout"]))
	if lost < 0.93 || lost > 0.97 {
		t.Errorf("%.3f of units are left of the experiment that loses a tenth of one of two arms, want 0.95", lost)
	}
}

func TestNotStoredIsSentAgain(t *testing.T) {
	requests, counts, err := play(t, 5, 1, 1, func(n int) (int, string) {
		if n == 0 {
			return http.StatusServiceUnavailable, `{"not_stored":[1,2]}`
		}
		return stored(n)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(requests) < 2 || counts.Retried != 2 {
		t.Fatalf("got %d requests and %+v, want two events tried again", len(requests), counts)
	}
	tried := [2][]string{}
	for i, r := range requests[:2] {
		for _, e := range fastjson.MustParse(r.Body).GetArray("events") {
			tried[i] = append(tried[i], string(e.GetStringBytes("event_id")))
		}
	}
	slices.SortFunc(tried[:], func(a, b []string) int { return len(b) - len(a) }) // the whole batch came first
	if len(tried[0]) < 3 {
		t.Fatalf("the first request holds %d events", len(tried[0]))
	}
	if diff := gocmp.Diff(tried[0][1:3], tried[1]); diff != "" {
		t.Errorf("sent again -want +got:\n%s", diff)
	}
}

func TestBrokenCollectorEndsTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"refuses":         {http.StatusUnauthorized, "who are you", "answered 401 who are you"},
		"has no room":     {http.StatusServiceUnavailable, `{"not_stored":[0]}`, "after 8 tries"},
		"answers garbage": {http.StatusServiceUnavailable, "<html>", "read answer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := play(t, 5, 3, 1, func(int) (int, string) { return c.status, c.body })
			if err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
