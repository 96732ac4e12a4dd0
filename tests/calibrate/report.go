package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"verdict/shared/stats"
)

// calibration is one run of all studies.
type calibration struct {
	runs int
	seed uint64
	docs string
	now  func() time.Time

	mu    sync.Mutex
	done  int
	label string
	err   io.Writer
	page  strings.Builder
	fails []string
}

// study starts one part and shows its progress.
func (c *calibration) study(label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.label != "" {
		fmt.Fprintf(c.err, "\r%-60s 100 %%\n", c.label)
	}
	c.label, c.done = label, 0
}

func (c *calibration) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	if step := max(1, c.runs/4); c.done%step == 0 && c.done < c.runs {
		fmt.Fprintf(c.err, "\r%-60s %3d %%", c.label, 100*c.done/c.runs)
	}
}

// allowed is the bound that a claim must meet: the upper end of its 95 % interval is at most 1.1
// alpha.
const allowed = 1.1 * alpha

func (c *calibration) run(progress io.Writer) error {
	c.err = progress
	begun := c.now()
	fmt.Fprintf(&c.page, `# Calibration

What [the methods](methods.md) promise, measured. `+"`make calibrate`"+` writes this page: %d experiments for each figure,
seed %d; another seed gives other digits and must give the same answers. Worlds:

`, c.runs, c.seed)
	for _, w := range worlds() {
		fmt.Fprintf(&c.page, "- **%s**: %s\n", w.name, w.about)
	}
	for _, part := range []func() error{c.peeking, c.starts, c.covering, c.guarding, c.splitting, c.many, c.powering} {
		if err := part(); err != nil {
			return err
		}
	}
	c.study("")
	verdict := "Every claim on this page holds: the upper end of each 95 % interval is at most 1.1 alpha.\n"
	if len(c.fails) > 0 {
		verdict = "**Claims that do not hold here**:\n\n- " + strings.Join(c.fails, "\n- ") + "\n"
	}
	fmt.Fprintf(&c.page, "\n## Verdict\n\n%s", verdict)
	if err := os.WriteFile(filepath.Join(c.docs, "calibration.md"), []byte(c.page.String()), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Fprintf(c.err, "%s in %s\n", filepath.Join(c.docs, "calibration.md"), c.now().Sub(begun).Round(time.Second))
	if len(c.fails) > 0 {
		return fmt.Errorf("%d claims do not hold; see the end of the page", len(c.fails))
	}
	return nil
}

func (c *calibration) heading(title, text string) {
	fmt.Fprintf(&c.page, "\n## %s\n\n%s\n\n", title, text)
}

func (c *calibration) row(cells ...string) {
	fmt.Fprintf(&c.page, "| %s |\n", strings.Join(cells, " | "))
}

func (c *calibration) columns(cells ...string) {
	c.row(cells...)
	c.row(strings.Split(strings.TrimSuffix(strings.Repeat("---,", len(cells)), ","), ",")...)
}

// claim is a share that must not lie above a level; it is written with its upper bound.
func (c *calibration) claim(what string, s share, level float64) string {
	_, high := s.wilson()
	if high > level {
		c.fails = append(c.fails, fmt.Sprintf("%s: %s, upper bound %s above %s", what, percent(s.rate()), percent(high), percent(level)))
	}
	return percent(s.rate())
}

func (c *calibration) peeking() error {
	s := logarithmic(firstLook, looks)
	c.heading("False positives under peeking", fmt.Sprintf(`Nothing differs between the arms; %d looks from %d to %d units an arm; the share of experiments in which a rule
rejects at any of them, alpha %g. "naive" and "delta" promise nothing here and show what the others are for.`, looks, firstLook, lastLook, alpha))
	all := rules(s)
	header := []string{"rule"}
	columns := make([]map[string]share, len(worlds()))
	for i, w := range worlds() {
		c.study("false positives: " + w.name)
		header = append(header, w.name)
		columns[i] = c.falsePositives(w, all, s)
	}
	c.columns(header...)
	chart := bars{title: "False positives at any of 60 looks, alpha 5 %", limit: alpha}
	for _, r := range all {
		cells := []string{r.name}
		var values []float64
		for i, w := range worlds() {
			got := share{columns[i][r.name].k, c.runs}
			values = append(values, got.rate())
			switch {
			case r.counts && !w.counts:
				cells = append(cells, "")
			case r.claims:
				cells = append(cells, c.claim(r.name+" on "+w.name, got, allowed))
			default:
				cells = append(cells, percent(got.rate()))
			}
		}
		c.row(cells...)
		if r.drawn {
			chart.series = append(chart.series, series{r.name, values})
		}
	}
	for _, w := range worlds() {
		chart.groups = append(chart.groups, w.name)
	}
	fmt.Fprintln(&c.page)
	for _, r := range all {
		fmt.Fprintf(&c.page, "- %s: %s\n", r.name, r.about)
	}
	return c.plot("false-positives.svg", chart)
}

func (c *calibration) starts() error {
	starts := []int{5, 10, 20, 50, 100, 300, 1000}
	c.heading("From how many units on", `The sequence is asymptotic. False positives of the lift's set over 80 looks up to 10,000 units an arm, by the units of
an arm at the first look, when it is tuned for 100 units an arm: the tuning that trusts early looks most. Verdict looks from 100 on; below, a result is "insufficient", and counts use the exact method.`)
	header := []string{"world"}
	for _, n := range starts {
		header = append(header, itoa(n))
	}
	c.columns(header...)
	chart := lines{title: "False positives by units at the first look", x: "units of an arm at the first look", limit: alpha}
	for _, w := range worlds() {
		c.study("from which n: " + w.name)
		got := c.fromWhich(w, starts)
		cells := []string{w.name}
		line := curve{name: w.name}
		for i, g := range got {
			if starts[i] >= 100 {
				cells = append(cells, c.claim(fmt.Sprintf("sequence from %d units on %s", starts[i], w.name), g, allowed))
			} else {
				cells = append(cells, percent(g.rate()))
			}
			line.x, line.y = append(line.x, float64(starts[i])), append(line.y, g.rate())
		}
		c.row(cells...)
		chart.curves = append(chart.curves, line)
	}
	return c.plot("from-which-n.svg", chart)
}

func (c *calibration) covering() error {
	const lift = 0.1
	c.heading("Coverage at the moment of stopping", fmt.Sprintf(`Treatment is better by %s. The experiment stops when the rule's interval leaves out 0, or at the planned end. The
share of experiments whose interval then holds the truth: 95 %% or more is promised. "naive" stops on Welch's t.`, percent(lift)))
	c.columns("world", "sequence", "sequence, lift", "hybrid", "hybrid, lift", "naive", "naive, lift")
	s := logarithmic(firstLook, looks)
	for _, w := range worlds() {
		c.study("coverage: " + w.name)
		got := c.coverage(w, s, lift)
		cells := []string{w.name}
		for _, name := range []string{"sequence", "sequence, lift", "hybrid", "hybrid, lift"} {
			missed := share{c.runs - got[name].k, c.runs}
			c.claim("misses of "+name+" at stopping on "+w.name, missed, allowed)
			cells = append(cells, percent(1-missed.rate()))
		}
		c.row(append(cells, percent(got["naive"].rate()), percent(got["naive, lift"].rate()))...)
	}
	return nil
}

func (c *calibration) guarding() error {
	const margin = 0.1
	c.heading("Guardrails", fmt.Sprintf(`Treatment is worse by exactly the margin of %s, so that both calls are wrong. The share of experiments with either at
any of %d looks; each is promised at most alpha.`, percent(margin), looks))
	c.columns("world", "called safe", "called violated")
	s := logarithmic(firstLook, looks)
	for _, w := range worlds() {
		c.study("guardrails: " + w.name)
		safe, violated := c.guardrails(w, s, margin)
		c.row(w.name, c.claim("guardrail safe on "+w.name, safe, allowed), c.claim("guardrail violated on "+w.name, violated, allowed))
	}
	return nil
}

func (c *calibration) splitting() error {
	c.heading("Sample ratio", "Alarms within 28 looks of 10,000 units, planned 50 : 50. The chi-square test is valid for one look and is shown for that reason.")
	c.columns("treatment's share", "sequential, 0.01", "sequential, 0.001", "chi-square, 0.01", "chi-square, 0.001", "look of the alarm")
	for _, p := range []float64{0.5, 0.502, 0.505, 0.51} {
		c.study(fmt.Sprintf("sample ratio: %g", p))
		got := c.splits(p)
		cells := []string{percent(p)}
		for _, name := range []string{"sequential, 0.01", "sequential, 0.001", "chi-square, 0.01", "chi-square, 0.001"} {
			s := share{got.alarms[name].k, c.runs}
			if p == 0.5 && strings.HasPrefix(name, "sequential, 0.01") {
				c.claim("sample ratio alarm", s, 1.1*0.01)
			}
			cells = append(cells, percent(s.rate()))
		}
		c.row(append(cells, fmt.Sprintf("%.1f", got.meanLook))...)
	}
	return nil
}

func (c *calibration) many() error {
	c.heading("Twenty metrics", fmt.Sprintf(`%d metrics, correlated %.1f, of which %d move by a twentieth of a standard deviation; 50 looks; judged at the look that
shows most discoveries. FDR: mean share of false discoveries. FWER: share of runs with any.`, metrics, correlation, moving))
	p := func(logE []float64) []float64 {
		out := make([]float64, len(logE))
		for i, e := range logE {
			out[i] = stats.PValue(e)
		}
		return out
	}
	atMost := func(adjusted []float64) []bool {
		out := make([]bool, len(adjusted))
		for i, v := range adjusted {
			out[i] = v <= alpha
		}
		return out
	}
	procedures := map[string]func(logE, fixed []float64) []bool{
		"Holm on anytime p": func(logE, _ []float64) []bool { return atMost(stats.Holm(p(logE))) },
		"e-BH":              func(logE, _ []float64) []bool { return stats.EBH(logE, alpha) },
		"BH on fixed p":     func(_, fixed []float64) []bool { return atMost(stats.BenjaminiHochberg(fixed)) },
	}
	c.study("twenty metrics")
	got := c.manyMetrics(procedures)
	c.columns("procedure", "FDR", "FWER", "of the moving ones found")
	for _, name := range []string{"Holm on anytime p", "e-BH", "BH on fixed p"} {
		if name != "BH on fixed p" && got.fdr[name] > alpha {
			c.fails = append(c.fails, fmt.Sprintf("FDR of %s is %s", name, percent(got.fdr[name])))
		}
		c.row(name, percent(got.fdr[name]), percent(got.fwer[name]), percent(got.found[name]))
	}
	return nil
}

func (c *calibration) powering() error {
	c.study("power")
	c.heading("Power", `An effect that one look at the planned end finds with probability 80 %; 60 looks on a logarithmic schedule: how often a rule
finds it by the planned end, and the share of the planned sample that it takes on average. Exact: the recursion over the
same looks (Brownian motion).`)
	c.columns("rule", "power", "sample", "exact power", "exact sample")
	s := logarithmic(firstLook, looks)
	all := rules(s)
	got := c.power(all)
	exact := exactPower(s)
	for _, r := range all {
		if !r.claims || r.counts || strings.Contains(r.name, "lift") {
			continue
		}
		cells := []string{r.name, percent(got[r.name][0]), percent(got[r.name][1]), "", ""}
		if o, ok := exact[r.name]; ok {
			cells[3], cells[4] = percent(o.Rejects()), percent(o.Sample)
			if gap, noise := got[r.name][0]-o.Rejects(), 4*0.5/math.Sqrt(float64(c.runs)); math.Abs(gap) > noise {
				c.fails = append(c.fails, fmt.Sprintf("power of %s is %s, the recursion says %s", r.name, percent(got[r.name][0]), percent(o.Rejects())))
			}
		}
		c.row(cells...)
	}
	fmt.Fprintf(&c.page, "\nThe table of rules at evenly spaced looks, by recursion alone (no simulation):\n\n")
	c.columns("rule", "looks", "type I error", "power", "sample")
	for _, r := range table() {
		none, some := stats.Operate(r.times, turned(r.bounds), r.bounds, 0), stats.Operate(r.times, turned(r.bounds), r.bounds, fixedDrift())
		c.row(r.name, itoa(len(r.times)), percent(none.Rejects()), percent(some.Rejects()), percent(some.Sample))
	}
	return nil
}

func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 2, 64) + " %" }

func itoa(n int) string { return strconv.Itoa(n) }
