package awsfault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
)

func TestWrap(t *testing.T) {
	api := func(code string, by smithy.ErrorFault) error {
		return fmt.Errorf("operation error: %w", &smithy.GenericAPIError{Code: code, Message: "m", Fault: by})
	}
	for name, c := range map[string]struct {
		err  error
		want fault.Class
	}{
		"missing object":      {api("NoSuchKey", smithy.FaultClient), fault.NotFound},
		"missing table":       {api("EntityNotFoundException", smithy.FaultClient), fault.NotFound},
		"failed condition":    {api("PreconditionFailed", smithy.FaultClient), fault.Conflict},
		"overtaken":           {api("ConcurrentModificationException", smithy.FaultClient), fault.Conflict},
		"wrong query":         {api("InvalidRequestException", smithy.FaultClient), fault.Invalid},
		"throttled":           {api("ThrottlingException", smithy.FaultClient), fault.Transient},
		"unknown server code": {api("Whatever", smithy.FaultServer), fault.Transient},
		"denied":              {api("AccessDeniedException", smithy.FaultClient), fault.Internal},
		"not reached":         {&smithyhttp.RequestSendError{Err: errors.New("connection refused")}, fault.Transient},
		"out of time":         {fmt.Errorf("wait: %w", context.DeadlineExceeded), fault.Transient},
		"anything else":       {errors.New("no region"), fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			got := awsfault.Wrap("put object", c.err)
			if fault.Of(got) != c.want || !errors.Is(got, c.err) || got.Error() != "put object: "+c.err.Error() {
				t.Errorf("%v has class %s, want %s", got, fault.Of(got), c.want)
			}
		})
	}
	if err := awsfault.Wrap("put object", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
