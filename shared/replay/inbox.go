package replay

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// InboxPrefix is where files are put to be replayed: inbox/<namespace>/<any name>.
const InboxPrefix = "inbox/"

const quarantinePrefix = "quarantine/"

// Source opens an object of the lake for reading a piece at a time; an unknown one is fault.NotFound.
type Source interface {
	Open(ctx context.Context, key string) (lake.File, error)
}

// Inbox replays what is put into the lake's inbox, and the quarantine whenever the tracking plan has changed.
type Inbox struct {
	Replayer *Replayer
	Source   Source
	Told     func(Report) // of each file
}

// seen is what is kept of a file that was looked at.
type seen struct {
	Key     string `json:"key"`
	Refused string `json:"refused,omitempty"`
	Report  Report `json:"report"`
}

// Run replays what is new. A file that is refused does not hold up the others; it is complained of once, and looked at
// again when it has changed.
func (b *Inbox) Run(ctx context.Context, _ time.Time) error {
	files, err := b.Replayer.Objects.List(ctx, InboxPrefix)
	if err != nil {
		return err
	}
	var refused []error
	for _, o := range files {
		namespace, _, ok := strings.Cut(strings.TrimPrefix(o.Key, InboxPrefix), "/")
		if !ok || o.Size == 0 {
			continue
		}
		if err := b.once(ctx, o, Job{Name: o.Key, Namespace: namespace, MaxBad: DefaultMaxBad}); fault.Is(err, fault.Invalid) {
			refused = append(refused, err)
		} else if err != nil {
			return err
		}
	}
	if err := b.changed(ctx); err != nil {
		return err
	}
	if refused != nil {
		return fault.New(fault.Invalid, "replay inbox: %w", errors.Join(refused...))
	}
	return nil
}

// changed replays the quarantine when the plan has changed since it was last replayed. It does so twice: a collector
// may go on for a moment with the plan before.
func (b *Inbox) changed(ctx context.Context) error {
	const times = 2
	mark := fmt.Sprintf("replay/plans/%s.json", b.Replayer.fingerprint("", Job{})[:16])
	var done struct {
		Times int `json:"times"`
	}
	body, err := b.Replayer.Objects.Get(ctx, mark)
	if err == nil {
		err = json.Unmarshal(body, &done)
	} else if fault.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil || done.Times >= times {
		return err
	}
	if err := b.Quarantine(ctx); err != nil {
		return err
	}
	done.Times++
	if body, err = json.Marshal(done); err != nil {
		return fmt.Errorf("write note: %w", err)
	}
	return b.Replayer.Objects.Put(ctx, mark, body, lake.Overwrite)
}

// Quarantine replays what is in quarantine under the plan in force, object by object.
func (b *Inbox) Quarantine(ctx context.Context) error {
	objects, err := b.Replayer.Objects.List(ctx, quarantinePrefix)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := b.once(ctx, o, Job{Name: o.Key, Kind: Quarantine}); err != nil {
			return err
		}
	}
	return nil
}

// once replays an object unless that was done, with this plan and mapping.
func (b *Inbox) once(ctx context.Context, o lake.Object, job Job) error {
	id := sha256.Sum256([]byte(o.Key + "\n" + o.ETag + "\n" + b.Replayer.fingerprint("", job)))
	mark := fmt.Sprintf("replay/seen/%x.json", id[:16])
	if _, err := b.Replayer.Objects.Get(ctx, mark); !fault.Is(err, fault.NotFound) {
		return err
	}
	f, err := b.Source.Open(ctx, o.Key)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	job.File = f
	note := seen{Key: o.Key}
	var refused error
	note.Report, err = b.Replayer.Run(ctx, job)
	switch {
	case fault.Is(err, fault.Invalid):
		refused, note.Refused = err, err.Error()
	case err != nil:
		return err
	default:
		b.Told(note.Report)
	}
	body, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return fmt.Errorf("write note: %w", err)
	}
	return errors.Join(refused, b.Replayer.Objects.Put(ctx, mark, body, lake.Overwrite))
}
