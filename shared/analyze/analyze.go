// Package analyze puts the statistics engine behind JSON: cases in, results out, so that anybody
// can push a table of their own through it (`verdict analyze`, `verdict power`). It computes
// nothing itself: it reads what a case states, asks package stats, and writes what came back.
//
// A case is an object with an "op". Bad cases get an "error" in their place and the others still
// run. Figures that do not exist (an infinite bound, a p-value without data) are null.
package analyze

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"verdict/shared/fault"
)

// Number is a figure that may not exist: NaN and infinities are null in JSON.
type Number float64

// MarshalJSON writes null for what is not a finite number.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// Failure is what stands in place of the result of a case that makes no sense.
type Failure struct {
	ID    string `json:"id,omitempty"`
	Error string `json:"error"`
}

// op answers one case.
type op func(raw json.RawMessage) (any, error)

// on decodes a case strictly, so that a misspelled field is an error and not a default.
func on[In, Out any](answer func(In) (Out, error)) op {
	return func(raw json.RawMessage) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, err
		}
		return answer(in)
	}
}

// Ops are the operations of a command by name.
type Ops map[string]op

// Names lists them.
func (o Ops) Names() []string { return slices.Sorted(maps.Keys(o)) }

// Run answers every case of a stream: one object, an array of objects, or objects one after
// another. The answers have the same form and order. It fails only when the stream itself cannot be
// read or written.
func (o Ops) Run(r io.Reader, w io.Writer) error {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if errors.Is(err, io.EOF) && n > 1 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fault.New(fault.Invalid, "read cases: nothing was given; want a JSON object with an \"op\", or an array of them")
		}
		if err != nil {
			return fault.New(fault.Invalid, "read case %d: %w", n, err)
		}
		if err := o.write(w, raw); err != nil {
			return fmt.Errorf("write answer %d: %w", n, err)
		}
	}
}

func (o Ops) write(w io.Writer, raw json.RawMessage) error {
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		return json.NewEncoder(w).Encode(o.answer(raw))
	}
	var cases []json.RawMessage
	if err := json.Unmarshal(raw, &cases); err != nil {
		return err
	}
	answers := make([]any, len(cases))
	for i, c := range cases {
		answers[i] = o.answer(c)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(answers)
}

// head is what every case has: its operation and, if the caller wants it back, a name.
type head struct {
	Op string `json:"op" jsonschema_description:"the operation"`
	ID string `json:"id,omitempty" jsonschema_description:"returned with the answer"`
}

func (o Ops) answer(raw json.RawMessage) any {
	var h head
	if err := json.Unmarshal(raw, &h); err != nil {
		return Failure{Error: err.Error()}
	}
	run, ok := o[h.Op]
	if !ok {
		return Failure{ID: h.ID, Error: fmt.Sprintf("there is no op %q; there are %s", h.Op, strings.Join(o.Names(), ", "))}
	}
	out, err := run(raw)
	if err != nil {
		return Failure{ID: h.ID, Error: err.Error()}
	}
	return out
}
