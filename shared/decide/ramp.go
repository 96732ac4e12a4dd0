package decide

import (
	"context"
	"fmt"
	"time"

	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/lake"
)

// Rollout is what the flag platform deals out to an experiment that runs.
type Rollout struct {
	Included float64   `json:"included"` // share of users
	Since    time.Time `json:"since"`
}

// ramp raises the traffic of a running experiment by one step when the step that it stands on has lasted, nothing is
// harmed and every validity check has passed; else it says what the step waits for. More traffic moves no user to
// another variant (docs/flags.md), and a ramp never gives less.
func (in Evidence) ramp(d *Decision, harm, unchecked []Reason) {
	e := in.Experiment
	if len(e.Ramp) == 0 {
		return
	}
	if in.Rollout == nil {
		d.Reasons = append(d.Reasons, Reason{"ramp_unknown", fmt.Sprintf(
			"What share of users rule %s of flag %s includes is not known, or the flag is off: its traffic is left alone.", e.ID, e.Flag)})
		return
	}
	at, next, more := e.After(in.Rollout.Included)
	now := share(in.Rollout.Included)
	switch {
	case !more:
	case harm != nil:
		d.Reasons = append(d.Reasons, Reason{"ramp_waits", fmt.Sprintf("Traffic stays at %s while a variant does harm.", now)})
	case unchecked != nil:
		d.Reasons = append(d.Reasons, Reason{"ramp_waits", fmt.Sprintf("Traffic stays at %s until every validity check passes.", now)})
	case in.AsOf.Before(in.Rollout.Since.AddDate(0, 0, at.Days)):
		d.Reasons = append(d.Reasons, Reason{"ramp_waits", fmt.Sprintf(
			"Traffic stays at %s until it has been there for %d days: since %s.", now, at.Days, in.Rollout.Since.UTC().Format(time.DateOnly))})
	default:
		d.Action, d.Included = Ramp, next
		d.Headline = fmt.Sprintf("Raise the traffic of %s to %s", e.Name, share(next))
		d.Reasons = append(d.Reasons, Reason{"ramp_step", fmt.Sprintf(
			"Traffic grows from %s to %s: nothing is harmed, and every validity check passes.", now, share(next))})
	}
}

// rampUnfinished withholds shipping: who plans a ramp wants no jump from its first step to everybody.
func (in Evidence) rampUnfinished() []Reason {
	if in.Rollout != nil {
		if _, next, more := in.Experiment.After(in.Rollout.Included); more {
			return []Reason{{"ramp_unfinished", fmt.Sprintf(
				"The ramp is not through: %s of users are included, and %s come next.", share(in.Rollout.Included), share(next))}}
		}
	}
	if len(in.Experiment.Ramp) > 0 && in.Rollout == nil {
		return []Reason{{"ramp_unfinished", "The ramp is not known to be through."}}
	}
	return nil
}

// rollouts reads what the flag platform dealt out when it was last recorded.
func (d *Decider) rollouts(ctx context.Context) ([]feature.Row, error) {
	if _, err := d.Catalog.Table(ctx, "dim_feature"); fault.Is(err, fault.NotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look up rollouts: %w", err)
	}
	rows, err := lake.Read[feature.Row](ctx, d.Engine, "select * from dim_feature where valid_to is null and enabled and rule_kind = "+lake.Quote(string(feature.Experiment)))
	if err != nil {
		return nil, fmt.Errorf("read rollouts: %w", err)
	}
	return rows, nil
}

// rollout is what is dealt out to an experiment: as last recorded, or as the last ramp left it, which the record may
// not know yet.
func (in Evidence) rollout(recorded []feature.Row, history []Decision) *Rollout {
	e := in.Experiment
	var out *Rollout
	for _, r := range recorded {
		if r.FlagKey == e.Flag && r.RuleKey == e.ID {
			out = &Rollout{r.Included, latest(r.ValidFrom, e.Start.Time)}
		}
	}
	for _, h := range history {
		if out == nil || h.Action != Ramp || h.Definition != e.Hash() || h.AppliedAt.IsZero() {
			continue
		}
		if h.Included == out.Included || h.AppliedAt.After(out.Since) {
			out = &Rollout{h.Included, h.AppliedAt}
		}
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
