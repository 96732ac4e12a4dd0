// Package bundle keeps all that an evaluation and its decision depend on, and what came out, in one file that is named
// by its content; and recomputes such a file without a lake, to the same bytes (docs/bundle.md).
package bundle

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/measure"
	"verdict/shared/metric"
)

// Format is the version of the file's structure. Columns and fields may be added within a version.
const Format = 1

// Bundle is one evaluation of one experiment and what was decided on it. Its fields are in the order of the file.
type Bundle struct {
	Format     int          `json:"format"`
	Engine     Engine       `json:"engine"`
	AsOf       string       `json:"as_of"` // the day, UTC, at whose start this was known
	Experiment Definition   `json:"experiment"`
	Metrics    []Definition `json:"metrics"` // in the experiment's order
	SQL        string       `json:"sql"`     // that measured the statistics
	Watermark  []Row        `json:"watermark"`
	Allocation []Row        `json:"allocation"` // rows of dim_feature: what the flag platform dealt out, from when to when

	Statistics []Row           `json:"statistics"` // rows of fact_experiment_statistic
	Traffic    []Row           `json:"traffic"`    // rows of fact_experiment_traffic
	Audit      Audit           `json:"audit"`
	Earlier    []Row           `json:"earlier"` // the least p-value of the looks before, by metric and variant
	Rollout    *decide.Rollout `json:"rollout,omitempty"`

	Given map[string]string `json:"given"` // hash of each part above: what was altered has a name

	Results  []Row `json:"results"` // rows of fact_experiment_results
	Checks   []Row `json:"checks"`  // rows of fact_experiment_check
	Decision Row   `json:"decision"`
}

// Definition is what people defined, as it was hashed.
type Definition struct {
	Hash string          `json:"hash"`
	Text json.RawMessage `json:"text"`
}

// Audit counts the assignments that were recomputed up to the day.
type Audit struct {
	Audited    int64  `json:"audited"`
	Mismatched int64  `json:"mismatched"`
	Example    string `json:"example,omitempty"`
}

// Source is the state of one partition of a table before the statistics were measured.
type Source struct {
	Table       string `lake:"table"`
	Partition   string `lake:"partition"`
	Fingerprint string `lake:"fingerprint"` // of everything it was made from (docs/adr/0001)
}

// earlier is the least anytime-valid p-value that earlier looks gave.
type earlier struct {
	Metric   string  `lake:"metric"`
	Variant  string  `lake:"variant"`
	AnytimeP float64 `lake:"anytime_p"`
}

// Context is where an evaluation came from.
type Context struct {
	Watermark  []Source
	Allocation []feature.Row
}

// New makes the bundle of an evaluation.
func New(from Context, input evaluate.Input, evidence decide.Evidence, decision decide.Decision) (*Bundle, error) {
	b := &Bundle{
		Format: Format, AsOf: decision.AsOf, SQL: measure.Query(input.Experiment, input.Metrics, input.AsOf),
		Engine:  thisEngine(),
		Audit:   Audit{input.Audited, input.Mismatched, input.Mismatch},
		Rollout: evidence.Rollout,
	}
	text, err := json.Marshal(input.Experiment.Decisive())
	if err != nil {
		return nil, fmt.Errorf("write experiment: %w", err)
	}
	b.Experiment = Definition{input.Experiment.Hash(), text}
	for _, m := range input.Metrics {
		if text, err = marshal(m); err != nil {
			return nil, fmt.Errorf("write metric %s: %w", m.Name, err)
		}
		b.Metrics = append(b.Metrics, Definition{hash(text), text})
	}
	if err := b.tabulate(from, input); err != nil {
		return nil, err
	}
	if b.Given, err = b.parts(); err != nil {
		return nil, err
	}
	return b, b.conclude(evidence, decision)
}

// tabulate writes down what the evaluation was given.
func (b *Bundle) tabulate(from Context, input evaluate.Input) (err error) {
	if b.Watermark, err = rowsOf(from.Watermark); err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	if b.Allocation, err = rowsOf(from.Allocation); err != nil {
		return fmt.Errorf("write allocation: %w", err)
	}
	if b.Statistics, err = rowsOf(input.Statistics); err != nil {
		return fmt.Errorf("write statistics: %w", err)
	}
	if b.Traffic, err = rowsOf(input.Traffic); err != nil {
		return fmt.Errorf("write traffic: %w", err)
	}
	var looks []earlier
	for _, m := range input.Metrics {
		for _, v := range input.Experiment.Variants {
			if p, ok := input.LeastP[[2]string{m.Name, v.Key}]; ok {
				looks = append(looks, earlier{m.Name, v.Key, p})
			}
		}
	}
	if b.Earlier, err = rowsOf(looks); err != nil {
		return fmt.Errorf("write earlier looks: %w", err)
	}
	return nil
}

// parts hashes what the evaluation was given, part by part.
func (b *Bundle) parts() (map[string]string, error) {
	given := *b
	given.Given, given.Results, given.Checks, given.Decision = nil, nil, nil, nil
	text, err := marshal(given)
	if err != nil {
		return nil, fmt.Errorf("hash parts: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("hash parts: %w", err)
	}
	hashes := map[string]string{}
	for name, part := range all {
		if name != "given" && name != "results" && name != "checks" && name != "decision" {
			hashes[name] = hash(part)
		}
	}
	return hashes, nil
}

// conclude writes down what came out. What came of the decision is no part of it.
func (b *Bundle) conclude(evidence decide.Evidence, decision decide.Decision) (err error) {
	if b.Results, err = rowsOf(evidence.Results); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	if b.Checks, err = rowsOf(evidence.Checks); err != nil {
		return fmt.Errorf("write checks: %w", err)
	}
	text, err := marshal(decision)
	if err != nil {
		return fmt.Errorf("write decision: %w", err)
	}
	b.Decision = nil
	return json.Unmarshal(text, &b.Decision)
}

// input reads back what the evaluation was given.
func (b *Bundle) input() (evaluate.Input, error) {
	in := evaluate.Input{
		Experiment: new(experiment.Experiment), Audited: b.Audit.Audited, Mismatched: b.Audit.Mismatched, Mismatch: b.Audit.Example,
		LeastP: map[[2]string]float64{}, Engine: b.Engine.Version,
	}
	if err := json.Unmarshal(b.Experiment.Text, in.Experiment); err != nil {
		return in, fmt.Errorf("read experiment: %w", err)
	}
	for i, d := range b.Metrics {
		var m metric.Metric
		if err := json.Unmarshal(d.Text, &m); err != nil {
			return in, fmt.Errorf("read metric %d: %w", i+1, err)
		}
		in.Metrics = append(in.Metrics, m)
	}
	if err := sound(in.Experiment); err != nil {
		return in, err
	}
	if len(in.Metrics) != len(in.Experiment.Metrics) {
		return in, fmt.Errorf("the experiment has %d metrics, and %d are defined", len(in.Experiment.Metrics), len(in.Metrics))
	}
	var err error
	if in.AsOf, err = time.Parse(time.DateOnly, b.AsOf); err != nil {
		return in, fmt.Errorf("read as_of: %w", err)
	}
	looks, err := valuesOf[earlier](b.Earlier)
	if err != nil {
		return in, fmt.Errorf("read earlier looks: %w", err)
	}
	for _, l := range looks {
		in.LeastP[[2]string{l.Metric, l.Variant}] = l.AnytimeP
	}
	if in.Statistics, err = valuesOf[measure.Statistic](b.Statistics); err != nil {
		return in, fmt.Errorf("read statistics: %w", err)
	}
	if in.Traffic, err = valuesOf[measure.Exposure](b.Traffic); err != nil {
		return in, fmt.Errorf("read traffic: %w", err)
	}
	return in, nil
}

// sound refuses what no check of definitions lets pass, and no evaluation can do with.
func sound(e *experiment.Experiment) error {
	goal := slices.ContainsFunc(e.Metrics, func(m experiment.Metric) bool { return m.Role == experiment.Goal })
	control := slices.ContainsFunc(e.Variants, func(v experiment.Variant) bool { return v.Key == e.Control })
	if !goal || !control || len(e.Variants) < 2 || !(e.Alpha > 0 && e.Alpha < 1) || e.PlannedUnits < 1 || e.PlannedDays < 1 || e.Start.IsZero() {
		return fmt.Errorf("read experiment: %q is no definition that an experiment can run by", e.ID)
	}
	return nil
}

// Encode gives the file's bytes before compression, and the hash that names them.
func (b *Bundle) Encode() (content []byte, hash string, err error) {
	if content, err = marshal(b); err != nil {
		return nil, "", fmt.Errorf("write bundle: %w", err)
	}
	return content, contentHash(content), nil
}

func contentHash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Compress packs the content into a file. The name is of the content: how it is packed may change.
func Compress(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress bundle: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress bundle: %w", err)
	}
	return out.Bytes(), nil
}

// mostBytes of content are read: a thousand times what an experiment of twenty metrics and two months has.
const mostBytes = 1 << 30

// Decompress unpacks a file; a content that somebody unpacked before passes.
func Decompress(file []byte) ([]byte, error) {
	if !bytes.HasPrefix(file, []byte{0x1f, 0x8b}) {
		return file, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fault.New(fault.Invalid, "unpack bundle: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(r, mostBytes))
	if err != nil {
		return nil, fault.New(fault.Invalid, "unpack bundle: %w", err)
	}
	return content, nil
}

// Decode reads a file's content.
func Decode(content []byte) (*Bundle, error) {
	var b Bundle
	if err := json.Unmarshal(content, &b); err != nil {
		return nil, fault.New(fault.Invalid, "read bundle: %w", err)
	}
	if b.Format != Format || b.Engine.Version > evaluate.Version {
		return nil, fault.New(fault.Invalid, "read bundle: format %d, engine %d: this version of Verdict knows format %d and engines up to %d",
			b.Format, b.Engine.Version, Format, evaluate.Version)
	}
	return &b, nil
}

// marshal leaves <, > and & as they are: people read this.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// hash is as long as that of an experiment's definition.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
