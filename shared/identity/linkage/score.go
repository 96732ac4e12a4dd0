package linkage

import (
	"cmp"
	"maps"
	"slices"
)

// Rates are the usual three of what was found against what is true.
type Rates struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Quality is how good units are, where the truth is known.
type Quality struct {
	Records   int   `json:"records"` // with a known truth
	Persons   int   `json:"persons"`
	Units     int   `json:"units"`
	Largest   int   `json:"largest_unit"`
	TruePairs int   `json:"true_pairs"`
	Found     int   `json:"found_pairs"`
	Right     int   `json:"right_pairs"`
	Pairwise  Rates `json:"pairwise"` // each pair of records counts once
	BCubed    Rates `json:"b_cubed"`  // each record counts once (Bagga and Baldwin 1998)
}

// Score compares units with the truth, the name of the person of each record. Records of which the
// truth is empty are left out. Precision without any found pair is 1, as is recall without any true.
func Score(truth []string, unit []int) Quality {
	type cell struct {
		person string
		unit   int
	}
	persons, units, cells := map[string]int{}, map[int]int{}, map[cell]int{}
	q := Quality{}
	for i, person := range truth {
		if person == "" {
			continue
		}
		q.Records++
		persons[person]++
		units[unit[i]]++
		cells[cell{person, unit[i]}]++
	}
	q.Persons, q.Units = len(persons), len(units)
	for _, n := range persons {
		q.TruePairs += n * (n - 1) / 2
	}
	for _, n := range units {
		q.Found += n * (n - 1) / 2
		q.Largest = max(q.Largest, n)
	}
	var precision, recall float64
	inOrder := slices.SortedFunc(maps.Keys(cells), func(x, y cell) int { // sums of fractions depend on it
		return cmp.Or(cmp.Compare(x.unit, y.unit), cmp.Compare(x.person, y.person))
	})
	for _, c := range inOrder {
		n := cells[c]
		q.Right += n * (n - 1) / 2
		precision += float64(n) * float64(n) / float64(units[c.unit])
		recall += float64(n) * float64(n) / float64(persons[c.person])
	}
	q.Pairwise = rates(ratio(q.Right, q.Found), ratio(q.Right, q.TruePairs))
	if q.Records > 0 {
		q.BCubed = rates(precision/float64(q.Records), recall/float64(q.Records))
	}
	return q
}

// Point is the quality of single matches from a probability on, before units are made of them.
type Point struct {
	Threshold float64 `json:"threshold"`
	Matches   int     `json:"matches"`
	Pairwise  Rates   `json:"pairwise"`
}

// Curve is the quality of matches for several thresholds.
func (r *Result) Curve(truth []string, thresholds ...float64) []Point {
	all := Score(truth, make([]int, len(truth))).TruePairs
	out := make([]Point, 0, len(thresholds))
	for _, t := range thresholds {
		p, right := Point{Threshold: t}, 0
		for _, m := range r.Matches {
			if m.Probability < t || truth[m.A] == "" || truth[m.B] == "" {
				continue
			}
			p.Matches++
			if truth[m.A] == truth[m.B] {
				right++
			}
		}
		p.Pairwise = rates(ratio(right, p.Matches), ratio(right, all))
		out = append(out, p)
	}
	return out
}

func rates(precision, recall float64) Rates {
	r := Rates{Precision: precision, Recall: recall}
	if precision+recall > 0 {
		r.F1 = 2 * precision * recall / (precision + recall)
	}
	return r
}

func ratio(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}
