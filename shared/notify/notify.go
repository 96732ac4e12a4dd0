// Package notify tells people what was decided: once per message and channel, in words that say what, why, with what
// numbers, and what changed for users (docs/notifications.md).
package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"verdict/shared/decide"
	"verdict/shared/lake"
	"verdict/shared/restate"
)

// Sender delivers messages to one channel.
type Sender interface {
	// Channel names the channel; what was sent is remembered under it.
	Channel() string
	Send(ctx context.Context, m Message) error
}

// Notifier sends what has not been sent yet.
type Notifier struct {
	Objects      lake.Objects
	Senders      []Sender
	Policies     map[string]Policy // by channel
	DashboardURL string
	Now          func() time.Time
}

// Run sends a message for each change of state to each channel that has not had it: a decision, what came of a
// proposal, a decision that late events would have made otherwise, and the day's digest where one is wanted. What a
// channel wants to be spared is held. A channel that fails is tried again by later runs, after longer and longer
// waits, and holds up no other. It returns how many messages were sent.
func (n *Notifier) Run(ctx context.Context) (int, error) {
	decisions, err := decide.History(ctx, n.Objects, "")
	if err != nil {
		return 0, err
	}
	flips, err := n.flips(ctx)
	if err != nil {
		return 0, err
	}
	sent := 0
	var problems []error
	for _, s := range n.Senders {
		for _, d := range decisions {
			did, err := n.tell(ctx, s, d, flips)
			sent += did
			if err != nil {
				problems = append(problems, fmt.Errorf("notify %s of %s: %w", s.Channel(), d.ExperimentID, err))
			}
		}
	}
	did, err := n.summarize(ctx, decisions, flips)
	return sent + did, errors.Join(append(problems, err)...)
}

// flips are the decisions that would have come out otherwise, by id.
func (n *Notifier) flips(ctx context.Context) (map[string]restate.Restatement, error) {
	all, err := restate.All(ctx, n.Objects, "")
	if err != nil {
		return nil, err
	}
	out := map[string]restate.Restatement{}
	for _, r := range all {
		if r.Flipped {
			out[r.DecisionID] = r
		}
	}
	return out, nil
}

// tell sends what there is to say about a decision.
func (n *Notifier) tell(ctx context.Context, s Sender, d decide.Decision, flips map[string]restate.Restatement) (sent int, err error) {
	if d.Verdict == decide.Running && d.Action == "" {
		return 0, nil // that nothing is decided yet is no news
	}
	first, did, err := n.send(ctx, s, Compose(d, n.DashboardURL))
	if did {
		sent++
	}
	if err != nil || !first.Sent() {
		return sent, err
	}
	var more []Message
	if d.AppliedAt.After(first.SentAt) && first.Attempts > 0 && !first.LastAttempt.IsZero() {
		more = append(more, applied(d, n.DashboardURL))
	}
	if d.Answer == decide.Rejected && d.AnsweredAt.After(first.SentAt) {
		more = append(more, rejected(d, n.DashboardURL))
	}
	if flip, ok := flips[d.ID]; ok {
		more = append(more, restated(d, flip, n.DashboardURL))
	}
	for _, m := range more {
		_, did, problem := n.send(ctx, s, m)
		if did {
			sent++
		}
		err = errors.Join(err, problem)
	}
	return sent, err
}

// send sends a message unless the channel has had it, does not want it now, or failed a moment ago.
func (n *Notifier) send(ctx context.Context, s Sender, m Message) (d Delivery, did bool, err error) {
	policy, now := n.Policies[s.Channel()], n.Now().UTC()
	if d, err = delivery(ctx, n.Objects, m, s.Channel()); err != nil || d.Sent() || now.Before(d.NextAttempt) {
		return d, false, err
	}
	if m.Severity != Critical {
		if policy.DigestOnly && m.Kind != digestKind {
			return d, false, nil
		}
		if until := policy.quietUntil(now); !until.IsZero() {
			if d.HeldUntil.Equal(until) {
				return d, false, nil
			}
			d.HeldUntil = until.UTC()
			return d, false, d.write(ctx, n.Objects)
		}
	}
	if err := s.Send(ctx, m); err != nil {
		d.failed(err, now)
		return d, false, errors.Join(err, d.write(ctx, n.Objects))
	}
	d.Attempts, d.LastAttempt, d.SentAt, d.NextAttempt, d.HeldUntil = d.Attempts+1, now, now, time.Time{}, time.Time{}
	return d, true, d.write(ctx, n.Objects)
}
