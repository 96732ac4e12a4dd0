package redact_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/redact"
)

const secret = "0123456789abcdef0123456789abcdef"

func keyed(key string, err error) func(context.Context) (redact.Key, error) {
	return func(context.Context) (redact.Key, error) { return redact.Key(key), err }
}

// hidden is an event after its ids were hidden.
func hidden(t *testing.T, key, event string, ids ...string) *fastjson.Value {
	t.Helper()
	hide, err := redact.Hiding(t.Context(), ids, keyed(key, nil))
	if err != nil {
		t.Fatal(err)
	}
	v := fastjson.MustParse(event)
	hide(&fastjson.Arena{}, v)
	return v
}

func TestIDsAreHidden(t *testing.T) {
	event := `{"event":"page_viewed","user_id":"ann","anonymous_id":"phone","properties":{"user_id":"ann"}}`
	got := hidden(t, secret, event, "user_id")
	user := string(got.GetStringBytes("user_id"))
	// echo -en 'value\nann' | openssl dgst -sha256 -hmac "$secret"
	if want := "hmac:c65b8abd6586a1171fd5a6f32f80dcae"; user != want {
		t.Errorf("user %q, want %q", user, want)
	}
	if rest := strings.Replace(got.String(), user, "ann", 1); rest != event {
		t.Errorf("the rest changed: %s", rest)
	}
	if again := hidden(t, secret, got.String(), "user_id"); again.String() != got.String() {
		t.Errorf("hidden twice: %s", again)
	}
	if other := hidden(t, strings.ToUpper(secret), event, "user_id"); other.String() == got.String() {
		t.Error("another key gives the same hash")
	}
	if same := hidden(t, "", event); same.String() != event {
		t.Errorf("a plan that hides nothing changed %s", same)
	}
}

// What breaks the contract goes to quarantine as it came, but for who it was.
func TestIDsOfTheWrongTypeAreHiddenToo(t *testing.T) {
	got := hidden(t, secret, `{"user_id":4711,"anonymous_id":null}`, "user_id", "anonymous_id", "network_id")
	if user := string(got.GetStringBytes("user_id")); !redact.Hashed(user) || got.Get("anonymous_id").Type() != fastjson.TypeNull || got.Exists("network_id") {
		t.Errorf("got %s", got)
	}
}

func TestWithoutAKeyNothingIsHidden(t *testing.T) {
	gone := fault.New(fault.NotFound, "no such secret")
	for name, c := range map[string]struct {
		key  string
		err  error
		want error
	}{
		"missing": {"", gone, gone},
		"short":   {secret[:31], nil, nil},
	} {
		hide, err := redact.Hiding(t.Context(), []string{"user_id"}, keyed(c.key, c.err))
		if err == nil || hide != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
