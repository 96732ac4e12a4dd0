package linkage

import (
	"math"
	"slices"
	"strconv"
	"testing"
)

// Winkler's own examples.
func TestJaroWinkler(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"martha", "marhta", 0.9611},
		{"dixon", "dicksonx", 0.8133},
		{"dwayne", "duane", 0.84},
		{"jones", "johnson", 0.8324},
		{"abroms", "abrams", 0.9222},
		{"same", "same", 1},
		{"ab", "cd", 0},
		{"", "x", 0},
	} {
		if got := jaroWinkler([]rune(c.a), []rune(c.b)); math.Abs(got-c.want) > 5e-5 {
			t.Errorf("%s, %s: %.4f, want %.4f", c.a, c.b, got, c.want)
		}
		if got, back := jaroWinkler([]rune(c.a), []rune(c.b)), jaroWinkler([]rune(c.b), []rune(c.a)); math.Abs(got-back) > 1e-12 {
			t.Errorf("%s, %s: %g, the other way round %g", c.a, c.b, got, back)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"1956", "1956", 0}, {"1956", "1965", 1}, {"1956", "196", 1}, {"1956", "2956", 1}, {"1956", "9165", 2}, {"1956", "8743", 3}, {"1", "12345678", 3}} {
		if got := edits([]rune(c.a), []rune(c.b)); got != c.want {
			t.Errorf("%s, %s: %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	cases := map[string]struct {
		as, a, b string
		want     string
	}{
		"a missing value says nothing":             {"text", "ann", " ", ""},
		"case does not count":                      {"text", "Ann", "ann", "equal"},
		"a typing mistake":                         {"text", "martha", "marhta", "near"},
		"a digit changed":                          {"code", "19560409", "19560408", "one edit"},
		"one place in common":                      {"set", "home", "work home", "one"},
		"the same hours":                           {"profile", "5 0 1", "9 0 2", "near"},
		"other hours":                              {"profile", "5 0 0", "0 1 7", "else"},
		"a cookie after the other":                 {"browser", "0 9 phone-1", "10 30 phone-1", "same, one after the other"},
		"two cookies at once are not one browser":  {"browser", "0 9 phone-1", "5 30 phone-1", "same, at once"},
		"another device":                           {"browser", "0 9 phone-1", "10 30 laptop-1", "else"},
		"a cookie long after is not so much proof": {"browser", "0 9 phone-1", "60 80 phone-1", "same, long after"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := Config{Fields: []Field{{Column: "x", As: c.as}}}
			fields, err := config.prepare(&Table{Columns: []string{"x"}, Rows: [][]string{{c.a}, {c.b}}})
			if err != nil {
				t.Fatal(err)
			}
			level, _ := fields[0].compare(0, 1)
			got := ""
			if level > 0 {
				got = fields[0].levels[level-1]
			}
			if back, _ := fields[0].compare(1, 0); got != c.want || back != level {
				t.Errorf("level %q, want %q; the other way round %d for %d", got, c.want, back, level)
			}
		})
	}
}

func TestARareValueWeighsMore(t *testing.T) {
	rows := [][]string{{"rare", "a"}, {"rare", "b"}}
	for i := range 50 {
		rows = append(rows, []string{"common", strconv.Itoa(i)})
	}
	config := Config{Fields: []Field{{"name", "text"}, {"other", "text"}}}
	fields, err := config.prepare(&Table{Columns: []string{"name", "other"}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	unknown := slices.Repeat([]int32{-1}, len(rows))
	m := learn(fields, nil, len(rows), unknown, &config, 1)
	rare, common := pair{a: 0, b: 1}, pair{a: 2, b: 3}
	rare.levels, common.levels = levelsOf(fields, 0, 1), levelsOf(fields, 2, 3)
	if d, want := m.weight(fields, rare)-m.weight(fields, common), math.Log2(50.0/2); math.Abs(d-want) > 1e-9 {
		t.Errorf("rare weighs %.2f bits more, want %.2f", d, want)
	}
}

// Two addresses that a household had one after the other prove its members one household, no more.
func TestPlacesThatOccurTogetherAreOne(t *testing.T) {
	rows := [][]string{{"old new"}, {"old new"}, {"old new"}, {"home office"}, {"office home"}}
	for range 10 {
		rows = append(rows, []string{"office"}, []string{"cafe"})
	}
	config := Config{Fields: []Field{{"places", "set"}}}
	fields, err := config.prepare(&Table{Columns: []string{"places"}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	if level, _ := fields[0].compare(0, 1); fields[0].levels[level-1] != "one" {
		t.Errorf("old and new: %s", fields[0].levels[level-1])
	}
	if level, _ := fields[0].compare(3, 4); fields[0].levels[level-1] != "two or more" {
		t.Errorf("home and office: %s", fields[0].levels[level-1])
	}
}

func TestACheckSpeaksAgainstOnly(t *testing.T) {
	rows := make([][]string, 400)
	for i := range rows {
		rows[i] = []string{strconv.Itoa(i / 2), strconv.Itoa(i / 2 % 50), strconv.Itoa(i / 2 % 7)}
	}
	table := &Table{Columns: []string{"a", "b", "zone"}, Rows: rows}
	r, err := Link(table, &Config{
		Fields:    []Field{{"a", "exact"}, {"b", "exact"}, {"zone", "check"}},
		Blocking:  [][]string{{"a"}, {"b"}},
		Threshold: 0.9, Agreement: 0.5, Pairs: 1000, Cap: 10,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	zone := r.Model.Fields[2]
	if equal, other := zone.Levels[0], zone.Levels[1]; equal.Weight != 0 || other.Weight > -3 || zone.Beside != "" {
		t.Errorf("%+v", zone)
	}
}
