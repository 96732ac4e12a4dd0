package decide_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

func start() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

func day(n int) time.Time { return start().AddDate(0, 0, n) }

// defined is an experiment of 14 days that looks for 5 %, has a goal and a guardrail, and may ship
// from day 7 on.
func defined(treatments ...string) *experiment.Experiment {
	e := &experiment.Experiment{
		ID: "one_page", Name: "One-page checkout", Flag: "checkout", Control: "control", Start: experiment.Date{Time: start()},
		PlannedDays: 14, MinimumDays: 7, PlannedUnits: 20000, Alpha: 0.05, MDE: 0.05, Mode: experiment.Auto,
		Metrics: []experiment.Metric{
			{Name: "purchase", Role: experiment.Goal},
			{Name: "returns", Role: experiment.Guardrail, Margin: 0.02},
			{Name: "clicks", Role: experiment.Secondary},
		},
	}
	for _, v := range append([]string{"control"}, treatments...) {
		e.Variants = append(e.Variants, experiment.Variant{Key: v, Share: 1 / float64(len(treatments)+1)})
	}
	return e
}

func goal(variant, significance string, low, high float64) evaluate.Result {
	return evaluate.Result{
		Metric: "purchase", Label: "Purchases", Role: "goal", Direction: "increase", Variant: variant, Control: "control",
		UnitsControl: 5000, UnitsTreatment: 5000, Days: 7, MeanControl: 0.1, MeanTreatment: 0.1 * (1 + (low+high)/2),
		Lift: (low + high) / 2, LiftLow: low, LiftHigh: high, Significance: significance, Status: "ok",
	}
}

func guardrail(variant, state string) evaluate.Result {
	return evaluate.Result{
		Metric: "returns", Label: "Returns", Role: "guardrail", Direction: "decrease", Variant: variant, Control: "control",
		Margin: 0.02, Lift: 0.01, LiftLow: -0.01, LiftHigh: 0.03, Guardrail: state, Status: "ok",
	}
}

func checks(srm, crossed string) []evaluate.Check {
	return []evaluate.Check{
		{ExperimentID: "one_page", Name: "srm", Status: srm, Detail: "Units per arm."},
		{ExperimentID: "one_page", Name: "multiple_exposure", Status: crossed, Detail: "Units that crossed."},
	}
}

func TestDecide(t *testing.T) {
	const better, worse, safe, open, violated = "better", "worse", "non_inferior", "undetermined", "violated"
	type want struct {
		verdict decide.Verdict
		action  decide.Action
		variant string
		codes   string
	}
	two := []string{"short"}
	three := []string{"short", "long"}
	decrease := goal("short", better, -0.2, -0.1)
	decrease.Direction = "decrease"
	slower := goal("short", "", -0.04, 0.01)
	slower.Direction = "decrease"
	unknown := goal("short", "", math.Inf(-1), math.Inf(1))
	another := goal("short", worse, -0.3, -0.1)
	another.Metric, another.Label = "revenue", "Revenue"
	clicks := goal("short", worse, -0.3, -0.1)
	clicks.Role, clicks.Metric = "secondary", "clicks"
	weekend := goal("short", better, 0.1, 0.2)
	weekend.Days = 6
	dead := goal("short", worse, -1, -1)
	dead.MeanTreatment = 0
	for name, c := range map[string]struct {
		treatments []string
		day        int
		checks     []evaluate.Check
		results    []evaluate.Result
		want       want
	}{
		"ship": {
			two, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{decide.Ship, decide.Conclude, "short", "goal_better guardrail_safe"},
		},
		"a goal has not seen a week": {
			two, 8, checks("pass", "pass"),
			[]evaluate.Result{weekend, guardrail("short", safe)},
			want{decide.Running, "", "", "weekly_cycle"},
		},
		"an outage while a check fails": {
			two, 3, checks("fail", "pass"),
			[]evaluate.Result{dead, guardrail("short", open)},
			want{decide.RollBack, decide.Rollback, "control", "outage goal_worse srm"},
		},
		"an outage of one variant while another wins": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{dead, guardrail("short", safe), goal("long", better, 0.1, 0.2), guardrail("long", open)},
			want{decide.RollBack, decide.Rollback, "control", "outage goal_worse"},
		},
		"ship when less is better": {
			two, 7, checks("pass", "pass"),
			[]evaluate.Result{decrease, guardrail("short", safe)},
			want{decide.Ship, decide.Conclude, "short", "goal_better guardrail_safe"},
		},
		"ship at the planned end": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.01, 0.2), guardrail("short", safe)},
			want{decide.Ship, decide.Conclude, "short", "goal_better guardrail_safe"},
		},
		"a secondary metric never decides": {
			two, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe), clicks},
			want{decide.Ship, decide.Conclude, "short", "goal_better guardrail_safe"},
		},
		"the better of two": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe), goal("long", better, 0.2, 0.4), guardrail("long", safe)},
			want{decide.Ship, decide.Conclude, "long", "goal_better guardrail_safe"},
		},
		"the safe of two": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe), goal("long", better, 0.2, 0.4), guardrail("long", open)},
			want{decide.Ship, decide.Conclude, "short", "goal_better guardrail_safe"},
		},
		"blocked by the split": {
			two, 7, checks("fail", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Blocked, codes: "srm"},
		},
		"blocked by crossing": {
			two, 7, checks("pass", "fail"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Blocked, codes: "multiple_exposure"},
		},
		"blocked before rolled back": {
			two, 7, checks("fail", "fail"),
			[]evaluate.Result{goal("short", worse, -0.2, -0.1), guardrail("short", violated)},
			want{verdict: decide.Blocked, codes: "srm multiple_exposure"},
		},
		"blocked at the planned end": {
			two, 14, checks("fail", "pass"),
			[]evaluate.Result{goal("short", "", -0.01, 0.01), guardrail("short", safe)},
			want{verdict: decide.Blocked, codes: "srm"},
		},
		"minimum run": {
			two, 6, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Running, codes: "minimum_run"},
		},
		"a check that cannot tell yet": {
			two, 7, checks("insufficient", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Running, codes: "srm"},
		},
		"checks that never ran": {
			two, 7, nil,
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Running, codes: "unchecked"},
		},
		"checks that never ran until the end": {
			two, 14, nil,
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", safe)},
			want{verdict: decide.Extend, codes: "goal_better unchecked"},
		},
		"guardrail violated on the first day": {
			two, 1, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.2, 0.2), guardrail("short", violated)},
			want{decide.RollBack, decide.Rollback, "control", "guardrail_violated"},
		},
		"guardrail violated although a goal is better": {
			two, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", violated)},
			want{decide.RollBack, decide.Rollback, "control", "guardrail_violated"},
		},
		"harm needs no check": {
			two, 1, nil,
			[]evaluate.Result{goal("short", "", -0.2, 0.2), guardrail("short", violated)},
			want{decide.RollBack, decide.Rollback, "control", "guardrail_violated"},
		},
		"goal worse": {
			two, 3, checks("pass", "pass"),
			[]evaluate.Result{goal("short", worse, -0.2, -0.1), guardrail("short", open)},
			want{decide.RollBack, decide.Rollback, "control", "goal_worse"},
		},
		"one goal better and one worse": {
			two, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), another, guardrail("short", safe)},
			want{decide.RollBack, decide.Rollback, "control", "goal_worse"},
		},
		"running": {
			two, 13, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.2, 0.2), guardrail("short", open)},
			want{verdict: decide.Running, codes: "undecided guardrail_open"},
		},
		"running with a better goal": {
			two, 13, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", open)},
			want{verdict: decide.Running, codes: "guardrail_open"},
		},
		"stop": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.02, 0.04), guardrail("short", safe)},
			want{verdict: decide.Stop, codes: "no_effect"},
		},
		"stop when less is better": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{slower, guardrail("short", safe)},
			want{verdict: decide.Stop, codes: "no_effect"},
		},
		"extend": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.02, 0.05), guardrail("short", safe)},
			want{verdict: decide.Extend, codes: "undecided"},
		},
		"extend when nothing is known": {
			two, 20, checks("pass", "pass"),
			[]evaluate.Result{unknown, guardrail("short", open)},
			want{verdict: decide.Extend, codes: "undecided guardrail_open"},
		},
		"extend when one of two is undecided": {
			three, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.02, 0.04), guardrail("short", safe), goal("long", "", -0.2, 0.4), guardrail("long", safe)},
			want{verdict: decide.Extend, codes: "no_effect undecided"},
		},
		"extend when better but the guardrail is open": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2), guardrail("short", open)},
			want{verdict: decide.Extend, codes: "goal_better guardrail_open"},
		},
		"extend when a guardrail was not evaluated": {
			two, 14, checks("pass", "pass"),
			[]evaluate.Result{goal("short", better, 0.1, 0.2)},
			want{verdict: decide.Extend, codes: "goal_better"},
		},
		"extend without results": {
			two, 14, checks("pass", "pass"), nil,
			want{verdict: decide.Extend},
		},
		"one of two violates a guardrail": {
			three, 5, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", violated), goal("long", "", -0.1, 0.2), guardrail("long", open)},
			want{decide.RollBack, decide.Rollback, "control", "guardrail_violated"},
		},
		"one of two violates a guardrail and the other ships": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", violated), goal("long", better, 0.1, 0.2), guardrail("long", safe)},
			want{decide.Ship, decide.Conclude, "long", "goal_better guardrail_safe"},
		},
		"one of two violates a guardrail before the other may ship": {
			three, 6, checks("pass", "pass"),
			[]evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", violated), goal("long", better, 0.1, 0.2), guardrail("long", safe)},
			want{decide.RollBack, decide.Rollback, "control", "guardrail_violated"},
		},
		"one of two has a worse goal": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", worse, -0.2, -0.1), guardrail("short", safe), goal("long", "", -0.1, 0.2), guardrail("long", safe)},
			want{verdict: decide.Running, codes: "undecided goal_worse"},
		},
		"both have a worse goal": {
			three, 7, checks("pass", "pass"),
			[]evaluate.Result{goal("short", worse, -0.2, -0.1), guardrail("short", safe), goal("long", worse, -0.2, -0.1), guardrail("long", safe)},
			want{decide.RollBack, decide.Rollback, "control", "goal_worse goal_worse"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := defined(c.treatments...)
			got := decide.Decide(decide.Evidence{Experiment: e, Results: c.results, Checks: c.checks, AsOf: day(c.day)})
			var codes []string
			for _, r := range got.Reasons {
				codes = append(codes, r.Code)
				if !strings.HasSuffix(r.Text, ".") || strings.Contains(r.Text, "%!") || strings.Contains(r.Text, "Inf") {
					t.Errorf("reason reads %q", r.Text)
				}
			}
			if diff := cmp.Diff(c.want, want{got.Verdict, got.Action, got.Variant, strings.Join(codes, " ")}, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, got.Reasons)
			}
			if got.ExperimentID != e.ID || got.Definition != e.Hash() || got.Flag != e.Flag || got.Mode != "auto" || got.AsOf != day(c.day).Format(time.DateOnly) {
				t.Errorf("decision %+v", got)
			}
			if !strings.Contains(got.Headline, e.Name) || !got.AppliedAt.IsZero() {
				t.Errorf("decision %+v", got)
			}
		})
	}
}

func TestReasonsSayFromWhatToWhat(t *testing.T) {
	bounded := guardrail("short", "violated")
	unbounded := bounded
	unbounded.Lift, unbounded.LiftLow, unbounded.LiftHigh, unbounded.MeanControl, unbounded.MeanTreatment = 0, math.Inf(-1), math.Inf(1), 0, 0.03
	for _, c := range []struct {
		result evaluate.Result
		want   string
	}{
		{bounded, "Returns of short is worse by more than the 2 % that is tolerated: +1.0 %, between -1.0 % and +3.0 %."},
		{unbounded, "Returns of short is worse by more than the 2 % that is tolerated: 0.03 against 0 of control."},
	} {
		got := decide.Decide(decide.Evidence{Experiment: defined("short"), Results: []evaluate.Result{c.result}, AsOf: day(1)})
		if len(got.Reasons) != 1 || got.Reasons[0].Text != c.want {
			t.Errorf("got %+v, want %q", got.Reasons, c.want)
		}
	}
}

// chance makes evidence of any kind on an experiment of two to four arms, two goals and two guardrails.
func chance(random *rand.Rand) decide.Evidence {
	e := defined([]string{"a", "b", "c"}[:1+random.IntN(3)]...)
	e.Metrics = append(e.Metrics, experiment.Metric{Name: "revenue", Role: experiment.Goal}, experiment.Metric{Name: "latency", Role: experiment.Guardrail, Margin: 0.1})
	in := decide.Evidence{Experiment: e, AsOf: day(1 + random.IntN(20)), Checks: checks("pass", "pass")}
	if random.IntN(5) == 0 {
		in.Checks[random.IntN(2)].Status = []string{"fail", "insufficient"}[random.IntN(2)]
	}
	for _, v := range e.Variants[1:] {
		for _, m := range e.Metrics {
			low := random.Float64() - 0.5
			r := goal(v.Key, "", low, low+random.Float64()/4)
			r.Metric, r.Role = m.Name, string(m.Role)
			r.Direction = []string{"increase", "decrease"}[random.IntN(2)]
			r.Significance = []string{"", "", "better", "better", "worse"}[random.IntN(5)]
			if m.Role == experiment.Guardrail {
				r.Guardrail = []string{"non_inferior", "non_inferior", "non_inferior", "undetermined", "violated"}[random.IntN(5)]
			}
			in.Results = append(in.Results, r)
		}
	}
	return in
}

const trials = 5000

func TestOnlySafeVariantsShip(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	shipped := 0
	for range trials {
		in := chance(random)
		got := decide.Decide(in)
		if got.Verdict != decide.Ship {
			if got.Action == decide.Conclude {
				t.Fatalf("%s concludes: %+v", got.Verdict, in)
			}
			continue
		}
		shipped++
		better := false
		for _, r := range in.Results {
			if r.Variant != got.Variant {
				continue
			}
			if r.Role == "guardrail" && r.Guardrail != "non_inferior" || r.Role == "goal" && r.Significance == "worse" {
				t.Fatalf("ships %s: %+v", got.Variant, r)
			}
			better = better || r.Role == "goal" && r.Significance == "better"
		}
		early := in.AsOf.Before(day(in.Experiment.MinimumDays))
		failed := slices.ContainsFunc(in.Checks, func(c evaluate.Check) bool { return c.Status != "pass" })
		if !better || early || failed || got.Variant == "control" {
			t.Fatalf("ships %q: %+v", got.Variant, in)
		}
	}
	if shipped < trials/20 {
		t.Errorf("%d of %d ship: too few to tell", shipped, trials)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range trials {
		in := chance(random)
		want := decide.Decide(in)
		in.Results, in.Checks = slices.Clone(in.Results), slices.Clone(in.Checks)
		random.Shuffle(len(in.Results), func(i, j int) { in.Results[i], in.Results[j] = in.Results[j], in.Results[i] })
		random.Shuffle(len(in.Checks), func(i, j int) { in.Checks[i], in.Checks[j] = in.Checks[j], in.Checks[i] })
		got := decide.Decide(in)
		if got.ID != want.ID {
			t.Errorf("id %s, want %s", got.ID, want.ID)
		}
		sameOutcome(t, want, got)
		// Variants in another order are another definition, and the same verdict.
		e := *in.Experiment
		e.Variants = slices.Clone(e.Variants)
		random.Shuffle(len(e.Variants), func(i, j int) { e.Variants[i], e.Variants[j] = e.Variants[j], e.Variants[i] })
		in.Experiment = &e
		sameOutcome(t, want, decide.Decide(in))
		if t.Failed() {
			t.Fatalf("%+v", in)
		}
	}
}

func sameOutcome(t *testing.T, want, got decide.Decision) {
	t.Helper()
	sorted := func(d decide.Decision) []string {
		out := []string{string(d.Verdict), string(d.Action), d.Variant, d.Headline}
		var reasons []string
		for _, r := range d.Reasons {
			reasons = append(reasons, r.Code+r.Text)
		}
		slices.Sort(reasons)
		return append(out, reasons...)
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Better evidence on one figure never makes the verdict worse.
func TestMoreEvidenceForIsNeverAgainst(t *testing.T) {
	rank := map[decide.Verdict]int{decide.Blocked: 0, decide.RollBack: 1, decide.Running: 2, decide.Stop: 2, decide.Extend: 2, decide.Ship: 3}
	random := rand.New(rand.NewPCG(9, 10))
	rose := 0
	for range trials {
		in := chance(random)
		before := decide.Decide(in)
		if before.Verdict == decide.Blocked {
			continue
		}
		in.Results = slices.Clone(in.Results)
		r := &in.Results[random.IntN(len(in.Results))]
		r.Significance = map[string]string{"worse": "", "": "better", "better": "better"}[r.Significance]
		if r.Guardrail != "" {
			r.Guardrail = map[string]string{"violated": "undetermined", "undetermined": "non_inferior", "non_inferior": "non_inferior"}[r.Guardrail]
		}
		after := decide.Decide(in)
		if rank[after.Verdict] < rank[before.Verdict] {
			t.Fatalf("from %s to %s by a better %s: %+v", before.Verdict, after.Verdict, r.Metric, in)
		}
		if rank[after.Verdict] > rank[before.Verdict] {
			rose++
		}
	}
	if rose < trials/50 {
		t.Errorf("%d of %d verdicts rose: too few to tell", rose, trials)
	}
}

func TestTheIDNamesWhatWasDecidedOnWhat(t *testing.T) {
	e := defined("short", "long")
	ship := decide.Evidence{
		Experiment: e, Checks: checks("pass", "pass"), AsOf: day(7),
		Results: []evaluate.Result{goal("short", "better", 0.1, 0.2), guardrail("short", "non_inferior")},
	}
	id := decide.Decide(ship).ID
	if again := decide.Decide(ship).ID; again != id || len(id) != 16 {
		t.Errorf("id %q, then %q", id, again)
	}
	ids := map[string]string{id: "ship"}
	other := func(what string, in decide.Evidence) {
		id := decide.Decide(in).ID
		if ids[id] != "" {
			t.Errorf("%s has the id of %s", what, ids[id])
		}
		ids[id] = what
	}
	blocked := ship
	blocked.Checks = checks("fail", "pass")
	other("another verdict", blocked)
	later := ship
	later.AsOf = day(8)
	other("another day", later)
	redefined := ship
	changed := *e
	changed.MDE = 0.1
	redefined.Experiment = &changed
	other("another definition", redefined)
	long := ship
	long.Results = []evaluate.Result{goal("long", "better", 0.1, 0.2), guardrail("long", "non_inferior")}
	other("another variant", long)
}

// A treatment that kills every conversion is rolled back, from cells to verdict, whatever the rate it
// kills and whether purchases are its goal or its guardrail.
func TestATotalOutageIsRolledBack(t *testing.T) {
	const units = 10_000
	for _, role := range []experiment.Metric{{Name: "purchase", Role: experiment.Goal}, {Name: "purchase", Role: experiment.Guardrail, Margin: 0.02}} {
		e := defined("short")
		e.Metrics = []experiment.Metric{role, {Name: "returns", Role: experiment.Goal}}
		metrics := []metric.Metric{
			{Name: "purchase", Label: "Purchases", Kind: metric.Conversion, Increase: true, Window: metric.Window{Length: 1}},
			{Name: "returns", Label: "Returns", Kind: metric.Conversion, Window: metric.Window{Length: 1}},
		}
		rule := evaluate.Rule(e)
		for _, converted := range []int64{30, 300, 3000, 9900, units} {
			t.Run(fmt.Sprintf("%d of %d as %s", converted, units, role.Role), func(t *testing.T) {
				var cells []measure.Statistic
				var traffic []measure.Exposure
				for v, k := range map[string]int64{"control": converted, "short": 0} {
					p := float64(k) / units
					cells = append(cells,
						measure.Statistic{Metric: "purchase", Variant: v, ExposureDate: "2026-01-05", Units: units, Nonzero: k, MeanY: p, YY: units * p * (1 - p)},
						// With nothing bought nothing is returned: that looks like success.
						measure.Statistic{Metric: "returns", Variant: v, ExposureDate: "2026-01-05", Units: units, MeanY: p / 10, YY: units * p / 10 * (1 - p/10)})
					traffic = append(traffic, measure.Exposure{Variant: v, ExposureDate: "2026-01-05", Units: units})
				}
				for _, n := range []int{2, 7, 14} {
					results, validity := evaluate.Evaluate(evaluate.Input{
						Experiment: e, Metrics: metrics, Statistics: cells, Traffic: traffic, AsOf: day(n), Rule: rule,
					})
					got := decide.Decide(decide.Evidence{Experiment: e, Results: results, Checks: validity, AsOf: day(n)})
					if got.Verdict != decide.RollBack || got.Action != decide.Rollback || got.Variant != "control" {
						t.Errorf("day %d: %s %+v, want a roll back", n, got.Verdict, got.Reasons)
					}
				}
			})
		}
	}
}
