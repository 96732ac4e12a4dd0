package linkage

import (
	"cmp"
	"slices"
)

// clusters are units in the making. A unit is named by its least record.
type clusters struct {
	unit    []int
	members map[int][]int
	known   []int32 // of a unit: its known person, or -1
	chance  map[[2]int]float64
}

// cluster joins units by their best matches first. A unit holds one known person at most, and no more
// records than the cap.
func (r *Result) cluster(known []int32, c *Config) {
	u := &clusters{make([]int, len(known)), make(map[int][]int, len(known)), slices.Clone(known), make(map[[2]int]float64, len(r.Matches))}
	first := map[int32]int{}
	for row, person := range known {
		u.unit[row], u.members[row] = row, []int{row}
		if person < 0 {
			continue
		}
		if same, ok := first[person]; ok {
			u.join(same, row)
		} else {
			first[person] = row
		}
	}
	for _, m := range r.Matches {
		u.chance[[2]int{m.A, m.B}] = m.Probability
	}
	best := slices.Clone(r.Matches)
	slices.SortFunc(best, func(x, y Match) int {
		return cmp.Or(cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	for _, m := range best {
		a, b := u.unit[m.A], u.unit[m.B]
		switch {
		case m.Probability < c.Threshold || a == b:
		case u.known[a] >= 0 && u.known[b] >= 0, len(u.members[a])+len(u.members[b]) > c.Cap, u.between(a, b) < c.Agreement:
			r.Held++
		default:
			u.join(min(a, b), max(a, b))
			r.Joins = append(r.Joins, m)
		}
	}
	r.Unit = u.unit
}

func (u *clusters) join(into, from int) {
	for _, row := range u.members[from] {
		u.unit[row] = into
	}
	u.members[into] = append(u.members[into], u.members[from]...)
	delete(u.members, from)
	u.known[into] = max(u.known[into], u.known[from])
}

// between is the mean probability of the pairs across two units; those never compared count as 0.
func (u *clusters) between(a, b int) float64 {
	sum := 0.0
	for _, x := range u.members[a] {
		for _, y := range u.members[b] {
			sum += u.chance[[2]int{min(x, y), max(x, y)}]
		}
	}
	return sum / float64(len(u.members[a])*len(u.members[b]))
}
