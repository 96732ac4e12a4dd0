package linkage

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Model is what was learned: how often two records are one person's, and what each agreement weighs.
type Model struct {
	Prior  float64        `json:"prior"` // share of one person's pairs among all
	Fields []FieldWeights `json:"fields"`

	*weigher
}

// FieldWeights are the weights of one field's levels, best first.
type FieldWeights struct {
	Column string  `json:"column"`
	As     string  `json:"as"`
	Beside string  `json:"beside,omitempty"` // the field with which it agrees also among two persons
	Levels []Level `json:"levels"`
}

// Level is one outcome of a comparison.
type Level struct {
	Name   string  `json:"name"`
	M      float64 `json:"m"`      // how often it occurs among pairs of one person
	U      float64 `json:"u"`      // among pairs of two
	Weight float64 `json:"weight"` // log2 m/u; of a check's agreement 0
}

const (
	randomPairs = 500_000 // u of 1e-4 is then known to 14 %, a fifth of a bit
	maxRounds   = 300
	converged   = 1e-5
	// u is counted on random pairs that are not one person's, which takes m to tell, and m takes u.
	passes = 3
	// One half of a pair in each level, so that what was not seen is rare and not impossible.
	unseen = 0.5
)

// pattern is what pairs have in common that count alike.
type pattern struct {
	levels uint64
	free   uint64 // mask of the fields that teach m
	label  int8   // known to be one person's (1), two persons' (0), or not (-1)
}

// evidence is a pattern and how many pairs have it.
type evidence struct {
	pattern
	pairs float64
}

// learn estimates the model. Rules select pairs that agree on their columns, which would teach that
// agreement is common: a field teaches m only where a rule without it brought the pair as well. What
// a pair probably is, is judged by all fields against the share of one person's pairs among all there
// are. To judge it within what a rule brought instead, as if that were a population of its own, lets
// "same suburb" pass for "same person" wherever such pairs outnumber persons.
func learn(fields []*field, pairs []pair, rows int, known []int32, c *Config, seed uint64) *Model {
	seen := gather(pairs, known, freeFields(fields, c.Blocking))
	sampled := sample(fields, rows, known, seed)
	w := &weigher{m: start(fields), prior: 1 / float64(rows), checks: make([]bool, len(fields))}
	for k, f := range fields {
		w.checks[k] = f.checks
	}
	for range passes {
		w.strangers(fields, sampled)
		w.expect(seen, float64(rows)*float64(rows-1)/2)
	}
	model := &Model{Prior: w.prior, weigher: w}
	for k, f := range fields {
		out := FieldWeights{Column: f.Column, As: f.As}
		if w.parent != nil && w.parent[k] >= 0 {
			out.Beside = fields[w.parent[k]].Column
		}
		for i, name := range f.levels {
			out.Levels = append(out.Levels, Level{name, w.m[k][i], w.u[k][i], w.ratio[k][i+1]})
		}
		model.Fields = append(model.Fields, out)
	}
	return model
}

// gather counts equal pairs, in an order that does not change from run to run: sums depend on it.
func gather(pairs []pair, known []int32, free []uint64) []evidence {
	counts := map[pattern]float64{}
	for _, p := range pairs {
		at := pattern{levels: p.levels, label: -1}
		if x, y := known[p.a], known[p.b]; x >= 0 && y >= 0 {
			at.label = 0
			if x == y {
				at.label = 1
			}
		}
		for r, mask := range free {
			if p.rules>>r&1 == 1 {
				at.free |= mask
			}
		}
		counts[at]++
	}
	out := make([]evidence, 0, len(counts))
	for p, n := range counts {
		out = append(out, evidence{p, n})
	}
	slices.SortFunc(out, func(x, y evidence) int {
		return cmp.Or(cmp.Compare(x.levels, y.levels), cmp.Compare(x.free, y.free), cmp.Compare(x.label, y.label))
	})
	return out
}

// freeFields masks, for each rule, the fields that it does not select by.
func freeFields(fields []*field, rules [][]string) []uint64 {
	out := make([]uint64, len(rules))
	for r, rule := range rules {
		for k, f := range fields {
			used := false
			for _, name := range rule {
				column, _, _ := strings.Cut(name, ":")
				used = used || column == f.Column
			}
			if !used {
				out[r] |= 15 << (4 * k)
			}
		}
	}
	return out
}

// sample compares random pairs that are not known to be one person's.
func sample(fields []*field, rows int, known []int32, seed uint64) []uint64 {
	rng := rand.New(rand.NewPCG(seed, 0))
	out := make([]uint64, 0, randomPairs)
	for range randomPairs {
		a, b := int32(rng.IntN(rows)), int32(rng.IntN(rows)) //nolint:gosec // rows' numbers
		if a != b && (known[a] < 0 || known[a] != known[b]) {
			out = append(out, levelsOf(fields, a, b))
		}
	}
	return out
}

// start is a guess: one person's records mostly agree.
func start(fields []*field) [][]float64 {
	out := blank(fields)
	for k := range out {
		for i := range out[k] {
			out[k][i] = math.Pow(0.2, float64(i))
		}
	}
	return normalize(out)
}

// expect is expectation maximisation of m and of the share of one person's pairs among all, with u
// held fixed. Pairs that share no block count as two persons'.
func (w *weigher) expect(seen []evidence, all float64) {
	for range maxRounds {
		counts, found := make([][]float64, len(w.m)), unseen
		for k := range w.m {
			counts[k] = make([]float64, len(w.m[k]))
		}
		w.ready()
		for _, e := range seen {
			q := float64(e.label)
			if e.label < 0 {
				q = probability(w.bits(e.levels))
			}
			q *= e.pairs
			found += q
			for k := range counts {
				if level := e.levels & e.free >> (4 * k) & 15; level > 0 {
					counts[k][level-1] += q
				}
			}
		}
		next, change := normalize(counts), 0.0
		for k := range w.m {
			for i := range w.m[k] {
				change = max(change, math.Abs(next[k][i]-w.m[k][i]))
			}
		}
		w.m, w.prior = next, min(found/all, 0.5)
		if change < converged {
			break
		}
	}
	w.ready()
}

// weight is all evidence on a pair. Agreement on a rare value weighs more than on a common one, by
// how much rarer it is than two random records' agreement.
func (m *Model) weight(fields []*field, p pair) float64 {
	out := m.bits(p.levels)
	for _, f := range fields {
		if _, shared := f.compare(p.a, p.b); shared >= 0 {
			out += math.Log2(f.collide / f.share[shared])
		}
	}
	return out
}

func probability(bits float64) float64 { return 1 / (1 + math.Exp2(-bits)) }

func logOdds(p float64) float64 { return math.Log2(p / (1 - p)) }

func blank(fields []*field) [][]float64 {
	out := make([][]float64, len(fields))
	for k, f := range fields {
		out[k] = make([]float64, len(f.levels))
	}
	return out
}

// normalize makes shares of counts.
func normalize(counts [][]float64) [][]float64 {
	for k := range counts {
		sum := 0.0
		for i := range counts[k] {
			counts[k][i] += unseen
			sum += counts[k][i]
		}
		for i := range counts[k] {
			counts[k][i] /= sum
		}
	}
	return counts
}
