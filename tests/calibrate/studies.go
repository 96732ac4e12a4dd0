package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"verdict/shared/stats"
)

// The looks of most studies: 60 of them from 100 to 10,000 units an arm.
const (
	firstLook = 100
	lastLook  = 10000
	looks     = 60
)

// falsePositives is the share of A/A experiments in which a rule rejects at any look, by world and
// rule.
func (c *calibration) falsePositives(w world, all []rule, s schedule) map[string]share {
	t := newTally()
	each(c.seed, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit := map[string]bool{}
		path(w, s, 0, r, func(l look) bool {
			for _, rule := range all {
				if !hit[rule.name] && (w.counts || !rule.counts) && rule.reject(l) {
					hit[rule.name] = true
				}
			}
			return true
		})
		t.add(hit, nil)
	})
	return t.shares(c.runs)
}

func (t *tally) shares(runs int) map[string]share {
	out := map[string]share{}
	for name, k := range t.by {
		out[name] = share{k, runs}
	}
	return out
}

// coverage is the share of experiments with a true lift whose interval, at the moment that the
// running sequence stops the experiment or else at the planned end, holds the truth.
func (c *calibration) coverage(w world, s schedule, lift float64) map[string]share {
	planned := int64(2 * s[len(s)-1])
	sequence, hybrid := stats.Tune(alpha, planned), stats.NewHybrid(alpha, alphaSeq, planned)
	t := newTally()
	each(c.seed+1, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit := map[string]bool{}
		stopped := map[string]bool{}
		path(w, s, lift, r, func(l look) bool {
			at := func(name string, critical float64, welch bool) {
				if stopped[name] || !(l.last || l.Absolute(critical).Excludes(0)) {
					return
				}
				stopped[name] = true
				if welch {
					critical = l.WelchCritical(alpha)
				}
				hit[name] = !l.Absolute(critical).Excludes(lift * w.mean)
				hit[name+", lift"] = !l.Relative(critical).Excludes(lift)
			}
			at("sequence", sequence.Critical(l.N, alpha), false)
			at("hybrid", hybrid.Critical(l.N, l.last), false)
			at("naive", l.WelchCritical(alpha), true)
			return len(stopped) < 3
		})
		t.add(hit, nil)
	})
	return t.shares(c.runs)
}

// fromWhich is the false positive rate of the running sequence by the units of an arm at the first
// look.
func (c *calibration) fromWhich(w world, starts []int) []share {
	const perRun, tuned = 80, 200
	out := make([]share, len(starts))
	t := newTally()
	s := logarithmic(starts[0], perRun)
	sequence := stats.Tune(alpha, tuned)
	names := make([]string, len(starts))
	for i, n := range starts {
		names[i] = itoa(n)
	}
	each(c.seed+2, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit := map[string]bool{}
		path(w, s, 0, r, func(l look) bool {
			if l.Relative(sequence.Critical(l.N, alpha)).Excludes(0) {
				for i, n := range starts {
					if int64(2*n) <= l.N {
						hit[names[i]] = true
					}
				}
			}
			return true
		})
		t.add(hit, nil)
	})
	for i := range starts {
		out[i] = share{t.by[names[i]], c.runs}
	}
	return out
}

// guardrails is the share of runs in which a guardrail is called safe although the metric is worse
// by exactly its margin, and called violated although it is better by nothing less than the margin.
func (c *calibration) guardrails(w world, s schedule, margin float64) (safe, violated share) {
	m := stats.TuneOneSided(alpha, int64(2*s[len(s)-1]))
	t := newTally()
	each(c.seed+3, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit := map[string]bool{}
		path(w, s, -margin, r, func(l look) bool {
			v := stats.Guardrail{Margin: margin}.Test(l.Contrast, m)
			hit["safe"] = hit["safe"] || v.LogENonInferior >= -math.Log(alpha)
			hit["violated"] = hit["violated"] || v.LogEViolated >= -math.Log(alpha)
			return true
		})
		t.add(hit, nil)
	})
	return share{t.by["safe"], c.runs}, share{t.by["violated"], c.runs}
}

// splitStudy is alarms of the sample ratio check over 28 looks of 10,000 units.
type splitStudy struct {
	share       float64 // of units in treatment; 0.5 is the plan
	alarms      map[string]share
	meanLook    float64 // of the sequential check's alarm, when it came
	looks, each int
}

func (c *calibration) splits(p float64) splitStudy {
	const looks, perLook = 28, 10000
	t := newTally()
	each(c.seed+4, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit, sums := map[string]bool{}, map[string]float64{}
		draw := distuv.Binomial{N: perLook, P: p, Src: r}
		counts, weights := []int64{0, 0}, []float64{1, 1}
		for i := range looks {
			x := int64(draw.Rand())
			counts[0] += x
			counts[1] += perLook - x
			e, chi := stats.SplitLogE(counts, weights), stats.CheckSplit(counts, weights).P
			for name, alarm := range map[string]bool{
				"sequential, 0.01": e >= -math.Log(0.01), "sequential, 0.001": e >= -math.Log(0.001),
				"chi-square, 0.01": chi < 0.01, "chi-square, 0.001": chi < 0.001,
			} {
				if alarm && !hit[name] {
					hit[name] = true
					sums[name] = float64(i + 1)
				}
			}
		}
		t.add(hit, sums)
	})
	out := splitStudy{share: p, alarms: t.shares(c.runs), looks: looks, each: perLook}
	if k := t.by["sequential, 0.01"]; k > 0 {
		out.meanLook = t.sums["sequential, 0.01"] / float64(k)
	}
	return out
}

// discoveries is what 20 correlated metrics give, of which some move: the share of false among all
// discoveries (FDR) and of runs with any false one (FWER), at a look that somebody chose because it
// showed the most discoveries.
type discoveries struct {
	fdr, fwer, found map[string]float64
}

const (
	metrics     = 20
	moving      = 5
	correlation = 0.5
)

func (c *calibration) manyMetrics(procedures map[string]func(logE, p []float64) []bool) discoveries {
	const looks, perLook, effect = 50, 400, 0.05 // units of both arms, effect in standard deviations
	mixture := stats.Tune(alpha, looks*perLook)
	t := newTally()
	each(c.seed+5, c.runs, c.tick, func(_ int, r *rand.Rand) {
		var sum [metrics]float64 // Brownian motion of each metric's score
		logE, fixed := make([]float64, metrics), make([]float64, metrics)
		best := map[string][2]int{}
		for i := 1; i <= looks; i++ {
			common := r.NormFloat64() * math.Sqrt(perLook*correlation)
			n := float64(i * perLook)
			for m := range sum {
				sum[m] += common + r.NormFloat64()*math.Sqrt(perLook*(1-correlation))
				if m < moving {
					sum[m] += perLook * effect / 2
				}
				z := sum[m] / math.Sqrt(n)
				logE[m], fixed[m] = mixture.LogE(int64(n), z), 2*stats.UpperTail(math.Abs(z))
			}
			for name, procedure := range procedures {
				found, wrong := 0, 0
				for m, rejected := range procedure(logE, fixed) {
					if rejected {
						found++
						if m >= moving {
							wrong++
						}
					}
				}
				if b := best[name]; found > b[0] || found == b[0] && wrong > b[1] {
					best[name] = [2]int{found, wrong}
				}
			}
		}
		hit, sums := map[string]bool{}, map[string]float64{}
		for name, b := range best {
			hit[name] = b[1] > 0
			sums["fdr "+name] = float64(b[1]) / float64(max(1, b[0]))
			sums["found "+name] = float64(b[0] - b[1])
		}
		t.add(hit, sums)
	})
	d := discoveries{map[string]float64{}, map[string]float64{}, map[string]float64{}}
	for name := range procedures {
		n := float64(c.runs)
		d.fdr[name], d.fwer[name], d.found[name] = t.sums["fdr "+name]/n, float64(t.by[name])/n, t.sums["found "+name]/n/moving
	}
	return d
}

// power is how often a rule finds an effect that a single look at the planned end would find with
// 80 %, and the share of the planned sample it takes on average.
func (c *calibration) power(all []rule) map[string][2]float64 {
	w := worlds()[0]
	s := logarithmic(firstLook, looks)
	lift := (1.959963984540054 + 0.8416212335729143) * math.Sqrt(2/float64(lastLook))
	t := newTally()
	each(c.seed+6, c.runs, c.tick, func(_ int, r *rand.Rand) {
		hit, sums := map[string]bool{}, map[string]float64{}
		path(w, s, lift, r, func(l look) bool {
			for _, rule := range all {
				if !hit[rule.name] && !rule.counts && rule.reject(l) {
					hit[rule.name] = true
					sums[rule.name] = float64(l.control.N) / lastLook
				}
			}
			return true
		})
		for _, rule := range all {
			if !hit[rule.name] {
				sums[rule.name] = 1
			}
		}
		t.add(hit, sums)
	})
	out := map[string][2]float64{}
	for _, rule := range all {
		n := float64(c.runs)
		out[rule.name] = [2]float64{float64(t.by[rule.name]) / n, t.sums[rule.name] / n}
	}
	return out
}
