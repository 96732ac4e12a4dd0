package decide

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxPause is how long an adapter of Flags waits for its platform at the most. Limits are counted anew every minute by
// Optimizely, and every ten seconds by LaunchDarkly, which does not publish its numbers: tries that double from
// firstPause, or wait as long as the platform asks, outlast them.
const (
	MaxPause   = time.Minute
	firstPause = time.Second
	maxTries   = 5
)

// RefusedError is a flag platform's refusal: its status and text, and how long it asks to be left alone.
type RefusedError struct {
	Text  string
	After time.Duration // 0: it did not say
}

func (r *RefusedError) Error() string { return r.Text }

// Pause waits before a repetition, as long as the platform asked for or ever longer. It returns failed itself when it is
// time to give up.
func Pause(ctx context.Context, wait func(context.Context, time.Duration) error, failed error, attempt int) error {
	after := firstPause << (attempt - 1)
	if why, ok := errors.AsType[*RefusedError](failed); ok && why.After > 0 {
		after = why.After
	}
	if attempt >= maxTries || after > MaxPause {
		return failed
	}
	if err := wait(ctx, after); err != nil {
		return errors.Join(failed, err)
	}
	return nil
}

// Reached says in words what the change brings about; delivery is what its platform calls the rule that delivers the
// variant of an ended experiment.
func (c Change) Reached(delivery string) string {
	switch c.Action {
	case Enable, Disable:
		return fmt.Sprintf("flag %s is %sd", c.Flag, c.Action)
	case Ramp:
		return fmt.Sprintf("rule %s includes %g %% of users", c.Rule, 100*c.Included)
	case Conclude, Rollback:
	}
	return "rule " + delivery + " delivers " + c.Variant
}
