package stats

import (
	"math"
	"testing"
)

// Published with the rule's design: exact recursion over 346 looks before the horizon.
func TestFinalZAnchors(t *testing.T) {
	for alphaSeq, want := range map[float64]float64{
		0.005: 1.995509115828263,
		0.01:  2.0344638115191924,
		0.025: 2.18126174688553,
	} {
		near(t, "final z", FinalZ(0.05, alphaSeq), want, 1e-7)
	}
	near(t, "final z without a sequence", FinalZ(0.05, 0), 1.9599639845400545, 1e-14)
	if got := FinalZ(0.05, 0.05); !math.IsInf(got, 1) {
		t.Errorf("final z with everything spent: got %v, want +Inf", got)
	}
}

func TestFinalZMatchesReference(t *testing.T) {
	type in struct {
		Alpha    float64
		AlphaSeq float64 `json:"alpha_seq"`
	}
	type out struct {
		FinalZ float64 `json:"final_z"`
	}
	seen := 0
	for _, c := range golden[in, out](t, "peeking_properties.json") {
		if c.Kind != "hybrid_strict_anytime" {
			continue
		}
		seen++
		near(t, c.ID, FinalZ(c.In.Alpha, c.In.AlphaSeq), c.Out.FinalZ, 1e-7)
	}
	if seen == 0 {
		t.Error("no case of the strict rule")
	}
}

func TestHybridRelaxesOnlyAtTheEnd(t *testing.T) {
	h := NewHybrid(0.05, 0.01, 10000)
	if got, want := h.Critical(10000, false), Tune(0.01, 10000).Critical(10000, 0.01); got != want {
		t.Errorf("running: got %v, want the sequence's %v", got, want)
	}
	if got := h.Critical(10000, true); got != h.FinalZ {
		t.Errorf("at the end: got %v, want %v", got, h.FinalZ)
	}
	for _, end := range []bool{false, true} {
		for _, z := range []float64{0, 1.9, h.FinalZ - 1e-9, h.FinalZ + 1e-9, 2.06, 3, 3.4, 3.59, 3.7, 6} {
			if got, want := h.P(10000, z, end) <= h.Alpha, z >= h.Critical(10000, end); got != want {
				t.Errorf("p at most alpha at z %v (end %v): got %v, want %v", z, end, got, want)
			}
		}
	}
}
