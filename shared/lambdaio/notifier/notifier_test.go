package notifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/lambdaio/notifier"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

func TestSlackIsToldOnce(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	body, err := json.Marshal(decide.Decision{ID: "d1", ExperimentID: "checkout", Verdict: decide.Ship, Headline: "Ship treatment of Checkout"})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), "decisions/checkout/0000.json", body, lake.Create); err != nil {
		t.Fatal(err)
	}
	var posts []string
	status := http.StatusServiceUnavailable
	channel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posts = append(posts, string(text))
		w.WriteHeader(status)
	}))
	defer channel.Close()

	now := time.Date(2026, 1, 12, 6, 0, 0, 0, time.UTC)
	with := notify.Notifier{Objects: store, DashboardURL: "https://verdict.example.com", Now: func() time.Time { return now }}
	missing := notifier.Handler(slackOf("", fault.New(fault.NotFound, "no value")), with)
	if err := missing(t.Context(), nil); err != nil || len(posts) != 0 {
		t.Errorf("without a webhook: %v, %d posts", err, len(posts))
	}
	locked := errors.New("access denied")
	if err := notifier.Handler(slackOf("", locked), with)(t.Context(), nil); !errors.Is(err, locked) {
		t.Errorf("a secret that cannot be read: %v", err)
	}
	tell := notifier.Handler(slackOf(channel.URL, nil), with)
	if err := tell(t.Context(), nil); !fault.Is(err, fault.Transient) {
		t.Errorf("while Slack is away: %v, want an error that Lambda retries", err)
	}
	status, now = http.StatusOK, now.Add(time.Minute) // as Lambda waits before it tries again
	for range 3 {                                     // SNS delivers more than once
		if err := tell(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(posts) != 2 || !strings.Contains(posts[1], "Ship treatment of Checkout") || !strings.Contains(posts[1], "https://verdict.example.com/experiments/checkout") {
		t.Errorf("posts %v, want the failed one and one more", posts)
	}
}

// slackOf is the channel of a secret, or of a secret that cannot be read.
func slackOf(secret string, err error) func(context.Context) (*slack.Sender, error) {
	return notifier.Channel(func(context.Context) (string, error) { return secret, err }, "", false)
}
