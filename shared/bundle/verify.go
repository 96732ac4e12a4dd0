package bundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/stats"
)

// Difference is one field that does not come out again.
type Difference struct {
	Field      string `json:"field"`
	Stated     string `json:"stated"`
	Recomputed string `json:"recomputed"`
}

// Report says what became of recomputing a bundle.
type Report struct {
	Hash        string       `json:"hash"`          // of the content that was read
	Named       string       `json:"named_by_file"` // the hash that the file's name states, or empty
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
	report, err := b.verify(content, evaluate.Rule)
	if err != nil {
		return report, err
	}
	if report.Named = Stated(name); report.Named != "" && report.Named != report.Hash {
		report.Differences = append(report.Differences, Difference{"name", report.Named, report.Hash})
	}
	return report, nil
}

// verify recomputes. A rule takes a while to plan, so whoever knows it gives it.
func (b *Bundle) verify(content []byte, rule func(*experiment.Experiment) stats.Hybrid) (Report, error) {
	in, err := b.input()
	if err != nil {
		return Report{}, fault.New(fault.Invalid, "verify bundle: %w", err)
	}
	in.Rule = rule(in.Experiment)
	results, checks := evaluate.Evaluate(in)
	evidence := decide.Gather(in.Experiment, results, checks, in.AsOf)
	evidence.Rollout = b.Rollout
	again := *b
	if err := again.conclude(evidence, decide.Decide(evidence)); err != nil {
		return Report{}, err
	}

	report := Report{Hash: contentHash(content), Experiment: in.Experiment.ID, AsOf: b.AsOf, Engine: b.Engine, Differences: []Difference{}}
	_ = json.Unmarshal(b.Decision["verdict"], &report.Verdict) // compared below
	c := comparison{report: &report, exact: b.Engine.alike(thisEngine()), words: b.Engine.Version == evaluate.Version}
	if err := c.given(b, in); err != nil {
		return Report{}, err
	}
	again.Results = c.rows("results", b.Results, again.Results, "metric", "variant")
	again.Checks = c.rows("checks", b.Checks, again.Checks, "name")
	again.Decision = c.row("decision", b.Decision, again.Decision)
	return report, c.bytes(content, b, &again)
}

// comparison collects differences.
type comparison struct {
	report *Report
	exact  bool // the numbers were computed by an engine like this one
	words  bool // and so were the words; an older version's are its own
}

// given compares what was given with the hashes that the bundle states for it.
func (c comparison) given(b *Bundle, in evaluate.Input) error {
	parts, err := b.parts()
	if err != nil {
		return err
	}
	for _, name := range sortedColumns(parts, b.Given) {
		c.text(name, cmp.Or(b.Given[name], "nothing"), cmp.Or(parts[name], "nothing"))
	}
	c.text("experiment.hash", b.Experiment.Hash, in.Experiment.Hash())
	for i, m := range b.Metrics {
		c.text("metrics["+in.Metrics[i].Name+"].hash", m.Hash, hash(m.Text))
		c.text(fmt.Sprintf("metrics[%d].name", i), in.Experiment.Metrics[i].Name, in.Metrics[i].Name)
	}
	return nil
}

// bytes compares the file with what Verdict writes for what is stated in it, and for what came out.
func (c comparison) bytes(content []byte, stated, recomputed *Bundle) error {
	written, _, err := stated.Encode()
	if err != nil {
		return err
	}
	if !bytes.Equal(content, written) {
		c.differ("file", "these bytes", "other bytes for the same: it was not written by Verdict")
	}
	if written, _, err = recomputed.Encode(); err != nil {
		return err
	}
	c.report.Identical = bytes.Equal(content, written)
	if !c.report.Identical && c.exact && c.report.OK() {
		c.differ("file", "these rows", "the same rows in another order")
	}
	return nil
}

func (c comparison) differ(field, stated, recomputed string) {
	c.report.Differences = append(c.report.Differences, Difference{field, stated, recomputed})
}

func (c comparison) text(field, stated, recomputed string) {
	if stated != recomputed {
		c.differ(field, stated, recomputed)
	}
}

// rows compares tables by their keys. It returns the recomputed rows, with the columns that are stated: a newer engine
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
	out := make([]Row, 0, len(recomputed))
	for _, r := range recomputed {
		at := slices.IndexFunc(stated, func(s Row) bool { return name(s) == name(r) })
		if at < 0 {
			c.differ(name(r), "none", "a row")
			continue
		}
		out = append(out, c.row(name(r), stated[at], r))
	}
	for _, s := range stated {
		if !slices.ContainsFunc(recomputed, func(r Row) bool { return name(r) == name(s) }) {
			c.differ(name(s), "a row", "none")
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
			continue
		case !c.words && isWords(column) && slices.Equal(codes(stated[column]), codes(now)):
			now = stated[column]
		case !c.same(stated[column], now):
			c.differ(name+"."+column, string(stated[column]), string(now))
		}
		out[column] = now
	}
	for _, column := range sortedColumns(recomputed) {
		if _, ok := stated[column]; !ok && c.words {
			c.differ(name+"."+column, "nothing", string(recomputed[column]))
		}
	}
	return out
}

// isWords tells which columns are sentences for people. A new version may say the same better.
func isWords(column string) bool {
	return slices.Contains([]string{"detail", "reason", "headline", "reasons"}, column)
}

// codes are what machines read of reasons; a sentence has none.
func codes(text json.RawMessage) []string {
	var reasons []decide.Reason
	_ = json.Unmarshal(text, &reasons) // a sentence is no list
	var out []string
	for _, r := range reasons {
		out = append(out, r.Code)
	}
	return out
}

// sortedColumns lists the keys of maps.
func sortedColumns[V any](all ...map[string]V) []string {
	var out []string
	for _, m := range all {
		out = slices.AppendSeq(out, maps.Keys(m))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tolerance is how far a number may be off that an unlike engine computed. docs/adr/0012 has what was measured.
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
