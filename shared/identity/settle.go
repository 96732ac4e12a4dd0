package identity

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// Change is one entry of the merge log: a link began to hold two groups of ids together, or ceased to.
type Change struct {
	At          time.Time
	Merged      bool
	Link        Link
	Left, Right string // what the two groups were called
	Reason      Fate   // of a split: what became of the link
}

type change struct {
	link, left, right uint32
	at                uint32
	fate              Fate
}

// Settle brings the units up to date with what was added since, and logs what changed. Only ids that
// links can reach from a changed one are looked at.
func (g *Graph) Settle(at time.Time) {
	nodes := g.reach()
	for _, i := range g.pending {
		if why := g.excluded(&g.links[i]); why != Untried {
			g.decide(i, why, g.links[i].ends[0], g.links[i].ends[1], at)
		}
	}
	var open []ranked
	for _, n := range nodes {
		x := &g.nodes[n]
		x.parent, x.size, x.face = n, 1, n
		if g.barred(x) != Untried {
			continue
		}
		for i := range g.linksOf(n) {
			if l := &g.links[i]; l.ends[0] == n && g.excluded(l) == Untried {
				open = append(open, ranked{rank(l), i})
			}
		}
	}
	slices.SortFunc(open, func(x, y ranked) int {
		if c := cmp.Compare(x.rank, y.rank); c != 0 {
			return c
		}
		return g.compareLinks(x.link, y.link)
	})
	parties := map[uint32][]uint32{} // root to the ids of its unit that have foes
	for n := range g.foes {
		if g.nodes[n].touched {
			parties[n] = []uint32{n}
		}
	}
	for _, o := range open {
		g.try(o.link, parties, at)
	}
	for _, n := range nodes {
		g.nodes[n].touched = false
	}
	g.touched, g.pending = nil, nil
}

// Rebuild forgets all units and makes them anew.
func (g *Graph) Rebuild(at time.Time) {
	for n := range g.nodes {
		g.touch(uint32(n)) //nolint:gosec // as many as were numbered
	}
	g.Settle(at)
}

// reach follows links that count from the touched ids, and touches all it meets.
func (g *Graph) reach() []uint32 {
	for done := 0; done < len(g.touched); {
		n := g.touched[done]
		done++
		if g.barred(&g.nodes[n]) != Untried {
			continue
		}
		for i := range g.linksOf(n) {
			if l := &g.links[i]; g.excluded(l) == Untried {
				g.touch(l.ends[0])
				g.touch(l.ends[1])
			}
		}
	}
	return g.touched
}

// excluded says why a link is not even tried, or Untried.
func (g *Graph) excluded(l *link) Fate {
	if len(g.foes) > 0 && slices.Contains(g.foes[l.ends[0]], l.ends[1]) {
		return Vetoed
	}
	return max(g.barred(&g.nodes[l.ends[0]]), g.barred(&g.nodes[l.ends[1]]))
}

// try joins what a link links, unless a guard forbids it.
func (g *Graph) try(i uint32, parties map[uint32][]uint32, at time.Time) {
	a, b := g.root(g.links[i].ends[0]), g.root(g.links[i].ends[1])
	left, right := g.nodes[a].face, g.nodes[b].face
	switch {
	case a == b:
		g.decide(i, Spare, left, right, at)
	case g.nodes[left].user && g.nodes[right].user:
		g.decide(i, Conflict, left, right, at)
	case int(g.nodes[a].size+g.nodes[b].size) > g.guards.Component:
		g.decide(i, TooLarge, left, right, at)
	case g.hostile(parties[a], b):
		g.decide(i, Vetoed, left, right, at)
	default:
		g.decide(i, Joined, left, right, at)
		if g.nodes[a].size < g.nodes[b].size {
			a, b = b, a
		}
		g.nodes[b].parent = a
		g.nodes[a].size += g.nodes[b].size
		g.nodes[a].face = g.elder(left, right)
		if len(parties[b]) > 0 {
			parties[a] = append(parties[a], parties[b]...)
			delete(parties, b)
		}
	}
}

// hostile tells whether one of the ids has a foe in a unit.
func (g *Graph) hostile(party []uint32, unit uint32) bool {
	for _, n := range party {
		for _, foe := range g.foes[n] {
			if g.root(foe) == unit {
				return true
			}
		}
	}
	return false
}

// elder chooses what a unit is called by: its user, else the id seen first.
func (g *Graph) elder(a, b uint32) uint32 {
	x, y := &g.nodes[a], &g.nodes[b]
	if x.user || !y.user && (x.first < y.first || x.first == y.first && g.names.compare(a, b) < 0) {
		return a
	}
	return b
}

// decide keeps the fate of a link, and logs it when that makes or ends a merge.
func (g *Graph) decide(i uint32, fate Fate, left, right uint32, at time.Time) {
	was := g.fate[i]
	g.fate[i] = fate
	if (was == Joined) != (fate == Joined) {
		g.log = append(g.log, change{i, left, right, uint32(at.Unix()), fate}) //nolint:gosec // until 2106
	}
}

func (g *Graph) root(n uint32) uint32 {
	for g.nodes[n].parent != n {
		g.nodes[n].parent = g.nodes[g.nodes[n].parent].parent
		n = g.nodes[n].parent
	}
	return n
}

// ranked is a link with its place in the order of trying.
type ranked struct {
	rank uint64
	link uint32
}

func rank(l *link) uint64 {
	return uint64((1-l.probability)*(1<<31))<<32 | uint64(l.first)
}

// compareLinks breaks ties by name: numbers depend on who came first.
func (g *Graph) compareLinks(i, j uint32) int {
	x, y := g.sorted(i), g.sorted(j)
	return cmp.Or(g.names.compare(x[0], y[0]), g.names.compare(x[1], y[1]))
}

// sorted gives the ends of a link in the order of their names.
func (g *Graph) sorted(i uint32) [2]uint32 {
	ends := g.links[i].ends
	if g.names.compare(ends[0], ends[1]) > 0 {
		ends[0], ends[1] = ends[1], ends[0]
	}
	return ends
}

// Unit says which unit an id is of: the user's, else that of its oldest id. A stranger is itself.
func (g *Graph) Unit(id string) string {
	n, ok := g.names.find(id)
	if !ok {
		return id
	}
	return g.names.id(g.nodes[g.root(n)].face)
}

// Units goes over all ids and their units, in no order.
func (g *Graph) Units() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for n := range g.nodes {
			if !yield(g.names.id(uint32(n)), g.names.id(g.nodes[g.root(uint32(n))].face)) { //nolint:gosec // as many as were numbered
				return
			}
		}
	}
}

// Fates goes over all links and what became of them, in no order.
func (g *Graph) Fates() iter.Seq2[Link, Fate] {
	return func(yield func(Link, Fate) bool) {
		for i := range g.links {
			if !yield(g.link(uint32(i)), g.fate[i]) { //nolint:gosec // as many as were numbered
				return
			}
		}
	}
}

// Log goes over the merge log, oldest entry first.
func (g *Graph) Log() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for _, c := range g.log {
			if g.sorted(c.link) != g.links[c.link].ends {
				c.left, c.right = c.right, c.left
			}
			entry := Change{
				At: time.Unix(int64(c.at), 0).UTC(), Merged: c.fate == Joined, Link: g.link(c.link),
				Left: g.names.id(c.left), Right: g.names.id(c.right), Reason: c.fate,
			}
			if !yield(entry) {
				return
			}
		}
	}
}

func (g *Graph) link(i uint32) Link {
	l, ends := &g.links[i], g.sorted(i)
	return Link{g.names.id(ends[0]), g.names.id(ends[1]), time.Unix(int64(l.first), 0).UTC(), l.probability}
}
