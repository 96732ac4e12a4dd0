package identitytest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"verdict/shared/identity"
	"verdict/shared/identity/linkage"
)

// Visitors are three months of a shop: who holds which cookie is known.
type Visitors struct {
	Links  []identity.Link   // sign-ins, of all cookies
	Person map[string]string // of each id in Links or Table; a shared device is nobody's but its own

	Table linkage.Table // what is known of the cookies whose holders consented
	Truth []string      // of the rows of Table
}

const (
	days     = 90
	carriers = 4
	slots    = 16 // of a week: eight times of day, on working days and at weekends
)

type person struct {
	name, user      string
	consents        bool
	home, work, ips []string // networks
	locale, zone    string
	hours           [slots]float64 // cumulated
}

// NewVisitors simulates about n persons: in households behind one address, at offices, behind carriers
// whose truncated addresses dozens share, with one to three devices whose cookies are cleared now and then,
// a third of them signed in on most of their devices, seven in ten consenting, and shared devices
// that several people sign in on.
func NewVisitors(n int, seed uint64) *Visitors {
	v := &Visitors{Person: map[string]string{}, Table: linkage.Table{Columns: linkage.SignalColumns()}}
	rng := rand.New(rand.NewPCG(seed, 3))
	people := populate(rng, n)
	for _, p := range people {
		kinds := []string{"phone", "laptop", "tablet"}
		for i, chance := range []float64{0.85, 0.65, 0.15} {
			if rng.Float64() < chance {
				v.device(rng, p, kinds[i])
			}
		}
	}
	for i := range n / 200 {
		v.shared(rng, fmt.Sprintf("shared-%d", i), people)
	}
	return v
}

// populate makes households. Networks are drawn from pools in which some are common to several homes,
// since a truncated address covers up to 256 lines.
func populate(rng *rand.Rand, n int) []*person {
	var out []*person
	for home := 0; len(out) < n; home++ {
		region := zipf(rng, 5)
		lines := []string{fmt.Sprintf("home-%d", rng.IntN(2*n))}
		if rng.IntN(10) == 0 { // the provider gave a new address
			lines = append(lines, fmt.Sprintf("home-%d", rng.IntN(2*n)))
		}
		locale := fmt.Sprintf("l%d", zipf(rng, 12))
		for range []int{1, 1, 1, 1, 2, 2, 2, 3, 3, 4}[rng.IntN(10)] {
			p := &person{name: fmt.Sprintf("person-%d", len(out)), consents: rng.IntN(10) < 7, home: lines, locale: locale, zone: fmt.Sprintf("z%d", region)}
			if rng.IntN(10) < 3 {
				p.user = fmt.Sprintf("u:%d", len(out))
			}
			if rng.IntN(8) == 0 {
				p.locale = fmt.Sprintf("l%d", zipf(rng, 12))
			}
			if rng.IntN(10) < 6 {
				p.work = []string{fmt.Sprintf("office-%d-%d", region, zipf(rng, 4+n/40))}
			}
			carrier := rng.IntN(carriers)
			for range 2 + rng.IntN(4) {
				p.ips = append(p.ips, fmt.Sprintf("carrier-%d-%d", carrier, rng.IntN(40)))
			}
			sum := 0.0
			for i := range p.hours {
				sum += rng.ExpFloat64() * rng.ExpFloat64()
				p.hours[i] = sum
			}
			out = append(out, p)
		}
	}
	return out
}

// visit is one day's use of a device.
type visit struct {
	day     int
	network string
	slots   []int
}

func (p *person) visits(rng *rand.Rand, kind string) []visit {
	rate := min(0.9, 0.05+0.2*rng.ExpFloat64())
	var out []visit
	for day := range days {
		if rng.Float64() > rate {
			continue
		}
		x := visit{day: day, network: p.home[min(len(p.home)-1, day*2/days)]}
		switch where := rng.Float64(); {
		case kind == "phone" && where < 0.35:
			x.network = p.ips[rng.IntN(len(p.ips))]
		case kind != "tablet" && where > 0.7 && len(p.work) > 0:
			x.network = p.work[0]
		}
		for range 1 + rng.IntN(6) {
			at, _ := slices.BinarySearch(p.hours[:], rng.Float64()*p.hours[slots-1])
			x.slots = append(x.slots, min(at, slots-1))
		}
		out = append(out, x)
	}
	return out
}

// device plays a device of one person: its cookies, one after the other.
func (v *Visitors) device(rng *rand.Rand, p *person, kind string) {
	traits := fmt.Sprintf("%s-%d", kind, zipf(rng, 80))
	life := 120.0
	if rng.IntN(3) == 0 {
		life = 20
	}
	visits := p.visits(rng, kind)
	for end := rng.ExpFloat64() * life; len(visits) > 0; end += rng.ExpFloat64() * life {
		n := 0
		for n < len(visits) && float64(visits[n].day) < end {
			n++
		}
		if n > 0 {
			id := fmt.Sprintf("a:%06d", len(v.Person))
			v.Person[id] = p.name
			var users []string
			if p.user != "" && rng.IntN(10) < 7 {
				users = []string{p.user}
			}
			v.cookie(id, p, traits, visits[:n], users)
		}
		visits = visits[n:]
	}
}

// shared plays a device that several people use, two of them signed in at least.
func (v *Visitors) shared(rng *rand.Rand, name string, people []*person) {
	host := *people[rng.IntN(len(people))]
	host.name, host.consents = name, true
	host.home, host.work = []string{"public-" + name}, nil
	var users []string
	for len(users) < 2+rng.IntN(4) {
		if p := people[rng.IntN(len(people))]; p.user != "" && !slices.Contains(users, p.user) {
			users = append(users, p.user)
		}
	}
	if visits := host.visits(rng, "laptop"); len(visits) > 0 {
		id := "a:" + name
		v.Person[id] = name
		v.cookie(id, &host, fmt.Sprintf("laptop-%d", zipf(rng, 80)), visits, users)
	}
}

// cookie records what was seen of one cookie.
func (v *Visitors) cookie(id string, p *person, traits string, visits []visit, users []string) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, user := range users {
		v.Person[user] = "person-" + user[2:]
		day := visits[i*len(visits)/len(users)].day
		v.Links = append(v.Links, identity.Link{A: id, B: user, First: start.AddDate(0, 0, day)})
	}
	if !p.consents {
		return
	}
	networks, hours := map[string]bool{}, [slots]int{}
	for _, x := range visits {
		networks[x.network] = true
		for _, slot := range x.slots {
			hours[slot]++
		}
	}
	v.Table.Rows = append(v.Table.Rows, []string{
		id, "", strings.Join(slices.Sorted(maps.Keys(networks)), " "),
		fmt.Sprintf("%d %d %s", visits[0].day, visits[len(visits)-1].day, traits), p.locale, p.zone,
		strings.Trim(fmt.Sprint(hours), "[]"),
	})
	v.Truth = append(v.Truth, p.name)
}
