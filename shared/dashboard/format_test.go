package dashboard

import (
	"math"
	"testing"

	"verdict/shared/evaluate"
)

func TestNumbersForPeople(t *testing.T) {
	unbounded := math.Inf(1)
	for name, c := range map[string]struct{ got, want string }{
		"percent":                    {value(0.08734, "percent"), "8.73%"},
		"currency":                   {value(1234.5, "currency"), "1,234.50"},
		"small number":               {value(0.1234, "number"), "0.123"},
		"large number":               {value(1234567.891, "number"), "1,234,567.89"},
		"no number":                  {value(math.NaN(), "percent"), "–"},
		"negative mean":              {value(-1234.5, "currency"), "−1,234.50"},
		"lift up":                    {signed(0.0321, 1), "+3.2%"},
		"lift down":                  {signed(-0.0321, 1), "−3.2%"},
		"no lift":                    {signed(0, 1), "0.0%"},
		"a lift that rounds to none": {signed(-0.0001, 1), "0.0%"},
		"interval":                   {interval(-0.031, 0.12), "[−3.1%, +12.0%]"},
		"narrow interval":            {interval(0.0011, 0.0049), "[+0.11%, +0.49%]"},
		"half open interval":         {interval(-0.2, unbounded), "[−20.0%, unbounded]"},
		"open interval":              {interval(-unbounded, unbounded), "unbounded"},
		"p":                          {probability(0.04671), "0.0467"},
		"tiny p":                     {probability(3e-11), "< 0.0001"},
		"p of one":                   {probability(1), "1"},
		"chance":                     {chance(0.9824), "98.2%"},
		"never certain":              {chance(1), "> 99.9%"},
		"never impossible":           {chance(0), "< 0.1%"},
		"share":                      {share(0.5), "50%"},
		"odd share":                  {share(0.005), "0.5%"},
		"count":                      {count(50000), "50,000"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		})
	}
}

func TestMarginStandsOnTheHarmfulSide(t *testing.T) {
	for direction, want := range map[string]float64{"increase": -0.05, "decrease": 0.05} {
		if got := signedMargin(evaluate.Result{Direction: direction, Margin: 0.05}); got != want {
			t.Errorf("%s: got %g, want %g", direction, got, want)
		}
	}
}

func TestScaleKeepsDrawingsInside(t *testing.T) {
	wide := evaluate.Result{Status: "ok", Lift: 0.05, FixedLiftLow: 0.01, FixedLiftHigh: 0.09, LiftLow: math.Inf(-1), LiftHigh: 40}
	low, high := span([]evaluate.Result{wide})
	if math.IsInf(low, 0) || high > 1 {
		t.Errorf("an open interval stretches the scale to [%g, %g]", low, high)
	}
	b := scale{low, high, 0, 100}.draw(wide, 100, 20)
	if b.ArrowHigh == "" || b.ArrowLow == "" || b.Length != "100.0" {
		t.Errorf("an open interval is not drawn open: %+v", b)
	}
}

func TestTicksAreRound(t *testing.T) {
	got := scale{-0.13, 0.27, 0, 100}.labels(4)
	want := []string{"−10%", "0%", "+10%", "+20%"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i].Label != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
