package launchdarkly

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
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
)

const (
	// apiVersion is the one whose reference this follows; without it the token's own would count.
	apiVersion = "20240415"

	// semanticPatch is the type without which the platform takes a patch for a JSON Patch.
	semanticPatch = "application/json; domain-model=launchdarkly.semanticpatch"

	// maxAnswer is far above any flag: we ask for one environment.
	maxAnswer = 16 << 20
)

// read fetches a flag with one environment. Reading is harmless, so it is repeated here.
func (c *Client) read(ctx context.Context, key string) (flag, error) {
	if c.config.Project == "" {
		return flag{}, fault.New(fault.Invalid, "read flag %q: no LaunchDarkly project is configured", key)
	}
	for attempt := 1; ; attempt++ {
		b, err := c.do(ctx, http.MethodGet, key, nil)
		if err == nil {
			return c.parse(key, b)
		}
		if !fault.Is(err, fault.Transient) {
			return flag{}, err
		}
		if err := decide.Pause(ctx, c.wait, err, attempt); err != nil {
			return flag{}, err
		}
	}
}

func (c *Client) parse(key string, b []byte) (flag, error) {
	var read struct {
		Key          string                 `json:"key"`
		Archived     bool                   `json:"archived"`
		Tags         []string               `json:"tags"`
		Variations   []variation            `json:"variations"`
		Environments map[string]environment `json:"environments"`
	}
	if err := json.Unmarshal(b, &read); err != nil {
		return flag{}, fmt.Errorf("read flag %q: the answer is no flag, check the base URL: %w", key, err)
	}
	environment, ok := read.Environments[c.config.Environment]
	if !ok {
		return flag{}, fault.New(fault.NotFound, "read flag %q: project %q has no environment %q", key, c.config.Project, c.config.Environment)
	}
	f := flag{read.Key, read.Archived, read.Tags, read.Variations, environment}
	if !f.sane() {
		return flag{}, fault.New(fault.Invalid, "read flag %q: a rule names a variation that it has not, or serves nothing", key)
	}
	return f, nil
}

// write sends a patch once: only Apply knows whether it may be repeated.
func (c *Client) write(ctx context.Context, change decide.Change, instructions []instruction) error {
	body, err := json.Marshal(map[string]any{
		"comment":        fmt.Sprintf("Verdict decision %s: %s", change.DecisionID, change.Reached(DeliveryName(change.Rule))),
		"environmentKey": c.config.Environment,
		"instructions":   instructions,
	})
	if err != nil {
		return fmt.Errorf("write flag %q: %w", change.Flag, err)
	}
	_, err = c.do(ctx, http.MethodPatch, change.Flag, body)
	return err
}

func (c *Client) do(ctx context.Context, method, key string, body []byte) ([]byte, error) {
	what := fmt.Sprintf("%s flag %q in environment %q of project %q", method, key, c.config.Environment, c.config.Project)
	if err := c.wait(ctx, c.held()); err != nil {
		return nil, fault.New(fault.Transient, "%s: wait for the rate limit: %w", what, err)
	}
	where, err := url.JoinPath(c.config.BaseURL, "flags", url.PathEscape(c.config.Project), url.PathEscape(key))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", what, err)
	}
	if method == http.MethodGet {
		where += "?env=" + url.QueryEscape(c.config.Environment)
	}
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", what, err)
	}
	request.Header.Set("Authorization", c.config.Token) // as it is: no Bearer
	request.Header.Set("LD-API-Version", apiVersion)
	if body != nil {
		request.Header.Set("Content-Type", semanticPatch)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fault.New(fault.Transient, "%s: %w", what, err)
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fault.New(fault.Transient, "%s: read answer: %w", what, err)
	}
	c.hold(answer.Header)
	if answer.StatusCode != http.StatusOK {
		return nil, c.refusal(what, answer, content)
	}
	return content, nil
}

// hold notes that the platform allows no more requests until its window is over.
func (c *Client) hold(h http.Header) {
	if h.Get("X-Ratelimit-Global-Remaining") != "0" && h.Get("X-Ratelimit-Route-Remaining") != "0" {
		return
	}
	if reset, ok := resetOf(h); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.quiet = reset
	}
}

func (c *Client) held() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(max(c.quiet.Sub(c.now()), 0), decide.MaxPause)
}

// resetOf is when the rate limit's window is over: milliseconds since 1970.
func resetOf(h http.Header) (time.Time, bool) {
	ms, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	return time.UnixMilli(ms), err == nil
}

func (c *Client) refusal(what string, answer *http.Response, content []byte) error {
	why := &decide.RefusedError{Text: answer.Status}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		why.After = time.Duration(seconds) * time.Second
	} else if reset, ok := resetOf(answer.Header); ok {
		why.After = reset.Sub(c.now())
	}
	var p struct{ Code, Message, ID string }
	if json.Unmarshal(content, &p) == nil { // else a proxy's page, which says nothing the status does not
		if text := cmp.Or(p.Message, p.Code); text != "" {
			why.Text += ": " + text
		}
		if p.ID != "" {
			why.Text += " (support reference " + p.ID + ")"
		}
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s: the token is wrong, expired or an SDK key; make an access token and store it as the flag platform's secret: %w", what, why)
	case status == http.StatusForbidden:
		return fmt.Errorf("%s: the token's role may not do this; let it update the flag's rules, targeting and on state in the environment: %w", what, why)
	case status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%s: changes need an approval there; make the change by an approval request, or let the token's role bypass it: %w", what, why)
	case status == http.StatusNotFound:
		return fault.New(fault.NotFound, "%s: check the names: %w", what, why)
	case status == http.StatusConflict || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		// Here a 409 speaks of a request at the same moment, and is to be tried again.
		return fault.New(fault.Transient, "%s: the platform is busy or away; try again later: %w", what, why)
	default:
		return fault.New(fault.Invalid, "%s: %w", what, why)
	}
}
