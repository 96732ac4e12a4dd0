package privacy

import (
	"context"
	"time"

	"verdict/shared/lake"
	"verdict/shared/ledger"
)

// Trail is the audit trail of a lake.
type Trail struct{ Objects lake.Objects }

var _ ledger.Erased = Trail{}

// All reads the trail, oldest first.
func (t Trail) All(ctx context.Context) ([]Audit, error) {
	objects, err := t.Objects.List(ctx, audits)
	if err != nil {
		return nil, err
	}
	var out []Audit
	for _, object := range objects {
		a, err := read[Audit](ctx, t.Objects, object.Key)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Erased implements ledger.Erased.
func (t Trail) Erased(ctx context.Context, from, to time.Time) ([]ledger.Count, error) {
	all, err := t.All(ctx)
	if err != nil {
		return nil, err
	}
	var out []ledger.Count
	for _, a := range all {
		for _, h := range a.Erased {
			if h.Hour < from.Format(time.DateOnly) || h.Hour >= to.Format(time.DateOnly) {
				continue
			}
			c := ledger.Count{Namespace: h.Namespace, Hour: h.Hour}
			if h.Area == quarantine {
				c.Quarantined = h.Lines
			} else {
				c.Accepted = h.Lines
			}
			out = append(out, c)
		}
	}
	return out, nil
}
