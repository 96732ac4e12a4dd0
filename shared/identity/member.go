package identity

import (
	"iter"
	"time"
)

// Membership is how an id came to the unit that it is of.
type Membership struct {
	ID, Unit    string
	Probability float32   // of the least certain link on the way to what the unit is called by
	Since       time.Time // when the last of these links was first seen
}

// Members goes over all ids that are of another unit than themselves, in no order. The links that joined a unit are a
// tree: there is one way.
func (g *Graph) Members() iter.Seq[Membership] {
	type step struct {
		node, since uint32
		probability float32
	}
	return func(yield func(Membership) bool) {
		seen := make([]bool, len(g.nodes))
		var queue []step
		for start := range uint32(len(g.nodes)) { //nolint:gosec // as many as were numbered
			if g.nodes[g.root(start)].face != start {
				continue
			}
			seen[start] = true
			for queue = append(queue[:0], step{node: start, probability: 1}); len(queue) > 0; {
				at := queue[len(queue)-1]
				queue = queue[:len(queue)-1]
				for i := range g.linksOf(at.node) {
					l := &g.links[i]
					next := l.ends[0] + l.ends[1] - at.node
					if g.fate[i] != Joined || seen[next] {
						continue
					}
					seen[next] = true
					here := step{next, max(at.since, l.first), min(at.probability, l.probability)}
					queue = append(queue, here)
					if !yield(Membership{g.names.id(next), g.names.id(start), here.probability, time.Unix(int64(here.since), 0).UTC()}) {
						return
					}
				}
			}
		}
	}
}
