package decide

import (
	"reflect"

	"verdict/shared/fault"
)

// Steps is how an adapter of Flags reads and writes one flag: S is what it reads, P what it sends.
type Steps[S, P any] struct {
	Read  func() (S, error)
	Plan  func(S) (patch P, needed bool, err error) // not needed: the wanted state is reached
	Write func(P) error                             // one try
	Pause func(refused error, attempt int) error    // before another try; an error to give up
}

// Settled is how Settle ended.
type Settled[S, P any] struct {
	State S
	Sent  P
	Mine  bool // Sent brought the state about; else it had been reached by others
}

// Settle reads, plans and writes until there is nothing left to plan, so that each round's read
// verifies the write before it, and finds out what became of one whose answer was lost. A write is
// repeated only if it failed in a way that may pass, and only as it was: a plan that has become
// another means that somebody else was there, which is a fault.Conflict.
func (s Steps[S, P]) Settle(what string) (Settled[S, P], error) {
	var sent P
	var refused error // the answer to it
	for attempt := 0; ; attempt++ {
		state, err := s.Read()
		if err != nil {
			return Settled[S, P]{}, err
		}
		patch, needed, err := s.Plan(state)
		if err != nil {
			return Settled[S, P]{}, err
		}
		if !needed {
			// A write refused for good that finds its end reached was overtaken by an equal one.
			mine := attempt > 0 && (refused == nil || fault.Is(refused, fault.Transient))
			return Settled[S, P]{state, sent, mine}, nil
		}
		if attempt > 0 {
			if err := again(what, reflect.DeepEqual(sent, patch), refused); err != nil {
				return Settled[S, P]{}, err
			}
			if err := s.Pause(refused, attempt); err != nil {
				return Settled[S, P]{}, err
			}
		}
		sent, refused = patch, s.Write(patch)
	}
}

// again says why a write that did not bring about its end must not be repeated, if so.
func again(what string, same bool, refused error) error {
	switch {
	case refused == nil:
		return fault.New(fault.Conflict, "verify %s: the change was accepted and is gone again: see the flag's history, then decide again", what)
	case !same:
		return fault.New(fault.Conflict, "change %s: somebody else changed it at the same time: decide again: %w", what, refused)
	case fault.Is(refused, fault.Transient):
		return nil
	default:
		return refused
	}
}
