// Package replay turns files of events that were recorded elsewhere, or earlier, into landed events: exports of
// Google Analytics and of Tag Manager, dumps of a dataLayer, and our own quarantine once the plan is mended. It
// writes beside what the streams deliver, never through them: a year of events has more partitions than a stream
// may write at once. Every id, name and byte follows from the file, so that replaying it again changes nothing.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/land"
	"verdict/shared/plan"
	"verdict/shared/redact"
)

// DefaultMaxBad is the share of a file's events that may break their contract. A page that sends one event wrongly
// stays below it; a mapping that does not fit is far above.
const DefaultMaxBad = 0.05

// Replayer replays files.
type Replayer struct {
	Plan    *plan.Plan
	Mapping *Mapping
	Objects lake.Objects
	Erased  Erased // may be nil
	Parquet Parquet
	Key     func(context.Context) (redact.Key, error) // is asked for when the plan hashes ids
}

// Parquet reads a Parquet file that others wrote, and hands over each row as a JSON object with the share of the file
// that was read. It is given: what reads any such file is heavy, and of those who link this package few read one.
type Parquet func(ctx context.Context, in io.ReaderAt, size int64, each func(row []byte, share float64) error) error

// Erased knows who was erased from the lake. What it loads, which may be nil, tells whether an event is of somebody who
// was erased after it: such an event does not come back.
type Erased interface {
	Load(ctx context.Context) (func(anonymous, user string, at time.Time) bool, error)
}

// Job is one file.
type Job struct {
	Name      string // for people
	File      lake.File
	Namespace string  // the events' own, but for quarantine, which knows it
	Kind      Kind    // "": recognized by the first row
	MaxBad    float64 // share of events that may go to quarantine; over it the file is refused whole
	Moved     func(done, total int64)

	erased func(anonymous, user string, at time.Time) bool
	hide   func(*fastjson.Arena, *fastjson.Value)
}

// Report is what became of a file.
type Report struct {
	Name        string         `json:"name"`
	Kind        Kind           `json:"kind"`
	Hash        string         `json:"hash"` // of file, mapping, plan and namespace
	Rows        int            `json:"rows"`
	Accepted    int            `json:"accepted"`
	Quarantined int            `json:"quarantined"`
	Erased      int            `json:"erased,omitempty"`   // events of persons who were erased after them: they do not land again
	LeftOut     map[string]int `json:"left_out,omitempty"` // rows of events that the mapping does not name
	Failures    []Failure      `json:"failures,omitempty"` // the first few
	Objects     []string       `json:"objects"`            // written
	Again       bool           `json:"again,omitempty"`    // it had been replayed before, and nothing was done
}

// Failure is why one event is in quarantine.
type Failure struct {
	Row      int            `json:"row"`
	Event    string         `json:"event"`
	Failures []plan.Failure `json:"failures"`
}

const shownFailures = 5 // enough to see the pattern

// Run replays a file. It is read twice: nothing is written of a file that is not what it seems, or of which too much
// is broken; such a file is fault.Invalid.
func (r *Replayer) Run(ctx context.Context, job Job) (Report, error) {
	if r.Erased != nil {
		erased, err := r.Erased.Load(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("read who was erased: %w", err)
		}
		job.erased = erased
	}
	var err error
	if job.hide, err = redact.Hiding(ctx, r.Plan.Hash, r.Key); err != nil {
		return Report{}, err
	}
	size := job.File.Size()
	moved := func(pass int64) func(int64) {
		return func(read int64) {
			if job.Moved != nil {
				job.Moved(pass*size+min(read, size), 3*size)
			}
		}
	}
	fileHash, err := hash(job.File, moved(0))
	if err != nil {
		return Report{}, fmt.Errorf("read %s: %w", job.Name, err)
	}
	checked := &tally{}
	if err := r.read(ctx, &job, moved(1), checked); err != nil {
		return Report{}, fmt.Errorf("%s was not replayed: %w", job.Name, err)
	}
	report := checked.report
	report.Name, report.Kind, report.Hash = job.Name, job.Kind, r.fingerprint(fileHash, job)
	if events := report.Accepted + report.Quarantined; job.Kind != Quarantine && float64(report.Quarantined) > job.MaxBad*float64(events) {
		return report, fault.New(fault.Invalid, "%s was not replayed: %d of %d events break their contract, more than %g %%: mend the mapping (events/replay.yaml) or allow more", job.Name, report.Quarantined, events, 100*job.MaxBad)
	}
	before, err := r.last(ctx, fileHash, job.Namespace)
	if err != nil {
		return report, err
	}
	if before.Hash == report.Hash {
		before.Name, before.Again = job.Name, true
		moved(2)(size)
		return before, nil
	}
	out := newWriter(r.Objects, "replay-"+fileHash[:16])
	if err := r.read(ctx, &job, moved(2), out); err != nil {
		return report, fmt.Errorf("replay %s: %w", job.Name, err)
	}
	if err := out.flush(ctx); err != nil {
		return report, fmt.Errorf("replay %s: %w", job.Name, err)
	}
	report.Objects = slices.Sorted(maps.Keys(out.written))
	// What an earlier replay made of the file with another mapping, and this one does not, must not stay beside it.
	empty, err := land.Compress()
	if err != nil {
		return report, fmt.Errorf("compress nothing: %w", err)
	}
	for _, key := range before.Objects {
		if !out.written[key] {
			if err := r.Objects.Put(ctx, key, empty, lake.Overwrite); err != nil {
				return report, fmt.Errorf("empty %s: %w", key, err)
			}
		}
	}
	return report, r.remember(ctx, fileHash, job.Namespace, report)
}

// hash reads the file once.
func hash(f lake.File, moved func(int64)) (string, error) {
	sum := sha256.New()
	in := &counted{r: io.NewSectionReader(f, 0, f.Size()), moved: moved}
	if _, err := io.CopyBuffer(sum, in, make([]byte, readAhead)); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// fingerprint tells whether a replay would do again what was done.
func (r *Replayer) fingerprint(fileHash string, job Job) string {
	versions, err := json.Marshal(r.Plan.Versions())
	if err != nil {
		versions = nil // plain strings always marshal
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s%s", fileHash, job.Kind, job.Namespace, versions, r.Mapping.file, strings.Join(r.Plan.Hash, "\n")))
	return hex.EncodeToString(sum[:16])
}

func memory(fileHash, namespace string) string {
	return "replay/files/" + fileHash[:32] + "-" + namespace + ".json"
}

// last is the report of the file's last replay, empty when there was none.
func (r *Replayer) last(ctx context.Context, fileHash, namespace string) (Report, error) {
	var out Report
	body, err := r.Objects.Get(ctx, memory(fileHash, namespace))
	if fault.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return out, fmt.Errorf("read last replay: %w", err)
	}
	return out, nil
}

func (r *Replayer) remember(ctx context.Context, fileHash, namespace string, report Report) error {
	body, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return r.Objects.Put(ctx, memory(fileHash, namespace), body, lake.Overwrite)
}

// sink takes what the rows of a file become.
type sink interface {
	leftOut(name string)
	erased()
	row()
	good(ctx context.Context, e made) error
	bad(ctx context.Context, e made, failures []plan.Failure) error
}

// read makes events of all rows.
func (r *Replayer) read(ctx context.Context, job *Job, moved func(int64), to sink) error {
	var arena fastjson.Arena
	n := 0
	err := rows(ctx, r.Parquet, job.File, moved, func(v *fastjson.Value) error {
		n++
		to.row()
		arena.Reset()
		if job.Kind == "" {
			kind, err := recognize(v)
			if err != nil {
				return err
			}
			job.Kind = kind
		}
		if job.Kind == Quarantine {
			e, err := quarantined(v, n)
			if err != nil {
				return fault.New(fault.Invalid, "row %d: %w", n, err)
			}
			return r.sort(ctx, &arena, job, e, to)
		}
		one, err := job.Kind.read(&arena, v)
		if err != nil {
			return fault.New(fault.Invalid, "row %d is no row of a %s file: %w", n, job.Kind, err)
		}
		rule := r.Mapping.by[one.name]
		if rule == nil {
			to.leftOut(one.name)
			return nil
		}
		for i, properties := range rule.made(&arena, r.Plan, one.fields) {
			e := made{row: n, reception: one.reception(job.Namespace, job.Kind), event: one.event(&arena, rule, properties, job.Kind, job.Namespace, i)}
			if err := r.sort(ctx, &arena, job, e, to); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n == 0 {
		return fault.New(fault.Invalid, "the file is empty")
	}
	return err
}

// isErased tells whether an event is of somebody who was erased after it.
func (job *Job) isErased(event *fastjson.Value) bool {
	at, err := plan.ParseTime(event.GetStringBytes("ts"))
	return err == nil && job.erased != nil && job.erased(string(event.GetStringBytes("anonymous_id")), string(event.GetStringBytes("user_id")), at)
}

// sort hands an event to where it belongs.
func (r *Replayer) sort(ctx context.Context, arena *fastjson.Arena, job *Job, e made, to sink) error {
	failures := r.Plan.Check(e.event)
	gone := job.isErased(e.event) // as it came: the plan may not have hashed when its person was erased
	job.hide(arena, e.event)
	if gone || job.isErased(e.event) {
		to.erased()
		return nil
	}
	if failures != nil {
		return to.bad(ctx, e, failures)
	}
	return to.good(ctx, e)
}

// tally counts.
type tally struct{ report Report }

func (t *tally) row()    { t.report.Rows++ }
func (t *tally) erased() { t.report.Erased++ }

func (t *tally) leftOut(name string) {
	if t.report.LeftOut == nil {
		t.report.LeftOut = map[string]int{}
	}
	t.report.LeftOut[name]++
}

func (t *tally) good(_ context.Context, e made) error {
	t.report.Accepted++
	// The parser takes numbers that JSON does not have: such a line would break its readers.
	if err := fastjson.ValidateBytes(e.reception.AppendEvent(nil, e.event)); err != nil {
		return fault.New(fault.Invalid, "row %d: %w", e.row, err)
	}
	return nil
}

func (t *tally) bad(_ context.Context, e made, failures []plan.Failure) error {
	t.report.Quarantined++
	if len(t.report.Failures) < shownFailures {
		t.report.Failures = append(t.report.Failures, Failure{e.row, string(e.event.GetStringBytes("event")), failures})
	}
	return nil
}
