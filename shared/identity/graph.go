package identity

import (
	"slices"
	"strings"
	"time"
)

// Link says that two ids were seen to be of one person. An id starts with its kind: "u:" is a
// signed-in user, of whom a unit has at most one; "a:" is an anonymous id.
type Link struct {
	A, B        string
	First       time.Time // when it was first seen
	Probability float32   // 0 and 1 stand for certain
}

// Guards keep two people from becoming one.
type Guards struct {
	Users     int      // an id seen with so many users is a shared device and links nobody
	Degree    int      // an id with more links than this is no id of one person
	Component int      // no unit grows beyond so many ids
	Blocked   []string // ids, without their kind, that mean "unknown"
}

// DefaultGuards are strict, because two people taken for one spoil both, and one taken for two only
// dilutes an effect. Two users on one device are two people: a unit has one user. 50 links and 100
// ids are several times what a person collects in a year of weekly cleared cookies on one device.
func DefaultGuards() Guards {
	return Guards{
		Users: 2, Degree: 50, Component: 100,
		Blocked: []string{"", "0", "-1", "null", "nil", "none", "nan", "undefined", "unknown", "anonymous", "guest", "test", "00000000-0000-0000-0000-000000000000"},
	}
}

// Fate is what became of a link.
type Fate uint8

// Fates. All but Joined and Spare are held: they wait for a person, or for ever.
const (
	Untried  Fate = iota
	Joined        // it made one unit of two
	Spare         // its ids were one unit already
	Shared        // one of its ids is a shared device
	Crowded       // one of its ids has too many links
	Blocked       // one of its ids means "unknown"
	Vetoed        // a person said that the two are not one
	Conflict      // it would give a unit a second user
	TooLarge      // the unit would grow beyond the cap
)

func (f Fate) String() string {
	return [...]string{"untried", "joined", "spare", "shared device", "too many links", "blocked value", "vetoed", "second user", "too large"}[f]
}

// link is a Link in 16 bytes, among others in the lists of its two ids.
type link struct {
	ends        [2]uint32
	first       uint32 // Unix seconds
	probability float32
}

// node is an id: what is linked to it, and the unit it is of.
type node struct {
	head    uint32 // its list of links: 2 × link + end + 1
	degree  uint32
	users   uint32
	first   uint32
	parent  uint32
	size    uint32 // of a root: ids of the unit
	face    uint32 // of a root: the id that the unit is called by
	user    bool
	blocked bool
	touched bool
}

// Graph makes units of links. Its answer depends on the links and vetoes it holds alone, not on the
// order or the batches in which they came: certain links are tried before probable ones, older before
// younger, so that a unit keeps its user when evidence grows.
type Graph struct {
	guards  Guards
	blocked map[string]bool
	names   names
	nodes   []node
	links   []link
	next    [][2]uint32 // the lists of links
	fate    []Fate
	pairs   []uint32 // open addressing over the ends of links: link + 1
	foes    map[uint32][]uint32
	touched []uint32 // ids whose unit may change
	pending []uint32 // links that may have come to be excluded
	log     []change
}

// NewGraph makes an empty graph.
func NewGraph(guards Guards) *Graph {
	g := &Graph{guards: guards, blocked: map[string]bool{}, names: newNames(), pairs: make([]uint32, 64), foes: map[uint32][]uint32{}}
	for _, id := range guards.Blocked {
		g.blocked[id] = true
	}
	return g
}

// Add adds a link, or more evidence for one: the earliest time and the best probability count.
// It takes effect with Settle.
func (g *Graph) Add(l Link) {
	if l.A == l.B {
		return
	}
	if l.Probability == 0 {
		l.Probability = 1
	}
	first := uint32(min(max(l.First.Unix(), 0), 1<<32-1)) //nolint:gosec // clamped
	a, b := g.node(l.A, first), g.node(l.B, first)
	if a > b {
		a, b = b, a
	}
	slot := g.pair(a, b)
	if known := g.pairs[slot]; known != 0 {
		old := &g.links[known-1]
		if first < old.first || l.Probability > old.probability {
			old.first, old.probability = min(first, old.first), max(l.Probability, old.probability)
			g.touch(a)
			g.touch(b)
		}
		return
	}
	i := uint32(len(g.links)) //nolint:gosec // four billion links do not fit into memory
	g.pairs[slot] = i + 1
	g.links = append(g.links, link{[2]uint32{a, b}, first, l.Probability})
	g.next = append(g.next, [2]uint32{g.nodes[a].head, g.nodes[b].head})
	g.fate = append(g.fate, Untried)
	g.nodes[a].head, g.nodes[b].head = 2*i+1, 2*i+2
	if 2*len(g.links) > len(g.pairs) {
		g.growPairs()
	}
	if !slices.Contains(g.foes[a], b) {
		g.count(a, b, 1)
	}
	g.pending = append(g.pending, i)
	g.touch(a)
	g.touch(b)
}

// Seen says when an id was first seen, where that was before its first link.
func (g *Graph) Seen(id string, first time.Time) {
	g.node(id, uint32(min(max(first.Unix(), 0), 1<<32-1))) //nolint:gosec // clamped
}

// Barred tells whether an id links nobody, whatever it is linked to: a shared device, for one.
func (g *Graph) Barred(id string) bool {
	n, ok := g.names.find(id)
	return ok && g.barred(&g.nodes[n]) != Untried
}

// Veto says that two ids are not of one person. It undoes a merge for good: the two stay apart
// whatever else links them, also after a rebuild.
func (g *Graph) Veto(a, b string) {
	x, y := g.node(a, 1<<32-1), g.node(b, 1<<32-1)
	if x == y || slices.Contains(g.foes[x], y) {
		return
	}
	g.foes[x], g.foes[y] = append(g.foes[x], y), append(g.foes[y], x)
	g.recount(x, y, -1)
}

// Allow takes a veto back.
func (g *Graph) Allow(a, b string) {
	x, y := g.node(a, 1<<32-1), g.node(b, 1<<32-1)
	if !slices.Contains(g.foes[x], y) {
		return
	}
	for _, pair := range [][2]uint32{{x, y}, {y, x}} {
		if rest := slices.DeleteFunc(g.foes[pair[0]], func(n uint32) bool { return n == pair[1] }); len(rest) > 0 {
			g.foes[pair[0]] = rest
		} else {
			delete(g.foes, pair[0])
		}
	}
	g.recount(x, y, 1)
}

// recount is for a link that a veto made void, or that counts again.
func (g *Graph) recount(x, y uint32, by int) {
	if known := g.pairs[g.pair(min(x, y), max(x, y))]; known != 0 {
		g.count(x, y, by)
		g.pending = append(g.pending, known-1)
	}
	g.touch(x)
	g.touch(y)
}

// count keeps the degrees. An id that crosses a guard touches all that it is linked to.
func (g *Graph) count(a, b uint32, by int) {
	for _, end := range [][2]uint32{{a, b}, {b, a}} {
		n := &g.nodes[end[0]]
		before := g.barred(n)
		n.degree += uint32(by) //nolint:gosec // wraps around to subtract
		if g.nodes[end[1]].user {
			n.users += uint32(by) //nolint:gosec // wraps around to subtract
		}
		if g.barred(n) != before {
			for i := range g.linksOf(end[0]) {
				g.pending = append(g.pending, i)
				g.touch(g.links[i].ends[0])
				g.touch(g.links[i].ends[1])
			}
		}
	}
}

// barred says why an id links nobody, or Untried.
func (g *Graph) barred(n *node) Fate {
	switch {
	case n.blocked:
		return Blocked
	case !n.user && int(n.users) >= g.guards.Users:
		return Shared
	case int(n.degree) > g.guards.Degree:
		return Crowded
	}
	return Untried
}

// linksOf goes over the links of an id.
func (g *Graph) linksOf(n uint32) func(yield func(uint32) bool) {
	return func(yield func(uint32) bool) {
		for at := g.nodes[n].head; at != 0; {
			i, end := (at-1)/2, (at-1)%2
			at = g.next[i][end]
			if !yield(i) {
				return
			}
		}
	}
}

func (g *Graph) touch(n uint32) {
	if !g.nodes[n].touched {
		g.nodes[n].touched = true
		g.touched = append(g.touched, n)
	}
}

// node finds an id, or makes it, and keeps when it was first seen.
func (g *Graph) node(id string, first uint32) uint32 {
	n := g.names.number(id)
	if int(n) == len(g.nodes) {
		_, value, _ := strings.Cut(id, ":")
		g.nodes = append(g.nodes, node{
			first: first, parent: n, size: 1, face: n,
			user: strings.HasPrefix(id, "u:"), blocked: g.blocked[strings.ToLower(value)],
		})
	}
	if first < g.nodes[n].first {
		g.nodes[n].first = first
		g.touch(n)
	}
	return n
}

// pair is the place of the link between two ids in the table of pairs.
func (g *Graph) pair(a, b uint32) int {
	mask := uint64(len(g.pairs) - 1)
	for i := mix(a, b) & mask; ; i = (i + 1) & mask {
		if known := g.pairs[i]; known == 0 || g.links[known-1].ends == [2]uint32{a, b} {
			return int(i) //nolint:gosec // within the table
		}
	}
}

func (g *Graph) growPairs() {
	g.pairs = make([]uint32, 2*len(g.pairs))
	for i := range g.links {
		g.pairs[g.pair(g.links[i].ends[0], g.links[i].ends[1])] = uint32(i) + 1
	}
}

// mix spreads a pair over 64 bits (the finalizer of splitmix64).
func mix(a, b uint32) uint64 {
	x := uint64(a)<<32 | uint64(b)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
