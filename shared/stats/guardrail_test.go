package stats

import (
	"math"
	"testing"
)

func TestGuardrailMatchesReference(t *testing.T) {
	for _, c := range golden[guardrailIn, guardrailOut](t, "anytime_guardrail.json") {
		t.Run(c.ID, func(t *testing.T) {
			m := TuneOneSided(c.In.Alpha, c.In.NOpt)
			// A control known to be 1 makes the relative margin the reference's absolute one.
			up := Contrast{N: c.In.N, Control: 1, Treatment: 1 + c.In.Est, VarTreatment: c.In.SE * c.In.SE}
			down := up
			down.Treatment = 1 - c.In.Est
			negative := up
			negative.Control, negative.Treatment = -1, -1+c.In.Est
			for name, v := range map[string]Evidence{
				"increase is good": Guardrail{Margin: c.In.Margin}.Test(up, m),
				"increase is bad":  Guardrail{Margin: c.In.Margin, IncreaseIsBad: true}.Test(down, m),
				"negative control": Guardrail{Margin: c.In.Margin}.Test(negative, m),
			} {
				near(t, name+": non-inferior", v.LogENonInferior, c.Out.NonInferior, 1e-10)
				near(t, name+": violated", v.LogEViolated, c.Out.Inferior, 1e-10)
				near(t, name+": p", PValue(v.LogENonInferior), c.Out.P, 1e-10)
			}
		})
	}
}

func TestGuardrailWithoutSuccesses(t *testing.T) {
	const alpha = 0.05
	evidence := -math.Log(alpha)
	m := TuneOneSided(alpha, 20000)
	tests := []struct {
		name               string
		control, treatment Arm
		increaseIsBad      bool
		violated, safe     bool
	}{
		{"errors appear", proportion(0, 10000), proportion(300, 10000), true, true, false},
		{"errors vanish", proportion(300, 10000), proportion(0, 10000), true, false, true},
		{"sales vanish", proportion(300, 10000), proportion(0, 10000), false, true, false},
		{"sales appear", proportion(0, 10000), proportion(300, 10000), false, false, true},
		{"one error", proportion(0, 10000), proportion(1, 10000), true, false, false},
		{"no errors at all", proportion(0, 10000), proportion(0, 10000), true, false, false},
		{"everybody succeeds", proportion(10000, 10000), proportion(10000, 10000), false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := Guardrail{Margin: 0.02, IncreaseIsBad: tt.increaseIsBad}.Test(Compare(tt.control, tt.treatment), m)
			if v.Status != OK {
				t.Fatalf("status: got %v (%s), want ok", v.Status, v.Reason)
			}
			if got := v.LogEViolated > evidence; got != tt.violated {
				t.Errorf("violated: got %v (log e %.1f), want %v", got, v.LogEViolated, tt.violated)
			}
			if got := v.LogENonInferior > evidence; got != tt.safe {
				t.Errorf("non-inferior: got %v (log e %.1f), want %v", got, v.LogENonInferior, tt.safe)
			}
		})
	}
}

func TestMarginIsNotTreatedAsKnown(t *testing.T) {
	m := TuneOneSided(0.05, 1000)
	sure := Contrast{N: 1000, Control: 1, Treatment: 1, VarTreatment: 0.002}
	unsure := sure
	unsure.VarControl, unsure.VarTreatment = 0.001, 0.001 // the same error of the effect
	g := Guardrail{Margin: 0.5, IncreaseIsBad: true}
	if g.Test(unsure, m).LogENonInferior >= g.Test(sure, m).LogENonInferior {
		t.Error("the error of 1.5 times control must weigh more than the error of control")
	}
}
