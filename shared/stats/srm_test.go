package stats

import (
	"math"
	"testing"
)

func TestSplitMatchesReference(t *testing.T) {
	type in struct {
		Counts  []int64
		Weights []float64
	}
	type out struct {
		Chi2, P float64
		DF      int
	}
	for _, c := range golden[in, out](t, "srm_chi2.json") {
		s := CheckSplit(c.In.Counts, c.In.Weights)
		if s.DF != c.Out.DF || s.Status != OK {
			t.Errorf("%s: got %d degrees of freedom, %v, want %d, ok", c.ID, s.DF, s.Status, c.Out.DF)
		}
		nearAbs(t, c.ID+" statistic", s.Statistic, c.Out.Chi2, 1e-10*(1+c.Out.Chi2))
		near(t, c.ID+" p", s.P, c.Out.P, 1e-9)
	}
}

func TestSequentialSplitMatchesReference(t *testing.T) {
	type in struct {
		Null          []float64
		Increments    [][]int64
		Concentration float64
	}
	type out struct {
		Log []float64 `json:"log_bayes_factor"`
	}
	for _, c := range golden[in, out](t, "ssrm_sequential.json") {
		counts := make([]int64, len(c.In.Null))
		for look, increment := range c.In.Increments {
			for i, x := range increment {
				counts[i] += x
			}
			got := SplitLogEAt(counts, c.In.Null, c.In.Concentration)
			nearAbs(t, c.ID, got, c.Out.Log[look], 1e-8) // lgamma of 1e6 cancels to about 1e-9
		}
	}
}

// Fabijan et al., "Diagnosing Sample Ratio Mismatch", KDD 2019: 821588 against 815482 users,
// p = 1.8e-6.
func TestSplitAnchors(t *testing.T) {
	counts, weights := []int64{821588, 815482}, []float64{1, 1}
	near(t, "p", CheckSplit(counts, weights).P, 1.8e-6, 0.02)
	if got, want := SplitLogE(counts, weights), math.Log(100); got < want {
		t.Errorf("log e: got %v, want at least %v", got, want)
	}
	if got := SplitLogE([]int64{500000, 500000}, weights); got >= 0 {
		t.Errorf("log e of an even split: got %v, want below 0", got)
	}
}

func TestSplitEdges(t *testing.T) {
	tests := []struct {
		name    string
		counts  []int64
		weights []float64
		status  Status
		df      int
		fails   bool
	}{
		{"an arm without weight takes no freedom", []int64{500, 510, 0}, []float64{1, 1, 0}, OK, 1, false},
		{"a leak is proof", []int64{500, 510, 1}, []float64{1, 1, 0}, OK, 1, true},
		{"few units", []int64{3, 1}, []float64{1, 1}, Insufficient, 1, false},
		{"no units", []int64{0, 0}, []float64{1, 1}, Insufficient, 1, false},
		{"one arm", []int64{10}, []float64{1}, Undefined, 0, false},
		{"all in one arm", []int64{100, 0}, []float64{1, 1}, OK, 1, true},
		{"three arms", []int64{1000, 520, 480}, []float64{50, 25, 25}, OK, 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, logE := CheckSplit(tt.counts, tt.weights), SplitLogE(tt.counts, tt.weights)
			if s.Status != tt.status || s.DF != tt.df {
				t.Errorf("got %v, %d degrees of freedom, want %v, %d", s.Status, s.DF, tt.status, tt.df)
			}
			if got := s.P < 0.01; got != tt.fails {
				t.Errorf("chi-square fails: got %v (p %v), want %v", got, s.P, tt.fails)
			}
			if got := logE > math.Log(100); got != tt.fails {
				t.Errorf("sequential fails: got %v (log e %v), want %v", got, logE, tt.fails)
			}
		})
	}
}

// An e-value averages to 1 under the plan: sum over all outcomes of P(outcome) e(outcome).
func TestSplitEValueAveragesToOne(t *testing.T) {
	const n = 40
	weights := []float64{0.8, 0.2}
	sum := 0.0
	for x := range int64(n + 1) {
		logP := lgamma(n+1) - lgamma(float64(x)+1) - lgamma(float64(n-x)+1) +
			float64(x)*math.Log(0.8) + float64(n-x)*math.Log(0.2)
		sum += math.Exp(logP + SplitLogE([]int64{x, n - x}, weights))
	}
	near(t, "mean", sum, 1, 1e-10)
}
