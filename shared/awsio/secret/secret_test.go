package secret_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/secret"
	"verdict/shared/fault"
)

func TestASecretIsReadAnewAfterAWhile(t *testing.T) {
	current := "one"
	service, config := awstest.New(t, "secretsmanager", map[string]awstest.Action{
		"GetSecretValue": func(input []byte) (any, error) {
			var in struct{ SecretId string } //nolint:revive // the wire's name
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, err
			}
			switch in.SecretId {
			case "token":
				return map[string]string{"Name": in.SecretId, "SecretString": current}, nil
			case "empty":
				return map[string]string{"Name": in.SecretId}, nil
			}
			return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: "no such secret"}
		},
	})
	now := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	store := secret.New(config, func() time.Time { return now })
	read := func(want string, calls int) {
		t.Helper()
		got, err := store.Get(t.Context(), "token")
		if err != nil || got != want || len(service.Calls()) != calls {
			t.Errorf("got %q, %v after %d calls; want %q after %d", got, err, len(service.Calls()), want, calls)
		}
	}
	read("one", 1)
	current = "two" // rotated
	read("one", 1)
	now = now.Add(5 * time.Minute)
	read("two", 2)

	if _, err := store.Get(t.Context(), "other"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown secret: %v", err)
	}
	if _, err := store.Get(t.Context(), "empty"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("empty secret: %v", err)
	}
}
