package awsio_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio"
	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/setting"
	"verdict/shared/fault"
)

// The collector's way to its write keys, from the environment on.
func TestWriteKeys(t *testing.T) {
	value := ""
	_, config := awstest.New(t, "secretsmanager", map[string]awstest.Action{"GetSecretValue": func(input []byte) (any, error) {
		var in struct{ SecretId string } //nolint:revive // the wire's name
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, err
		}
		if in.SecretId != "verdict/dev/write-keys" || value == "" {
			return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: "no value"}
		}
		return map[string]string{"SecretString": value}, nil
	}})
	t.Setenv("AWS_ENDPOINT_URL", *config.BaseEndpoint)
	t.Setenv("AWS_REGION", config.Region)
	credentials, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", credentials.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", credentials.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	variables := map[string]string{setting.WriteKeys: "verdict/dev/write-keys"}
	now := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	home, err := awsio.Open(t.Context(), func(name string) (string, bool) { v, ok := variables[name]; return v, ok }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.WriteKeys(t.Context()); !fault.Is(err, fault.NotFound) {
		t.Errorf("while the secret is empty: %v, want not found", err)
	}
	value = `{"wk_shop": "shop", "wk_game": "game"}`
	keys, err := home.WriteKeys(t.Context())
	if diff := cmp.Diff(map[string]string{"wk_shop": "shop", "wk_game": "game"}, keys); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	value, now = "wk_hidden", now.Add(time.Hour)
	if _, err := home.WriteKeys(t.Context()); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "wk_hidden") {
		t.Errorf("a secret that is no JSON: %v, want invalid, and not shown", err)
	}
	if _, err := home.Setting(setting.GoodStream); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), setting.GoodStream) {
		t.Errorf("a missing variable: %v, want one that names it", err)
	}
}
