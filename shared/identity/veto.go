package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Veto says that two ids are not of one person, and why. It undoes a merge: the two stay apart
// whatever links them. Those that the units were made with are the rows of identity_veto.
type Veto struct {
	A      string    `json:"a" lake:"entity_a"`
	B      string    `json:"b" lake:"entity_b"`
	Reason string    `json:"reason" lake:"reason"`
	At     time.Time `json:"at" lake:"vetoed_at"`
}

// VetoKey is where the vetoes of a lake stand.
const VetoKey = "identity/vetoes.json"

// Vetoes reads the vetoes of a lake.
func Vetoes(ctx context.Context, objects lake.Objects) ([]Veto, error) {
	body, err := objects.Get(ctx, VetoKey)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read vetoes: %w", err)
	}
	var out []Veto
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fault.New(fault.Invalid, "read vetoes: %s: %w", VetoKey, err)
	}
	return out, nil
}

// Forbid adds a veto to a lake; a second one for the same two ids replaces the first.
func Forbid(ctx context.Context, objects lake.Objects, v Veto) error {
	return changeVetoes(ctx, objects, v.A, v.B, func(rest []Veto) []Veto { return append(rest, v) })
}

// Permit takes a veto back.
func Permit(ctx context.Context, objects lake.Objects, a, b string) error {
	return changeVetoes(ctx, objects, a, b, func(rest []Veto) []Veto { return rest })
}

func changeVetoes(ctx context.Context, objects lake.Objects, a, b string, change func(rest []Veto) []Veto) error {
	vetoes, err := Vetoes(ctx, objects)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(vetoes, func(v Veto) bool { return v.A == a && v.B == b || v.A == b && v.B == a })
	return write(ctx, objects, change(rest))
}

// Forget drops the vetoes that name one of some ids.
func Forget(ctx context.Context, objects lake.Objects, ids map[string]bool) error {
	vetoes, err := Vetoes(ctx, objects)
	if err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(vetoes), func(v Veto) bool { return ids[v.A] || ids[v.B] })
	if len(rest) == len(vetoes) {
		return nil
	}
	return write(ctx, objects, rest)
}

func write(ctx context.Context, objects lake.Objects, vetoes []Veto) error {
	body, err := json.MarshalIndent(vetoes, "", "  ")
	if err != nil {
		return fmt.Errorf("write vetoes: %w", err)
	}
	return objects.Put(ctx, VetoKey, append(body, '\n'), lake.Overwrite)
}
