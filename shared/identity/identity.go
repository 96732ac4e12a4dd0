// Package identity decides which ids stand for one person. Today it knows one kind of evidence, an
// anonymous id that was signed in, and one guard: an id that several users signed in with is a
// shared device and stays by itself, so that two people never become one.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/table"
)

// Edge says that an anonymous id and a user id were seen on one event.
type Edge struct {
	AnonymousID string    `lake:"anonymous_id"`
	UserID      string    `lake:"user_id"`
	Events      int64     `lake:"events"`
	FirstSeen   time.Time `lake:"first_seen"`
	LastSeen    time.Time `lake:"last_seen"`
}

// Member is one id that belongs to another unit than itself: a row of identity_map.
type Member struct {
	EntityID   string  `lake:"entity_id"`
	UnitID     string  `lake:"unit_id"`
	Method     string  `lake:"method"`
	Confidence float64 `lake:"confidence"`
}

// Resolve maps each anonymous id that exactly one user signed in with to that user, in id order.
func Resolve(edges []Edge) []Member {
	users := map[string]string{}
	shared := map[string]bool{}
	for _, e := range edges {
		if known, ok := users[e.AnonymousID]; ok && known != e.UserID {
			shared[e.AnonymousID] = true
		}
		users[e.AnonymousID] = e.UserID
	}
	out := make([]Member, 0, len(users))
	for anonymous, user := range users {
		if !shared[anonymous] {
			out = append(out, Member{"a:" + anonymous, "u:" + user, "signed_in", 1})
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.EntityID, b.EntityID) })
	return out
}

// Resolver keeps identity_map up to date with identity_edge.
type Resolver struct {
	Objects lake.Objects
	Engine  lake.Engine
	Catalog lake.Catalog
	NewRun  func() string
}

// Run makes identity_map anew when the edges have changed, and returns the number of its rows, or
// -1 when nothing was to do.
func (r *Resolver) Run(ctx context.Context) (int, error) {
	edges, err := r.Catalog.Table(ctx, "identity_edge")
	if err != nil {
		return 0, fmt.Errorf("resolve identities: %w", err)
	}
	source := edges.Partitions[0].Location
	current, err := r.Catalog.Table(ctx, "identity_map")
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, fmt.Errorf("resolve identities: %w", err)
	}
	if len(current.Partitions) > 0 && current.Partitions[0].Source == source {
		return -1, nil
	}
	rows, err := lake.Read[Edge](ctx, r.Engine, "select anonymous_id, user_id, events, first_seen, last_seen from identity_edge")
	if err != nil {
		return 0, fmt.Errorf("read identity edges: %w", err)
	}
	members := Resolve(rows)
	to := table.Place{Table: "identity_map", Run: r.NewRun(), Source: source}
	if err := table.Write(ctx, r.Objects, r.Catalog, to, members); err != nil {
		return 0, fmt.Errorf("write identity map: %w", err)
	}
	return len(members), nil
}
