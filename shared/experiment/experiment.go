// Package experiment holds the definition of an experiment as people write it in
// events/experiments/*.yaml, refuses a broken one with file, line and reason, and gives a
// definition the hash under which results and decisions refer to it.
package experiment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"verdict/shared/definition"
)

// Role says what a metric is for in the decision.
type Role string

// The roles of a metric in an experiment.
const (
	Goal      Role = "goal"      // the decision needs one of these better
	Guardrail Role = "guardrail" // every one of these must be shown not to be worse by its margin
	Secondary Role = "secondary" // reported, never decides
)

// Mode says how far a decision goes by itself.
type Mode string

// The decision modes.
const (
	Observe Mode = "observe" // decide and record, change nothing
	Propose Mode = "propose" // record, and tell people what would be changed
	Auto    Mode = "auto"    // change the rollout
)

// Experiment is one pre-registered experiment. Its id is the key of the flag rule that runs it.
type Experiment struct {
	ID           string    `json:"id" yaml:"id"`
	Name         string    `json:"name" yaml:"name"`
	Hypothesis   string    `json:"hypothesis" yaml:"hypothesis"`
	Owner        string    `json:"owner" yaml:"owner"`
	Flag         string    `json:"flag" yaml:"flag"`
	Unit         string    `json:"unit" yaml:"unit"`
	Control      string    `json:"control" yaml:"control"`
	Variants     []Variant `json:"variants" yaml:"variants"`
	Traffic      float64   `json:"traffic" yaml:"traffic"`                                     // share of all users the flag rule includes, after the ramp
	Ramp         []Step    `json:"ramp,omitempty" yaml:"ramp"`                                 // how traffic grows up to Traffic; none: it starts there
	Start        Date      `json:"start" yaml:"start"`                                         // first day, UTC
	PlannedDays  int       `json:"planned_days" yaml:"planned_days"`                           // the planned end is this many days after Start
	MaximumDays  int       `json:"maximum_days,omitempty" yaml:"maximum_days"`                 // that planned_days may be raised to; 0: not said
	MinimumDays  int       `json:"minimum_days" yaml:"minimum_days"`                           // no ship before; a roll back may come any day
	PlannedUnits int64     `json:"planned_units" yaml:"planned_units"`                         // all arms; tunes the sequential boundary
	Alpha        float64   `json:"alpha" yaml:"alpha"`                                         // two-sided error rate of the goal metrics together
	MDE          float64   `json:"minimum_detectable_effect" yaml:"minimum_detectable_effect"` // relative
	Mode         Mode      `json:"mode" yaml:"mode"`
	Metrics      []Metric  `json:"metrics" yaml:"metrics"`
	Segments     []string  `json:"segments,omitempty" yaml:"segments"` // properties of units that the readout may be split by
	Notes        string    `json:"notes,omitempty" yaml:"notes"`       // for people: what is written while it runs
	Budget       Budget    `json:"budget,omitzero" yaml:"budget"`      // of bytes that its queries may read; none: any
}

// Budget is how much an experiment's queries may read over its life, and what happens then.
type Budget struct {
	Gigabytes float64 `json:"gigabytes" yaml:"gigabytes"` // of 1e9 bytes
	Over      Over    `json:"over" yaml:"over"`
}

// Over says what happens when a budget is used up.
type Over string

// What can happen.
const (
	Block Over = "block" // it is not measured any more, and its last readout stands
	Warn  Over = "warn"  // people are told
	Allow Over = "allow" // it is only counted
)

// Variant is one arm and its intended share of the experiment's traffic.
type Variant struct {
	Key   string  `json:"key" yaml:"key"`
	Share float64 `json:"share" yaml:"share"`
}

// Step is one step of a ramp: a share of all users, and the fewest days to stay there.
type Step struct {
	Traffic float64 `json:"traffic" yaml:"traffic"`
	Days    int     `json:"days" yaml:"days"`
}

// Metric names a metric, its role and, for a guardrail, the largest relative worsening tolerated.
type Metric struct {
	Name   string  `json:"metric" yaml:"metric"`
	Role   Role    `json:"role" yaml:"role"`
	Margin float64 `json:"margin,omitempty" yaml:"margin"`
}

// Date is a calendar day in UTC, written 2006-01-02.
type Date struct{ time.Time }

// UnmarshalText reads a date; what is none stays zero, for check to refuse with its line.
func (d *Date) UnmarshalText(text []byte) error {
	d.Time, _ = time.Parse(time.DateOnly, string(text))
	return nil
}

// MarshalJSON writes a date; the embedded time would write a moment.
func (d Date) MarshalJSON() ([]byte, error) { return json.Marshal(d.Format(time.DateOnly)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Date) UnmarshalJSON(text []byte) error {
	var day string
	if err := json.Unmarshal(text, &day); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(day))
}

// End is the first moment after the planned days.
func (e *Experiment) End() time.Time { return e.Start.AddDate(0, 0, e.PlannedDays) }

// FirstTraffic is the share of users with which the experiment starts.
func (e *Experiment) FirstTraffic() float64 {
	if len(e.Ramp) > 0 {
		return e.Ramp[0].Traffic
	}
	return e.Traffic
}

// After gives the step of the ramp that an included share of users stands on, and the share that comes next; more is
// false when the ramp is through.
func (e *Experiment) After(included float64) (at Step, next float64, more bool) {
	const rounding = 1e-9 // of a share that went through a platform
	for _, s := range append(slices.Clone(e.Ramp), Step{Traffic: e.Traffic}) {
		if s.Traffic > included+rounding {
			return at, s.Traffic, true
		}
		at = s
	}
	return at, 0, false
}

// Stage is the share of users that an experiment includes from a day of its run on.
type Stage struct {
	Day     int
	Traffic float64
}

// Stages are the ramp as days, first stage first, if nothing holds it up: one where there is no ramp.
func (e *Experiment) Stages() []Stage {
	var out []Stage
	day := 0
	for _, s := range e.Ramp {
		out = append(out, Stage{day, s.Traffic})
		day += s.Days
	}
	return append(out, Stage{day, e.Traffic})
}

// Hash identifies the definition: it changes when anything that could change a verdict does. A field that is new in
// a version of Verdict is left out when it is empty, or every running experiment would start anew with the version.
func (e *Experiment) Hash() string {
	b, err := json.Marshal(e.Decisive())
	if err != nil {
		panic("experiment: its definition does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Decisive is the definition without what changes no verdict: a split of the readout, notes, a budget. A decided
// experiment would else be decided on again.
func (e *Experiment) Decisive() *Experiment {
	out := *e
	out.Segments, out.Notes, out.Budget = nil, "", Budget{}
	return &out
}

// Load reads every *.yaml under dir, in name order. metrics tells which metrics exist. Broken
// definitions are fault.Invalid with everything that is wrong with them (definition.Complaints).
func Load(files fs.FS, dir string, metrics func(name string) bool) ([]*Experiment, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list experiments: %w", err)
	}
	var sources []Source
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read experiment: %w", err)
		}
		sources = append(sources, Source{name, text})
	}
	return Read(sources, metrics)
}

// Source is the text of a file.
type Source struct {
	File string
	Text []byte
}

// Read is Load of texts.
func Read(sources []Source, metrics func(name string) bool) ([]*Experiment, error) {
	var out []*Experiment
	var wrong []definition.Complaint
	for _, source := range sources {
		e, complaints := read(source, metrics)
		if e != nil && slices.ContainsFunc(out, func(o *Experiment) bool { return e.ID != "" && o.ID == e.ID }) {
			complaints = append(complaints, definition.Complaint{File: source.File, Line: 1, Column: 1, Text: "experiment " + e.ID + " is defined twice"})
		}
		if e != nil {
			out = append(out, e)
		}
		wrong = append(wrong, complaints...)
	}
	if err := definition.Refuse(wrong); err != nil {
		return nil, err
	}
	return out, nil
}

// read reads one definition; what cannot be read at all is nil.
func read(source Source, metrics func(string) bool) (*Experiment, []definition.Complaint) {
	docs, err := definition.Parse(source.File, source.Text)
	if err != nil {
		return nil, definition.Complaints(err)
	}
	if len(docs) != 1 {
		return nil, []definition.Complaint{{File: source.File, Line: 1, Column: 1, Text: fmt.Sprintf("want one YAML document, have %d", len(docs))}}
	}
	c := checker{doc: docs[0], Experiment: new(Experiment)}
	c.wrong = c.doc.DecodeAll(c.Experiment)
	c.check(metrics)
	return c.Experiment, c.wrong
}
