package optimizely

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
)

const (
	// The API allows two requests a second and 120 a minute (reference, "About the Feature
	// Experimentation APIs"). Two in any 1.1 s keep both limits, with a tenth of a second for
	// requests that the network bunches.
	paceCount  = 2
	paceWindow = 1100 * time.Millisecond

	// A ruleset holds at most 100 rules of a few kB.
	maxAnswer = 4 << 20
)

// read fetches a flag's ruleset. Reading is harmless, so it is repeated here.
func (c *Client) read(ctx context.Context, flag string) (ruleset, error) {
	if c.config.Project == "" {
		return ruleset{}, fault.New(fault.Invalid, "read ruleset of flag %q: no Optimizely project is configured", flag)
	}
	for attempt := 1; ; attempt++ {
		b, err := c.do(ctx, http.MethodGet, flag, "", nil)
		if err == nil {
			var r ruleset
			if err := json.Unmarshal(b, &r); err != nil {
				return ruleset{}, fmt.Errorf("read ruleset of flag %q: the answer is no ruleset, check the base URL: %w", flag, err)
			}
			return r, nil
		}
		if !fault.Is(err, fault.Transient) {
			return ruleset{}, err
		}
		if err := decide.Pause(ctx, c.wait, err, attempt); err != nil {
			return ruleset{}, err
		}
	}
}

// write sends a request once: only Apply knows whether it may be repeated.
func (c *Client) write(ctx context.Context, flag string, r request) error {
	var body []byte
	if r.Patch != nil {
		var err error
		if body, err = json.Marshal(r.Patch); err != nil {
			return fmt.Errorf("write ruleset of flag %q: %w", flag, err)
		}
	}
	_, err := c.do(ctx, r.Method, flag, r.Path, body)
	return err
}

func (c *Client) do(ctx context.Context, method, flag, part string, body []byte) ([]byte, error) {
	what := fmt.Sprintf("%s ruleset of flag %q in environment %q of project %q", method, flag, c.config.Environment, c.config.Project)
	if err := c.wait(ctx, c.pace.reserve(c.now())); err != nil {
		return nil, fault.New(fault.Transient, "%s: wait for the rate limit: %w", what, err)
	}
	where, err := url.JoinPath(c.config.BaseURL, "projects", url.PathEscape(c.config.Project), "flags", url.PathEscape(flag),
		"environments", url.PathEscape(c.config.Environment), "ruleset", part)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", what, err)
	}
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", what, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.config.Token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json-patch+json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fault.New(fault.Transient, "%s: %w", what, err)
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fault.New(fault.Transient, "%s: read answer: %w", what, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, c.refusal(what, answer, content)
	}
	return content, nil
}

// problem is the body of a refusal: RFC 9457, or the older envelope of the same host.
type problem struct {
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Message string `json:"message"`
	UUID    string `json:"uuid"` // what Optimizely's support asks for
}

func (c *Client) refusal(what string, answer *http.Response, content []byte) error {
	why := &decide.RefusedError{Text: answer.Status, After: c.retryAfter(answer.Header.Get("Retry-After"))}
	var p problem
	if json.Unmarshal(content, &p) == nil { // else a proxy's page, which says nothing the status does not
		if text := cmp.Or(p.Detail, p.Message, p.Title); text != "" {
			why.Text += ": " + text
		}
		if p.UUID != "" {
			why.Text += " (support reference " + p.UUID + ")"
		}
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s: the token is wrong, expired or revoked; make a new one and store it as the flag platform's secret: %w", what, why)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s: the token's owner may not do this; give them the Publish permission in the project and environment: %w", what, why)
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "%s: check the three names: %w", what, why)
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return fault.New(fault.Conflict, "%s: somebody else changed it at the same time; decide again: %w", what, why)
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		return fault.New(fault.Transient, "%s: the platform is busy or away; try again later: %w", what, why)
	default:
		return fault.New(fault.Invalid, "%s: %w", what, why)
	}
}

// retryAfter reads both forms of RFC 9110 section 10.2.3; zero when there is none.
func (c *Client) retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return date.Sub(c.now())
	}
	return 0
}

// pace spreads requests over time.
type pace struct {
	mu   sync.Mutex
	last [paceCount]time.Time // when the latest requests were let through, oldest first
}

// reserve takes the next free moment and returns how far away it is.
func (p *pace) reserve(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := now
	if free := p.last[0].Add(paceWindow); free.After(now) {
		at = free
	}
	copy(p.last[:], p.last[1:])
	p.last[paceCount-1] = at
	return at.Sub(now)
}
