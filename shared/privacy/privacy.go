// Package privacy answers for the persons in the lake: it hands over or erases all that is held about one, keeps an
// audit trail that names nobody, and ends what is older than its namespace keeps it. An erasure writes down first what
// it will do, so that it is completed wherever it was cut off.
package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/redact"
	"verdict/shared/replay"
)

// Where things stand in the lake.
const (
	requests   = "privacy/requests/"   // what is asked for and not done yet: the only place that names persons
	audits     = "privacy/audit/"      // what was done
	suppressed = "privacy/suppressed/" // hashes of those who were erased, and when
	exports    = "privacy/exports/"    // what was handed over to people who asked by a request
)

// Store is the lake's store, which can also let go for good.
type Store interface {
	lake.Objects
	// Delete removes an object and all that is kept of it; an unknown key is no error.
	Delete(ctx context.Context, key string) error
	// Prune removes what is kept of an object beside what it is now: earlier versions.
	Prune(ctx context.Context, key string) error
}

// Officer does what persons have a right to.
type Officer struct {
	Store   Store
	Engine  lake.Engine
	Catalog lake.Catalog
	Tables  []string // that may know persons
	Key     redact.Key
	NewRun  func() string
	Now     func() time.Time
	// Rebuild brings the tables up to date with what has landed.
	Rebuild func(context.Context) error
	Parquet replay.Parquet
	// Settle is how long a request waits until all that was accepted before it has landed.
	Settle time.Duration
}

// Action is what can be asked for.
type Action string

// The actions.
const (
	Erase  Action = "erase"
	Export Action = "export"
)

// Swept is in the audit trail beside them: nobody asks for it by a request.
const Swept Action = "sweep"

// Request is somebody's wish, and who answers for it being theirs.
type Request struct {
	Action Action    `json:"action"`
	IDs    []string  `json:"ids"` // a:… anonymous, u:… users
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// check refuses what cannot be meant.
func (r Request) check() error {
	if r.Action != Erase && r.Action != Export {
		return fault.New(fault.Invalid, "check privacy request: there is no action %q: erase or export", r.Action)
	}
	if r.By == "" {
		return fault.New(fault.Invalid, "check privacy request: say by whom it is: somebody will ask")
	}
	if len(r.IDs) == 0 {
		return fault.New(fault.Invalid, "check privacy request: it names no id")
	}
	for _, id := range r.IDs {
		if kind, text, ok := strings.Cut(id, ":"); !ok || text == "" || kind != "a" && kind != "u" {
			return fault.New(fault.Invalid, "check privacy request: %q is no id: want a:… for an anonymous one, u:… for a user", id)
		}
	}
	return nil
}

// name is the same for the same wish.
func (o *Officer) name(r Request) string {
	ids := slices.Compact(slices.Sorted(slices.Values(r.IDs)))
	return string(r.Action) + "-" + o.Key.Hash("request", strings.Join(ids, "\n"))
}

// Audit is what was done for a person. It names nobody: whose it is, those can tell who know both id and key.
type Audit struct {
	Action  Action           `json:"action"`
	Persons []string         `json:"persons"` // salted hashes of the ids
	By      string           `json:"by"`
	At      time.Time        `json:"at"` // of the request
	Done    time.Time        `json:"done"`
	Files   int              `json:"files"`          // landed ones that were written anew
	Lines   map[string]int64 `json:"lines"`          // in each area of the lake
	Rows    map[string]int64 `json:"rows,omitempty"` // handed over, of each table
	Objects int              `json:"objects"`        // of superseded runs, which are gone
	Erased  []Hour           `json:"erased,omitempty"`
}

// Hour is how many lines, which the collector had counted, an erasure took out of an hour.
type Hour struct {
	Namespace string `json:"namespace"`
	Hour      string `json:"hour"` // of arrival, UTC, as 2006-01-02T15
	Area      string `json:"area"` // raw or quarantine
	Lines     int64  `json:"lines"`
}

// audit adds to the trail. What stands there is never changed.
func (o *Officer) audit(ctx context.Context, r Request, a Audit) error {
	body, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	key := audits + r.At.UTC().Format("20060102T150405.000Z") + "-" + o.name(r) + ".json"
	if err := o.Store.Put(ctx, key, append(body, '\n'), lake.Create); err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// hashes are ids as the audit and the suppression list write them.
func (o *Officer) hashes(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = o.Key.Hash("person", id)
	}
	slices.Sort(out)
	return out
}

// read decodes an object.
func read[T any](ctx context.Context, objects lake.Objects, key string) (T, error) {
	var out T
	body, err := objects.Get(ctx, key)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return out, fault.New(fault.Invalid, "read %s: %w", key, err)
	}
	return out, nil
}
