package planning_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/experiment"
	"verdict/shared/measure/measuretest"
	"verdict/shared/register"
)

// Of 200 new people a day, a ramp of three days at a tenth lets 20 in, and then all.
func TestAPlanFollowsTheRamp(t *testing.T) {
	p, e := shop(t), planned("new")
	whole, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	e.Ramp = []experiment.Step{{Traffic: 0.1, Days: 3}}
	got, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(0.1*daily*21 + 0.9*daily*(21-3)); got.ExpectedUnits != want || got.RampDays != 3 || whole.RampDays != 0 {
		t.Errorf("%d units in a ramp of %d days, want %d", got.ExpectedUnits, got.RampDays, want)
	}
	before, after := whole.Metrics[0], got.Metrics[0]
	near(t, "what it needs", *after.Needed, *before.Needed, 1e-9)
	near(t, "its days", *after.Days, *before.Days+0.9*3, 1e-6)
	if after.PowerAtEnd >= before.PowerAtEnd || !(*after.Expected > *before.Expected) {
		t.Errorf("with a ramp %+v, without %+v", after, before)
	}
	e.Ramp = []experiment.Step{{Traffic: 0.1, Days: 3}, {Traffic: 0.6, Days: 15}}
	if got, err = p.Plan(t.Context(), question(e)); err != nil {
		t.Fatal(err)
	}
	if o := got.Metrics[0]; got.RampDays != 18 || *o.Days < 19 || *o.Expected < 19 {
		t.Errorf("decided after %g of %g days, and a ramp of %d days is not through", *o.Expected, *o.Days, got.RampDays)
	}
}

func TestNothingIsDecidedBeforeTheMinimumRun(t *testing.T) {
	p, e := shop(t), planned("new")
	e.MDE, e.MinimumDays = 1, 14 // twice as many buy: a few days would do
	got, err := p.Plan(t.Context(), question(e))
	if err != nil {
		t.Fatal(err)
	}
	if o := got.Metrics[0]; *o.Days != 14 || *o.Expected < 14 || *o.Expected > 21 {
		t.Errorf("decided after %g of %g days", *o.Expected, *o.Days)
	}
}

// Units of an experiment that ramped count for what all of its traffic would have been.
func TestThePopulationMayHaveRamped(t *testing.T) {
	p := shop(t)
	store, w := p.Objects.(*directory.Store), p.Catalog.(*duck.Warehouse)
	var exposures []measuretest.Exposure
	for d := range span {
		enters := daily
		if d < 3 {
			enters = daily / 10
		}
		for i := range enters {
			at := day(d).Add(time.Duration(i) * time.Minute)
			exposures = append(exposures, measuretest.Exposure{Experiment: "ramped", Unit: fmt.Sprintf("a:%d-%d", d, i), Variant: "control", First: at, Day: at.Format(time.DateOnly)})
		}
	}
	publish(t, store, w, "fact_experiment_exposure", "", exposures)
	q := question(planned("new"))
	q.Population.Like, q.Entered = "ramped", []experiment.Stage{{Day: 0, Traffic: 0.1}, {Day: 3, Traffic: 1}}
	got, err := p.Plan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if got.UnitsSeen != daily*(span-3)+3*daily/10 || got.ExpectedUnits != daily*21 {
		t.Errorf("%d units were seen, and %d will come, want %d", got.UnitsSeen, got.ExpectedUnits, daily*21)
	}
}

// A changed definition is read out with the ramp where its days put it: nothing ships from its first step.
func TestAReadoutKnowsTheRamp(t *testing.T) {
	p, e := shop(t), planned("running")
	e.Ramp = []experiment.Step{{Traffic: 0.5, Days: span}}
	registered, err := register.New(e, metrics(), day(0))
	if err != nil {
		t.Fatal(err)
	}
	for days, want := range map[int]string{span - 2: "ramp_waits", span + 3: ""} {
		got, err := p.Change(t.Context(), registered, e, metrics(), day(days))
		if err != nil {
			t.Fatal(err)
		}
		waits := slices.ContainsFunc(got.After.Reasons, func(r decide.Reason) bool { return r.Code == "ramp_waits" })
		if waits != (want != "") {
			t.Errorf("after %d days: %+v", days, got.After.Reasons)
		}
	}
}
