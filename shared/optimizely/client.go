// Package optimizely speaks to Optimizely Feature Experimentation: it moves rollouts through the
// flags REST API (v1), and reads datafiles and decides users offline through the official Go SDK. A
// rollout change is one atomic JSON Patch that holds only if the rule still is as it was read, is
// verified by reading again and by what the datafile then serves, and may be repeated after any failure.
package optimizely

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"verdict/shared/decide"
	"verdict/shared/feature"
)

// Config says which project and environment a Client changes, and as whom.
type Config struct {
	BaseURL     string // such as https://api.optimizely.com/flags/v1
	Project     string
	Environment string
	Token       string // a personal access token, or a service account's
	Datafile    string // the environment's; if given, what users are served is checked after each change
}

// Client is one environment of one Optimizely project. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
	pace   pace
	now    func() time.Time
	wait   func(context.Context, time.Duration) error
}

var _ decide.Flags = (*Client)(nil)

// New returns a Client. The HTTP client needs a timeout; wait sleeps unless ctx ends first.
func New(config Config, client *http.Client, now func() time.Time, wait func(context.Context, time.Duration) error) *Client {
	return &Client{config: config, http: client, now: now, wait: wait}
}

// Flag reads a flag's running rules. Its revision is the ruleset's own, which is not the datafile's.
func (c *Client) Flag(ctx context.Context, key string) (feature.Flag, error) {
	r, err := c.read(ctx, key)
	if err != nil {
		return feature.Flag{}, err
	}
	return r.flag(key, c.config.Environment), nil
}

// Apply ends an experiment rule and delivers one variant to its audience instead, under the key
// that DeliveryKey gives; or lets the rule include another share of users; or switches the flag.
// What people did to the rule in the meantime is never overwritten: that is a fault.Conflict.
func (c *Client) Apply(ctx context.Context, change decide.Change) (decide.Applied, error) {
	before, err := c.serves(ctx, change)
	if err != nil {
		return decide.Applied{}, err
	}
	done, err := decide.Steps[ruleset, request]{
		Read: func() (ruleset, error) { return c.read(ctx, change.Flag) },
		Plan: func(r ruleset) (request, bool, error) {
			next, err := plan(r, change)
			return next, next.Method != "", err
		},
		Write: func(r request) error { return c.write(ctx, change.Flag, r) },
		Pause: func(refused error, attempt int) error { return decide.Pause(ctx, c.wait, refused, attempt) },
	}.Settle(fmt.Sprintf("rule %q of flag %q", change.Rule, change.Flag))
	if err != nil {
		return decide.Applied{}, err
	}
	applied := decide.Applied{
		Changed: done.Mine, Revision: strconv.FormatInt(done.State.Revision, 10), Detail: "nothing was left to do: " + change.Reached(DeliveryKey(change.Rule)),
	}
	if done.Mine {
		if applied.Detail, err = done.Sent.text(); err != nil {
			return applied, err
		}
	}
	return applied, c.verify(ctx, before, done.State, change)
}
