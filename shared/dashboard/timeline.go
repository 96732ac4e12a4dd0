package dashboard

import (
	"fmt"
	"slices"
	"time"

	"verdict/shared/decide"
	"verdict/shared/experiment"
	"verdict/shared/restate"
)

// entry is a decision with what became of it.
type entry struct {
	decide.Decision
	Late      *restate.Restatement // the decision, taken again on events that came late; nil: none did
	overtaken bool                 // another decision stands
}

// Timeline returns all decisions with what became of them, newest first.
func (r *Report) Timeline() []entry {
	out := make([]entry, len(r.Decisions))
	for i, d := range r.Decisions {
		late := slices.IndexFunc(r.Restatements, func(x restate.Restatement) bool { return x.DecisionID == d.ID })
		out[i] = entry{Decision: d, overtaken: i < len(r.Decisions)-1}
		if late >= 0 {
			out[i].Late = &r.Restatements[late]
		}
	}
	slices.Reverse(out)
	return out
}

// Current returns the decision in force, or nil.
func (r *Report) Current() *entry {
	if all := r.Timeline(); len(all) > 0 {
		return &all[0]
	}
	return nil
}

// flipped tells whether the decision in force would have come out otherwise, had late events been there.
func (r *Report) flipped() bool {
	d := r.Current()
	return d != nil && d.Late != nil && d.Late.Flipped
}

// step is a moment in the life of a proposal.
type step struct {
	At          time.Time
	Words, Tone string
	By          string
}

// Steps say when a change was proposed, what people answered, and when it was done. A decision that asks nobody has none.
func (e *entry) Steps() []step {
	if e.Action == "" || e.Mode != string(experiment.Propose) {
		return nil
	}
	out := []step{{At: e.DecidedAt, Words: "Proposed", Tone: "info"}}
	switch e.Answer {
	case decide.Approved:
		out = append(out, step{e.AnsweredAt, "✓ Approved", "good", e.AnsweredBy})
	case decide.Rejected:
		out = append(out, step{e.AnsweredAt, "✗ Rejected", "bad", e.AnsweredBy})
	}
	if !e.AppliedAt.IsZero() {
		out = append(out, step{At: e.AppliedAt, Words: "Done", Tone: "muted"})
	}
	return out
}

// Consequence says what a decision did or would do on the flag platform.
func (e *entry) Consequence() string {
	var change string
	switch e.Action {
	case "":
		return "Nothing to change on the flag platform."
	case decide.Ramp:
		change = "let " + share(e.Included) + " of users take part"
	case decide.Rollback:
		change = "give everybody the control"
	default:
		change = "give " + e.Variant + " to everybody"
	}
	change += " on flag " + e.Flag
	switch {
	case !e.AppliedAt.IsZero():
		return "Done on " + moment(e.AppliedAt) + ": " + change + "."
	case e.Answer == decide.Rejected:
		return "The rollout stays as it is: " + e.AnsweredBy + " rejected to " + change + "."
	case e.Answer == decide.Approved:
		return "Will " + change + ", as " + e.AnsweredBy + " approved: not applied yet, the next run does it."
	case e.Mode == string(experiment.Observe):
		return "Would " + change + ". Mode observe changes nothing."
	case e.overtaken && e.Mode == string(experiment.Propose):
		return "Proposed to " + change + ". Another decision came before anybody answered."
	case e.overtaken && e.Action == decide.Ramp:
		return "Was to " + change + ". Another decision came first."
	case e.Mode == string(experiment.Propose):
		return "Proposes to " + change + ", and waits for a person."
	}
	return "Will " + change + ": not applied yet, the next run tries again."
}

// lateDays names the days whose events have changed since a decision.
func lateDays(days []string) string {
	switch len(days) {
	case 0:
		return "no day"
	case 1:
		return day(days[0])
	}
	return fmt.Sprintf("%s to %s (%d days)", day(days[0]), day(days[len(days)-1]), len(days))
}
