// Package notebook writes a Jupyter notebook about one experiment: it measures again with the engine's own query,
// recomputes the readout from the statistics and asserts that both agree, and looks deeper into one metric. The cells
// stand in experiment.py, the queries in athena-sql/notebooks; what differs between the two homes is how to connect.
package notebook

import (
	"bytes"
	_ "embed" // for experiment.py
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"verdict/shared/dialect"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/stats"
)

//go:embed experiment.py
var cells string

// DefaultSegment is what every client sends along.
const DefaultSegment = "json_extract_scalar(e.context, '$.device.type')"

// Subject is what a notebook is about.
type Subject struct {
	Experiment *experiment.Experiment
	Metrics    []metric.Metric // definitions of the experiment's metrics, in its order
	AsOf       time.Time       // of the readout: the start of a day, UTC
	Metric     metric.Metric   // of the deep dives
	Segment    string          // SQL over fact_event as e; empty: DefaultSegment
	Funnel     []string        // names of events, in order; empty: those that the metric's filter names
	Templates  fs.FS           // with notebooks/*.sql
	Local      *Local          // or
	Athena     *Athena
}

// Local is a lake on this machine.
type Local struct {
	Lake   string // folder
	Macros string // SQL that gives DuckDB's functions their Trino meaning
}

// Athena is a lake on AWS.
type Athena struct {
	Database, Workgroup string
}

// used is what a notebook needs to know of a metric to recompute its results.
type used struct {
	Name       string `json:"name"`
	Role       string `json:"role"`
	Kind       string `json:"kind"`
	Family     string `json:"family"`
	WindowDays int    `json:"window_days"`
	Recomputed bool   `json:"recomputed"`
}

// family is how a metric's moments become an estimate; empty for what a notebook does not recompute.
func family(m metric.Metric) string {
	switch m.Kind {
	case metric.Conversion, metric.Retention:
		return "proportion"
	case metric.Mean:
		return "mean"
	case metric.Ratio:
		return "ratio"
	case metric.Funnel, metric.Quantile, metric.TimeToEvent:
	}
	return ""
}

// Write gives the notebook's bytes, the same for the same subject.
func Write(s Subject) ([]byte, error) {
	if (s.Local == nil) == (s.Athena == nil) {
		return nil, fault.New(fault.Invalid, "a notebook reads a local lake or Athena")
	}
	if s.Segment == "" {
		s.Segment = DefaultSegment
	}
	if len(s.Funnel) == 0 {
		s.Funnel = eventsOf(s.Metric)
	}
	if found := dialect.Check(s.Segment); found != nil || strings.ContainsAny(s.Segment, ";\n") || strings.Contains(s.Segment, "--") {
		return nil, fault.New(fault.Invalid, "segment %q is no expression of the dialect (athena-sql/README.md)", s.Segment)
	}
	page := newPage(s)
	queries, err := template.New("sql").Funcs(functions()).ParseFS(s.Templates, "notebooks/*.sql")
	if err != nil {
		return nil, fmt.Errorf("read notebook queries: %w", err)
	}
	sql := func(name string) (string, error) { return render(queries, name, page) }
	notebook, err := template.New("experiment.py").Funcs(functions()).Funcs(template.FuncMap{"sql": sql}).Parse(cells)
	if err != nil {
		return nil, fmt.Errorf("read notebook cells: %w", err)
	}
	var text bytes.Buffer
	if err := notebook.Execute(&text, page); err != nil {
		return nil, fmt.Errorf("write notebook: %w", err)
	}
	return encode(split(text.String()))
}

// page is what the templates read.
type page struct {
	Subject
	Measure     string
	Rule        stats.Hybrid
	Complete    time.Time // units first exposed before it have lived through the metric's window
	Treatments  []string
	MetricsJSON string
	Days        []int     // of a unit's life
	Shares      []float64 // of the largest values
	DeepDives   bool
}

func newPage(s Subject) page {
	now := s.AsOf
	if now.After(s.Experiment.End()) {
		now = s.Experiment.End() // the planned end is one look, whenever it is taken
	}
	p := page{
		Subject: s, Measure: measure.Query(s.Experiment, s.Metrics, s.AsOf), Rule: evaluate.Rule(s.Experiment),
		Complete: now.AddDate(0, 0, -s.Metric.Window.End()), Shares: []float64{0.001, 0.01, 0.05},
		DeepDives: family(s.Metric) != "" && s.Metric.Window.Unit == "day",
	}
	for _, v := range s.Experiment.Variants {
		if v.Key != s.Experiment.Control {
			p.Treatments = append(p.Treatments, v.Key)
		}
	}
	for day := range min(s.Metric.Window.End(), 14) {
		p.Days = append(p.Days, day)
	}
	var all []used
	for i, m := range s.Metrics {
		all = append(all, used{m.Name, string(s.Experiment.Metrics[i].Role), string(m.Kind), family(m), m.Window.End(), family(m) != ""})
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic("notebook: metrics do not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	p.MetricsJSON = string(text)
	return p
}

// Engine is athena or local.
func (p page) Engine() string {
	if p.Athena != nil {
		return "athena"
	}
	return "local"
}

// Numerator aggregates a unit's events, of which the queries have kept those of the window.
func (p page) Numerator() string { return value(p.Metric, p.Metric.Numerator) }

// Denominator is 0 for what is no ratio.
func (p page) Denominator() string {
	if p.Metric.Kind != metric.Ratio {
		return "0e0"
	}
	return value(p.Metric, p.Metric.Denominator)
}

func value(m metric.Metric, t metric.Term) string {
	condition := "e.event_id is not null"
	if t.Filter != "" {
		condition += " and (" + t.Filter + ")"
	}
	if family(m) == "proportion" {
		return "max(case when " + condition + " then 1e0 else 0e0 end)"
	}
	term := "1e0"
	switch {
	case t.Aggregation == "sum":
		term = "coalesce(cast(" + t.Expression + " as double), 0e0)"
	case t.Expression != "1":
		condition += " and " + t.Expression + " is not null"
	}
	sum := "sum(case when " + condition + " then " + term + " else 0e0 end)"
	if m.Cap > 0 {
		sum = fmt.Sprintf("least(%s, %e)", sum, m.Cap)
	}
	return sum
}

var eventName = regexp.MustCompile(`event_name = '([a-z0-9_]+)'`)

// eventsOf lists the events that a metric's filter names.
func eventsOf(m metric.Metric) []string {
	out := []string{}
	for _, found := range eventName.FindAllStringSubmatch(m.Numerator.Filter, -1) {
		if !slices.Contains(out, found[1]) {
			out = append(out, found[1])
		}
	}
	return out
}

func functions() template.FuncMap {
	return template.FuncMap{
		"text":   lake.Quote,
		"date":   func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"day":    func(t time.Time) string { return lake.Quote(t.UTC().Format(time.DateOnly)) },
		"moment": func(t time.Time) string { return t.UTC().Format(time.DateTime) },
		"inc":    func(i int) int { return i + 1 },
		"line":   func(text string) string { return strings.Join(strings.Fields(text), " ") },
		"python": func(v any) (string, error) { // JSON's texts and lists of them are Python's, too
			body, err := json.Marshal(v)
			return string(body), err
		},
		"sql": func(string) string { return "" }, // Write's own replaces it
	}
}

// render fills a query. One that could end the Python text it stands in is refused.
func render(queries *template.Template, name string, p page) (string, error) {
	var out strings.Builder
	if err := queries.ExecuteTemplate(&out, name, p); err != nil {
		return "", err
	}
	if strings.Contains(out.String(), `"""`) {
		return "", fault.New(fault.Invalid, `%s holds """`, name)
	}
	return strings.TrimSpace(out.String()), nil
}

// SegmentQuery is the query by which a notebook splits its metric: units, mean_y, mean_d, yy, yd and dd by segment and
// variant. A metric whose windows are not counted in days, or of another kind, has none: fault.Invalid.
func SegmentQuery(s Subject) (string, error) {
	p := newPage(s)
	if !p.DeepDives {
		return "", fault.New(fault.Invalid, "%s is not split by segments: its kind is %s", s.Metric.Name, s.Metric.Kind)
	}
	queries, err := template.New("sql").Funcs(functions()).ParseFS(s.Templates, "notebooks/*.sql")
	if err != nil {
		return "", fmt.Errorf("read notebook queries: %w", err)
	}
	return render(queries, "segment.sql", p)
}
