package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestUnselectMatchesReference(t *testing.T) {
	type in struct{ Z, SE, Threshold float64 }
	type out struct {
		MLE    float64 `json:"conditional_mle"`
		Median float64 `json:"median_unbiased"`
		CI     [2]float64
		CI95   [2]float64 `json:"ci95"`
	}
	for _, c := range golden[in, out](t, "winners_curse.json") {
		got := Unselect(c.In.Z, c.In.SE, c.In.Threshold, 0.05)
		near(t, c.ID+" mle", got.MLE, c.Out.MLE, 1e-7) // the reference stops its optimizer there: docs/divergences.md
		near(t, c.ID+" median", got.MedianUnbiased, c.Out.Median, 1e-8)
		near(t, c.ID+" low", got.Interval.Low, c.Out.CI95[0], 1e-8)
		near(t, c.ID+" high", got.Interval.High, c.Out.CI95[1], 1e-8)
	}
}

// Roots of the score in 30 digits (mpmath), and scipy's median.
func TestUnselectAnchor(t *testing.T) {
	near(t, "mle near the threshold", Unselect(2.1, 1, 1.96, 0.05).MLE, 0.562583064221789885, 1e-12)
	near(t, "mle nearer", Unselect(2.6, 1, 2.576, 0.05).MLE, 0.480298278120578387, 1e-12)
	got := Unselect(3, 1, 1.96, 0.05)
	near(t, "mle", got.MLE, 2.52239576148667247, 1e-12)
	near(t, "median", got.MedianUnbiased, 2.713352891677675, 1e-9)
	mirrored := Unselect(-3, 2, 1.96, 0.05)
	near(t, "mirrored", mirrored.MLE, -2*got.MLE, 1e-14)
	near(t, "mirrored low", mirrored.Interval.Low, -2*got.Interval.High, 1e-14)
}

func TestUnselectFarAndNear(t *testing.T) {
	for _, z := range []float64{10, 25, 40} {
		got := Unselect(z, 1, 1.96, 0.05)
		near(t, "far", got.MLE, z, 1e-9)
		near(t, "far low", got.Interval.Low, z-1.9599639845400545, 1e-7)
	}
	prev := math.Inf(-1)
	for _, z := range []float64{1.9601, 1.97, 2, 2.5, 3, 5} {
		got := Unselect(z, 1, 1.96, 0.05)
		if !(got.MLE > prev) || !finite(got.Interval.Low) || !finite(got.Interval.High) || !(got.MLE < z) {
			t.Errorf("z %v: %+v after %v", z, got, prev)
		}
		prev = got.MLE
	}
	// Close to a large threshold the limits lie a hundred standard errors below.
	for _, c := range []float64{60, 100, 1e4} {
		far := Unselect(c+0.001, 1, c, 0.05)
		near(t, "median", selectedCDF(c+0.001, far.MedianUnbiased, c), 0.5, 1e-9)
		near(t, "low", selectedCDF(c+0.001, far.Interval.Low, c), 0.975, 1e-9)
		near(t, "high", selectedCDF(c+0.001, far.Interval.High, c), 0.025, 1e-9)
	}
	for _, bad := range []Selected{Unselect(1, 1, 1.96, 0.05), Unselect(math.NaN(), 1, 1.96, 0.05), Unselect(3, 0, 1.96, 0.05)} {
		if bad.Status != Undefined || bad.Interval.Shape != Line {
			t.Errorf("%+v", bad)
		}
	}
}

// Among estimates that passed the threshold, half lie below the truth's median-unbiased estimate, and
// the interval covers.
func TestUnselectIsMedianUnbiased(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	for _, truth := range []float64{0, 1, 2.5} {
		var below, covered, n float64
		for n < 1500 {
			z := truth + r.NormFloat64()
			got := Unselect(z, 1, 1.96, 0.05)
			if got.Status != OK {
				continue
			}
			n++
			// Selection on |z| with the sign known: what is unbiased is |z|'s estimate in z's direction.
			if got.MedianUnbiased < truth {
				below++
			}
			if !got.Interval.Excludes(truth) {
				covered++
			}
		}
		if share := below / n; math.Abs(share-0.5) > 0.05 {
			t.Errorf("truth %v: %.3f of estimates below it", truth, share)
		}
		if share := covered / n; math.Abs(share-0.95) > 0.02 {
			t.Errorf("truth %v: covered in %.3f", truth, share)
		}
	}
}
