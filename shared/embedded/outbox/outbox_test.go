package outbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/outbox"
	"verdict/shared/notify"
)

func message() notify.Message {
	return notify.Message{
		ID: "0123456789abcdef", Subject: "Roll back Café", Text: "Roll back Café.\nAll of it.\n", Consequence: "Everybody now gets control.",
		Link: "http://127.0.0.1:8080/experiments/cafe", Severity: "critical",
		Kind: "decision", Sections: []notify.Section{{Title: "Why", Points: []string{"Errors are up.", "Sales are down."}}},
		Decision: decide.Decision{ID: "0123456789abcdef", ExperimentID: "cafe", Verdict: decide.RollBack},
	}
}

func TestConsole(t *testing.T) {
	var out bytes.Buffer
	if err := (&outbox.Console{W: &out}).Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	want := `[critical] Roll back Café
  - Errors are up.
  - Sales are down.
  Everybody now gets control.
  http://127.0.0.1:8080/experiments/cafe
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	closed, w := io.Pipe()
	closed.CloseWithError(errors.New("gone"))
	if err := (&outbox.Console{W: w}).Send(t.Context(), message()); err == nil {
		t.Error("a message that nobody can read counts as sent")
	}
}

func TestSNSKeepsThePublishRequest(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	sender := &outbox.SNS{Objects: store}
	for range 2 {
		if err := sender.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.List(t.Context(), "outbox/sns/")
	if err != nil || len(all) != 1 {
		t.Fatalf("outbox holds %v, %v, want one request", all, err)
	}
	body, err := store.Get(t.Context(), "outbox/sns/0123456789abcdef.json")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	text := func(s string) any { return map[string]any{"DataType": "String", "StringValue": s} }
	want := map[string]any{
		"TopicArn": "arn:aws:sns:us-east-1:000000000000:verdict",
		"Subject":  "Roll back Caf?",
		"Message":  "Roll back Café.\nAll of it.\n",
		"MessageAttributes": map[string]any{
			"kind": text("decision"), "decision_id": text("0123456789abcdef"), "experiment_id": text("cafe"), "severity": text("critical"), "verdict": text("roll_back"),
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestSNSSubjectIsOneShortLine(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	m := message()
	m.Subject = "Ship\n" + strings.Repeat("x", 200)
	if err := (&outbox.SNS{Objects: store}).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	body, err := store.Get(t.Context(), "outbox/sns/"+m.ID+".json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Subject string }
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if want := "Ship?" + strings.Repeat("x", 94); got.Subject != want {
		t.Errorf("subject %q, want %q", got.Subject, want)
	}
}

// post sends a body to a webhook and returns the status and the word it answers.
func post(t *testing.T, url, kind, body string) (int, string) {
	t.Helper()
	answer, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	word, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(word)
}

func TestWebhookAnswersAsSlackDoes(t *testing.T) {
	const section = `{"type":"section","text":{"type":"mrkdwn","text":"why"}}`
	blocks := func(list ...string) string {
		return `{"text":"fallback","blocks":[` + strings.Join(list, ",") + `]}`
	}
	header := func(text string) string {
		return `{"type":"header","text":{"type":"plain_text","text":"` + text + `"}}`
	}
	element := `{"type":"mrkdwn","text":"x"}`
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"text alone":          {`{"text":"hello"}`, "ok"},
		"all blocks":          {blocks(header("what"), section, `{"type":"context","elements":[`+element+`]}`), "ok"},
		"longest header":      {blocks(header(strings.Repeat("ü", 150))), "ok"},
		"no JSON":             {`{"text":`, "invalid_payload"},
		"nothing":             {`{}`, "no_text"},
		"no fallback":         {`{"blocks":[` + section + `]}`, "no_text"},
		"long header":         {blocks(header(strings.Repeat("ü", 151))), "invalid_blocks"},
		"empty header":        {blocks(header("")), "invalid_blocks"},
		"markdown header":     {blocks(`{"type":"header","text":{"type":"mrkdwn","text":"x"}}`), "invalid_blocks"},
		"long section":        {blocks(strings.Replace(section, "why", strings.Repeat("x", 3001), 1)), "invalid_blocks"},
		"section without":     {blocks(`{"type":"section"}`), "invalid_blocks"},
		"unknown text":        {blocks(strings.Replace(section, "mrkdwn", "markdown", 1)), "invalid_blocks"},
		"unknown block":       {blocks(`{"type":"paragraph","text":{"type":"mrkdwn","text":"x"}}`), "invalid_blocks"},
		"unknown field":       {blocks(`{"type":"section","txt":{"type":"mrkdwn","text":"x"}}`), "invalid_blocks"},
		"bare context":        {blocks(`{"type":"context","elements":[]}`), "invalid_blocks"},
		"crowded context":     {blocks(`{"type":"context","elements":[` + strings.Repeat(element+",", 10) + element + `]}`), "invalid_blocks"},
		"fifty blocks":        {blocks(strings.Repeat(section+",", 49) + section), "ok"},
		"more than fifty":     {blocks(strings.Repeat(section+",", 50) + section), "invalid_blocks"},
		"blocks of the wrong": {`{"text":"x","blocks":{}}`, "invalid_blocks"},
	} {
		t.Run(name, func(t *testing.T) {
			store := &directory.Store{Root: t.TempDir()}
			host := httptest.NewServer(&outbox.Webhook{Objects: store})
			defer host.Close()
			status, word := post(t, host.URL, "application/json; charset=utf-8", c.body)
			wantStatus, wantKept := http.StatusBadRequest, 0
			if c.want == "ok" {
				wantStatus, wantKept = http.StatusOK, 1
			}
			if status != wantStatus || word != c.want {
				t.Errorf("got %d %q, want %d %q", status, word, wantStatus, c.want)
			}
			kept, err := store.List(t.Context(), "outbox/slack/")
			if err != nil || len(kept) != wantKept {
				t.Errorf("kept %d messages, %v, want %d", len(kept), err, wantKept)
			}
		})
	}
	t.Run("another type", func(t *testing.T) {
		host := httptest.NewServer(&outbox.Webhook{Objects: &directory.Store{Root: t.TempDir()}})
		defer host.Close()
		if status, word := post(t, host.URL, "text/plain", `{"text":"x"}`); status != http.StatusBadRequest || word != "invalid_payload" {
			t.Errorf("got %d %q", status, word)
		}
		answer, err := http.Get(host.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET got %s", answer.Status)
		}
	})
}

// Two stand-ins over one lake number their messages as two processes would.
func TestWebhookKeepsEveryMessage(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	const each = 10
	var wg sync.WaitGroup
	for who := range 2 {
		host := httptest.NewServer(&outbox.Webhook{Objects: store})
		defer host.Close()
		for i := range each {
			wg.Go(func() {
				if status, word := post(t, host.URL, "application/json", fmt.Sprintf(`{"text":"%d-%d"}`, who, i)); status != http.StatusOK {
					t.Errorf("got %d %q", status, word)
				}
			})
		}
	}
	wg.Wait()
	kept, err := store.List(t.Context(), "outbox/slack/")
	if err != nil || len(kept) != 2*each {
		t.Fatalf("kept %d messages, %v, want %d", len(kept), err, 2*each)
	}
	texts := map[string]bool{}
	for i, o := range kept {
		if want := fmt.Sprintf("outbox/slack/%06d.json", i+1); o.Key != want {
			t.Errorf("key %s, want %s", o.Key, want)
		}
		body, err := store.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		texts[string(body)] = true
	}
	if len(texts) != 2*each {
		t.Errorf("%d different messages, want %d", len(texts), 2*each)
	}
}
