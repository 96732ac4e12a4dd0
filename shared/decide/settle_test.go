package decide_test

import (
	"errors"
	"strings"
	"testing"

	"verdict/shared/decide"
	"verdict/shared/fault"
)

// A platform that holds a number; the wanted state is ten, and a patch is how much is missing.
func TestSettle(t *testing.T) {
	busy := fault.New(fault.Transient, "busy")
	for name, c := range map[string]struct {
		writes []error                     // how writes end, in order; those beyond succeed
		effect func(n, patch, try int) int // of a write, whatever its answer
		sent   int
		mine   bool
		class  fault.Class
		says   string
	}{
		"one write":                     {effect: add, sent: 1, mine: true},
		"answer lost":                   {writes: []error{busy}, effect: add, sent: 1, mine: true},
		"busy twice":                    {writes: []error{busy, busy}, effect: addAt(2), sent: 3, mine: true},
		"refused, and done by others":   {writes: []error{fault.New(fault.Invalid, "no")}, effect: add, sent: 1},
		"refused":                       {writes: []error{fault.New(fault.Invalid, "no")}, effect: nothing, sent: 1, class: fault.Invalid, says: "no"},
		"accepted without effect":       {effect: nothing, sent: 1, class: fault.Conflict, says: "gone again"},
		"accepted and changed at once":  {effect: half, sent: 1, class: fault.Conflict, says: "gone again"},
		"busy while others change it":   {writes: []error{busy}, effect: half, sent: 1, class: fault.Conflict, says: "somebody else changed it"},
		"refused while others do":       {writes: []error{fault.New(fault.Invalid, "no")}, effect: half, sent: 1, class: fault.Conflict, says: "somebody else changed it"},
		"busy until patience is at end": {writes: []error{busy, busy, busy, busy}, effect: nothing, sent: 3, class: fault.Transient, says: "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			n, sent := 0, 0
			got, err := decide.Steps[int, int]{
				Read: func() (int, error) { return n, nil },
				Plan: func(n int) (int, bool, error) { return 10 - n, n != 10, nil },
				Write: func(patch int) error {
					n = c.effect(n, patch, sent)
					sent++
					if sent <= len(c.writes) {
						return c.writes[sent-1]
					}
					return nil
				},
				Pause: func(refused error, attempt int) error {
					if attempt >= 3 {
						return refused
					}
					return nil
				},
			}.Settle("the number")
			if sent != c.sent {
				t.Errorf("%d writes, want %d", sent, c.sent)
			}
			if c.says != "" {
				if !fault.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error = %v, want one of class %v that says %q", err, c.class, c.says)
				}
				return
			}
			if err != nil || got.State != 10 || got.Mine != c.mine || got.Sent != 10 {
				t.Errorf("settled = %+v, %v, want 10, mine: %t", got, err, c.mine)
			}
		})
	}
}

func add(n, patch, _ int) int  { return n + patch }
func half(n, patch, _ int) int { return n + patch/2 }
func nothing(n, _, _ int) int  { return n }
func addAt(at int) func(n, patch, try int) int {
	return func(n, patch, try int) int {
		if try == at {
			return n + patch
		}
		return n
	}
}

func TestSettleEndsWhereReadingOrPlanningDoes(t *testing.T) {
	broken := errors.New("broken")
	steps := decide.Steps[int, int]{
		Read:  func() (int, error) { return 0, nil },
		Plan:  func(int) (int, bool, error) { return 0, false, broken },
		Write: func(int) error { t.Error("it wrote"); return nil },
	}
	if _, err := steps.Settle("x"); !errors.Is(err, broken) {
		t.Errorf("error = %v, want that of the plan", err)
	}
	steps.Read = func() (int, error) { return 0, broken }
	steps.Plan = func(int) (int, bool, error) { t.Error("it planned"); return 0, false, nil }
	if _, err := steps.Settle("x"); !errors.Is(err, broken) {
		t.Errorf("error = %v, want that of the read", err)
	}
}
