package slack_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/outbox"
	"verdict/shared/fault"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

func message() notify.Message {
	return notify.Message{
		ID: "0123456789abcdef", Subject: "Ship <fast> & short", Text: "unused by slack", Consequence: "Everybody now gets short.",
		Link: "http://127.0.0.1:8080/experiments/checkout", Severity: "info",
		Kind: "decision", Decision: decide.Decision{ExperimentID: "checkout"},
		Sections: []notify.Section{{Title: "Why", Points: []string{"Purchases <!channel> & more are better.", "Returns are not worse."}}},
	}
}

func client() *http.Client { return &http.Client{Timeout: 5 * time.Second} }

func TestSendPostsBlocks(t *testing.T) {
	var got map[string]any
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind := r.Header.Get("Content-Type"); r.Method != http.MethodPost || !strings.HasPrefix(kind, "application/json") {
			t.Errorf("%s of %q, want POST of application/json", r.Method, kind)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer host.Close()
	if err := slack.New(host.URL, client()).Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	text := func(kind, text string) map[string]any { return map[string]any{"type": kind, "text": text} }
	want := map[string]any{
		"text": "Ship &lt;fast&gt; &amp; short",
		"blocks": []any{
			map[string]any{"type": "header", "text": text("plain_text", "Ship <fast> & short")},
			map[string]any{"type": "section", "text": text("mrkdwn", "• Purchases &lt;!channel&gt; &amp; more are better.\n• Returns are not worse.\n")},
			map[string]any{"type": "section", "text": text("mrkdwn", "Everybody now gets short.")},
			map[string]any{"type": "context", "elements": []any{
				text("mrkdwn", "<http://127.0.0.1:8080/experiments/checkout|Readout> · decision 0123456789abcdef"),
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

// The stand-in refuses whatever Slack's limits refuse, so long texts must be cut within them.
func TestLongTextsKeepWithinTheLimits(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	host := httptest.NewServer(&outbox.Webhook{Objects: store})
	defer host.Close()
	m := message()
	m.Subject = strings.Repeat("ü", 151)
	m.Consequence = strings.Repeat("<", 1000)
	m.Sections[0].Points = []string{strings.Repeat("&", 2999)}
	m.Link = ""
	if err := slack.New(host.URL, client()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	body, err := store.Get(t.Context(), "outbox/slack/000001.json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Blocks []struct{ Text struct{ Text string } }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		atLeast, atMost int
		end             string
	}{{150, 150, "ü…"}, {2990, 3000, "&amp;…"}, {2990, 3000, "&lt;…"}} {
		text := got.Blocks[i].Text.Text
		if n := utf8.RuneCountInString(text); n < want.atLeast || n > want.atMost || !strings.HasSuffix(text, want.end) {
			t.Errorf("block %d has %d characters and ends in %q", i, n, text[max(0, len(text)-10):])
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   fault.Class
	}{
		"malformed": {http.StatusBadRequest, fault.Invalid},
		"revoked":   {http.StatusNotFound, fault.Invalid},
		"archived":  {http.StatusGone, fault.Invalid},
		"busy":      {http.StatusTooManyRequests, fault.Transient},
		"broken":    {http.StatusInternalServerError, fault.Transient},
		"away":      {http.StatusServiceUnavailable, fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "a_word", c.status)
			}))
			defer host.Close()
			err := slack.New(host.URL+"/services/s3cret", client()).Send(t.Context(), message())
			if !fault.Is(err, c.want) || !strings.Contains(err.Error(), "a_word") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want a fault of class %v that quotes the word and keeps the secret", err, c.want)
			}
		})
	}
}

func TestErrorsKeepTheSecret(t *testing.T) {
	host := httptest.NewServer(http.NotFoundHandler())
	host.Close() // nobody listens there any more
	for name, c := range map[string]struct {
		url  string
		want fault.Class
	}{
		"nobody there": {host.URL + "/services/s3cret", fault.Transient},
		"no URL":       {"http://%zz/s3cret", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			err := slack.New(c.url, client()).Send(t.Context(), message())
			if !fault.Is(err, c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want a fault of class %v without the secret", err, c.want)
			}
		})
	}
}
