// Package optimizely speaks to Optimizely Feature Experimentation: it moves rollouts through the
// flags REST API (v1), and reads datafiles and decides users offline through the official Go SDK. A
// rollout change is one atomic JSON Patch that holds only if the rule still is as it was read, is
// verified by reading again, and may be repeated after any failure.
package optimizely

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

// Config says which project and environment a Client changes, and as whom.
type Config struct {
	BaseURL     string // such as https://api.optimizely.com/flags/v1
	Project     string
	Environment string
	Token       string // a personal access token, or a service account's
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
// that DeliveryKey gives. What people did to the rule in the meantime is never overwritten: that is
// a fault.Conflict.
//
// Each round reads, plans and writes. The next round's read verifies the write, and finds out what
// became of one whose answer was lost.
func (c *Client) Apply(ctx context.Context, change decide.Change) (decide.Applied, error) {
	var sent []operation // by the round before
	var refused error    // the answer to it
	for attempt := 0; ; attempt++ {
		r, err := c.read(ctx, change.Flag)
		if err != nil {
			return decide.Applied{}, err
		}
		patch, err := plan(r, change)
		if err != nil {
			return decide.Applied{}, err
		}
		if len(patch) == 0 {
			// A write refused for good that finds its end reached was overtaken by an equal one.
			mine := sent != nil && (refused == nil || fault.Is(refused, fault.Transient))
			return applied(r, change, mine, sent)
		}
		if sent != nil {
			if err := reason(change, sent, patch, refused); err != nil {
				return decide.Applied{}, err
			}
			if err := c.pause(ctx, refused, attempt); err != nil {
				return decide.Applied{}, err
			}
		}
		sent, refused = patch, c.write(ctx, change.Flag, patch)
	}
}

// reason says why a write that did not bring about its end must not be repeated, if so.
func reason(change decide.Change, sent, needed []operation, refused error) error {
	switch {
	case refused == nil:
		return fault.New(fault.Conflict, "verify rule %q: the change was accepted and is gone again: see the flag's history, then decide again", change.Rule)
	case !reflect.DeepEqual(sent, needed):
		return fault.New(fault.Conflict, "change rule %q: somebody else changed it at the same time: decide again: %w", change.Rule, refused)
	case fault.Is(refused, fault.Transient):
		return nil
	default:
		return refused
	}
}

func applied(r ruleset, change decide.Change, mine bool, sent []operation) (decide.Applied, error) {
	done := decide.Applied{
		Changed:  mine,
		Revision: strconv.FormatInt(r.Revision, 10),
		Detail:   "rule " + DeliveryKey(change.Rule) + " already delivers " + change.Variant,
	}
	if mine {
		b, err := json.Marshal(sent)
		if err != nil {
			return done, fmt.Errorf("write down patch: %w", err)
		}
		done.Detail = string(b)
	}
	return done, nil
}
