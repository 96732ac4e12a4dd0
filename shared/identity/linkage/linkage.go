// Package linkage finds records of one person in a table that has no common id, after Fellegi and
// Sunter: each field says how well two records agree, each agreement has a weight, the logarithm of
// how much more often it occurs among records of one person (m) than among any two (u). u is counted
// on random pairs, m is learned by expectation maximisation. It gives the same answer for the same
// table and seed.
package linkage

import (
	"fmt"
	"math"
	"slices"
	"time"

	"verdict/shared/identity"
)

// Table is records as text. An empty value is missing.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Column gives the place of a column.
func (t *Table) Column(name string) (int, error) {
	if i := slices.Index(t.Columns, name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("there is no column %q among %q", name, t.Columns)
}

// Match is two records, the base-2 logarithm of the evidence that they are one person's, and how
// probable that is.
type Match struct {
	A, B        int
	Weight      float64
	Probability float64
}

// Result is what a table holds.
type Result struct {
	Model    *Model
	Blocking []Block
	Compared int     // pairs that share a block
	Matches  []Match // the pairs worth looking at, whatever the threshold
	Unit     []int   // of each record: the least record that stands for the same person
	Held     int     // pairs above the threshold that a guard kept apart

	pairs []pair
}

// Reached is how many of one person's pairs share a block: no threshold finds more.
func (r *Result) Reached(truth []string) int {
	n := 0
	for _, p := range r.pairs {
		if truth[p.a] != "" && truth[p.a] == truth[p.b] {
			n++
		}
	}
	return n
}

// shown is the probability from which on a compared pair is reported.
const shown = 0.01

// Link runs the whole: pairs by blocking, weights, matches, units.
func Link(t *Table, c *Config, seed uint64) (*Result, error) {
	fields, err := c.prepare(t)
	if err != nil {
		return nil, err
	}
	pairs, blocks, err := c.block(t, fields)
	if err != nil {
		return nil, err
	}
	known, err := c.known(t)
	if err != nil {
		return nil, err
	}
	for i := range pairs {
		pairs[i].levels = levelsOf(fields, pairs[i].a, pairs[i].b)
	}
	model := learn(fields, pairs, len(t.Rows), known, c, seed)
	r := &Result{Model: model, Blocking: blocks, Compared: len(pairs), pairs: pairs}
	for _, p := range pairs {
		weight := model.weight(fields, p)
		if chance := probability(weight); chance >= shown {
			r.Matches = append(r.Matches, Match{int(p.a), int(p.b), weight, chance})
		}
	}
	r.cluster(len(t.Rows), known, c)
	return r, nil
}

// cluster makes units of the matches above the threshold, under the guards of package identity: a
// unit holds one known person at most, and no more records than the cap.
func (r *Result) cluster(rows int, known []int32, c *Config) {
	g := identity.NewGraph(identity.Guards{Users: 2, Degree: math.MaxInt, Component: c.Cap})
	id := func(row int) string { return fmt.Sprintf("r:%09d", row) } // sorts as its number does
	for row, person := range known {
		if person >= 0 {
			g.Add(identity.Link{A: id(row), B: fmt.Sprintf("u:%d", person), First: time.Unix(0, 0)})
		}
	}
	for _, m := range r.Matches {
		if m.Probability >= c.Threshold {
			// The graph takes probabilities of 1 for certain, as a known person is.
			g.Add(identity.Link{A: id(m.A), B: id(m.B), First: time.Unix(0, 0), Probability: float32(min(m.Probability, 0.999999))})
		}
	}
	g.Settle(time.Unix(0, 0))
	first := map[string]int{}
	r.Unit = make([]int, rows)
	for row := range r.Unit {
		unit := g.Unit(id(row))
		if _, ok := first[unit]; !ok {
			first[unit] = row
		}
		r.Unit[row] = first[unit]
	}
	for _, fate := range g.Fates() {
		if fate == identity.Conflict || fate == identity.TooLarge {
			r.Held++
		}
	}
}
