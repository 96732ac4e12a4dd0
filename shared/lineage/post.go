package lineage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"verdict/shared/fault"
)

// HTTP sends events to an OpenLineage endpoint, such as Marquez: to /api/v1/lineage under the address, with the key as
// bearer token when there is one.
func HTTP(address, key string, client *http.Client) func(ctx context.Context, event []byte) error {
	return func(ctx context.Context, event []byte) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(address, "/")+"/api/v1/lineage", bytes.NewReader(event))
		if err != nil {
			return fault.New(fault.Invalid, "post event: %w", err)
		}
		request.Header.Set("Content-Type", "application/json")
		if key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		answer, err := client.Do(request)
		if err != nil {
			return fault.New(fault.Transient, "post event: %w", err)
		}
		defer answer.Body.Close() //nolint:errcheck // it was only read
		says, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		if answer.StatusCode/100 != 2 {
			return fmt.Errorf("post event: %s: %s", answer.Status, says)
		}
		return nil
	}
}
