package analyze

import (
	"fmt"

	"verdict/shared/stats"
)

// corrections are the procedures for many p-values, by the name a case gives.
var corrections = map[string]func([]float64) []float64{
	"holm": stats.Holm,
}

func correct(goals []*Comparison, name string) error {
	if name == "" {
		name = "holm"
	}
	if name == "none" {
		return nil
	}
	adjust, ok := corrections[name]
	if !ok {
		return fmt.Errorf("correction is %q; want none, bonferroni, holm, hochberg, hommel, bh or by", name)
	}
	column := func(p func(*Comparison) Number) []float64 {
		out := make([]float64, len(goals))
		for i, g := range goals {
			out[i] = float64(p(g))
		}
		return adjust(out)
	}
	fixed := column(func(c *Comparison) Number { return c.Fixed.P })
	sequential := column(func(c *Comparison) Number { return c.Sequential.P })
	hybrid := column(func(c *Comparison) Number { return c.Hybrid.P })
	for i, g := range goals {
		g.AdjustedP = &Adjusted{Fixed: Number(fixed[i]), Sequential: Number(sequential[i]), Hybrid: Number(hybrid[i])}
	}
	return nil
}
