package lambdaio

import (
	"context"
	"fmt"
	"time"

	"verdict/shared/fault"
)

// Occasion is the input that infra gives a schedule: EventBridge Scheduler fills in when it was to
// fire, which a retry does not change.
type Occasion struct {
	ScheduledTime time.Time `json:"scheduled_time"`
}

// Lease lets one process at a time do a piece of work; who comes second gets fault.Conflict.
type Lease interface {
	Run(ctx context.Context, name string, work func(context.Context) error) error
}

// Together is a lease that is had only with others: of work that this work must not meet.
type Together struct {
	Lease
	With []string
}

// Run implements Lease.
func (t Together) Run(ctx context.Context, name string, work func(context.Context) error) error {
	for _, other := range t.With {
		inner := work
		work = func(ctx context.Context) error { return t.Lease.Run(ctx, other, inner) }
	}
	return t.Lease.Run(ctx, name, work)
}

// margin is what is left of a Lambda's time when its steps are told to end: to give the lease back and say why.
const margin = 20 * time.Second

// Scheduled runs steps of the pipeline as of the day that began last when the schedule was to fire.
// A second run at the same time ends at once: what it would do, the first does, or the next finds left.
func Scheduled(name string, lease Lease, now func() time.Time, steps ...func(ctx context.Context, asOf time.Time) error) func(context.Context, Occasion) error {
	return func(ctx context.Context, in Occasion) error {
		at := in.ScheduledTime
		if at.IsZero() { // invoked by hand
			at = now()
		}
		asOf := at.UTC().Truncate(24 * time.Hour)
		began := false
		err := lease.Run(ctx, name, func(ctx context.Context) error {
			began = true
			if deadline, ok := ctx.Deadline(); ok {
				var cancel context.CancelFunc
				ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
				defer cancel()
			}
			for _, step := range steps {
				if err := step(ctx, asOf); err != nil {
					return fmt.Errorf("run %s as of %s: %w", name, asOf.Format(time.DateOnly), err)
				}
			}
			return nil
		})
		if !began && fault.Is(err, fault.Conflict) {
			return nil
		}
		return err
	}
}
