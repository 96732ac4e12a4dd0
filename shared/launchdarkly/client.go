// Package launchdarkly moves rollouts in LaunchDarkly through its REST API (v2). A change is one
// semantic patch, which is carried out as a whole or not at all. Such a patch cannot depend on what
// was read, so an experiment is ended by a rule of its own instead of overwriting anybody's; every change is
// verified by reading again, and may be repeated after any failure.
package launchdarkly

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

// Config says which project and environment a Client changes, and as whom.
type Config struct {
	BaseURL     string // such as https://app.launchdarkly.com/api/v2
	Project     string
	Environment string
	Token       string // a personal or service access token that may update flags
}

// Client is one environment of one LaunchDarkly project. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client
	now    func() time.Time
	wait   func(context.Context, time.Duration) error

	mu    sync.Mutex
	quiet time.Time // the platform allows no request before
}

var _ decide.Flags = (*Client)(nil)

// New returns a Client. The HTTP client needs a timeout; wait sleeps unless ctx ends first.
func New(config Config, client *http.Client, now func() time.Time, wait func(context.Context, time.Duration) error) *Client {
	return &Client{config: config, http: client, now: now, wait: wait}
}

// Flag reads a flag's rules that are in force. Its revision is the version of its environment.
func (c *Client) Flag(ctx context.Context, key string) (feature.Flag, error) {
	f, err := c.read(ctx, key)
	if err != nil {
		return feature.Flag{}, err
	}
	return f.feature(c.config.Environment), nil
}

// Flags reads several flags, each once. It leaves out those that do not exist yet, and reads none
// while no project or token is configured.
func (c *Client) Flags(ctx context.Context, keys []string) ([]feature.Flag, error) {
	if c.config.Project == "" || c.config.Token == "" {
		return nil, nil
	}
	var out []feature.Flag
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		f, err := c.Flag(ctx, key)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// Apply puts a rule before an experiment's, for the same audience, that delivers one variant; or
// lets the experiment include another share of users; or switches the flag.
func (c *Client) Apply(ctx context.Context, change decide.Change) (decide.Applied, error) {
	var before *flag
	done, err := decide.Steps[flag, []instruction]{
		Read: func() (flag, error) {
			f, err := c.read(ctx, change.Flag)
			if before == nil {
				before = &f
			}
			return f, err
		},
		Plan: func(f flag) ([]instruction, bool, error) {
			next, err := plan(f, change)
			return next, len(next) > 0, err
		},
		Write: func(next []instruction) error { return c.write(ctx, change, next) },
		Pause: func(refused error, attempt int) error { return decide.Pause(ctx, c.wait, refused, attempt) },
	}.Settle(fmt.Sprintf("rule %q of flag %q", change.Rule, change.Flag))
	if err != nil {
		return decide.Applied{}, err
	}
	applied := decide.Applied{
		Changed: done.Mine, Revision: strconv.FormatInt(done.State.Version, 10), Detail: "nothing was left to do: " + change.Reached(DeliveryName(change.Rule)),
	}
	if !done.Mine {
		return applied, nil
	}
	b, err := json.Marshal(done.Sent)
	if err != nil {
		return applied, fmt.Errorf("write down patch: %w", err)
	}
	applied.Detail = string(b)
	if change.Action == decide.Ramp {
		return applied, verifyRamp(*before, done.State, change)
	}
	return applied, nil
}

// verifyRamp looks at what a ramp, which has to overwrite weights, has done.
func verifyRamp(before, after flag, change decide.Change) error {
	if after.Version != before.Version+1 {
		return fault.New(fault.Conflict, "verify ramp of rule %q: somebody else changed flag %q at the same time, and it may be lost: look at the flag's history", change.Rule, change.Flag)
	}
	if n := moved(before, after, change.Rule); n > 0 && !change.Rebucket {
		return fault.New(fault.Conflict, "verify ramp of rule %q: %d of %d users lost their variant: look at the flag's history", change.Rule, n, syntheticUsers)
	}
	return nil
}
