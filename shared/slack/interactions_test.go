package slack_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/outbox"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/notify"
	"verdict/shared/slack"
)

// The example of Slack's guide "Verifying requests from Slack".
const (
	published          = "8f742231b10e8888abcd99yyyzzz85a5"
	publishedTime      = 1531420618
	publishedSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	publishedBody      = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA" +
		"&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

func TestVerify(t *testing.T) {
	header := func(timestamp, signature string) http.Header {
		return http.Header{"X-Slack-Request-Timestamp": {timestamp}, "X-Slack-Signature": {signature}}
	}
	sent := strconv.Itoa(publishedTime)
	for name, c := range map[string]struct {
		secret string
		header http.Header
		body   string
		later  time.Duration
		ok     bool
	}{
		"as published":    {published, header(sent, publishedSignature), publishedBody, 0, true},
		"five minutes on": {published, header(sent, publishedSignature), publishedBody, 5 * time.Minute, true},
		"too old":         {published, header(sent, publishedSignature), publishedBody, 5*time.Minute + time.Second, false},
		"of the future":   {published, header(sent, publishedSignature), publishedBody, -5*time.Minute - time.Second, false},
		"another body":    {published, header(sent, publishedSignature), publishedBody + "&", 0, false},
		"another time":    {published, header("1531420619", publishedSignature), publishedBody, 0, false},
		"another secret":  {"s3cret", header(sent, publishedSignature), publishedBody, 0, false},
		"no secret":       {"", header(sent, sign("", publishedTime, publishedBody)), publishedBody, 0, false},
		"no signature":    {published, header(sent, ""), publishedBody, 0, false},
		"no time":         {published, http.Header{"X-Slack-Signature": {publishedSignature}}, publishedBody, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := slack.Verify(c.secret, c.header, []byte(c.body), time.Unix(publishedTime, 0).Add(c.later))
			if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v, want ok %t", err, c.ok)
			}
		})
	}
}

func sign(secret string, at int64, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + strconv.FormatInt(at, 10) + ":" + body))
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// desk is the handler over a lake that holds a proposal, and the stand-in for Slack's response URL.
type desk struct {
	store   *directory.Store
	handler *slack.Interactions
	now     time.Time
	replies []map[string]any
	url     string
	taken   int
}

const secret = "s3cret"

func proposal() (*experiment.Experiment, decide.Decision) {
	e := &experiment.Experiment{ID: "checkout", Flag: "checkout_flag", Mode: experiment.Propose}
	return e, decide.Decision{
		ID: "5b1b", ExperimentID: e.ID, Definition: e.Hash(), Verdict: decide.Ship, Variant: "short", Headline: "Ship short of Checkout",
		Action: decide.Conclude, Flag: e.Flag, Mode: string(e.Mode), Reasons: []decide.Reason{{Code: "goal_better", Text: "Purchases are better."}},
	}
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{store: &directory.Store{Root: t.TempDir()}, now: time.Unix(publishedTime, 0)}
	e, decision := proposal()
	body, err := json.Marshal(decision)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.store.Put(t.Context(), "decisions/checkout/0000.json", body, lake.Create); err != nil {
		t.Fatal(err)
	}
	host := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var reply map[string]any
		if err := json.NewDecoder(r.Body).Decode(&reply); err != nil {
			t.Error(err)
		}
		d.replies = append(d.replies, reply)
	}))
	t.Cleanup(host.Close)
	d.url = host.URL
	d.handler = &slack.Interactions{
		Secret:  func(context.Context) (string, error) { return secret, nil },
		Answers: &decide.Approvals{Objects: d.store, Experiments: []*experiment.Experiment{e}, Approvers: []string{"U1", "U2"}, Now: func() time.Time { return d.now }},
		Taken:   func(context.Context) error { d.taken++; return nil },
		Client:  client(), Now: func() time.Time { return d.now }, Log: slog.New(slog.DiscardHandler),
	}
	return d
}

// press sends what Slack sends when somebody presses a button of a message.
func (d *desk) press(t *testing.T, actionID, value, user string) int {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": map[string]any{"id": user, "username": "jane", "team_id": "T1"}, "response_url": d.url, "trigger_id": "1.2.3",
		"message": map[string]any{"text": "Ship short", "blocks": []any{map[string]any{"type": "header"}, map[string]any{"type": "actions"}, map[string]any{"type": "context"}}},
		"actions": []any{map[string]any{"type": "button", "action_id": actionID, "block_id": "b", "value": value, "action_ts": "1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	body := url.Values{"payload": {string(payload)}}.Encode()
	return d.post(t, body, sign(secret, d.now.Unix(), body))
}

func (d *desk) post(t *testing.T, body, signature string) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/slack/actions", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(d.now.Unix(), 10))
	r.Header.Set("X-Slack-Signature", signature)
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	return w.Code
}

func (d *desk) recorded(t *testing.T) []byte {
	t.Helper()
	body, err := d.store.Get(t.Context(), "approvals/5b1b.json")
	if err != nil && !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	return body
}

func TestAnApprovalIsRecordedOnceAndShown(t *testing.T) {
	d := newDesk(t)
	if status := d.press(t, "verdict_approve", "checkout/5b1b", "U1"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	first := d.recorded(t)
	var got decide.Approval
	if err := json.Unmarshal(first, &got); err != nil || got.Answer != decide.Approved || got.By != "U1" || !got.At.Equal(d.now) {
		t.Errorf("recorded %s, %v", first, err)
	}
	kinds := []string{}
	for _, b := range d.replies[0]["blocks"].([]any) {
		kinds = append(kinds, b.(map[string]any)["type"].(string))
	}
	if said, _ := json.Marshal(d.replies[0]); d.replies[0]["replace_original"] != true || strings.Join(kinds, " ") != "header context section" || !strings.Contains(string(said), "by \\u003c@U1\\u003e") {
		t.Errorf("reply %s, want the message without its buttons and who approved", said)
	}
	d.now = d.now.Add(time.Minute)
	if status := d.press(t, "verdict_approve", "checkout/5b1b", "U2"); status != http.StatusOK || !bytes.Equal(first, d.recorded(t)) {
		t.Errorf("status %d, recorded %s, want what stood", status, d.recorded(t))
	}
	if d.taken != 2 {
		t.Errorf("the decider was told %d times", d.taken)
	}
}

func TestRefusalsAreSaidToWhoeverPressed(t *testing.T) {
	for name, c := range map[string]struct {
		before              func(*testing.T, *desk)
		action, value, user string
		says                string
	}{
		"stranger": {nil, "verdict_approve", "checkout/5b1b", "U3", "U3 is not among those"},
		"unknown":  {nil, "verdict_reject", "checkout/beef", "U1", "no decision beef"},
		"garbled":  {nil, "verdict_reject", "beef", "U1", "no decision"},
		"rejected before": {
			func(t *testing.T, d *desk) {
				t.Helper()
				d.press(t, "verdict_reject", "checkout/5b1b", "U2")
			},
			"verdict_approve", "checkout/5b1b", "U1", "rejected already, by U2",
		},
		"no longer current": {func(t *testing.T, d *desk) {
			t.Helper()
			body := []byte(`{"decision_id": "b10c", "experiment_id": "checkout", "as_of": "2026-01-20", "verdict": "blocked", "headline": "It is <blocked>"}`)
			if err := d.store.Put(t.Context(), "decisions/checkout/0001.json", body, lake.Create); err != nil {
				t.Fatal(err)
			}
		}, "verdict_approve", "checkout/5b1b", "U1", "no longer the current one: since 2026-01-20 it is \"It is &lt;blocked&gt;\""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			if c.before != nil {
				c.before(t, d)
			}
			standing, told := d.recorded(t), d.taken
			if status := d.press(t, c.action, c.value, c.user); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			reply := d.replies[len(d.replies)-1]
			if text, _ := reply["text"].(string); reply["response_type"] != "ephemeral" || reply["replace_original"] != false || !strings.Contains(text, c.says) {
				t.Errorf("reply %v, want %q", reply, c.says)
			}
			if !bytes.Equal(standing, d.recorded(t)) || d.taken != told {
				t.Errorf("recorded %s", d.recorded(t))
			}
		})
	}
}

func TestWhatSlackDidNotSignIsRefused(t *testing.T) {
	d := newDesk(t)
	payload := url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1"},"actions":[{"action_id":"verdict_approve","value":"checkout/5b1b"}]}`}}.Encode()
	if status := d.post(t, payload, sign("guess", d.now.Unix(), payload)); status != http.StatusUnauthorized {
		t.Errorf("a forged request got %d", status)
	}
	if status := d.post(t, payload, sign(secret, d.now.Add(-time.Hour).Unix(), payload)); status != http.StatusUnauthorized {
		t.Errorf("a replayed signature got %d", status)
	}
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"no form": {"%zz", http.StatusBadRequest}, "no payload": {"a=b", http.StatusBadRequest}, "another kind": {"payload=%7B%22type%22%3A%22view_closed%22%7D", http.StatusBadRequest},
		"another button": {strings.Replace(payload, "verdict_approve", "another_app", 1), http.StatusOK},
	} {
		if status := d.post(t, c.body, sign(secret, d.now.Unix(), c.body)); status != c.want {
			t.Errorf("%s: status %d, want %d", name, status, c.want)
		}
	}
	if d.recorded(t) != nil || len(d.replies) > 0 {
		t.Errorf("recorded %s, replied %v", d.recorded(t), d.replies)
	}
	get := httptest.NewRecorder()
	d.handler.ServeHTTP(get, httptest.NewRequest(http.MethodGet, "/slack/actions", nil))
	if get.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET got %d", get.Code)
	}
	d.handler.Secret = func(context.Context) (string, error) { return "", fault.New(fault.NotFound, "nobody has set it") }
	if status := d.press(t, "verdict_approve", "checkout/5b1b", "U1"); status != http.StatusServiceUnavailable {
		t.Errorf("without a secret: status %d", status)
	}
}

// away is a lake that cannot be written to.
type away struct{ lake.Objects }

func (away) Put(context.Context, string, []byte, lake.Mode) error {
	return fault.New(fault.Transient, "the lake is away")
}

func TestAnAnswerThatWasNotRecordedIsNotTaken(t *testing.T) {
	d := newDesk(t)
	e, _ := proposal()
	d.handler.Answers = &decide.Approvals{Objects: away{d.store}, Experiments: []*experiment.Experiment{e}, Now: time.Now}
	if status := d.press(t, "verdict_approve", "checkout/5b1b", "U1"); status != http.StatusServiceUnavailable || len(d.replies) > 0 || d.taken > 0 {
		t.Errorf("status %d, replies %v", status, d.replies)
	}
}

// The stand-in refuses what Block Kit refuses.
func TestProposalsHaveButtons(t *testing.T) {
	_, proposed := proposal()
	answered := proposed
	answered.Answer = decide.Rejected
	auto := proposed
	auto.Mode = "auto"
	for name, c := range map[string]struct {
		decision decide.Decision
		buttons  bool
		want     string
	}{
		"proposed":          {proposed, true, `"action_id":"verdict_approve","value":"checkout/5b1b"`},
		"nobody to take it": {proposed, false, ""},
		"answered":          {answered, true, ""},
		"automatic":         {auto, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := &directory.Store{Root: t.TempDir()}
			host := httptest.NewServer(&outbox.Webhook{Objects: store})
			defer host.Close()
			c.decision.Headline = strings.Repeat("long ", 100)
			if err := slack.New(host.URL, client()).WithButtons(c.buttons).Send(t.Context(), notify.Compose(c.decision, "")); err != nil {
				t.Fatal(err)
			}
			body, err := store.Get(t.Context(), "outbox/slack/000001.json")
			if err != nil {
				t.Fatal(err)
			}
			if has := strings.Contains(string(body), `"actions"`); has != (c.want != "") || !strings.Contains(string(body), c.want) {
				t.Errorf("message %s, want %q", body, c.want)
			}
		})
	}
}

func TestABotPosts(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	host := httptest.NewServer(&outbox.Webhook{Objects: store, Token: "xoxb-1"})
	defer host.Close()
	_, d := proposal()
	if err := slack.NewBot(host.URL, "xoxb-1", "C1", client()).WithButtons(true).Send(t.Context(), notify.Compose(d, "")); err != nil {
		t.Fatal(err)
	}
	if body, err := store.Get(t.Context(), "outbox/slack/000001.json"); err != nil || !strings.Contains(string(body), `"channel":"C1"`) {
		t.Errorf("kept %s, %v", body, err)
	}
	for name, c := range map[string]struct {
		sender *slack.Sender
		says   string
	}{
		"another token": {slack.NewBot(host.URL, "xoxb-2", "C1", client()), "invalid_auth"},
		"no channel":    {slack.NewBot(host.URL, "xoxb-1", "", client()), "channel_not_found"},
	} {
		if err := c.sender.Send(t.Context(), notify.Compose(d, "")); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "xoxb") {
			t.Errorf("%s: got %v, want %s", name, err, c.says)
		}
	}
	for says, want := range map[string]fault.Class{`{"ok":false,"error":"ratelimited"}`: fault.Transient, `{"ok":false,"error":"is_archived"}`: fault.Invalid, `<html>`: fault.Transient} {
		odd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, says) }))
		if err := slack.NewBot(odd.URL, "xoxb-1", "C1", client()).Send(t.Context(), notify.Compose(d, "")); !fault.Is(err, want) {
			t.Errorf("%s: got %v, want class %v", says, err, want)
		}
		odd.Close()
	}
}
