package decide

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Answer is what a person said to a proposed change.
type Answer string

// The answers.
const (
	Approved Answer = "approved"
	Rejected Answer = "rejected"
)

// Approval is an answer as it was given: an object that is created once, so the first answer stands.
type Approval struct {
	DecisionID   string    `json:"decision_id"`
	ExperimentID string    `json:"experiment_id"`
	Answer       Answer    `json:"answer"`
	By           string    `json:"by"` // as the channel knows people: a Slack user's id, a login
	At           time.Time `json:"at"`
}

// Approvals takes answers to proposed changes. It moves nothing: the decider applies what was approved.
type Approvals struct {
	Objects     lake.Objects
	Experiments []*experiment.Experiment // that are in force
	Approvers   []string                 // who may answer; empty: everybody who can
	Now         func() time.Time
}

// Give records an answer to a decision on an experiment, and returns the answer that stands: who gives the same again
// changes nothing. It is fault.NotFound where there is no such decision, and fault.Conflict where there is nothing to
// answer any more: another decision stands, the definition has changed, or somebody said the opposite first.
func (a *Approvals) Give(ctx context.Context, experimentID, decisionID string, answer Answer, by string) (Approval, error) {
	if by == "" || len(a.Approvers) > 0 && !slices.Contains(a.Approvers, by) {
		return Approval{}, fault.New(fault.Invalid, "%s is not among those who may approve or reject (%s)", orNobody(by), strings.Join(a.Approvers, ", "))
	}
	history, err := History(ctx, a.Objects, experimentID)
	if err != nil {
		return Approval{}, err
	}
	i := slices.IndexFunc(history, func(d Decision) bool { return d.ID == decisionID })
	if i < 0 {
		return Approval{}, fault.New(fault.NotFound, "there is no decision %s on %s", decisionID, experimentID)
	}
	given, err := a.stands(ctx, decisionID)
	if err != nil {
		return Approval{}, err
	}
	overtaken := history[i].AppliedAt.IsZero() && i < len(history)-1
	if given == nil || overtaken { // an answer to what was overtaken will never be acted on: nobody shall think it is
		if err := a.answerable(history, i); err != nil {
			return Approval{}, err
		}
	}
	if given == nil {
		now := Approval{decisionID, experimentID, answer, by, a.Now().UTC()}
		if given, err = a.create(ctx, now); err != nil {
			return Approval{}, err
		}
	}
	if given.Answer != answer {
		return *given, fault.New(fault.Conflict, "decision %s was %s already, by %s at %s", decisionID, given.Answer, given.By, given.At.Format(time.DateTime))
	}
	return *given, nil
}

// Answerable tells whether a decision asks people for something that nobody has answered.
func (d Decision) Answerable() bool {
	return d.Mode == string(experiment.Propose) && d.Action != "" && d.Answer == "" && d.AppliedAt.IsZero()
}

// answerable says why a decision cannot be answered, if so.
func (a *Approvals) answerable(history []Decision, i int) error {
	d, last := history[i], history[len(history)-1]
	switch {
	case d.Action == "":
		return fault.New(fault.Invalid, "decision %s asks for no change: %s", d.ID, d.Headline)
	case d.Mode != string(experiment.Propose):
		return fault.New(fault.Invalid, "decision %s waits for nobody: the mode of %s is %s", d.ID, d.ExperimentID, d.Mode)
	case !d.AppliedAt.IsZero():
		return fault.New(fault.Conflict, "decision %s was applied already, at %s", d.ID, d.AppliedAt.Format(time.DateTime))
	case i < len(history)-1:
		return fault.New(fault.Conflict, "decision %s is no longer the current one: since %s it is %q (%s)", d.ID, last.AsOf, last.Headline, last.ID)
	}
	j := slices.IndexFunc(a.Experiments, func(e *experiment.Experiment) bool { return e.ID == d.ExperimentID })
	if j < 0 || a.Experiments[j].Hash() != d.Definition {
		return fault.New(fault.Conflict, "decision %s is no longer the current one: the definition of %s has changed since", d.ID, d.ExperimentID)
	}
	return nil
}

// create stores the answer unless somebody was first, and returns the one that stands.
func (a *Approvals) create(ctx context.Context, now Approval) (*Approval, error) {
	body, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("record approval: %w", err)
	}
	err = a.Objects.Put(ctx, approvalKey(now.DecisionID), body, lake.Create)
	if fault.Is(err, fault.Conflict) {
		return a.stands(ctx, now.DecisionID)
	}
	if err != nil {
		return nil, fmt.Errorf("record approval: %w", err)
	}
	return &now, nil
}

func (a *Approvals) stands(ctx context.Context, decisionID string) (*Approval, error) {
	return approval(ctx, a.Objects, decisionID)
}

func approvalKey(decisionID string) string { return "approvals/" + decisionID + ".json" }

// approval reads the answer to a decision; nil: nobody has answered.
func approval(ctx context.Context, objects lake.Objects, decisionID string) (*Approval, error) {
	body, err := objects.Get(ctx, approvalKey(decisionID))
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read approval: %w", err)
	}
	var out Approval
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("read approval of %s: %w", decisionID, err)
	}
	return &out, nil
}

func orNobody(who string) string {
	if who == "" {
		return "nobody"
	}
	return who
}

// Heard is a decision with the answer that people gave to it, which the decider may not have heeded yet.
func Heard(ctx context.Context, objects lake.Objects, d Decision) (Decision, error) {
	if !d.Answerable() {
		return d, nil
	}
	given, err := approval(ctx, objects, d.ID)
	if err == nil && given != nil {
		d.Answer, d.AnsweredBy, d.AnsweredAt = given.Answer, given.By, given.At
	}
	return d, err
}

// heed writes the answer to a proposal into it.
func (d *Decider) heed(ctx context.Context, history []Decision, i int) error {
	heard, err := Heard(ctx, d.Objects, history[i])
	if err != nil || heard.Answer == "" {
		return err
	}
	history[i] = heard
	return d.note(ctx, i, heard)
}

// withheld says why an approved change must wait although it was approved: a check has failed since it was proposed.
// What takes users back to the control never waits.
func (d *Decider) withheld(ctx context.Context, decision Decision, in Evidence) (string, error) {
	if decision.Mode != string(experiment.Propose) || decision.Action == Rollback {
		return "", nil
	}
	if len(in.Checks) == 0 { // the day has not been evaluated yet: the one before stands
		id, day := lake.Quote(decision.ExperimentID), lake.Quote(in.AsOf.Format(time.DateOnly))
		var err error
		in.Checks, err = lake.Read[evaluate.Check](ctx, d.Engine, "select * from fact_experiment_check where experiment_id = "+id+
			" and as_of = (select max(as_of) from fact_experiment_check where experiment_id = "+id+" and as_of <= "+day+") order by name")
		if err != nil {
			return "", fmt.Errorf("read checks: %w", err)
		}
	}
	if reasons := in.failedChecks(); reasons != nil {
		return "not applied: a validity check has failed since it was proposed. " + reasons[0].Text, nil
	}
	return "", nil
}
