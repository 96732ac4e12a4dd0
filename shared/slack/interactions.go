package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
)

// The facts of Slack's guides "Verifying requests from Slack" and "Handling user interaction".
const (
	signatureHeader = "X-Slack-Signature"
	timestampHeader = "X-Slack-Request-Timestamp"
	signatureTag    = "v0"
	signatureAge    = 5 * time.Minute // an older request may be a replay
	// recordWithin and replyWithin leave half a second of the 3 s after which Slack tells the user that it failed.
	recordWithin = 1500 * time.Millisecond
	replyWithin  = time.Second
	maxBody      = 1 << 20 // a payload holds the message, of at most 50 blocks
)

const (
	approve = "verdict_approve"
	reject  = "verdict_reject"
)

type button struct {
	Type     string        `json:"type"`
	Text     text          `json:"text"`
	ActionID string        `json:"action_id"`
	Value    string        `json:"value"` // experiment/decision
	Style    string        `json:"style"`
	Confirm  *confirmation `json:"confirm,omitempty"`
}

type confirmation struct {
	Title   text `json:"title"`
	Text    text `json:"text"`
	Confirm text `json:"confirm"`
	Deny    text `json:"deny"`
}

// question asks for an answer to a proposal. Approving moves users, so it asks twice.
func question(d decide.Decision) block {
	const maxConfirm = 300 // characters (reference: confirmation dialog)
	plain := func(s string) text { return text{"plain_text", s} }
	value := d.ExperimentID + "/" + d.ID
	return block{Type: "actions", Elements: []any{
		button{"button", plain("Approve"), approve, value, "primary", &confirmation{
			plain("Move the flag?"), plain(cut(d.Headline+". Verdict then changes flag "+d.Flag+".", maxConfirm)), plain("Approve"), plain("Back"),
		}},
		button{"button", plain("Reject"), reject, value, "danger", nil},
	}}
}

// Answers records answers to proposals; decide.Approvals is one.
type Answers interface {
	Give(ctx context.Context, experimentID, decisionID string, answer decide.Answer, by string) (decide.Approval, error)
}

// Interactions is the handler behind the app's request URL: it takes what people press under a proposal. Only what
// carries Slack's signature counts, and only for five minutes. An answer is recorded before Slack is told that it was
// taken, and once however often it is sent.
type Interactions struct {
	Secret  func(context.Context) (string, error) // the app's signing secret
	Answers Answers
	Taken   func(context.Context) error // after an answer was recorded, so that the decider need not be waited for; may be nil
	Client  *http.Client                // replies to people
	Now     func() time.Time
	Log     *slog.Logger
}

// pressed is what is read of a block_actions payload.
type pressed struct {
	Type        string                        `json:"type"`
	User        struct{ ID, Username string } `json:"user"`
	ResponseURL string                        `json:"response_url"`
	Message     struct {
		Text   string            `json:"text"`
		Blocks []json.RawMessage `json:"blocks"`
	} `json:"message"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
}

func (h *Interactions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST what Slack sends", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), recordWithin)
	defer cancel()
	secret, err := h.Secret(ctx)
	if err != nil {
		h.Log.ErrorContext(ctx, "the signing secret is not available", slog.Any("error", err))
		http.Error(w, "the signing secret is not available", http.StatusServiceUnavailable)
		return
	}
	if err := Verify(secret, r.Header, body, h.Now()); err != nil {
		h.Log.WarnContext(ctx, "a request was refused", slog.Any("error", err))
		http.Error(w, "the request is not signed by Slack, or too old", http.StatusUnauthorized)
		return
	}
	p, err := read(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.answer(ctx, w, p)
}

// answer records what was pressed and replies. Slack shows a body to nobody: what is to be read goes to the message's
// response URL.
func (h *Interactions) answer(ctx context.Context, w http.ResponseWriter, p pressed) {
	if len(p.Actions) != 1 || p.Actions[0].ActionID != approve && p.Actions[0].ActionID != reject {
		return // of another message of the same app
	}
	answer := decide.Approved
	if p.Actions[0].ActionID == reject {
		answer = decide.Rejected
	}
	experimentID, decisionID, _ := strings.Cut(p.Actions[0].Value, "/")
	given, err := h.Answers.Give(ctx, experimentID, decisionID, answer, p.User.ID)
	if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
		h.Log.ErrorContext(ctx, "an answer was not recorded", slog.String("decision", decisionID), slog.Any("error", err))
		http.Error(w, "the answer was not recorded: try again", http.StatusServiceUnavailable)
		return
	}
	reply := refusal(err)
	if err == nil {
		h.Log.InfoContext(ctx, "answered", slog.String("decision", decisionID), slog.String("answer", string(given.Answer)), slog.String("by", given.By))
		if h.Taken != nil {
			if err := h.Taken(ctx); err != nil { // its schedule comes anyhow
				h.Log.ErrorContext(ctx, "the decider was not told", slog.Any("error", err))
			}
		}
		reply = answered(p, given)
	}
	if err := h.reply(context.WithoutCancel(ctx), p.ResponseURL, reply); err != nil { // the answer stands, said or not
		h.Log.ErrorContext(ctx, "the reply was not delivered", slog.Any("error", err))
	}
}

// Verify says why a request is not Slack's, if so.
func Verify(secret string, header http.Header, body []byte, now time.Time) error {
	seconds, err := strconv.ParseInt(header.Get(timestampHeader), 10, 64)
	if err != nil {
		return fault.New(fault.Invalid, "verify request: it has no timestamp")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > signatureAge || age < -signatureAge {
		return fault.New(fault.Invalid, "verify request: it is from %s", time.Unix(seconds, 0).UTC().Format(time.RFC3339))
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s:%s:%s", signatureTag, header.Get(timestampHeader), body)
	want := signatureTag + "=" + hex.EncodeToString(mac.Sum(nil))
	if secret == "" || !hmac.Equal([]byte(want), []byte(header.Get(signatureHeader))) {
		return fault.New(fault.Invalid, "verify request: the signature is wrong")
	}
	return nil
}

func read(body []byte) (pressed, error) {
	var p pressed
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return p, fault.New(fault.Invalid, "the body is no form")
	}
	if err := json.Unmarshal([]byte(form.Get("payload")), &p); err != nil || p.Type != "block_actions" {
		return p, fault.New(fault.Invalid, "the form has no payload of block_actions")
	}
	return p, nil
}

// response is what is posted to a response URL.
type response struct {
	Type    string `json:"response_type,omitempty"`
	Replace bool   `json:"replace_original"`
	Text    string `json:"text"`
	Blocks  []any  `json:"blocks,omitempty"`
}

// refusal is read by nobody but whoever pressed.
func refusal(err error) response {
	if err == nil {
		return response{}
	}
	return response{Type: "ephemeral", Text: escape("Nothing was changed: "+err.Error()+".", maxSection)}
}

// answered puts who answered what in place of the buttons, for everybody.
func answered(p pressed, given decide.Approval) response {
	said := fmt.Sprintf("*Rejected* by <@%s>. The rollout stays as it is.", escape(given.By, maxSection/2))
	if given.Answer == decide.Approved {
		said = fmt.Sprintf("*Approved* by <@%s>. The flag is moved with the next run of the decider, and this channel told when it is done.", escape(given.By, maxSection/2))
	}
	out := response{Replace: true, Text: p.Message.Text}
	for _, b := range p.Message.Blocks {
		var kind struct{ Type string }
		if json.Unmarshal(b, &kind) == nil && kind.Type != "actions" {
			out.Blocks = append(out.Blocks, b)
		}
	}
	out.Blocks = append(out.Blocks, block{Type: "section", Text: &text{"mrkdwn", said}})
	return out
}

func (h *Interactions) reply(ctx context.Context, to string, r response) error {
	if to == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, replyWithin)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write reply: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Invalid, "reply in slack: the response URL is none")
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	return New("", h.Client).post(request)
}
