package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/fault"
)

// Difference is one field that does not come out again.
type Difference struct {
	Field      string `json:"field"`
	Stated     string `json:"stated"`
	Recomputed string `json:"recomputed"`
}

// Report says what became of recomputing a bundle.
type Report struct {
	Hash        string       `json:"hash"` // of the content that was read
	Experiment  string       `json:"experiment_id"`
	AsOf        string       `json:"as_of"`
	Verdict     string       `json:"verdict"`
	Engine      Engine       `json:"engine"` // that made the bundle
	Figures     int          `json:"figures"`
	Identical   bool         `json:"identical"` // to the last byte
	Differences []Difference `json:"differences"`
}

// OK tells whether everything came out as stated.
func (r Report) OK() bool { return len(r.Differences) == 0 }

// Verify recomputes the results, the checks and the decision of a bundle from the statistics and definitions in it, by
// this version of Verdict, and compares; and it compares the content with the hash that the file's name states, if it
// states one. What cannot be read is fault.Invalid.
func Verify(name string, file []byte) (Report, error) {
	content, err := Decompress(file)
	if err != nil {
		return Report{}, err
	}
	b, err := Decode(content)
	if err != nil {
		return Report{}, err
	}
	in, err := b.given()
	if err != nil {
		return Report{}, fault.New(fault.Invalid, "verify bundle: %w", err)
	}
	in.Rule = evaluate.Rule(in.Experiment)
	report, err := b.verify(content, in)
	if stated := Stated(name); err == nil && stated != "" && stated != report.Hash {
		report.Differences = append(report.Differences, Difference{"name", stated, report.Hash})
	}
	return report, err
}

// verify recomputes with a rule that is known.
func (b *Bundle) verify(content []byte, in evaluate.Input) (Report, error) {
	var err error
	if in.AsOf, err = time.Parse(time.DateOnly, b.AsOf); err != nil {
		return Report{}, fault.New(fault.Invalid, "verify bundle: %w", err)
	}
	results, checks := evaluate.Evaluate(in)
	evidence := decide.Gather(in.Experiment, results, checks, in.AsOf)
	evidence.Rollout = b.Rollout
	again := *b
	if err := again.conclude(evidence, decide.Decide(evidence)); err != nil {
		return Report{}, err
	}

	report := Report{Experiment: in.Experiment.ID, AsOf: b.AsOf, Engine: b.Engine, Differences: []Difference{}}
	_ = json.Unmarshal(b.Decision["verdict"], &report.Verdict) // compared below
	c := comparison{report: &report, exact: b.Engine.Architecture == runtime.GOARCH}
	c.text("experiment.hash", b.Experiment.Hash, hash(b.Experiment.Text))
	c.text("experiment.hash as this version reads it", b.Experiment.Hash, in.Experiment.Hash())
	for i, m := range b.Metrics {
		c.text("metrics["+in.Metrics[i].Name+"].hash", m.Hash, hash(m.Text))
		c.text(fmt.Sprintf("metrics[%d].name", i), in.Experiment.Metrics[i].Name, in.Metrics[i].Name)
	}
	again.Results = c.rows("results", b.Results, again.Results, "metric", "variant")
	again.Checks = c.rows("checks", b.Checks, again.Checks, "name")
	again.Decision = c.row("decision", b.Decision, again.Decision)

	recomputed, _, err := again.Encode()
	if err != nil {
		return Report{}, err
	}
	report.Hash = contentHash(content)
	report.Identical = bytes.Equal(content, recomputed)
	if !report.Identical && c.exact && report.OK() {
		c.differ("file", "these bytes", "the same figures in other bytes: it was not written by Verdict, or by a newer one")
	}
	return report, nil
}

// comparison collects differences.
type comparison struct {
	report *Report
	exact  bool // the numbers were computed on an architecture like this one
}

func (c comparison) differ(field, stated, recomputed string) {
	c.report.Differences = append(c.report.Differences, Difference{field, stated, recomputed})
}

func (c comparison) text(field, stated, recomputed string) {
	if stated != recomputed {
		c.differ(field, stated, recomputed)
	}
}

// rows compares tables by their keys. It returns the recomputed rows with the columns that are stated: a newer version
// may know more.
func (c comparison) rows(table string, stated, recomputed []Row, key ...string) []Row {
	name := func(r Row) string {
		out := []string{table}
		for _, k := range key {
			var value string
			_ = json.Unmarshal(r[k], &value) // what is no text names nothing
			out = append(out, "["+value+"]")
		}
		return strings.Join(out, "")
	}
	if len(stated) != len(recomputed) {
		c.differ(table, fmt.Sprintf("%d rows", len(stated)), fmt.Sprintf("%d rows", len(recomputed)))
	}
	out := make([]Row, 0, len(stated))
	for _, s := range stated {
		at := slices.IndexFunc(recomputed, func(r Row) bool { return name(r) == name(s) })
		if at < 0 {
			c.differ(name(s), "a row", "none")
			continue
		}
		out = append(out, c.row(name(s), s, recomputed[at]))
	}
	for _, r := range recomputed {
		if !slices.ContainsFunc(stated, func(s Row) bool { return name(s) == name(r) }) {
			c.differ(name(r), "none", "a row")
		}
	}
	return out
}

func (c comparison) row(name string, stated, recomputed Row) Row {
	out := Row{}
	for _, column := range sortedColumns(stated) {
		c.report.Figures++
		now, known := recomputed[column]
		switch {
		case !known:
			c.differ(name+"."+column, string(stated[column]), "not known to this version")
		case c.same(stated[column], now):
			out[column] = now
		default:
			out[column] = now
			c.differ(name+"."+column, string(stated[column]), string(now))
		}
	}
	return out
}

func sortedColumns(r Row) []string {
	var out []string
	for column := range r {
		out = append(out, column)
	}
	slices.Sort(out)
	return out
}

// tolerance is how far a number may be off that another architecture computed: its compiler fuses multiplications with
// additions, and its exponentials and logarithms round otherwise. See docs/adr/0009 for what was measured.
const (
	tolerance = 1e-9  // relative
	nothing   = 1e-12 // absolute: p-values below it are equally small
)

func (c comparison) same(stated, recomputed json.RawMessage) bool {
	if bytes.Equal(stated, recomputed) {
		return true
	}
	if c.exact {
		return false
	}
	var x, y float64
	if json.Unmarshal(stated, &x) != nil || json.Unmarshal(recomputed, &y) != nil {
		return false
	}
	return math.Abs(x-y) <= nothing+tolerance*max(math.Abs(x), math.Abs(y))
}
