// Package fault gives every error that crosses a boundary one of four classes, so that the edge
// can decide between quarantine, retry and an HTTP status without reading text. An error without
// a class is internal: retried, alarmed, and its text is never shown to a caller.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Class says what the receiver of an error can do about it.
type Class uint8

const (
	// Internal is the class of an error that nobody classified.
	Internal Class = iota
	// Invalid input will fail again however often it is tried: quarantine it, answer 400.
	Invalid
	// NotFound means the named thing does not exist.
	NotFound
	// Conflict means somebody else changed the thing first, or it exists already.
	Conflict
	// Transient failures are worth a retry.
	Transient
)

func (c Class) String() string {
	return [...]string{"internal", "invalid", "not found", "conflict", "transient"}[c]
}

// Status is the HTTP status that tells a client what the class means.
func (c Class) Status() int {
	return [...]int{
		http.StatusInternalServerError, http.StatusBadRequest, http.StatusNotFound,
		http.StatusConflict, http.StatusServiceUnavailable,
	}[c]
}

type classified struct {
	class Class
	err   error
}

func (e *classified) Error() string { return e.err.Error() }
func (e *classified) Unwrap() error { return e.err }

// New returns an error of class c with a formatted text; %w wraps as in fmt.Errorf.
func New(c Class, format string, args ...any) error {
	return &classified{c, fmt.Errorf(format, args...)}
}

// Of returns the class of err: that of the outermost classified error in its chain, else Internal.
func Of(err error) Class {
	if e, ok := errors.AsType[*classified](err); ok {
		return e.class
	}
	return Internal
}

// Is tells whether err has class c.
func Is(err error, c Class) bool { return err != nil && Of(err) == c }
