package linkage

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kinds are the comparisons there are.
func kinds() []string { return []string{"exact", "check", "text", "code", "set", "profile", "browser"} }

// field is a column made ready: its distinct values, each read once.
type field struct {
	Field
	column  int
	checks  bool      // agreement counts nothing, disagreement does
	levels  []string  // best first; level 0 of a pair is "missing" and stands before them
	value   []int32   // of each row; -1 is missing
	values  []value   // distinct
	place   []int32   // of a set's members: those that mostly occur together are one
	share   []float64 // of the records that have a value, or a member of a set: how many have this one
	collide float64   // how often two random records share one
}

// value is one distinct value as its comparison wants it.
type value struct {
	text        []rune    // text, code
	members     []int32   // set: sorted. exact, text, code, browser: the one that may be rare
	profile     []float64 // of length 1
	first, last float64   // browser
}

// Jaro–Winkler similarities that the literature calls a likely typo and a likely relative (Winkler
// 1990 accepts from 0.88 to 0.94; Splink's levels for names are 0.92 and 0.88).
const (
	nearText = 0.92
	akinText = 0.82
	// Cosines of activity profiles, and how much of the smaller of two sets is shared.
	nearProfile = 0.8
	akinProfile = 0.5
	// A cleared cookie is followed by a new one within this time, in the unit of first and last.
	followsWithin = 7.0
)

func (c *Config) prepare(t *Table) ([]*field, error) {
	out := make([]*field, 0, len(c.Fields))
	for _, f := range c.Fields {
		at, err := t.Column(f.Column)
		if err != nil {
			return nil, err
		}
		p := &field{Field: f, checks: f.As == "check", column: at, value: make([]int32, len(t.Rows))}
		switch f.As {
		case "exact", "check":
			p.levels = []string{"equal", "else"}
		case "text":
			p.levels = []string{"equal", "near", "akin", "else"}
		case "code":
			p.levels = []string{"equal", "one edit", "two edits", "else"}
		case "set":
			p.levels = []string{"two or more", "one", "none"}
		case "profile":
			p.levels = []string{"near", "akin", "else"}
		case "browser":
			p.levels = []string{"same, one after the other", "same, long after", "same, at once", "else"}
		default:
			return nil, fmt.Errorf("field %s: there is no comparison %q", f.Column, f.As)
		}
		if err := p.read(t); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Column, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// read numbers the distinct values and counts what they share.
func (f *field) read(t *Table) error {
	numbers, members := map[string]int32{}, map[string]int32{}
	var count []int
	filled := 0
	for i, row := range t.Rows {
		text := strings.TrimSpace(row[f.column])
		if text == "" {
			f.value[i] = -1
			continue
		}
		number, ok := numbers[text]
		if !ok {
			number = int32(len(f.values)) //nolint:gosec // as many as rows
			numbers[text] = number
			v, names, err := f.parse(text)
			if err != nil {
				return fmt.Errorf("row %d: %w", i+1, err)
			}
			for _, name := range names {
				m, ok := members[name]
				if !ok {
					m = int32(len(members)) //nolint:gosec // as many as members
					members[name] = m
					count = append(count, 0)
				}
				v.members = append(v.members, m)
			}
			slices.Sort(v.members)
			v.members = slices.Compact(v.members)
			f.values = append(f.values, v)
		}
		f.value[i] = number
		filled++
		for _, m := range f.values[number].members {
			count[m]++
		}
	}
	f.gather(count)
	f.share = make([]float64, len(count))
	for m, n := range count {
		f.share[m] = float64(n) / float64(filled)
		f.collide += f.share[m] * f.share[m]
	}
	return nil
}

// together is from which share of the records that have one of two members, or both, the two are
// taken for one: the addresses that a household had one after the other prove its members one
// household, and no more.
const together = 0.25

// gather finds members of sets that mostly occur together.
func (f *field) gather(count []int) {
	f.place = make([]int32, len(count))
	for m := range f.place {
		f.place[m] = int32(m) //nolint:gosec // as many as members
	}
	if f.As != "set" {
		return
	}
	both := map[[2]int32]int{}
	for _, v := range f.value {
		if v < 0 {
			continue
		}
		members := f.values[v].members
		for i, a := range members {
			for _, b := range members[:i] {
				both[[2]int32{b, a}]++
			}
		}
	}
	pairs := slices.SortedFunc(maps.Keys(both), func(x, y [2]int32) int { return slices.Compare(x[:], y[:]) })
	for _, pair := range pairs {
		n, a, b := both[pair], pair[0], pair[1]
		if n > 1 && float64(n) >= together*float64(count[a]+count[b]-n) {
			f.place[b] = f.place[a]
		}
	}
}

// parse reads one value, and names what of it may be rare.
func (f *field) parse(text string) (value, []string, error) {
	switch f.As {
	case "set":
		return value{}, strings.Fields(text), nil
	case "profile":
		var v value
		sum := 0.0
		for word := range strings.FieldsSeq(text) {
			x, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return v, nil, fmt.Errorf("a profile is numbers with blanks between them, not %q", text)
			}
			v.profile = append(v.profile, x)
			sum += x * x
		}
		for i := range v.profile {
			v.profile[i] /= math.Sqrt(max(sum, 1e-300))
		}
		return v, nil, nil
	case "browser":
		words := strings.Fields(text)
		if len(words) < 3 {
			return value{}, nil, fmt.Errorf("a browser is its first and last day and its traits, not %q", text)
		}
		first, err1 := strconv.ParseFloat(words[0], 64)
		last, err2 := strconv.ParseFloat(words[1], 64)
		if err1 != nil || err2 != nil {
			return value{}, nil, fmt.Errorf("a browser begins with its first and last day as numbers, not %q", text)
		}
		return value{first: first, last: last}, []string{strings.Join(words[2:], " ")}, nil
	default:
		return value{text: []rune(strings.ToLower(text))}, []string{strings.ToLower(text)}, nil
	}
}

// compare gives the level, from 1 (best) on, or 0 when a value is missing; and the member that both
// share, the rarest, or -1.
func (f *field) compare(a, b int32) (level uint64, shared int32) {
	i, j := f.value[a], f.value[b]
	if i < 0 || j < 0 {
		return 0, -1
	}
	x, y := &f.values[i], &f.values[j]
	rarest, common := f.overlap(x.members, y.members)
	switch f.As {
	case "set":
		if common > 1 && f.onePlace(x.members, y.members) {
			common = 1
		}
		return uint64(3 - min(common, 2)), rarest //nolint:gosec // 1 to 3
	case "profile":
		cosine := 0.0
		for k := range min(len(x.profile), len(y.profile)) {
			cosine += x.profile[k] * y.profile[k]
		}
		return step(cosine, nearProfile, akinProfile), -1
	case "browser":
		gap := max(x.first, y.first) - min(x.last, y.last)
		switch {
		case common == 0:
			return 4, -1
		case gap < 0:
			return 3, -1 // two devices, as rare together among one person's as among two's
		case gap > followsWithin:
			return 2, rarest
		}
		return 1, rarest
	}
	switch {
	case common > 0 && f.checks:
		return 1, -1
	case common > 0:
		return 1, rarest
	}
	switch f.As {
	case "text":
		return 1 + step(jaroWinkler(x.text, y.text), nearText, akinText), -1
	case "code":
		return 1 + min(uint64(edits(x.text, y.text)), 3), -1 //nolint:gosec // not negative
	}
	return 2, -1
}

// overlap gives the rarest common member of two sorted sets, or -1, and the number of common ones.
func (f *field) overlap(x, y []int32) (rarest int32, common int) {
	rarest = -1
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] < y[j]:
			i++
		case x[i] > y[j]:
			j++
		default:
			common++
			if rarest < 0 || f.share[x[i]] < f.share[rarest] {
				rarest = x[i]
			}
			i, j = i+1, j+1
		}
	}
	return rarest, common
}

// onePlace tells whether all common members of two sets are one place.
func (f *field) onePlace(x, y []int32) bool {
	place := int32(-1)
	for _, m := range x {
		if _, common := slices.BinarySearch(y, m); !common {
			continue
		}
		if place >= 0 && f.place[m] != place {
			return false
		}
		place = f.place[m]
	}
	return true
}

// step is 1 from near on, 2 from akin on, 3 below.
func step(x, near, akin float64) uint64 {
	switch {
	case x >= near:
		return 1
	case x >= akin:
		return 2
	}
	return 3
}

// levelsOf compares two records in all fields: four bits each.
func levelsOf(fields []*field, a, b int32) uint64 {
	var out uint64
	for k, f := range fields {
		level, _ := f.compare(a, b)
		out |= level << (4 * k)
	}
	return out
}

// jaroWinkler is the similarity of two words, between 0 and 1 (Winkler 1990: a common prefix of up to
// four letters counts, weighted 0.1).
func jaroWinkler(a, b []rune) float64 {
	if len(a) > 64 || len(b) > 64 {
		a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	}
	window := max(0, max(len(a), len(b))/2-1)
	var usedA, usedB [64]bool
	matches := 0
	for i, r := range a {
		for j := max(0, i-window); j < min(len(b), i+window+1); j++ {
			if !usedB[j] && b[j] == r {
				usedA[i], usedB[j] = true, true
				matches++
				break
			}
		}
	}
	if matches == 0 {
		return 0
	}
	swapped, j := 0, 0
	for i, r := range a {
		if !usedA[i] {
			continue
		}
		for !usedB[j] {
			j++
		}
		if b[j] != r {
			swapped++
		}
		j++
	}
	m := float64(matches)
	jaro := (m/float64(len(a)) + m/float64(len(b)) + (m-float64(swapped/2))/m) / 3
	prefix := 0
	for prefix < min(4, len(a), len(b)) && a[prefix] == b[prefix] {
		prefix++
	}
	return jaro + 0.1*float64(prefix)*(1-jaro)
}

// edits is the least number of insertions, deletions, changes and swaps of neighbours (optimal string
// alignment) between two codes; 3 stands for three and more.
func edits(a, b []rune) int {
	const most = 3
	if d := len(a) - len(b); d >= most || d <= -most || len(a) > 64 || len(b) > 64 {
		return most
	}
	var rows [3][65]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, above, second := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], second[j-2]+1)
			}
		}
	}
	return min(rows[len(a)%3][len(b)], most)
}
