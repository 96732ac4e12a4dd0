package experiment

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"verdict/shared/definition"
)

// checker gathers everything that is wrong with a definition.
type checker struct {
	*Experiment
	doc   definition.Document
	wrong []definition.Complaint
}

// must complains unless ok. A value that could not be read is not complained of twice.
func (c *checker) must(ok bool, path, format string, args ...any) {
	if ok {
		return
	}
	found := c.doc.Complain(path, format, args...)
	same := func(o definition.Complaint) bool { return o.Line == found.Line && o.Column == found.Column }
	if !c.doc.Has(path) || !slices.ContainsFunc(c.wrong, same) {
		c.wrong = append(c.wrong, found)
	}
}

func (c *checker) check(metrics func(string) bool) {
	for _, text := range []struct{ field, value string }{
		{"id", c.ID}, {"name", c.Name}, {"hypothesis", c.Hypothesis}, {"owner", c.Owner}, {"flag", c.Flag}, {"control", c.Control},
	} {
		c.must(strings.TrimSpace(text.value) != "", "$."+text.field, "%s is missing", text.field)
	}
	c.must(c.Unit == "user", "$.unit", "unit must be user, not %q", c.Unit)
	c.must(slices.Contains([]Mode{Observe, Propose, Auto}, c.Mode), "$.mode", "mode must be observe, propose or auto, not %q", c.Mode)
	c.must(!c.Start.IsZero(), "$.start", "start must be a date like 2026-01-05")
	c.must(c.Traffic > 0 && c.Traffic <= 1, "$.traffic", "traffic must lie above 0 and not above 1: the share of users that the flag's rule includes")
	c.must(c.PlannedDays >= 1, "$.planned_days", "planned_days must be at least 1")
	c.must(c.MaximumDays == 0 || c.MaximumDays >= c.PlannedDays, "$.maximum_days", "maximum_days must be at least planned_days (%d)", c.PlannedDays)
	c.must(c.MinimumDays >= 0 && c.MinimumDays <= c.PlannedDays, "$.minimum_days", "minimum_days must lie between 0 and planned_days (%d)", c.PlannedDays)
	c.must(c.PlannedUnits >= 2, "$.planned_units", "planned_units must be at least 2: it tunes the sequential boundary")
	c.must(c.Alpha > 0 && c.Alpha <= 0.2, "$.alpha", "alpha must lie above 0 and not above 0.2, not %g", c.Alpha)
	c.must(c.MDE > 0, "$.minimum_detectable_effect", "minimum_detectable_effect must be above 0 (0.05 is 5 %%)")
	c.checkRamp()
	c.checkVariants()
	c.checkMetrics(metrics)
	if c.Budget != (Budget{}) {
		c.must(c.Budget.Gigabytes > 0, "$.budget.gigabytes", "gigabytes must be above 0")
		c.must(slices.Contains([]Over{Block, Warn, Allow}, c.Budget.Over), "$.budget.over", "over must be block, warn or allow, not %q", c.Budget.Over)
	}
	for i, s := range c.Segments {
		at := fmt.Sprintf("$.segments[%d]", i)
		c.must(property.MatchString(s), at, "a segment is the name of a property, like country, not %q", s)
		c.must(!slices.Contains(c.Segments[:i], s), at, "segment %s stands twice", s)
	}
}

// property is how the tracking plan names properties.
var property = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (c *checker) checkRamp() {
	below, days := 0.0, 0
	for i, s := range c.Ramp {
		at := fmt.Sprintf("$.ramp[%d]", i)
		c.must(s.Traffic > below && s.Traffic < c.Traffic, at+".traffic", "the steps of a ramp must rise, from above 0 to below traffic (%g): less traffic would take variants from users", c.Traffic)
		c.must(s.Days >= 1, at+".days", "a step of a ramp lasts at least 1 day")
		below, days = s.Traffic, days+s.Days
	}
	c.must(days == 0 || days < c.PlannedDays, "$.ramp", "the ramp takes %d days or more, and the experiment is planned for %d", days, c.PlannedDays)
}

func (c *checker) checkVariants() {
	var sum float64
	var keys []string
	for i, v := range c.Variants {
		at := fmt.Sprintf("$.variants[%d]", i)
		c.must(v.Key != "" && !slices.Contains(keys, v.Key), at+".key", "variant %d needs a key of its own", i+1)
		c.must(v.Share > 0 && v.Share < 1, at+".share", "share of %s must lie between 0 and 1", v.Key)
		keys = append(keys, v.Key)
		sum += v.Share
	}
	if len(c.Variants) < 2 {
		c.must(false, "$.variants", "an experiment needs at least two variants")
		return
	}
	c.must(c.Control == "" || slices.Contains(keys, c.Control), "$.control", "control %q is none of the variants", c.Control)
	c.must(math.Abs(sum-1) <= 1e-9, "$.variants", "the shares add up to %g, not 1", sum)
}

func (c *checker) checkMetrics(metrics func(string) bool) {
	goals := 0
	var names []string
	for i, m := range c.Metrics {
		at := fmt.Sprintf("$.metrics[%d]", i)
		switch {
		case !metrics(m.Name):
			c.must(false, at+".metric", "there is no metric %q that experiments can use", m.Name)
		case slices.Contains(names, m.Name):
			c.must(false, at+".metric", "metric %s stands twice", m.Name)
		}
		c.must(slices.Contains([]Role{Goal, Guardrail, Secondary}, m.Role), at+".role", "role must be goal, guardrail or secondary, not %q", m.Role)
		if m.Role == Guardrail {
			c.must(m.Margin > 0 && m.Margin < 1, at+".margin", "guardrail %s needs a margin between 0 and 1: the largest relative worsening to tolerate", m.Name)
		} else {
			c.must(m.Margin == 0, at+".margin", "only a guardrail has a margin")
		}
		if m.Role == Goal {
			goals++
		}
		names = append(names, m.Name)
	}
	c.must(goals > 0, "$.metrics", "an experiment needs a goal metric")
}
