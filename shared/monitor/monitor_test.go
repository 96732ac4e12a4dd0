package monitor

import (
	"math"
	"testing"
)

func find(readings []Reading, name, of string) (Reading, bool) {
	for _, r := range readings {
		if r.Name == name && r.Of == of {
			return r, true
		}
	}
	return Reading{}, false
}

func TestDrift(t *testing.T) {
	events := func(before, now int64) bucket {
		return bucket{Event: "order", Version: "1-0-0", Type: "event", Before: before, Now: now}
	}
	value := func(property, kind, text string, before, now int64) bucket {
		return bucket{Event: "order", Version: "1-0-0", Property: property, Type: kind, Bucket: text, Before: before, Now: now}
	}
	type want struct {
		name, of string
		high     bool
	}
	cases := map[string]struct {
		rows []bucket
		want want
	}{
		"as it was":            {[]bucket{events(7000, 1000), value("currency", "string", "EUR", 6300, 900), value("currency", "string", "USD", 700, 100)}, want{"psi", "order.currency", false}},
		"a mix that wanders":   {[]bucket{events(7000, 1000), value("currency", "string", "EUR", 6300, 870), value("currency", "string", "USD", 700, 130)}, want{"psi", "order.currency", false}},
		"another mix":          {[]bucket{events(7000, 1000), value("currency", "string", "EUR", 6300, 500), value("currency", "string", "USD", 700, 500)}, want{"psi", "order.currency", true}},
		"cents for euros":      {[]bucket{events(7000, 1000), value("value", "number", "2", 4000, 0), value("value", "number", "3", 3000, 0), value("value", "number", "6", 0, 600), value("value", "number", "7", 0, 400)}, want{"psi", "order.value", true}},
		"missing more often":   {[]bucket{events(7000, 1000), value("coupon", "string", "rare", 3500, 300)}, want{"null_shift", "order.coupon", true}},
		"missing as often":     {[]bucket{events(7000, 1000), value("coupon", "string", "rare", 3500, 480)}, want{"null_shift", "order.coupon", false}},
		"a new key":            {[]bucket{events(7000, 1000), value("debug", "boolean", "true", 0, 5)}, want{"new_type", "order.debug boolean", true}},
		"a number became text": {[]bucket{events(7000, 1000), value("items", "number", "1", 7000, 990), value("items", "string", `"2"`, 0, 10)}, want{"new_type", "order.items string", true}},
		"a new version":        {[]bucket{events(7000, 100), {Event: "order", Version: "2-0-0", Type: "event", Now: 900}}, want{"version_shift", "order", true}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := find(compare(c.rows), c.want.name, c.want.of)
			if !ok || got.High() != c.want.high {
				t.Errorf("got %+v (found %t), want high %t; all: %+v", got, ok, c.want.high, compare(c.rows))
			}
		})
	}
	if got := compare([]bucket{events(7000, 199), value("currency", "string", "EUR", 7000, 0)}); got != nil {
		t.Errorf("too few events are compared: %+v", got)
	}
}

// The index of a hand-computed table: 50/50 that becomes 60/40 is 0.1 ln 1.2 - 0.1 ln 0.8.
func TestPSI(t *testing.T) {
	got := psi(map[string]share{"a": {50, 60}, "b": {50, 40}})
	if want := 0.1*math.Log(1.2) - 0.1*math.Log(0.8); math.Abs(got-want) > 1e-15 {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := psi(map[string]share{"a": {100, 100}, "b": {0, 100}}); math.IsInf(got, 0) || got < maxPSI {
		t.Errorf("a new value of half the events gives %v", got)
	}
}
