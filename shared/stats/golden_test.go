package stats

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// number is a float64 that reference files may also write as "inf" or "-inf".
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"inf"`:
		*n = number(math.Inf(1))
		return nil
	case `"-inf"`:
		*n = number(math.Inf(-1))
		return nil
	}
	var f float64
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*n = number(f)
	return nil
}

type goldenCase[In, Out any] struct {
	ID    string
	Name  string
	Kind  string
	Fn    string
	Sides string
	In    In
	Out   Out
}

// golden reads the cases of a reference file: figures of other tools, kept beside the checkout.
func golden[In, Out any](t *testing.T, name string) []goldenCase[In, Out] {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "golden", name))
	if os.IsNotExist(err) {
		t.Skipf("SKIPPED: reference figures %s are not beside the checkout; only the anchors in this package were checked", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []goldenCase[In, Out] }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	if len(file.Cases) == 0 {
		t.Fatalf("%s has no cases", name)
	}
	return file.Cases
}

// near reports got and want that differ by more than the tolerance relative to want.
func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	nearAbs(t, what, got, want, relative*math.Abs(want))
}

func nearAbs(t *testing.T, what string, got, want, absolute float64) {
	t.Helper()
	if math.IsInf(want, 0) {
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
		return
	}
	if !(math.Abs(got-want) <= absolute) {
		t.Errorf("%s: got %.17g, want %.17g", what, got, want)
	}
}

// sums is how the reference files give an arm: raw sums of a mean, or the count of a proportion.
type sums struct {
	N     int64
	Sum   float64
	SumSq float64 `json:"sum_sq"`
	X     float64
}

func (s sums) gram() Gram {
	n := float64(s.N)
	return Gram{N: s.N, MeanY: s.Sum / n, YY: s.SumSq - s.Sum*s.Sum/n}
}

func (s sums) arm() Arm {
	if s.SumSq == 0 {
		return Gram{N: s.N, MeanY: s.X / float64(s.N)}.Arm(Proportion)
	}
	return s.gram().Arm(Mean)
}

// sparse says that our variance of the proportion is not the reference's p(1-p).
func (s sums) sparse() bool {
	return s.SumSq == 0 && min(s.X, float64(s.N)-s.X) < sparseCount
}

type sumsPair struct {
	Control, Treatment sums
	Difference         string
	Alpha              float64
	Tuning             float64
	Inverse            bool
	Prior              struct {
		Mean, Variance float64
		Proper         bool
	}
}

// estimate is the effect and its standard error on the scale of the case.
func (p sumsPair) estimate() (c Contrast, estimate, se float64) {
	c = Compare(p.Control.arm(), p.Treatment.arm())
	if p.Difference == "relative" {
		return c, c.Lift(), c.LiftSE()
	}
	return c, c.Effect(), c.SE()
}

// proportion is an arm with x successes of n.
func proportion(x, n int64) Arm {
	return Gram{N: n, MeanY: float64(x) / float64(n)}.Arm(Proportion)
}
