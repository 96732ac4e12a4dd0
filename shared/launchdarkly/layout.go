package launchdarkly

import (
	"cmp"
	"math"
	"slices"
)

// stretch is the part of the buckets that a variation has, in thousandths of a percent.
type stretch struct{ from, to int }

// block is a run of variants with no excluded variation between them: they move as one.
type block struct {
	before   int // position of the excluded variation before the block; -1: none
	variants []int
	width    int
}

// layOut gives the weights, by position, with which an experiment includes want thousandths of a
// percent of the users. A rollout hands out the buckets in the order of the flag's variations, so the weights
// before a variant decide where its stretch begins. still tells whether every variant keeps all the
// buckets that it has, so that nobody who has a variant gets another one or none: new users come
// out of the excluded variations beside it. The weights are nil without variants or excluded variations.
func (f flag) layOut(from rollout, want int) (weights map[int]int, still bool) {
	has, once := stretches(from)
	weights, still = f.targets(from, want), once
	blocks, last := f.blocks(weights)
	if len(blocks) == 0 || len(blocks) == 1 && blocks[0].before < 0 && last < 0 {
		return nil, false
	}
	end, left := 0, want // of the blocks so far; of variants to place
	for i, b := range blocks {
		low, high := b.room(has, weights)
		start := min(max(end, low), fullRange-left)
		switch {
		case b.before < 0:
			start = 0
		case i == len(blocks)-1 && last < 0:
			start = fullRange - b.width
		}
		still = still && low <= start && start <= high
		if b.before >= 0 {
			weights[b.before] += start - end
		}
		end, left = start+b.width, left-b.width
	}
	if last >= 0 {
		weights[last] += fullRange - end
	}
	return weights, still
}

// room is where a block may begin such that each of its variants keeps the buckets that it has.
func (b block) room(has map[int]stretch, weights map[int]int) (low, high int) {
	low, high = 0, fullRange
	offset := 0
	for _, v := range b.variants {
		low = max(low, has[v].to-weights[v]-offset)
		high = min(high, has[v].from-offset)
		offset += weights[v]
	}
	return low, high
}

// blocks cuts the flag's variations at the excluded ones; last is the excluded variation behind all
// blocks, -1 if there is none. Excluded variations get the weight zero to begin with.
func (f flag) blocks(weights map[int]int) (blocks []block, last int) {
	last = -1
	fresh := true
	for i := range f.Variations {
		weight, isVariant := weights[i]
		switch {
		case f.excluded(i):
			if last < 0 || !fresh {
				last = i
			}
			weights[i], fresh = 0, true
		case isVariant:
			if fresh {
				blocks, fresh = append(blocks, block{before: last}), false
			}
			b := &blocks[len(blocks)-1]
			b.variants, b.width = append(b.variants, i), b.width+weight
		}
	}
	if !fresh {
		last = -1
	}
	return blocks, last
}

// targets splits want among the variants of a rollout as it splits them now, by largest remainder.
func (f flag) targets(from rollout, want int) map[int]int {
	shares, _ := f.shares(serve{Rollout: &from})
	out := map[int]int{}
	var order []int
	left := want
	for i, share := range shares {
		if share > 0 {
			out[i] = int(math.Floor(share * float64(want)))
			left -= out[i]
			order = append(order, i)
		}
	}
	rest := func(i int) float64 { return shares[i]*float64(want) - float64(out[i]) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest(b), rest(a)) })
	for _, i := range order[:min(max(left, 0), len(order))] {
		out[i]++
	}
	return out
}

// stretches is what each variation has now; once is false if one has several stretches, which
// weights by variation cannot say.
func stretches(r rollout) (has map[int]stretch, once bool) {
	has, once = map[int]stretch{}, true
	end := 0
	for _, w := range r.Variations {
		if _, twice := has[w.Variation]; twice {
			once = false
		}
		has[w.Variation] = stretch{end, end + w.Weight}
		end += w.Weight
	}
	return has, once
}
