// Package identity decides which ids stand for one person: links between ids, under guards that keep
// two people from becoming one, with a log of every merge, and vetoes that undo one. Its part linkage
// finds links where no id says so.
package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/identity/linkage"
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
	EntityID   string    `lake:"entity_id"`
	UnitID     string    `lake:"unit_id"`
	Method     string    `lake:"method"`
	Confidence float64   `lake:"confidence"`
	Since      time.Time `lake:"since"` // when it was first seen with the unit
}

// Merge is a row of identity_merge: a link began to hold two groups of ids together, or ceased to.
type Merge struct {
	At        time.Time `lake:"changed_at"`
	Change    string    `lake:"change"` // merged or split
	A         string    `lake:"entity_a"`
	B         string    `lake:"entity_b"`
	Left      string    `lake:"left_unit"` // what the two groups were called
	Right     string    `lake:"right_unit"`
	FirstSeen time.Time `lake:"first_seen"`
	Reason    string    `lake:"reason"`
	// Probability that the two ids are one person's; 1 for a sign-in.
	Confidence float64 `lake:"confidence"`
}

// Outcome is a row of identity_outcome: how many links met a fate when the units were last made.
type Outcome struct {
	Fate  string `lake:"fate"`
	Links int64  `lake:"links"`
	Held  bool   `lake:"held"` // a guard or a person keeps the ids apart
}

// Outcomes counts the fates of a graph's links, of every fate that there is.
func Outcomes(g *Graph) []Outcome {
	var out []Outcome
	for f := Joined; f <= TooLarge; f++ {
		out = append(out, Outcome{Fate: f.String(), Held: f > Spare})
	}
	for _, f := range g.Fates() {
		if f != Untried {
			out[f-Joined].Links++
		}
	}
	return out
}

// Evidence is all that units are made of.
type Evidence struct {
	Edges   []Edge
	Devices []Device // where devices are linked
	Vetoes  []Veto
}

// Resolve makes units of evidence, and gives the ids that are of another unit than themselves. It depends on nothing
// else, also not on the order. The graph's log is as if nothing had been known before.
func Resolve(in Evidence, guards Guards, s linkage.Settings, now time.Time) ([]Member, *Graph, error) {
	g := NewGraph(guards)
	for _, v := range in.Vetoes {
		g.Veto(v.A, v.B)
	}
	for _, e := range in.Edges {
		g.Add(Link{A: "a:" + e.AnonymousID, B: "u:" + e.UserID, First: e.FirstSeen})
	}
	g.Settle(now)
	if s.LinkDevices {
		probable, err := suppose(in.Devices, g, s)
		if err != nil {
			return nil, nil, err
		}
		for _, d := range in.Devices {
			g.Seen("a:"+d.ID, d.FirstSeen)
		}
		for _, l := range probable {
			g.Add(l)
		}
		g.Settle(now)
	}
	out := []Member{}
	for _, e := range in.Edges {
		if user := "u:" + e.UserID; g.Unit("a:"+e.AnonymousID) == user {
			out = append(out, Member{"a:" + e.AnonymousID, user, signedIn, 1, e.FirstSeen})
		}
	}
	if s.LinkDevices {
		for m := range g.Members() {
			if m.Probability < 1 {
				out = append(out, Member{m.ID, m.Unit, linked, float64(m.Probability), m.Since})
			}
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return strings.Compare(a.EntityID, b.EntityID) })
	return out, g, nil
}

// How an id came to its unit.
const (
	signedIn = "signed_in"
	linked   = "linked"
)

// news compares the merges of a graph with those that a log, replayed, says stand.
func news(log []Merge, g *Graph, now time.Time) []Merge {
	standing := map[[2]string]Merge{}
	for _, m := range log {
		if m.Change == "merged" {
			standing[[2]string{m.A, m.B}] = m
		} else {
			delete(standing, [2]string{m.A, m.B})
		}
	}
	var out []Merge
	fates := map[[2]string]Fate{}
	for l, fate := range g.Fates() {
		if _, ok := standing[[2]string{l.A, l.B}]; ok {
			fates[[2]string{l.A, l.B}] = fate
		}
	}
	for c := range g.Log() {
		if _, ok := standing[[2]string{c.Link.A, c.Link.B}]; c.Merged && !ok {
			reason := "signed in"
			if c.Link.Probability < 1 {
				reason = linked
			}
			out = append(out, Merge{now, "merged", c.Link.A, c.Link.B, c.Left, c.Right, c.Link.First, reason, float64(c.Link.Probability)})
		}
	}
	for pair, m := range standing {
		if fate := fates[pair]; fate != Joined {
			m.At, m.Change, m.Reason = now, "split", fate.String()
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(x, y Merge) int {
		return cmp.Or(cmp.Compare(x.Change, y.Change), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	return out
}

// Resolver keeps identity_map and its log, identity_merge, up to date with identity_edge, and with identity_signal
// where devices are linked, and says in identity_outcome and identity_veto what became of the links.
type Resolver struct {
	Objects  lake.Objects
	Engine   lake.Engine
	Catalog  lake.Catalog
	NewRun   func() string
	Now      func() time.Time
	Settings linkage.Settings
}

// Run makes identity_map anew when the evidence has changed, and returns the number of its rows, or -1 when nothing was
// to do. The log is written first: a run that dies between the two is repeated and finds its changes logged.
func (r *Resolver) Run(ctx context.Context) (int, error) {
	guards := DefaultGuards()
	source, since, vetoes, err := r.source(ctx, guards)
	if err != nil {
		return 0, fmt.Errorf("resolve identities: %w", err)
	}
	current, err := r.Catalog.Table(ctx, "identity_map")
	if err != nil && !fault.Is(err, fault.NotFound) {
		return 0, fmt.Errorf("resolve identities: %w", err)
	}
	if len(current.Partitions) > 0 && current.Partitions[0].Source == source {
		return -1, nil
	}
	in := Evidence{Vetoes: vetoes}
	if in.Edges, err = lake.Read[Edge](ctx, r.Engine, "select anonymous_id, user_id, events, first_seen, last_seen from identity_edge"); err != nil {
		return 0, fmt.Errorf("read identity edges: %w", err)
	}
	if r.Settings.LinkDevices {
		if in.Devices, err = lake.Read[Device](ctx, r.Engine, DeviceQuery(since)); err != nil {
			return 0, fmt.Errorf("read signals of devices: %w", err)
		}
	}
	members, graph, err := Resolve(in, guards, r.Settings, r.Now())
	if err != nil {
		return 0, fmt.Errorf("resolve identities: %w", err)
	}
	if err := r.log(ctx, graph); err != nil {
		return 0, err
	}
	if err := r.report(ctx, graph, vetoes); err != nil {
		return 0, err
	}
	to := table.Place{Table: "identity_map", Run: r.NewRun(), Source: source}
	if err := table.Write(ctx, r.Objects, r.Catalog, to, members); err != nil {
		return 0, fmt.Errorf("write identity map: %w", err)
	}
	return len(members), nil
}

// source fingerprints the evidence, and gives what of it is at hand: the vetoes, and the first day of the signals that
// count.
func (r *Resolver) source(ctx context.Context, guards Guards) (source, since string, vetoes []Veto, err error) {
	edges, err := r.Catalog.Table(ctx, "identity_edge")
	if err != nil {
		return "", "", nil, err
	}
	if vetoes, err = Vetoes(ctx, r.Objects); err != nil {
		return "", "", nil, err
	}
	parts := []any{vetoes, guards}
	if r.Settings.LinkDevices {
		signals, err := r.Catalog.Table(ctx, "identity_signal")
		if err != nil {
			return "", "", nil, err
		}
		if since, err = firstDay(r.Settings, signals); err != nil {
			return "", "", nil, err
		}
		for _, p := range signals.Partitions {
			if p.Values[0] >= since {
				parts = append(parts, p.Location)
			}
		}
		parts = append(parts, r.Settings)
	}
	rules, err := json.Marshal(parts)
	if err != nil {
		return "", "", nil, err
	}
	return fmt.Sprintf("%s %x", edges.Partitions[0].Location, sha256.Sum256(rules)), since, vetoes, nil
}

// firstDay is the first of the days that count: back from the latest, not from today, so that it follows from the data.
func firstDay(s linkage.Settings, signals lake.Table) (string, error) {
	if len(signals.Partitions) == 0 {
		return "", nil
	}
	latest, err := time.Parse(time.DateOnly, signals.Partitions[len(signals.Partitions)-1].Values[0])
	if err != nil {
		return "", fault.New(fault.Invalid, "read days of identity_signal: %w", err)
	}
	return latest.AddDate(0, 0, 1-s.Days).Format(time.DateOnly), nil
}

// Log reads identity_merge, oldest entry first; one that is not there yet is fault.NotFound.
func Log(ctx context.Context, engine lake.Engine, catalog lake.Catalog) ([]Merge, error) {
	t, err := catalog.Table(ctx, "identity_merge")
	if err != nil {
		return nil, fmt.Errorf("read merge log: %w", err)
	}
	confidence := ""
	if !slices.ContainsFunc(t.Columns, func(c lake.Column) bool { return c.Name == "confidence" }) {
		confidence = ", 1e0 as confidence" // of a version that knew sign-ins only
	}
	log, err := lake.Read[Merge](ctx, engine, "select *"+confidence+" from identity_merge order by changed_at, change, entity_a, entity_b")
	if err != nil {
		return nil, fmt.Errorf("read merge log: %w", err)
	}
	return log, nil
}

// log adds what is new to identity_merge.
func (r *Resolver) log(ctx context.Context, g *Graph) error {
	log, err := Log(ctx, r.Engine, r.Catalog)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	added := news(log, g, r.Now())
	if len(added) == 0 && err == nil {
		return nil
	}
	if err := table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: "identity_merge", Run: r.NewRun()}, append(log, added...)); err != nil {
		return fmt.Errorf("write merge log: %w", err)
	}
	return nil
}

// report publishes what became of the links, and the vetoes that had a part in it.
func (r *Resolver) report(ctx context.Context, g *Graph, vetoes []Veto) error {
	run := r.NewRun()
	if err := table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: "identity_outcome", Run: run}, Outcomes(g)); err != nil {
		return fmt.Errorf("write outcomes of links: %w", err)
	}
	if err := table.Write(ctx, r.Objects, r.Catalog, table.Place{Table: "identity_veto", Run: run}, vetoes); err != nil {
		return fmt.Errorf("write vetoes: %w", err)
	}
	return nil
}
