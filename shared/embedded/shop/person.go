package shop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// person is one visitor, drawn from the seed and the person's number alone.
type person struct {
	number  int
	rng     *rand.Rand
	first   time.Time
	devices []device
	user    string // empty: never signs in
	refuses bool
	bot     bool
}

type device struct {
	id    string
	ip    string
	agent string
	kind  string
	skew  time.Duration
}

// weekday is the share of a week's visits that each day gets, from Sunday.
func weekday() [7]float64 { return [7]float64{1.25, 0.9, 0.9, 0.95, 0.95, 1.0, 1.2} }

// newPerson draws everything about a person that does not depend on what the shop shows.
func (s *Shop) newPerson(number int) *person {
	p := &person{number: number, rng: rand.New(rand.NewPCG(s.config.Seed, uint64(number)))}
	p.first = s.config.Start.AddDate(0, 0, s.firstDay(p.rng)).Add(hourOfDay(p.rng))
	if p.rng.Float64() < crawls/(1+crawls) {
		p.bot = true
		p.devices = []device{p.newDevice(0)}
		p.devices[0].agent = "Mozilla/5.0 (compatible; ExampleBot/2.1; +https://bot.example/about)"
		return p
	}
	p.refuses = p.rng.Float64() < refusesCookie
	n := 1
	if p.rng.Float64() < severalDevice {
		n = 2 + p.rng.IntN(2)
	}
	for i := range n {
		p.devices = append(p.devices, p.newDevice(i))
	}
	if n > 1 || p.rng.Float64() < signsIn {
		p.user = fmt.Sprintf("user-%d", number)
	}
	return p
}

func (s *Shop) firstDay(rng *rand.Rand) int {
	weights := weekday()
	for {
		day := rng.IntN(s.config.Days)
		if rng.Float64()*1.25 < weights[s.config.Start.AddDate(0, 0, day).Weekday()] {
			return day
		}
	}
}

// hourOfDay prefers the evening: the mean of two uniform draws, shifted.
func hourOfDay(rng *rand.Rand) time.Duration {
	hours := math.Mod(6+12*(rng.Float64()+rng.Float64()), 24)
	return time.Duration(hours * float64(time.Hour)).Truncate(time.Millisecond)
}

func (p *person) newDevice(i int) device {
	d := device{
		id: fmt.Sprintf("d%d-%d-%08x", p.number, i, p.rng.Uint32()), ip: fmt.Sprintf("198.51.%d.%d", p.rng.IntN(256), 1+p.rng.IntN(254)),
		kind: "desktop", agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
	}
	if p.rng.Float64() < 0.6 {
		d.kind = "mobile"
		d.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
	}
	if p.rng.Float64() < wrongClock {
		d.skew = time.Duration((p.rng.Float64()*2 - 1) * 26 * float64(time.Hour)).Truncate(time.Millisecond)
	}
	return d
}

// visit is one session, or one event of the shop's own systems, at a moment.
type visit struct {
	p      *person
	at     time.Time
	device int
	kind   visitKind
	order  string
	value  float64
}

type visitKind uint8

const (
	firstVisit visitKind = iota
	returnVisit
	buyLater
	refund
)

// play turns a visit into events, and schedules what follows from it.
func (s *Shop) play(v visit) {
	e := &session{shop: s, visit: v, device: v.p.devices[v.device], at: v.at, id: fmt.Sprintf("s%d-%d", v.p.number, v.at.UnixMilli())}
	switch v.kind {
	case refund:
		e.add("order_refunded", fmt.Sprintf(`{"order_id":%q,"value":%.2f,"currency":"EUR","reason":"returned"}`, v.order, v.value))
	case buyLater:
		e.signIn()
		e.add("page_viewed", `{"page_type":"cart"}`)
		e.buy()
	case returnVisit:
		e.signIn()
		e.add("page_viewed", `{"page_type":"home"}`)
		e.expose("navigation", "banner")
		e.add("product_viewed", fmt.Sprintf(`{"product_id":"p%d"}`, v.p.rng.IntN(500)))
	case firstVisit:
		s.playFirst(e)
	}
	s.send(e)
}

// playFirst is the visit on which a person meets the experiments; what they do from then on follows
// from their own propensities and the variants they saw.
func (s *Shop) playFirst(e *session) {
	p := e.visit.p
	e.add("session_started", `{"entry":"search"}`)
	if len(p.devices) > 1 && p.rng.Float64() < looksFirst {
		e.add("page_viewed", `{"page_type":"home"}`)
		e.expose(s.flags...) // as nobody known yet: most of these people end up with two variants
	}
	e.signIn()
	e.add("page_viewed", `{"page_type":"home"}`)
	e.expose(s.flags...)
	e.add("product_viewed", fmt.Sprintf(`{"product_id":"p%d","price":%.2f,"currency":"EUR"}`, p.rng.IntN(500), 5+p.rng.Float64()*90))
	if p.bot {
		return
	}
	buy, comeBack := buys, comesBack
	for _, x := range e.experiments {
		if x.variant == "treatment" {
			buy, comeBack = buy*s.truth[x.id].buy, comeBack*s.truth[x.id].comeBack
		}
	}
	if p.rng.Float64() < buy {
		if p.rng.Float64() < buysAtOnce {
			e.buy()
		} else {
			s.schedule(visit{p: p, at: e.visit.at.Add(hours(p.rng, 2, 20)), device: p.rng.IntN(len(p.devices)), kind: buyLater})
		}
	}
	if p.rng.Float64() < comeBack {
		s.schedule(visit{p: p, at: e.visit.at.Add(hours(p.rng, 26, 90)), device: p.rng.IntN(len(p.devices)), kind: returnVisit})
	}
}

func hours(rng *rand.Rand, from, to float64) time.Duration {
	return time.Duration((from + rng.Float64()*(to-from)) * float64(time.Hour)).Truncate(time.Millisecond)
}

// session collects the events of one visit.
type session struct {
	shop        *Shop
	visit       visit
	device      device
	id          string
	at          time.Time // of the next event
	signedIn    bool
	seq         int64 // of the next event
	experiments []exposure
	events      [][]byte
}

type exposure struct{ id, variant string }

func (e *session) signIn() {
	if e.visit.p.user != "" && !e.signedIn {
		e.signedIn = true
		e.add("user_signed_in", `{"method":"passkey"}`)
	}
}

// expose asks the flag platform what to show, and reports what was seen of experiments.
func (e *session) expose(flags ...string) {
	unit := e.device.id
	if e.signedIn {
		unit = e.visit.p.user
	}
	for _, flag := range flags {
		d := e.shop.config.Decide(flag, unit)
		if d.Experiment == "" {
			continue
		}
		seen := exposure{d.Experiment, d.Variant}
		e.experiments = slices.DeleteFunc(e.experiments, func(x exposure) bool { return x.id == seen.id })
		e.experiments = append(e.experiments, seen)
		if d.Variant == "treatment" && e.visit.p.loses(e.shop.config.Seed, e.shop.truth[d.Experiment].lost) {
			continue
		}
		e.add("experiment_exposed", fmt.Sprintf(`{"experiment_id":%q,"variant":%q,"flag_key":%q,"source":"optimizely"}`, d.Experiment, d.Variant, flag))
	}
}

// loses tells whether this person's exposures get lost: the same answer on every visit.
func (p *person) loses(seed uint64, share float64) bool {
	return share > 0 && rand.New(rand.NewPCG(^seed, uint64(p.number))).Float64() < share
}

func (e *session) buy() {
	p := e.visit.p
	value := math.Round(100*orderMedian*math.Exp(orderSigma*p.rng.NormFloat64())) / 100
	order := fmt.Sprintf("o%d-%d", p.number, e.at.UnixMilli())
	e.add("checkout_started", fmt.Sprintf(`{"value":%.2f,"currency":"EUR"}`, value))
	e.add("order_completed", fmt.Sprintf(`{"order_id":%q,"value":%.2f,"currency":"EUR","items":%d}`, order, value, 1+p.rng.IntN(4)))
	if p.rng.Float64() < refunds {
		e.shop.schedule(visit{p: p, at: e.at.Add(hours(p.rng, 24, 144)), device: e.visit.device, kind: refund, order: order, value: value})
	}
}
