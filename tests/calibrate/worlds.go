package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"verdict/shared/stats"
)

// world is a metric as nature makes it. Treatment multiplies the value of a unit by 1+lift, so that
// lift is also the true relative effect of the mean.
type world struct {
	name   string
	about  string
	family stats.Family
	counts bool // events are rare: the exact count method applies
	mean   float64
	draw   func(r *rand.Rand, n int, lift float64) stats.Gram
}

// batch collects raw sums of one batch of units. A batch is small and its values are near 1, so
// nothing is lost.
type batch struct{ n, y, d, yy, yd, dd float64 }

func (b *batch) add(y, d float64) {
	b.n++
	b.y += y
	b.d += d
	b.yy += y * y
	b.yd += y * d
	b.dd += d * d
}

func (b *batch) gram() stats.Gram {
	return stats.Gram{
		N: int64(b.n), MeanY: b.y / b.n, MeanD: b.d / b.n,
		YY: max(0, b.yy-b.y*b.y/b.n), YD: b.yd - b.y*b.d/b.n, DD: max(0, b.dd-b.d*b.d/b.n),
	}
}

// successes is the gram of x units of n that did it.
func successes(x, n float64) stats.Gram {
	p := x / n
	return stats.Gram{N: int64(n), MeanY: p, YY: n * p * (1 - p)}
}

const (
	buyers   = 0.05 // of all units spend anything
	spend    = 3.4  // ln of the median purchase: 30
	spread   = 1.0  // sd of the ln of a purchase
	rareRate = 0.01
	capAt    = 25.0 // Pareto values above are cut: the 99.2 % quantile, frozen
	tail     = 1.5  // Pareto shape: infinite variance before the cut
	views    = 4.0  // mean denominators of a unit
	clicks   = 0.1  // mean rate of clicks per view
)

func worlds() []world {
	return []world{
		{
			name: "normal", about: "mean 1, standard deviation 1", family: stats.Mean, mean: 1,
			draw: func(r *rand.Rand, n int, lift float64) stats.Gram {
				// Mean and variance of n normal values, drawn directly.
				mean := 1 + lift + r.NormFloat64()/math.Sqrt(float64(n))
				chi := distuv.ChiSquared{K: float64(n - 1), Src: r}
				return stats.Gram{N: int64(n), MeanY: mean, YY: chi.Rand()}
			},
		},
		{
			name: "spend", about: "5 % buy, for lognormal amounts (median 30, sd of the logarithm 1); the rest is 0", family: stats.Mean,
			mean: buyers * math.Exp(spend+spread*spread/2),
			draw: func(r *rand.Rand, n int, lift float64) stats.Gram {
				b := batch{n: float64(n)}
				for range binomial(r, n, buyers) {
					v := (1 + lift) * math.Exp(spend+spread*r.NormFloat64())
					b.y += v
					b.yy += v * v
				}
				return b.gram()
			},
		},
		{
			name: "heavy tail, winsorized", about: "Pareto with shape 1.5 (infinite variance), values above a frozen cap of 25 cut", family: stats.Mean,
			mean: cappedPareto(),
			draw: func(r *rand.Rand, n int, lift float64) stats.Gram {
				var b batch
				for range n {
					b.add((1+lift)*min(capAt, math.Pow(1-r.Float64(), -1/tail)), 0)
				}
				return b.gram()
			},
		},
		{
			name: "rare conversion", about: "1 % convert", family: stats.Proportion, counts: true, mean: rareRate,
			draw: func(r *rand.Rand, n int, lift float64) stats.Gram {
				return successes(float64(binomial(r, n, rareRate*(1+lift))), float64(n))
			},
		},
		{
			name: "ratio", about: "clicks per view: views are geometric with mean 4, the rate differs by unit", family: stats.Ratio,
			mean: clicks,
			draw: func(r *rand.Rand, n int, lift float64) stats.Gram {
				var b batch
				for range n {
					d := math.Floor(math.Log(1-r.Float64())/math.Log(1-1/views)) + 1
					rate := clicks * (1 + lift) * 2 * r.Float64()
					b.add(float64(binomial(r, int(d), rate)), d)
				}
				return b.gram()
			},
		},
	}
}

// cappedPareto is E min(X, cap) of a Pareto from 1 on: 1 + the integral of the tail from 1 to the cap.
func cappedPareto() float64 { return 1 + (1-math.Pow(capAt, 1-tail))/(tail-1) }

// binomial draws the number of successes: trial by trial when there are few, else by the library.
func binomial(r *rand.Rand, n int, p float64) int {
	if n > 20 {
		return int(distuv.Binomial{N: float64(n), P: p, Src: r}.Rand())
	}
	x := 0
	for range n {
		if r.Float64() < p {
			x++
		}
	}
	return x
}
