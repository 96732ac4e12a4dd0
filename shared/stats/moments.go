package stats

import (
	"fmt"
	"math"
)

// Moments is the data contract of every method here: the centred Gram matrix of one cell (metric,
// variant, slice, day of first exposure) over the columns value, denominator and covariates. Cells
// add up by [Moments.Merge], so any slice and any range of days is a sum. [Gram] is the same thing
// for the first two columns, without allocation.
type Moments struct {
	N     int64
	Mean  []float64 // mean of each column: value, denominator (0 without one), covariates
	Cross []float64 // sums of centred products: the upper triangle, row by row
}

// NewMoments starts an empty cell with a number of covariates.
func NewMoments(covariates int) Moments {
	k := 2 + covariates
	return Moments{Mean: make([]float64, k), Cross: make([]float64, k*(k+1)/2)}
}

// MomentsOfSums centres raw sums and sums of products (a symmetric matrix). It loses the digits
// that SQL lost when it added up squares of large numbers: prefer centred moments.
func MomentsOfSums(n int64, sums []float64, products [][]float64) (Moments, error) {
	means := make([]float64, len(sums))
	for i, s := range sums {
		means[i] = s / float64(max(n, 1))
	}
	m, err := MomentsOfCentred(n, means, products)
	if err != nil {
		return m, err
	}
	for i := range sums {
		for j := i; j < len(sums); j++ {
			m.Cross[m.index(i, j)] -= sums[i] * m.Mean[j]
		}
		if v := &m.Cross[m.index(i, i)]; *v < 0 {
			*v = 0 // cancellation
		}
	}
	return m, nil
}

// MomentsOfCentred takes means and sums of products about them (a symmetric matrix).
func MomentsOfCentred(n int64, means []float64, centred [][]float64) (Moments, error) {
	k := len(means)
	if k < 2 || len(centred) != k || n < 0 {
		return Moments{}, fmt.Errorf("read moments: want n >= 0 and a square matrix of %d columns, got n %d and %d rows", max(k, 2), n, len(centred))
	}
	m := NewMoments(k - 2)
	m.N = n
	copy(m.Mean, means)
	for i, row := range centred {
		if len(row) != k {
			return Moments{}, fmt.Errorf("read moments: row %d of the matrix has %d of %d columns", i+1, len(row), k)
		}
		for j := i; j < k; j++ {
			m.Cross[m.index(i, j)] = row[j]
		}
	}
	return m, nil
}

// Add takes one unit in: Welford's update, exact also for a mean of 1e9 with sd 1.
func (m *Moments) Add(unit ...float64) {
	m.N++
	share := 1 / float64(m.N)
	for i := range m.Mean {
		di := unit[i] - m.Mean[i]
		for j := i; j < len(m.Mean); j++ {
			m.Cross[m.index(i, j)] += di * (unit[j] - m.Mean[j]) * (1 - share)
		}
	}
	for i := range m.Mean {
		m.Mean[i] += (unit[i] - m.Mean[i]) * share
	}
}

// Merge takes a disjoint cell in (Chan, Golub and LeVeque). Both have the same columns.
func (m *Moments) Merge(h Moments) {
	if h.N == 0 {
		return
	}
	n := m.N + h.N
	share := float64(h.N) / float64(n)
	weight := float64(m.N) * share
	for i := range m.Mean {
		for j := i; j < len(m.Mean); j++ {
			at := m.index(i, j)
			m.Cross[at] += h.Cross[at] + (h.Mean[i]-m.Mean[i])*(h.Mean[j]-m.Mean[j])*weight
		}
	}
	for i := range m.Mean {
		m.Mean[i] += (h.Mean[i] - m.Mean[i]) * share
	}
	m.N = n
}

// Gram is the part without covariates.
func (m Moments) Gram() Gram {
	return Gram{N: m.N, MeanY: m.Mean[0], MeanD: m.Mean[1], YY: m.at(0, 0), YD: m.at(0, 1), DD: m.at(1, 1)}
}

// Covariates is the number of covariates.
func (m Moments) Covariates() int { return len(m.Mean) - 2 }

func (m Moments) index(i, j int) int {
	if i > j {
		i, j = j, i
	}
	return i*len(m.Mean) - i*(i-1)/2 + j - i
}

func (m Moments) at(i, j int) float64 { return m.Cross[m.index(i, j)] }

// usable says that every moment is a number: a cell read from elsewhere may hold anything.
func (m Moments) usable() bool {
	for _, v := range m.Mean {
		if !finite(v) {
			return false
		}
	}
	for _, v := range m.Cross {
		if !finite(v) {
			return false
		}
	}
	return true
}

// gradient is the derivative of the family's estimate by the means of value and denominator.
func (f Family) gradient(m Moments) (byValue, byDenominator float64) {
	if f != Ratio {
		return 1, 0
	}
	return 1 / m.Mean[1], -m.Mean[0] / (m.Mean[1] * m.Mean[1])
}

// withCovariate is the sum of centred products of the linearised estimate and covariate i.
func (f Family) withCovariate(m Moments, i int) float64 {
	byValue, byDenominator := f.gradient(m)
	return byValue*m.at(0, 2+i) + byDenominator*m.at(1, 2+i)
}

// leastIndependent is the share of a covariate's variance that its predecessors must leave
// unexplained for it to be used: below it, a column repeats the others but for rounding.
const leastIndependent = 1e-10

// regress solves the normal equations of the linearised estimate on the covariates of an arm by
// Cholesky's decomposition. A covariate that is constant or repeats others gets slope 0. It gives
// the slopes, the sum of squares they explain, and how many covariates took part.
func (f Family) regress(m Moments) (slopes []float64, explained float64, used int) {
	k := m.Covariates()
	slopes = make([]float64, k)
	l := make([]float64, k*k) // lower triangle
	kept := make([]bool, k)
	half := make([]float64, k) // L half = Sxy
	for j := range k {
		pivot := m.at(2+j, 2+j)
		least := leastIndependent * pivot
		for p := range j {
			pivot -= l[j*k+p] * l[j*k+p]
		}
		if !(pivot > least) {
			continue
		}
		kept[j] = true
		used++
		l[j*k+j] = math.Sqrt(pivot)
		for i := j + 1; i < k; i++ {
			s := m.at(2+i, 2+j)
			for p := range j {
				s -= l[i*k+p] * l[j*k+p]
			}
			l[i*k+j] = s / l[j*k+j]
		}
		s := f.withCovariate(m, j)
		for p := range j {
			s -= l[j*k+p] * half[p]
		}
		half[j] = s / l[j*k+j]
		explained += half[j] * half[j]
	}
	for j := k - 1; j >= 0; j-- {
		if !kept[j] {
			continue
		}
		s := half[j]
		for i := j + 1; i < k; i++ {
			if kept[i] {
				s -= l[i*k+j] * slopes[i]
			}
		}
		slopes[j] = s / l[j*k+j]
	}
	return slopes, explained, used
}
