package decide_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
)

// ramping starts with 10 % of users for 3 days, then half of them for 4, then all.
func ramping() *experiment.Experiment {
	e := defined("short")
	e.Traffic, e.Ramp = 1, []experiment.Step{{Traffic: 0.1, Days: 3}, {Traffic: 0.5, Days: 4}}
	return e
}

func TestRamp(t *testing.T) {
	undecided := []evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", "undetermined")}
	harmful := []evaluate.Result{goal("short", "", -0.1, 0.2), goal("long", "worse", -0.3, -0.1), guardrail("short", "undetermined"), guardrail("long", "undetermined")}
	at := func(included float64, since int) *decide.Rollout {
		return &decide.Rollout{Included: included, Since: day(since)}
	}
	for name, c := range map[string]struct {
		day      int
		rollout  *decide.Rollout
		checks   []evaluate.Check
		results  []evaluate.Result
		verdict  decide.Verdict
		included float64 // 0: traffic stays
		says     string
	}{
		"the step has not lasted":    {2, at(0.1, 0), checks("pass", "pass"), undecided, decide.Running, 0, "Traffic stays at 10 % until it has been there for 3 days"},
		"the first step":             {3, at(0.1, 0), checks("pass", "pass"), undecided, decide.Running, 0.5, "Traffic grows from 10 % to 50 %"},
		"the second has not lasted":  {6, at(0.5, 3), checks("pass", "pass"), undecided, decide.Running, 0, "Traffic stays at 50 % until it has been there for 4 days: since 2026-01-08"},
		"the second step":            {7, at(0.5, 3), checks("pass", "pass"), undecided, decide.Running, 1, "Traffic grows from 50 % to 100 %"},
		"through":                    {8, at(1, 7), checks("pass", "pass"), undecided, decide.Running, 0, ""},
		"beyond the plan":            {8, at(0.7, 7), checks("pass", "pass"), undecided, decide.Running, 0, "Traffic stays at 70 % until it has been there for 4 days"},
		"not known":                  {3, nil, checks("pass", "pass"), undecided, decide.Running, 0, "is not known, or the flag is off"},
		"a check is not through":     {3, at(0.1, 0), checks("insufficient", "pass"), undecided, decide.Running, 0, "until every validity check passes"},
		"no check ran":               {3, at(0.1, 0), nil, undecided, decide.Running, 0, "until every validity check passes"},
		"a check failed":             {3, at(0.1, 0), checks("fail", "pass"), undecided, decide.Blocked, 0, ""},
		"a variant does harm":        {3, at(0.1, 0), checks("pass", "pass"), harmful, decide.Running, 0, "while a variant does harm"},
		"a guardrail is violated":    {3, at(0.1, 0), checks("pass", "pass"), harming(), decide.RollBack, 0, ""},
		"a winner waits for the end": {8, at(0.5, 7), checks("pass", "pass"), winning(), decide.Running, 0, "The ramp is not through: 50 % of users are included, and 100 % come next"},
		"a winner when nobody knows": {8, nil, checks("pass", "pass"), winning(), decide.Running, 0, "The ramp is not known to be through"},
		"a winner after it":          {8, at(1, 7), checks("pass", "pass"), winning(), decide.Ship, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := ramping()
			if len(c.results) > 2 {
				e.Variants = []experiment.Variant{{Key: "control", Share: 0.4}, {Key: "short", Share: 0.3}, {Key: "long", Share: 0.3}}
			}
			got := decide.Decide(decide.Evidence{Experiment: e, Results: c.results, Checks: c.checks, AsOf: day(c.day), Rollout: c.rollout})
			if got.Verdict != c.verdict || got.Included != c.included || (got.Action == decide.Ramp) != (c.included > 0) {
				t.Errorf("%s, %s to %g, want %s to %g", got.Verdict, got.Action, got.Included, c.verdict, c.included)
			}
			var reasons strings.Builder
			for _, r := range got.Reasons {
				reasons.WriteString(r.Text + "\n")
			}
			if !strings.Contains(reasons.String(), c.says) {
				t.Errorf("reasons %s, want %q", reasons.String(), c.says)
			}
		})
	}
}

func TestStepsOfARampHaveIDsOfTheirOwn(t *testing.T) {
	evidence := decide.Evidence{Experiment: ramping(), Results: []evaluate.Result{goal("short", "", -0.1, 0.2), guardrail("short", "undetermined")}, Checks: checks("pass", "pass"), AsOf: day(9), Rollout: &decide.Rollout{Included: 0.1, Since: day(0)}}
	first := decide.Decide(evidence)
	evidence.Rollout = &decide.Rollout{Included: 0.5, Since: day(1)}
	if second := decide.Decide(evidence); first.Action != decide.Ramp || second.Action != decide.Ramp || first.ID == second.ID {
		t.Errorf("steps %+v and %+v", first, second)
	}
}

// Traffic only grows, only to the next step, and only while nothing is harmed and every check passes.
func TestTrafficGrowsOnEvidenceOnly(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	raised := 0
	for range trials {
		in := chance(random)
		e := *in.Experiment
		e.Traffic, e.Ramp = 1, []experiment.Step{{Traffic: 0.1, Days: 1 + random.IntN(4)}, {Traffic: 0.5, Days: 1 + random.IntN(4)}}
		in.Experiment = &e
		in.Rollout = &decide.Rollout{Included: []float64{0.05, 0.1, 0.3, 0.5, 1}[random.IntN(5)], Since: in.AsOf.AddDate(0, 0, -random.IntN(6))}
		got := decide.Decide(in)
		if got.Verdict == decide.Ship && in.Rollout.Included < 1 {
			t.Fatalf("ships from %g: %+v", in.Rollout.Included, in)
		}
		if got.Action != decide.Ramp {
			continue
		}
		raised++
		at, next, more := e.After(in.Rollout.Included)
		lasted := in.AsOf.Sub(in.Rollout.Since) >= time.Duration(at.Days)*24*time.Hour
		if got.Verdict != decide.Running || !more || got.Included != next || next <= in.Rollout.Included || !lasted {
			t.Fatalf("%s, from %g to %g: %+v", got.Verdict, in.Rollout.Included, got.Included, in)
		}
		for _, c := range in.Checks {
			if c.Status != "pass" {
				t.Fatalf("traffic grows while %s is %s", c.Name, c.Status)
			}
		}
		for _, r := range in.Results {
			if r.Guardrail == "violated" || r.Role == "goal" && r.Significance == "worse" {
				t.Fatalf("traffic grows although %+v", r)
			}
		}
	}
	if raised < trials/50 {
		t.Errorf("%d of %d raise traffic: too few to tell", raised, trials)
	}
}
