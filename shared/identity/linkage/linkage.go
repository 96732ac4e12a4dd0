// Package linkage finds records of one person in a table that has no common id, after Fellegi and
// Sunter: each field says how well two records agree, each agreement has a weight, the logarithm of
// how much more often it occurs among records of one person (m) than among any two (u). u is counted
// on random pairs, m is learned by expectation maximisation. It gives the same answer for the same
// table and seed.
package linkage

import (
	"fmt"
	"slices"
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
	Joins    []Match // the matches that made the units, in their order: no more than it takes

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
	r.cluster(known, c)
	return r, nil
}
