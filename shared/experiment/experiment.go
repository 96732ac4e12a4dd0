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
	"math"
	"path"
	"slices"
	"strings"
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
	MinimumDays  int       `json:"minimum_days" yaml:"minimum_days"`                           // no ship before; a roll back may come any day
	PlannedUnits int64     `json:"planned_units" yaml:"planned_units"`                         // all arms; tunes the sequential boundary
	Alpha        float64   `json:"alpha" yaml:"alpha"`                                         // two-sided error rate of the goal metrics together
	MDE          float64   `json:"minimum_detectable_effect" yaml:"minimum_detectable_effect"` // relative
	Mode         Mode      `json:"mode" yaml:"mode"`
	Metrics      []Metric  `json:"metrics" yaml:"metrics"`
}

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

// UnmarshalJSON reads a date that MarshalJSON wrote.
func (d *Date) UnmarshalJSON(text []byte) error {
	var err error
	d.Time, err = time.Parse(`"`+time.DateOnly+`"`, string(text))
	return err
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

// Hash identifies the definition: it changes when anything that could change a verdict does. A field that is new in
// a version of Verdict is left out when it is empty, or every running experiment would start anew with the version.
func (e *Experiment) Hash() string {
	b, err := json.Marshal(e)
	if err != nil {
		panic("experiment: its definition does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Load reads every *.yaml under dir, in name order. metrics tells which metrics exist.
// A broken definition is fault.Invalid with file, line and reason.
func Load(files fs.FS, dir string, metrics func(name string) bool) ([]*Experiment, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list experiments: %w", err)
	}
	var out []*Experiment
	for _, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read experiment: %w", err)
		}
		e := new(Experiment)
		doc, err := definition.Decode(name, source, e)
		if err != nil {
			return nil, err
		}
		if err := e.check(doc, metrics); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o *Experiment) bool { return o.ID == e.ID }) {
			return nil, doc.Errorf("$.id", "experiment %s is defined twice", e.ID)
		}
		out = append(out, e)
	}
	return out, nil
}

func (e *Experiment) check(doc definition.Document, metrics func(string) bool) error {
	for field, value := range map[string]string{
		"id": e.ID, "name": e.Name, "owner": e.Owner, "flag": e.Flag, "control": e.Control, "hypothesis": e.Hypothesis,
	} {
		if strings.TrimSpace(value) == "" {
			return doc.Errorf("$."+field, "%s is missing", field)
		}
	}
	switch {
	case e.Unit != "user":
		return doc.Errorf("$.unit", "unit must be user, not %q", e.Unit)
	case !slices.Contains([]Mode{Observe, Propose, Auto}, e.Mode):
		return doc.Errorf("$.mode", "mode must be observe, propose or auto, not %q", e.Mode)
	case e.Start.IsZero():
		return doc.Errorf("$.start", "start must be a date like 2026-01-05")
	case !(e.Traffic > 0 && e.Traffic <= 1):
		return doc.Errorf("$.traffic", "traffic must lie above 0 and not above 1: the share of users that the flag's rule includes")
	case e.PlannedDays < 1:
		return doc.Errorf("$.planned_days", "planned_days must be at least 1")
	case e.MinimumDays < 0 || e.MinimumDays > e.PlannedDays:
		return doc.Errorf("$.minimum_days", "minimum_days must lie between 0 and planned_days (%d)", e.PlannedDays)
	case e.PlannedUnits < 2:
		return doc.Errorf("$.planned_units", "planned_units must be at least 2: it tunes the sequential boundary")
	case !(e.Alpha > 0 && e.Alpha <= 0.2):
		return doc.Errorf("$.alpha", "alpha must lie above 0 and not above 0.2, not %g", e.Alpha)
	case !(e.MDE > 0):
		return doc.Errorf("$.minimum_detectable_effect", "minimum_detectable_effect must be above 0 (0.05 is 5 %%)")
	}
	if err := e.checkRamp(doc); err != nil {
		return err
	}
	if err := e.checkVariants(doc); err != nil {
		return err
	}
	return e.checkMetrics(doc, metrics)
}

func (e *Experiment) checkRamp(doc definition.Document) error {
	below, days := 0.0, 0
	for i, s := range e.Ramp {
		at := fmt.Sprintf("$.ramp[%d]", i)
		switch {
		case !(s.Traffic > below && s.Traffic < e.Traffic):
			return doc.Errorf(at+".traffic", "the steps of a ramp must rise, from above 0 to below traffic (%g): less traffic would take variants from users", e.Traffic)
		case s.Days < 1:
			return doc.Errorf(at+".days", "a step of a ramp lasts at least 1 day")
		}
		below, days = s.Traffic, days+s.Days
	}
	if days >= e.PlannedDays && days > 0 {
		return doc.Errorf("$.ramp", "the ramp takes %d days or more, and the experiment is planned for %d", days, e.PlannedDays)
	}
	return nil
}

func (e *Experiment) checkVariants(doc definition.Document) error {
	var sum float64
	var keys []string
	for i, v := range e.Variants {
		at := fmt.Sprintf("$.variants[%d]", i)
		if v.Key == "" || slices.Contains(keys, v.Key) {
			return doc.Errorf(at+".key", "variant %d needs a key of its own", i+1)
		}
		if !(v.Share > 0 && v.Share < 1) {
			return doc.Errorf(at+".share", "share of %s must lie between 0 and 1", v.Key)
		}
		keys = append(keys, v.Key)
		sum += v.Share
	}
	switch {
	case len(e.Variants) < 2:
		return doc.Errorf("$.variants", "an experiment needs at least two variants")
	case !slices.Contains(keys, e.Control):
		return doc.Errorf("$.control", "control %q is none of the variants", e.Control)
	case math.Abs(sum-1) > 1e-9:
		return doc.Errorf("$.variants", "the shares add up to %g, not 1", sum)
	}
	return nil
}

func (e *Experiment) checkMetrics(doc definition.Document, metrics func(string) bool) error {
	var goals int
	var names []string
	for i, m := range e.Metrics {
		at := fmt.Sprintf("$.metrics[%d]", i)
		switch {
		case !metrics(m.Name):
			return doc.Errorf(at+".metric", "there is no metric %q that experiments can use", m.Name)
		case slices.Contains(names, m.Name):
			return doc.Errorf(at+".metric", "metric %s stands twice", m.Name)
		case !slices.Contains([]Role{Goal, Guardrail, Secondary}, m.Role):
			return doc.Errorf(at+".role", "role must be goal, guardrail or secondary, not %q", m.Role)
		case m.Role == Guardrail && !(m.Margin > 0 && m.Margin < 1):
			return doc.Errorf(at+".margin", "guardrail %s needs a margin between 0 and 1: the largest relative worsening to tolerate", m.Name)
		case m.Role != Guardrail && m.Margin != 0:
			return doc.Errorf(at+".margin", "only a guardrail has a margin")
		}
		if m.Role == Goal {
			goals++
		}
		names = append(names, m.Name)
	}
	if goals == 0 {
		return doc.Errorf("$.metrics", "an experiment needs a goal metric")
	}
	return nil
}
