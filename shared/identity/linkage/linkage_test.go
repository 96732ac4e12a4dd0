package linkage_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/identity"
	"verdict/shared/identity/identitytest"
	"verdict/shared/identity/linkage"
)

func linked(t *testing.T, table *linkage.Table, c linkage.Config, without ...string) *linkage.Result {
	t.Helper()
	if err := c.Complete(table, without...); err != nil {
		t.Fatal(err)
	}
	r, err := linkage.Link(table, &c, 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The gate is what a prototype reached on the third FEBRL set without its social security number.
func TestPersonsWithMistakes(t *testing.T) {
	p := identitytest.NewPersons(1000, 1)
	r := linked(t, &p.Table, linkage.Config{})
	q := linkage.Score(p.Truth, r.Unit)
	t.Logf("%d pairs compared, %+v", r.Compared, q)
	if q.Pairwise.F1 < 0.9969 || q.BCubed.F1 < 0.9992 {
		t.Errorf("found %+v", q)
	}
	if diff := cmp.Diff(r.Unit, linked(t, &p.Table, linkage.Config{}).Unit); diff != "" {
		t.Error("a second run gives other units")
	}
}

// Sign-ins first, then signals: what the deterministic graph knows teaches and guards the matcher.
func TestVisitors(t *testing.T) {
	for seed := range uint64(3) {
		v := identitytest.NewVisitors(3000, seed)
		g := identity.NewGraph(identity.DefaultGuards())
		for _, l := range v.Links {
			g.Add(l)
		}
		g.Settle(time.Unix(0, 0))
		var ids []string
		for id := range v.Person {
			ids = append(ids, id)
		}
		shared := 0
		for _, fate := range g.Fates() {
			if fate == identity.Shared {
				shared++
			}
		}
		if q := scoreUnits(ids, v.Person, g.Unit); shared < 20 || q.Pairwise.Precision != 1 || q.Right < 1000 || q.Largest > 100 {
			t.Errorf("seed %d, with %d sign-ins on shared devices: %+v", seed, shared, q)
		}

		ids = nil
		for _, row := range v.Table.Rows {
			ids = append(ids, row[0])
			if unit := g.Unit(row[0]); strings.HasPrefix(unit, "u:") {
				row[1] = unit
			}
		}
		before := scoreUnits(ids, v.Person, g.Unit)
		r := linked(t, &v.Table, linkage.DefaultSettings().Comparison(identity.DefaultGuards().Degree))
		after := linkage.Score(v.Truth, r.Unit)
		right, found := after.Right-before.Right, after.Found-before.Found
		precision, recall := float64(right)/float64(found), float64(right)/float64(after.TruePairs-before.Right)
		t.Logf("seed %d: %d cookies; certain %+v; all %+v; merges: precision %.4f recall %.4f", seed, len(ids), before, after, precision, recall)
		if precision < 0.99 || recall < 0.5 || after.Largest > 100 {
			t.Errorf("seed %d: merges of precision %.4f and recall %.4f, largest unit %d", seed, precision, recall, after.Largest)
		}
		users := map[int]string{}
		for i, row := range v.Table.Rows {
			if known := users[r.Unit[i]]; row[1] != "" && known != "" && known != row[1] {
				t.Fatalf("%s and %s are one unit", known, row[1])
			} else if row[1] != "" {
				users[r.Unit[i]] = row[1]
			}
		}
	}
}

func scoreUnits(ids []string, person map[string]string, unitOf func(string) string) linkage.Quality {
	units, unit, truth := map[string]int{}, make([]int, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		name := unitOf(id)
		if _, ok := units[name]; !ok {
			units[name] = i
		}
		unit[i], truth[i] = units[name], person[id]
	}
	return linkage.Score(truth, unit)
}

// twins are pairs of records that agree in each field with a known chance m, drawn from so many values.
func twins(n int, m []float64, values []int) *linkage.Table {
	rng := rand.New(rand.NewPCG(7, 7))
	t := &linkage.Table{}
	for k := range m {
		t.Columns = append(t.Columns, "f"+strconv.Itoa(k))
	}
	for range n {
		a, b := make([]string, len(m)), make([]string, len(m))
		for k := range m {
			a[k] = "v" + strconv.Itoa(rng.IntN(values[k]))
			if b[k] = a[k]; rng.Float64() > m[k] {
				b[k] = "v" + strconv.Itoa(rng.IntN(values[k]))
			}
		}
		t.Rows = append(t.Rows, a, b)
	}
	return t
}

func TestWeightsAreThoseOfTheData(t *testing.T) {
	m, values := []float64{0.95, 0.9, 0.85, 0.8, 0.7}, []int{900, 500, 300, 60, 12}
	c := linkage.Config{}
	for k := range m {
		c.Fields = append(c.Fields, linkage.Field{Column: "f" + strconv.Itoa(k), As: "exact"})
	}
	got := linked(t, twins(2000, m, values), c).Model
	for k, f := range got.Fields {
		wantM := m[k] + (1-m[k])/float64(values[k])
		if math.Abs(f.Levels[0].M-wantM) > 0.02 {
			t.Errorf("%s: m %.4f, want %.4f", f.Column, f.Levels[0].M, wantM)
		}
		if wantU := 1 / float64(values[k]); math.Abs(f.Levels[0].U/wantU-1) > 0.1 {
			t.Errorf("%s: u %.5f, want %.5f", f.Column, f.Levels[0].U, wantU)
		}
		if f.Beside != "" {
			t.Errorf("%s does not depend on %s", f.Column, f.Beside)
		}
	}
	if want := 2000.0 / (4000 * 3999 / 2); math.Abs(got.Prior/want-1) > 0.05 {
		t.Errorf("prior %.3g, want %.3g", got.Prior, want)
	}
}

// A field that only repeats another must not count twice.
func TestADependentFieldAddsNothing(t *testing.T) {
	table := twins(2000, []float64{0.9, 0.9, 0.9, 0.9}, []int{400, 300, 200, 40})
	once := linked(t, table, linkage.Config{})
	table.Columns = append(table.Columns, "again")
	for i, row := range table.Rows {
		table.Rows[i] = append(row, strings.Repeat(row[3], 2))
	}
	twice := linked(t, table, linkage.Config{})
	if f := twice.Model.Fields[4]; f.Beside != "f3" {
		t.Errorf("again depends on %q", f.Beside)
	}
	weights := map[[2]int]float64{}
	for _, m := range once.Matches {
		weights[[2]int{m.A, m.B}] = m.Weight
	}
	for _, m := range twice.Matches {
		if before, ok := weights[[2]int{m.A, m.B}]; ok && m.Weight > before+2 {
			t.Fatalf("records %d and %d weigh %.1f bits, %.1f with a field repeated", m.A, m.B, before, m.Weight)
		}
	}
}

func TestScore(t *testing.T) {
	got := linkage.Score([]string{"a", "a", "a", "b", "b", ""}, []int{0, 0, 2, 2, 4, 0})
	want := linkage.Quality{
		Records: 5, Persons: 2, Units: 3, Largest: 2, TruePairs: 4, Found: 2, Right: 1,
		Pairwise: linkage.Rates{Precision: 0.5, Recall: 0.25, F1: 1.0 / 3},
		// Precision (1 + 1 + 1/2 + 1/2 + 1) / 5, recall (2/3 + 2/3 + 1/3 + 1/2 + 1/2) / 5.
		BCubed: linkage.Rates{Precision: 0.8, Recall: 8.0 / 15, F1: 0.64},
	}
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
	if diff := cmp.Diff(want, got, near); diff != "" {
		t.Error(diff)
	}
}

func TestBudget(t *testing.T) {
	table := twins(500, []float64{1, 1}, []int{300, 2})
	c := linkage.Config{Pairs: 10_000}
	r := linked(t, table, c)
	for _, b := range r.Blocking {
		if b.Pairs > 5000 {
			t.Errorf("%v brought %d pairs", b.Rule, b.Pairs)
		}
	}
	if small, large := r.Blocking[0], r.Blocking[1]; small.LeftOut > 0 || large.Pairs > 0 || large.LeftOut < 100_000 {
		t.Errorf("blocking %+v", r.Blocking)
	}
}

func TestListsAreNotComparedWithThemselves(t *testing.T) {
	table := twins(300, []float64{0.95, 0.95, 0.95}, []int{200, 150, 100})
	table.Columns = append(table.Columns, "list")
	for i, row := range table.Rows {
		table.Rows[i] = append(row, strconv.Itoa(i%2))
	}
	r := linked(t, table, linkage.Config{Source: "list"})
	if len(r.Matches) < 250 {
		t.Errorf("%d matches of 300", len(r.Matches))
	}
	for _, m := range r.Matches {
		if m.A%2 == m.B%2 {
			t.Fatalf("%d and %d are of one list", m.A, m.B)
		}
	}
}

func TestConfig(t *testing.T) {
	cases := map[string]string{
		"fields: [{as: text}]":                  "link.yaml:1: a field needs a column",
		"fields:\n- {column: a, as: sound}":     `link.yaml:2: there is no comparison "sound"; there are exact, check, text, code, set, profile, browser`,
		"threshold: 1":                          "link.yaml:1: a threshold is a probability below 1, not 1",
		"agreement: 2":                          "link.yaml:1: an agreement is a probability, not 2",
		"blocks: [[a]]":                         `link.yaml:1: unknown field "blocks"`,
		"pairs: -1":                             "link.yaml:1: a budget of pairs is a number above 0",
		"fields: [{column: a}]\nthreshold: 0.9": "",
	}
	for source, want := range cases {
		_, err := linkage.Load("link.yaml", []byte(source))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: got %v, want %s", source, err, want)
		}
	}
	table := &linkage.Table{Columns: []string{"id", "name", "same"}, Rows: [][]string{{"1", "ann", "x"}, {"2", "ann", "x"}}}
	if err := (&linkage.Config{}).Complete(table); err == nil {
		t.Error("linked by one field")
	}
	c := linkage.Config{Fields: []linkage.Field{{Column: "name"}, {Column: "absent"}}}
	if err := c.Complete(table); err == nil {
		t.Error("compared a column that is not there")
	}
}
