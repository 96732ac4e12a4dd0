package main

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"verdict/shared/stats"
)

// schedule is the units of an arm at each look.
type schedule []int

// logarithmic spaces looks evenly on the logarithm up to lastLook, which is the hardest for rules that are valid at
// any time: each look brings the same share of new information.
func logarithmic(first, looks int) schedule {
	s := make(schedule, 0, looks)
	for i := range looks {
		n := int(math.Round(float64(first) * math.Pow(lastLook/float64(first), float64(i)/float64(looks-1))))
		if len(s) > 0 {
			n = max(n, s[len(s)-1]+2)
		}
		s = append(s, n)
	}
	return s
}

// look is what a rule sees.
type look struct {
	stats.Contrast
	control, treatment stats.Gram
	index              int
	last               bool // the planned end
}

// path plays one experiment: visit sees each look until it returns false.
func path(w world, s schedule, lift float64, r *rand.Rand, visit func(look) bool) {
	var l look
	before := 0
	for i, n := range s {
		l.control = l.control.Merge(w.draw(r, n-before, 0))
		l.treatment = l.treatment.Merge(w.draw(r, n-before, lift))
		before = n
		l.Contrast = stats.Compare(l.control.Arm(w.family), l.treatment.Arm(w.family))
		l.index, l.last = i, i == len(s)-1
		if !visit(l) {
			return
		}
	}
}

// each runs experiments on all cores. Experiment i draws from its own generator, so that the figures
// depend on the seed alone.
func each(seed uint64, runs int, tick func(), run func(i int, r *rand.Rand)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= runs {
					return
				}
				run(i, rand.New(rand.NewPCG(seed, uint64(i))))
				tick()
			}
		})
	}
	wg.Wait()
}

// share is k of n with Wilson's 95 % interval.
type share struct{ k, n int }

func (s share) rate() float64 { return float64(s.k) / float64(s.n) }

func (s share) wilson() (low, high float64) {
	const z = 1.959963984540054
	n, p := float64(s.n), s.rate()
	centre, half := (p+z*z/(2*n))/(1+z*z/n), z/(1+z*z/n)*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return centre - half, centre + half
}

// tally counts events of experiments by name, from several goroutines.
type tally struct {
	mu sync.Mutex
	by map[string]int
	// sums adds up figures such as the sample at stopping.
	sums map[string]float64
}

func newTally() *tally { return &tally{by: map[string]int{}, sums: map[string]float64{}} }

func (t *tally) add(by map[string]bool, sums map[string]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, hit := range by {
		if hit {
			t.by[name]++
		}
	}
	for name, v := range sums {
		t.sums[name] += v
	}
}
