package decide

import (
	"time"

	"verdict/shared/evaluate"
)

// Verdict is the outcome of a decision.
type Verdict string

// The verdicts.
const (
	Running  Verdict = "running"   // not enough evidence yet, the plan goes on
	Ship     Verdict = "ship"      // give the variant to everybody
	RollBack Verdict = "roll_back" // give everybody the control
	Stop     Verdict = "stop"      // planned end, and no effect as large as the experiment looks for
	Extend   Verdict = "extend"    // planned end, and still undecided
	Blocked  Verdict = "blocked"   // the experiment's validity is in doubt: nobody should read its effects
)

// Reason is one ground of a decision, for machines and for people.
type Reason struct {
	Code string `json:"code"` // for example goal_better, guardrail_violated, srm
	Text string `json:"text"`
}

// Decision is one row of fact_decision: what was concluded at one moment, and what came of it.
// There is one row per change of verdict and per step of a ramp; a repeated run finds it and adds nothing. Only while
// the verdict is running do the headline, the reasons and the bundle follow what is known.
type Decision struct {
	ID           string    `lake:"decision_id" json:"decision_id"`
	ExperimentID string    `lake:"experiment_id" json:"experiment_id"`
	Definition   string    `lake:"definition" json:"definition"`
	AsOf         string    `lake:"as_of" json:"as_of"`
	Verdict      Verdict   `lake:"verdict" json:"verdict"`
	Variant      string    `lake:"variant" json:"variant"` // shipped, or the control rolled back to; else empty
	Headline     string    `lake:"headline" json:"headline"`
	Reasons      []Reason  `lake:"reasons,json" json:"reasons"`
	Action       Action    `lake:"action" json:"action"`               // empty when nothing is to change
	Included     float64   `lake:"included" json:"included,omitempty"` // to ramp: the share of users
	Flag         string    `lake:"flag" json:"flag"`
	Mode         string    `lake:"mode" json:"mode"`
	DecidedAt    time.Time `lake:"decided_at" json:"decided_at"`
	AppliedAt    time.Time `lake:"applied_at" json:"applied_at,omitzero"`    // zero: not applied
	Revision     string    `lake:"revision" json:"revision"`                 // of the flag platform afterwards
	Change       string    `lake:"change_detail" json:"change_detail"`       // what was sent to the platform
	Answer       Answer    `lake:"answer" json:"answer,omitempty"`           // in mode propose: what people said; empty: nothing yet
	AnsweredBy   string    `lake:"answered_by" json:"answered_by,omitempty"` // who
	AnsweredAt   time.Time `lake:"answered_at" json:"answered_at,omitzero"`
	Bundle       string    `lake:"bundle" json:"bundle,omitempty"` // key of the object that holds all that was decided on
}

// Table holds the decisions.
const Table = "fact_decision"

// Withheld says why nobody should read the effects of a look: the grounds of the decision in force if it blocks, or the
// checks that fail while no decision says so yet. It is empty for a valid experiment.
func Withheld(inForce *Decision, checks []evaluate.Check) []string {
	var why []string
	if inForce != nil && inForce.Verdict == Blocked {
		for _, reason := range inForce.Reasons {
			why = append(why, reason.Text)
		}
		if len(why) == 0 {
			why = append(why, inForce.Headline)
		}
		return why
	}
	for _, c := range checks {
		if c.Status == "fail" {
			why = append(why, c.Detail)
		}
	}
	return why
}
