package notify

import (
	"fmt"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/restate"
)

// The severities. What is critical waits for no morning.
const (
	Info     = "info"
	Warning  = "warning"
	Critical = "critical"
)

// Message is one notification. Channels render it as they can.
type Message struct {
	ID          string    // a channel may get a message twice and can tell by it
	Kind        string    // decision, applied, rejected, restated, digest
	Subject     string    // one line
	Text        string    // plain text, the whole story
	Sections    []Section // the story's points; also part of Text
	Consequence string    // what changes for users; also part of Text
	Link        string    // to the readout; may be empty
	Severity    string
	Decision    decide.Decision // that it is about; none of a digest
}

// Section is points under a title, which a message of one section can do without.
type Section struct {
	Title  string
	Points []string
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

// Attributes are what a subscriber can filter by. None is empty, which SNS refuses.
func (m Message) Attributes() map[string]string {
	out := map[string]string{"kind": m.Kind, "severity": m.Severity}
	for name, value := range map[string]string{
		"decision_id": m.Decision.ID, "experiment_id": m.Decision.ExperimentID, "verdict": string(m.Decision.Verdict),
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// write puts the text together.
func (m Message) write() Message {
	var text strings.Builder
	fmt.Fprintf(&text, "%s.\n", m.Subject)
	for _, s := range m.Sections {
		fmt.Fprintf(&text, "\n%s:\n", s.Title)
		for _, p := range s.Points {
			fmt.Fprintf(&text, "- %s\n", p)
		}
	}
	if m.Consequence != "" {
		fmt.Fprintf(&text, "\n%s\n", m.Consequence)
	}
	if m.Link != "" {
		fmt.Fprintf(&text, "\nReadout: %s\n", m.Link)
	}
	m.Text = text.String()
	return m
}

// Compose words a decision.
func Compose(d decide.Decision, dashboardURL string) Message {
	m := about(d, "decision", dashboardURL)
	m.Subject, m.Consequence, m.Severity = d.Headline, consequence(d), severity(d.Verdict)
	m.Sections = []Section{{Title: "Why", Points: texts(d.Reasons)}}
	return m.write()
}

func about(d decide.Decision, kind, dashboardURL string) Message {
	m := Message{ID: d.ID, Kind: kind, Severity: Info, Decision: d}
	if kind != "decision" {
		m.ID += "-" + kind
	}
	if dashboardURL != "" {
		m.Link = strings.TrimSuffix(dashboardURL, "/") + "/experiments/" + d.ExperimentID
	}
	return m
}

func severity(v decide.Verdict) string {
	switch v {
	case decide.RollBack:
		return Critical
	case decide.Blocked:
		return Warning
	case decide.Running, decide.Ship, decide.Stop, decide.Extend:
	}
	return Info
}

func texts(reasons []decide.Reason) []string {
	out := make([]string, len(reasons))
	for i, r := range reasons {
		out[i] = r.Text
	}
	return out
}

// consequence says what the decision means for users.
func consequence(d decide.Decision) string {
	what := fmt.Sprintf("get %s of flag %s", d.Variant, d.Flag)
	who, verb, proposal := "Everybody", "is to", "give everybody "+d.Variant+" of flag "+d.Flag
	now := "Everybody now gets " + d.Variant + " of flag " + d.Flag
	if d.Action == decide.Ramp {
		share := fmt.Sprintf("%g %% of users", 100*d.Included)
		who, verb, what = share, "are to", "take part, by flag "+d.Flag
		now, proposal = fmt.Sprintf("%s now take part, by flag %s", share, d.Flag), fmt.Sprintf("let %s take part, by flag %s", share, d.Flag)
	}
	switch {
	case d.Action == "":
		return "The rollout stays as it is."
	case !d.AppliedAt.IsZero() && d.AnsweredBy != "":
		return now + ", as " + d.AnsweredBy + " approved."
	case !d.AppliedAt.IsZero():
		return now + "."
	case d.Answer == decide.Rejected:
		return "The rollout stays as it is: " + d.AnsweredBy + " rejected to " + proposal + "."
	case d.Answer == decide.Approved || d.Mode == "auto":
		state := "the change has not gone through yet."
		if d.Change != "" {
			state = strings.TrimSuffix(d.Change, ".") + ". Each run tries again."
		}
		return fmt.Sprintf("%s %s %s; %s", who, verb, what, state)
	case d.Mode == "propose":
		return fmt.Sprintf("Proposed: %s. Nothing is changed until somebody approves decision %s, in Slack or by verdict approve.", proposal, d.ID)
	default:
		return fmt.Sprintf("Proposed: %s. The experiment's mode is %s, so nothing was changed.", proposal, d.Mode)
	}
}

// applied words that a change went through that was still to come when the decision was told.
func applied(d decide.Decision, dashboardURL string) Message {
	m := about(d, "applied", dashboardURL)
	m.Subject, m.Consequence, m.Severity = "Done: "+d.Headline, consequence(d), Info
	return m.write()
}

func rejected(d decide.Decision, dashboardURL string) Message {
	m := about(d, "rejected", dashboardURL)
	m.Subject, m.Consequence = "Rejected: "+d.Headline, consequence(d)
	return m.write()
}

// restated words that late events would have made another decision.
func restated(d decide.Decision, r restate.Restatement, dashboardURL string) Message {
	m := about(d, "restated", dashboardURL)
	m.ID += "-" + string(r.Would)
	m.Subject, m.Severity = r.Headline, Warning
	var was []string
	for _, e := range r.Estimates {
		was = append(was, fmt.Sprintf("%s of %s: %s; it was %s.", e.Metric, e.Variant, e.Is, e.Was))
	}
	late := fmt.Sprintf("Events of %s came late: %d units then, %d now.", span(r.Days), r.Units, r.RestatedUnits)
	m.Sections = []Section{
		{Title: "What came late", Points: []string{late}},
		{Title: "What the metrics are now", Points: was},
		{Title: "Why it would have come out otherwise", Points: texts(r.Reasons)},
	}
	m.Consequence = "Nothing is undone. The decision stands until somebody changes it: " + strings.ToLower(consequence(d)[:1]) + consequence(d)[1:]
	return m.write()
}

// span names days shortly.
func span(days []string) string {
	switch len(days) {
	case 0:
		return "no day"
	case 1:
		return days[0]
	}
	return fmt.Sprintf("%s to %s (%d days)", days[0], days[len(days)-1], len(days))
}

// clock is how times are written for people.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
