package linkage

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Block is what one blocking rule gave.
type Block struct {
	Rule    []string `json:"rule"`
	Pairs   int      `json:"pairs"`
	LeftOut int      `json:"left_out"` // pairs of blocks that were too large for the budget
}

// pair is two records that share a block, how they compare, and the rules that brought them together.
type pair struct {
	a, b   int32
	rules  uint32
	levels uint64
}

// block pairs the records that agree in all columns of a rule. Each rule has an equal share of the
// budget and spends it on its smallest blocks: a value that many records have says little.
func (c *Config) block(t *Table, fields []*field) ([]pair, []Block, error) {
	source := -1
	if c.Source != "" {
		at, err := t.Column(c.Source)
		if err != nil {
			return nil, nil, err
		}
		source = at
	}
	var pairs []pair
	blocks := make([]Block, 0, len(c.Blocking))
	for r, rule := range c.Blocking {
		parts, err := partsOf(t, rule)
		if err != nil {
			return nil, nil, err
		}
		b := Block{Rule: rule}
		for _, rows := range bySize(t, parts, fields) {
			if n := len(rows) * (len(rows) - 1) / 2; b.Pairs+n > c.Pairs/len(c.Blocking) {
				b.LeftOut += n
				continue
			}
			for i, x := range rows {
				for _, y := range rows[:i] {
					if source < 0 || t.Rows[x][source] != t.Rows[y][source] {
						pairs = append(pairs, pair{a: y, b: x, rules: 1 << r})
						b.Pairs++
					}
				}
			}
		}
		blocks = append(blocks, b)
	}
	slices.SortFunc(pairs, func(x, y pair) int { return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)) })
	out := pairs[:0]
	for _, p := range pairs {
		if n := len(out); n > 0 && out[n-1].a == p.a && out[n-1].b == p.b {
			out[n-1].rules |= p.rules
		} else {
			out = append(out, p)
		}
	}
	return out, blocks, nil
}

// bySize gives the blocks of a rule, smallest first. A record may be in several blocks when a column
// holds a set, and is in none when a value is missing.
func bySize(t *Table, parts []part, fields []*field) [][]int32 {
	blocks := map[string][]int32{}
	for i := range t.Rows {
		keys := []string{""}
		for _, p := range parts {
			var longer []string
			for _, value := range p.keys(t, i, fields) {
				for _, key := range keys {
					longer = append(longer, key+"\x00"+value)
				}
			}
			keys = longer
		}
		for _, key := range keys {
			blocks[key] = append(blocks[key], int32(i)) //nolint:gosec // a row's number
		}
	}
	keys := slices.Collect(maps.Keys(blocks))
	slices.SortFunc(keys, func(x, y string) int {
		return cmp.Or(cmp.Compare(len(blocks[x]), len(blocks[y])), cmp.Compare(x, y))
	})
	out := make([][]int32, 0, len(keys))
	for _, key := range keys {
		if len(blocks[key]) > 1 {
			out = append(out, blocks[key])
		}
	}
	return out
}

// keys are the values that a row blocks by: those its comparison would call shared.
func (p part) keys(t *Table, row int, fields []*field) []string {
	at := slices.IndexFunc(fields, func(f *field) bool { return f.column == p.column })
	if at >= 0 && p.letters == 0 {
		f := fields[at]
		if f.value[row] < 0 {
			return nil
		}
		members := f.values[f.value[row]].members
		out := make([]string, len(members))
		for i, m := range members {
			out[i] = strconv.Itoa(int(m))
		}
		return out
	}
	text := []rune(strings.ToLower(strings.TrimSpace(t.Rows[row][p.column])))
	if len(text) == 0 {
		return nil
	}
	if p.letters > 0 {
		text = text[:min(p.letters, len(text))]
	}
	return []string{string(text)}
}
