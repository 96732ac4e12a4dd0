// Package awsfault gives the errors of the AWS SDK their class, in one place for all adapters.
package awsfault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"verdict/shared/fault"
)

// Wrap says what failed and gives the error the class of its code, as the service references name it.
// What nobody can do anything about but an operator, such as a denied access, stays internal.
func Wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if class := classOf(err); class != fault.Internal {
		return fault.New(class, "%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func classOf(err error) fault.Class {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Transient
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		if _, sending := errors.AsType[*smithyhttp.RequestSendError](err); sending {
			return fault.Transient
		}
		return fault.Internal
	}
	switch api.ErrorCode() {
	case "NoSuchKey", "NotFound", "EntityNotFoundException", "ResourceNotFoundException":
		return fault.NotFound
	case "PreconditionFailed", "ConditionalRequestConflict", "AlreadyExistsException", "ConcurrentModificationException",
		"ConditionalCheckFailedException":
		return fault.Conflict
	case "ValidationException", "InvalidRequestException", "InvalidInputException", "InvalidArgumentException", "InvalidParameter",
		"InvalidParameterException":
		return fault.Invalid
	case "Throttling", "Throttled", "ThrottlingException", "ThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
		"RequestTimeout", "ProvisionedThroughputExceededException", "LimitExceededException", "ServiceUnavailable",
		"ServiceUnavailableException", "InternalError", "InternalServerError", "InternalServerException", "InternalFailure",
		"InternalServiceException", "OperationTimeoutException":
		return fault.Transient
	}
	if api.ErrorFault() == smithy.FaultServer {
		return fault.Transient
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.HTTPStatusCode() >= 500 {
		return fault.Transient
	}
	return fault.Internal
}
