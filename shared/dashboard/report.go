package dashboard

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/register"
	"verdict/shared/restate"
)

// Report is what is known about one experiment, oldest first.
type Report struct {
	Experiment    *experiment.Experiment
	Results       []evaluate.Result
	Checks        []evaluate.Check
	Decisions     []decide.Decision
	Restatements  []restate.Restatement // of decisions whose events have changed since
	Registrations []register.Entry      // the first is the pre-registration
	Read          int64                 // bytes that its queries have read; 0: nothing was counted
	today         time.Time
	scale         scale // of the bars that draw its lifts
}

// Path is where the experiment's page stands.
func (r *Report) Path() string { return "/experiments/" + url.PathEscape(r.Experiment.ID) }

// Bar draws a lift on the scale of the page.
func (r *Report) Bar(x evaluate.Result) *bar { return r.scale.draw(x, forestWidth, forestHeight) }

// Mini draws a lift small.
func (r *Report) Mini(x evaluate.Result) *bar { return r.scale.draw(x, miniWidth, miniHeight) }

// Axis labels the scale of the page.
func (r *Report) Axis() []tick { return r.scale.labels(5) }

// AsOf is the day of the latest results, or empty.
func (r *Report) AsOf() string {
	if len(r.Results) == 0 {
		return ""
	}
	return r.Results[len(r.Results)-1].AsOf
}

// Latest returns the results of the last look, metrics in reading order.
func (r *Report) Latest() []evaluate.Result {
	i, _ := slices.BinarySearchFunc(r.Results, r.AsOf(), func(x evaluate.Result, asOf string) int { return strings.Compare(x.AsOf, asOf) })
	return r.Results[i:]
}

// Goals returns the latest results of the goal metrics.
func (r *Report) Goals() []evaluate.Result {
	return slices.DeleteFunc(slices.Clone(r.Latest()), func(x evaluate.Result) bool { return x.Role != string(experiment.Goal) })
}

// Absent returns the metrics of the definition that the latest look says nothing about.
func (r *Report) Absent() []string {
	var out []string
	for _, m := range r.Experiment.Metrics {
		if !slices.ContainsFunc(r.Latest(), func(x evaluate.Result) bool { return x.Metric == m.Name }) {
			out = append(out, m.Name)
		}
	}
	return out
}

// Health returns the latest checks.
func (r *Report) Health() []evaluate.Check {
	if len(r.Checks) == 0 {
		return nil
	}
	last := r.Checks[len(r.Checks)-1].AsOf
	i, _ := slices.BinarySearchFunc(r.Checks, last, func(x evaluate.Check, asOf string) int { return strings.Compare(x.AsOf, asOf) })
	return r.Checks[i:]
}

// Decision returns the decision in force, or nil.
func (r *Report) Decision() *decide.Decision {
	if len(r.Decisions) == 0 {
		return nil
	}
	return &r.Decisions[len(r.Decisions)-1]
}

// Verdict is that of the decision in force, or empty.
func (r *Report) Verdict() decide.Verdict {
	if d := r.Decision(); d != nil {
		return d.Verdict
	}
	return ""
}

// Withheld returns why nobody should read the effects; it is empty for a valid experiment.
func (r *Report) Withheld() []string { return decide.Withheld(r.Decision(), r.Health()) }

// Units returns how many units of all arms have complete windows: those of the goal metric that
// waits longest.
func (r *Report) Units() int64 {
	arms := map[string]int64{}
	var metrics []string
	for _, x := range r.Goals() {
		if _, seen := arms[x.Metric]; !seen {
			arms[x.Metric] = x.UnitsControl
			metrics = append(metrics, x.Metric)
		}
		arms[x.Metric] += x.UnitsTreatment
	}
	var fewest int64
	for i, m := range metrics {
		if i == 0 || arms[m] < fewest {
			fewest = arms[m]
		}
	}
	return fewest
}

// Day returns how many whole days of the plan the results cover, or have passed when there are none.
func (r *Report) Day() int {
	until := r.today
	if asOf, err := time.Parse(time.DateOnly, r.AsOf()); err == nil {
		until = asOf
	}
	return min(max(0, int(until.Sub(r.Experiment.Start.Time).Hours()/24)), r.Experiment.PlannedDays)
}

// Percent returns how much of the planned days is over.
func (r *Report) Percent() int { return 100 * r.Day() / r.Experiment.PlannedDays }

// Confidence is that of the intervals, as a percentage.
func (r *Report) Confidence() string { return share(1 - r.Experiment.Alpha) }

// State says in words where the experiment is between its start and its planned end.
func (r *Report) State() string {
	switch d := r.Decision(); {
	case d != nil && !d.AppliedAt.IsZero() && d.Verdict == decide.Ship:
		return "concluded: shipped"
	case d != nil && !d.AppliedAt.IsZero() && d.Verdict == decide.RollBack:
		return "concluded: rolled back"
	case d != nil && d.Verdict == decide.Stop:
		return "concluded: stopped"
	case d != nil && d.Answer == decide.Rejected && d.Verdict != decide.Running:
		return "concluded: change rejected"
	case r.today.Before(r.Experiment.Start.Time):
		return "not started"
	case r.today.Before(r.Experiment.End()):
		return "collecting"
	}
	return "past its planned end"
}

// Behind returns how many days of results are due and not there: one day is what a daily run
// leaves open. A concluded experiment owes none.
func (r *Report) Behind() int {
	if strings.HasPrefix(r.State(), "concluded") {
		return 0
	}
	due := r.today
	if end := r.Experiment.End(); end.Before(due) {
		due = end
	}
	have := r.Experiment.Start.Time
	if asOf, err := time.Parse(time.DateOnly, r.AsOf()); err == nil {
		have = asOf
	}
	if days := int(due.Sub(have).Hours() / 24); days > 1 {
		return days
	}
	return 0
}

// Changed tells whether the definition is no longer the one the latest results were computed under.
func (r *Report) Changed() bool {
	latest := r.Latest()
	return len(latest) > 0 && latest[0].Definition != r.Experiment.Hash()
}

// Attention says what a person should do about the experiment, or nothing.
func (r *Report) Attention() string {
	d := r.Decision()
	switch {
	case len(r.Withheld()) > 0:
		return "Find out what broke the experiment"
	case r.flipped():
		return "Late events would have made another decision"
	case d == nil || d.Action == "" || !d.AppliedAt.IsZero() || d.Answer == decide.Rejected:
	case d.Mode == string(experiment.Auto) || d.Answer == decide.Approved:
		return "The rollout change is not applied yet"
	default:
		return fmt.Sprintf("Mode is %s: the change waits for you", d.Mode)
	}
	switch {
	case r.Verdict() == decide.Extend:
		return "Extend the plan or end the experiment"
	case r.Behind() > 0 && len(r.Results) == 0:
		return fmt.Sprintf("No results yet, %d days are due", r.Behind())
	case r.Behind() > 0:
		return fmt.Sprintf("Results are %d days behind", r.Behind())
	case r.Changed():
		return "The definition changed after these results"
	}
	return ""
}

// Group is the part of the list that the experiment belongs to.
func (r *Report) Group() string {
	switch {
	case r.Attention() != "":
		return "attention"
	case r.State() == "collecting":
		return "collecting"
	case strings.HasPrefix(r.State(), "concluded"):
		return "concluded"
	}
	return "waiting"
}

// urgency orders experiments by what needs a person first: 0 is most urgent.
func (r *Report) urgency() int {
	switch {
	case len(r.Withheld()) > 0:
		return 0
	case r.Attention() != "" && r.Decision() != nil && r.Verdict() != decide.Running:
		return 1
	case r.Attention() != "":
		return 2
	case r.State() == "not started":
		return 4
	case strings.HasPrefix(r.State(), "concluded"):
		return 5
	}
	return 3
}

func byUrgency(a, b *Report) int {
	return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), strings.Compare(a.Experiment.ID, b.Experiment.ID))
}
