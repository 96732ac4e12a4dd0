package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	athenasql "verdict/athena-sql"
	"verdict/shared/experiment"
	"verdict/shared/export"
	"verdict/shared/fault"
	"verdict/shared/lineage"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/plan"
	"verdict/shared/semantic"
	"verdict/shared/view"
)

const metricVerbs = "metrics wants one of list, show, sql, export, lineage"

// metrics is `verdict metrics list|show|sql|export|lineage`.
func (p program) metrics(_ context.Context, flags *flag.FlagSet, args []string) error {
	flags.Usage = func() {
		fmt.Fprint(p.err, `verdict metrics list [--project DIR] [--json]
  list the metrics: kind, owner, status, who uses them
verdict metrics show [--json] METRIC
  say what a metric means, in words and in parts
verdict metrics sql [--as-of DATE] [--json] EXPERIMENT
  print the one query that measures all metrics of an experiment
verdict metrics sql [--from DATE] [--to DATE] [--grain day|week|month|total] [--by DIMENSION,…] [--json] METRIC
  print the query that answers what a metric came to
verdict metrics export --format metricflow|eppo|growthbook|views [--out FILE] [--json]
  say the metrics in another system's words; what it has no words for is told on standard error
verdict metrics lineage [--svg] [--json] METRIC
  show what a metric is made of, down to events and their properties

`)
		flags.PrintDefaults()
	}
	if len(args) == 0 {
		flags.Usage()
		return wrongUse(metricVerbs)
	}
	verb, rest := args[0], args[1:]
	do := map[string]func(program, *flag.FlagSet, []string) error{
		"list": program.listMetrics, "show": program.showMetric, "sql": program.metricSQL, "export": program.exportMetrics, "lineage": program.metricLineage,
	}[verb]
	if do == nil {
		flags.Usage()
		return wrongUse(metricVerbs+", not %q", verb)
	}
	return do(p, flags, rest)
}

func projectFlag(flags *flag.FlagSet) *string {
	return flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
}

// metricRow is a metric as `metrics list` and `metrics show` print it.
type metricRow struct {
	Name        string             `json:"name"`
	Label       string             `json:"label,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type"`           // MetricFlow's: simple or ratio
	Kind        metric.Kind        `json:"kind,omitempty"` // what experiments make of it
	Meaning     string             `json:"meaning,omitempty"`
	Owner       string             `json:"owner,omitempty"`
	Status      metric.Status      `json:"status"`
	Version     int                `json:"version"`
	Hash        string             `json:"hash"`
	Parts       []string           `json:"parts"`
	Filter      string             `json:"filter,omitempty"`
	Dimensions  []string           `json:"dimensions"`
	PII         plan.Class         `json:"pii_class"`
	Properties  []lineage.Property `json:"properties"`
	Experiments []string           `json:"experiments"`
}

func describe(d definitions, graph *lineage.Graph, m metric.Definition) metricRow {
	row := metricRow{
		Name: m.Name, Label: m.Label, Description: m.Description, Type: m.Type, Owner: m.Owner, Status: m.Status, Version: m.Version, Hash: m.Hash(),
		Parts: []string{m.Measure}, Filter: m.Filter, Dimensions: []string{}, Properties: []lineage.Property{}, Experiments: []string{},
	}
	if m.Type == "ratio" {
		row.Parts = m.Parts[:]
	}
	if m.Experiment != nil {
		row.Kind, row.Meaning = m.Experiment.Kind, m.Experiment.Meaning()
	}
	for _, x := range d.Layer.Dimensions {
		row.Dimensions = append(row.Dimensions, x.Name)
	}
	for _, t := range reads(m) {
		row.Properties = append(row.Properties, graph.Properties(t.Table.Name, t)...)
	}
	row.PII = lineage.Class(row.Properties)
	for _, e := range d.Experiments {
		if slices.ContainsFunc(e.Metrics, func(used experiment.Metric) bool { return used.Name == m.Name }) {
			row.Experiments = append(row.Experiments, e.ID)
		}
	}
	return row
}

// reads lists all that a metric is computed from, wherever it is used.
func reads(m metric.Definition) []metric.Term {
	if m.Experiment != nil {
		return m.Experiment.Reads()
	}
	return m.Terms()
}

func (p program) listMetrics(flags *flag.FlagSet, args []string) error {
	projectDir, asJSON := projectFlag(flags), flags.Bool("json", false, "print JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	graph, rows := lineage.New(d.Models, d.Plan), []metricRow{}
	for _, m := range d.Layer.Definitions {
		rows = append(rows, describe(d, graph, m))
	}
	if *asJSON {
		return p.printJSON(rows)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METRIC\tKIND\tOWNER\tSTATUS\tVERSION\tPII\tEXPERIMENTS")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%d\n", r.Name, orNothing(string(r.Kind)), r.Owner, r.Status, r.Version, r.PII, len(r.Experiments))
	}
	return w.Flush()
}

func (p program) showMetric(flags *flag.FlagSet, args []string) error {
	projectDir, asJSON := projectFlag(flags), flags.Bool("json", false, "print JSON")
	d, m, err := namedMetric(flags, projectDir, args)
	if err != nil {
		return err
	}
	r := describe(d, lineage.New(d.Models, d.Plan), m)
	if *asJSON {
		return p.printJSON(r)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", r.Name, r.Label)
	fmt.Fprintf(w, "description\t%s\nowner\t%s, %s, version %d\nhash\t%s\n", r.Description, r.Owner, r.Status, r.Version, r.Hash)
	fmt.Fprintf(w, "by period\t%s of %s\n", r.Type, strings.Join(r.Parts, " over "))
	if r.Filter != "" {
		fmt.Fprintf(w, "filter\t%s\n", r.Filter)
	}
	if r.Kind != "" {
		fmt.Fprintf(w, "in experiments\t%s: %s\n", r.Kind, r.Meaning)
	}
	fmt.Fprintf(w, "dimensions\t%s\n", strings.Join(r.Dimensions, ", "))
	fmt.Fprintf(w, "personal data\t%s\n", r.PII)
	fmt.Fprintf(w, "experiments\t%s\n", orNothing(strings.Join(r.Experiments, ", ")))
	return w.Flush()
}

// namedMetric reads the flags and finds the metric that they end with.
func namedMetric(flags *flag.FlagSet, projectDir *string, args []string) (definitions, metric.Definition, error) {
	name, err := parseNamed(flags, args, "METRIC")
	if err != nil {
		return definitions{}, metric.Definition{}, err
	}
	d, err := load(*projectDir)
	if err != nil {
		return d, metric.Definition{}, err
	}
	m, err := d.Layer.Find(name)
	return d, m, err
}

func (p program) metricSQL(flags *flag.FlagSet, args []string) error {
	projectDir := projectFlag(flags)
	asOfText := flags.String("as-of", "", "of an experiment: what was known at the start of this day (default: today)")
	fromText := flags.String("from", "", "of a metric: the first day (default: 28 days ago)")
	toText := flags.String("to", "", "of a metric: the day after the last (default: today)")
	grain := flags.String("grain", string(semantic.Day), "of a metric: day, week, month or total")
	by := flags.String("by", "", "of a metric: dimensions, as a,b")
	asJSON := flags.Bool("json", false, "print the query as JSON")
	name, err := parseNamed(flags, args, "EXPERIMENT or METRIC")
	if err != nil {
		return err
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	var sql string
	if at := slices.IndexFunc(d.Experiments, func(e *experiment.Experiment) bool { return e.ID == name }); at >= 0 {
		asOf, dayErr := p.day("as-of", *asOfText, 0)
		if dayErr != nil {
			return dayErr
		}
		sql, err = experimentSQL(d, d.Experiments[at], asOf)
	} else if _, findErr := d.Layer.Find(name); findErr != nil {
		return fault.New(fault.NotFound, "there is neither an experiment nor a metric %s", name)
	} else {
		q := semantic.Question{Metric: name, Grain: semantic.Grain(*grain)}
		if *by != "" {
			q.By = strings.Split(*by, ",")
		}
		if q.From, err = p.day("from", *fromText, -28); err != nil {
			return err
		}
		if q.To, err = p.day("to", *toText, 0); err != nil {
			return err
		}
		sql, err = semantic.Compile(d.Layer, q)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(map[string]string{"name": name, "sql": sql})
	}
	_, err = fmt.Fprintln(p.out, sql)
	return err
}

func experimentSQL(d definitions, e *experiment.Experiment, asOf time.Time) (string, error) {
	metrics, err := measure.Select(e, d.Metrics)
	if err != nil {
		return "", err
	}
	return measure.Query(e, metrics, asOf), nil
}

// exported is an export as JSON.
type exported struct {
	Format   string        `json:"format"`
	Document string        `json:"document"`
	Notes    []export.Note `json:"notes"`
}

func (p program) exportMetrics(flags *flag.FlagSet, args []string) error {
	projectDir, asJSON := projectFlag(flags), flags.Bool("json", false, "print document and notes as JSON")
	format := flags.String("format", "metricflow", "metricflow, eppo, growthbook, or views: CREATE VIEW statements")
	out := flags.String("out", "-", "file to write (- is standard output)")
	entity := flags.String("entity", "User", "eppo: what Eppo calls our unit")
	datasource := flags.String("datasource", "ds_verdict", "growthbook: the id that GrowthBook gave to the warehouse")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	var e export.Export
	switch *format {
	case "metricflow":
		e, err = export.MetricFlow(d.Layer)
	case "eppo":
		e, err = export.Eppo(d.Layer, d.Experiments, *entity)
	case "growthbook":
		e, err = export.GrowthBook(d.Layer, *datasource)
	case "views":
		e.Text, err = viewStatements(d)
	default:
		return wrongUse("--format wants metricflow, eppo, growthbook or views, not %q", *format)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(exported{*format, string(e.Text), e.Notes})
	}
	for _, n := range e.Notes {
		fmt.Fprintln(p.err, n)
	}
	if *out == "-" {
		_, err = p.out.Write(e.Text)
		return err
	}
	if err := os.WriteFile(*out, e.Text, 0o640); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

func viewStatements(d definitions) ([]byte, error) {
	views, err := view.All(athenasql.Files, d.Layer)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, v := range views {
		b.WriteString("-- " + v.Description + "\n" + v.Statement() + ";\n\n")
	}
	return []byte(b.String()), nil
}

func (p program) metricLineage(flags *flag.FlagSet, args []string) error {
	projectDir, asJSON := projectFlag(flags), flags.Bool("json", false, "print nodes and edges as JSON")
	asSVG := flags.Bool("svg", false, "draw it, as SVG")
	d, m, err := namedMetric(flags, projectDir, args)
	if err != nil {
		return err
	}
	trace := lineage.New(d.Models, d.Plan).TraceMetric(m.Name, reads(m)...)
	switch {
	case *asJSON:
		return p.printJSON(trace)
	case *asSVG:
		_, err = fmt.Fprintln(p.out, trace.SVG())
	default:
		_, err = fmt.Fprint(p.out, trace.Text())
	}
	return err
}
