// Package decide turns results into decisions with reasons, and decisions into rollout changes that are
// written down before they are acted on and change nothing when acted on twice.
package decide

import (
	"context"

	"verdict/shared/feature"
)

// Action is what a rollout change does to the rule that runs an experiment.
type Action string

// The actions a decision can ask of a flag platform.
const (
	// Conclude replaces the experiment by a delivery of one variant to everybody the rule's
	// audience matches.
	Conclude Action = "conclude"
	// Rollback gives everybody the control variant.
	Rollback Action = "rollback"
	// Ramp changes the share of users that the experiment includes. Decisions only raise it.
	Ramp Action = "ramp"
)

// The actions that people ask for; no decision does.
const (
	// Enable and Disable switch a whole flag: while it is off, no rule of it serves anybody.
	Enable  Action = "enable"
	Disable Action = "disable"
)

// Change is one wanted rollout change. Applying the same change twice changes nothing.
type Change struct {
	DecisionID string // recorded with the change where the platform can keep it
	Flag       string
	Rule       string // rule key, equal to the experiment id; not needed to switch a flag
	Action     Action
	Variant    string  // the variant everybody gets: to conclude and to roll back
	Included   float64 // the share of users that the experiment is to include: to ramp
	Rebucket   bool    // ramp even if users lose their variant or get another one
}

// Applied says what Apply did.
type Applied struct {
	Changed  bool   // false: the platform already was in the wanted state
	Revision string // the platform's revision afterwards
	Detail   string // what was sent, for people
}

// Flags reads and moves rollouts on a flag platform.
//
// Apply reads first, changes only what differs from the wanted state, verifies afterwards, and is
// safe to repeat after any failure. To end an experiment it never overwrites what somebody else
// changed since it was read; a ramp on a platform that cannot help it says so, as a conflict.
// It returns fault.NotFound for an unknown flag or rule, fault.Conflict when people have to
// look at what others did first, fault.Invalid for a ramp that would move users without Rebucket,
// fault.Transient when the platform is busy or away.
type Flags interface {
	Flag(ctx context.Context, key string) (feature.Flag, error)
	Apply(ctx context.Context, change Change) (Applied, error)
}

// Archive keeps what decisions were taken on. Keep stores the evidence with what was concluded from it, and returns
// the key of the object; the same again is the same object. Evidence that does not follow from the statistics that
// stand in the lake is fault.Conflict.
type Archive interface {
	Keep(ctx context.Context, in Evidence, concluded Decision) (key string, err error)
}
