// Package notify tells people what was decided: once per decision and channel, in words that say
// what, why, with what numbers, and what changed for users.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Message is one notification. Channels render it as they can.
type Message struct {
	ID          string // of the decision: a channel may get a message twice and can tell by it
	Subject     string // one line
	Text        string // plain text, the whole story
	Consequence string // what changes for users; also part of Text
	Link        string // to the readout; may be empty
	Severity    string // info, warning, critical
	Decision    decide.Decision
}

// MailSubject is the subject as SNS and old mail servers take it: fewer than 100 characters of printable
// ASCII (SNS API reference, Publish).
func (m Message) MailSubject() string {
	const most = 99
	var out strings.Builder
	for _, r := range m.Subject {
		if r < ' ' || r > '~' {
			r = '?'
		}
		if out.Len() < most {
			out.WriteByte(byte(r))
		}
	}
	return out.String()
}

// Attributes are what a subscriber can filter by.
func (m Message) Attributes() map[string]string {
	return map[string]string{
		"decision_id": m.ID, "experiment_id": m.Decision.ExperimentID, "severity": m.Severity, "verdict": string(m.Decision.Verdict),
	}
}

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
	DashboardURL string
}

// Run sends a message for each change of verdict to each channel that has not had it. A channel
// that fails is tried again by the next run and holds up no other. It returns how many messages
// were sent.
func (n *Notifier) Run(ctx context.Context) (int, error) {
	decisions, err := decide.History(ctx, n.Objects, "")
	if err != nil {
		return 0, err
	}
	sent := 0
	var problems []error
	for _, d := range decisions {
		if d.Verdict == decide.Running {
			continue // that nothing is decided yet is no news
		}
		for _, s := range n.Senders {
			did, err := n.send(ctx, s, d)
			if err != nil {
				problems = append(problems, fmt.Errorf("notify %s of %s: %w", s.Channel(), d.ExperimentID, err))
			}
			if did {
				sent++
			}
		}
	}
	return sent, errors.Join(problems...)
}

func (n *Notifier) send(ctx context.Context, s Sender, d decide.Decision) (bool, error) {
	mark := "notifications/" + d.ID + "/" + s.Channel()
	_, err := n.Objects.Get(ctx, mark)
	if err == nil {
		return false, nil
	}
	if !fault.Is(err, fault.NotFound) {
		return false, err
	}
	if err := s.Send(ctx, Compose(d, n.DashboardURL)); err != nil {
		return false, err
	}
	if err := n.Objects.Put(ctx, mark, nil, lake.Create); err != nil && !fault.Is(err, fault.Conflict) {
		return true, err
	}
	return true, nil
}

// Compose words a decision.
func Compose(d decide.Decision, dashboardURL string) Message {
	m := Message{ID: d.ID, Subject: d.Headline, Consequence: consequence(d), Severity: "info", Decision: d}
	if dashboardURL != "" {
		m.Link = strings.TrimSuffix(dashboardURL, "/") + "/experiments/" + d.ExperimentID
	}
	switch d.Verdict {
	case decide.RollBack:
		m.Severity = "critical"
	case decide.Blocked:
		m.Severity = "warning"
	case decide.Running, decide.Ship, decide.Stop, decide.Extend:
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s.\n\nWhy:\n", d.Headline)
	for _, r := range d.Reasons {
		fmt.Fprintf(&text, "- %s\n", r.Text)
	}
	fmt.Fprintf(&text, "\n%s\n", m.Consequence)
	if m.Link != "" {
		fmt.Fprintf(&text, "\nReadout: %s\n", m.Link)
	}
	m.Text = text.String()
	return m
}

// consequence says what the decision means for users.
func consequence(d decide.Decision) string {
	switch {
	case d.Action == "":
		return "The rollout stays as it is."
	case !d.AppliedAt.IsZero():
		return fmt.Sprintf("Everybody now gets %s of flag %s.", d.Variant, d.Flag)
	case d.Mode == "auto" && d.Change != "":
		return fmt.Sprintf("Everybody is to get %s of flag %s; %s. Each run tries again.", d.Variant, d.Flag, d.Change)
	case d.Mode == "auto":
		return fmt.Sprintf("Everybody is to get %s of flag %s; the change has not gone through yet.", d.Variant, d.Flag)
	default:
		return fmt.Sprintf("Proposed: give everybody %s of flag %s. The experiment's mode is %s, so nothing was changed.", d.Variant, d.Flag, d.Mode)
	}
}
