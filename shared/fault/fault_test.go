package fault_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"verdict/shared/fault"
)

func TestClassSurvivesWrapping(t *testing.T) {
	cause := errors.New("disk full")
	err := fmt.Errorf("store events: %w", fault.New(fault.Transient, "write file: %w", cause))
	if got := fault.Of(err); got != fault.Transient {
		t.Errorf("Of = %v, want transient", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if got, want := err.Error(), "store events: write file: disk full"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
}

func TestUnclassifiedIsInternal(t *testing.T) {
	if got := fault.Of(errors.New("x")); got != fault.Internal {
		t.Errorf("Of = %v, want internal", got)
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("nil has a class")
	}
}

func TestStatus(t *testing.T) {
	want := map[fault.Class]int{
		fault.Internal: http.StatusInternalServerError, fault.Invalid: http.StatusBadRequest,
		fault.NotFound: http.StatusNotFound, fault.Conflict: http.StatusConflict, fault.Transient: http.StatusServiceUnavailable,
	}
	for c, status := range want {
		if got := c.Status(); got != status {
			t.Errorf("%v.Status() = %d, want %d", c, got, status)
		}
	}
}
