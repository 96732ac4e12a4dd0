package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/notebook"
)

// notebook is `verdict notebook`.
func (p program) notebook(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	engine := flags.String("engine", "local", "what the notebook reads: local or athena")
	database := flags.String("database", "verdict", "Athena's database")
	workgroup := flags.String("workgroup", "primary", "Athena's workgroup, which says where answers go")
	asOfText := flags.String("as-of", "", "the readout of this day (default: the latest; athena: today)")
	metricName := flags.String("metric", "", "the metric to look deeper into (default: the first goal)")
	segment := flags.String("segment", notebook.DefaultSegment, "SQL over fact_event as e that names a unit's segment")
	funnel := flags.String("funnel", "", "events of the funnel in order, as a,b,c (default: those that the metric counts)")
	out := flags.String("out", "", "file to write (default: EXPERIMENT.ipynb; - is standard output)")
	id, err := parseNamed(flags, args, "EXPERIMENT")
	if err != nil {
		return err
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	s, err := subject(d, id, *metricName)
	if err != nil {
		return err
	}
	s.Segment = *segment
	if *funnel != "" {
		s.Funnel = strings.Split(*funnel, ",")
	}
	switch *engine {
	case "athena":
		s.Athena = &notebook.Athena{Database: *database, Workgroup: *workgroup}
		s.AsOf, err = p.day("as-of", *asOfText, 0)
	case "local":
		s.AsOf, err = p.readoutDay(ctx, *lakeDir, id, *asOfText)
		folder, absErr := filepath.Abs(*lakeDir)
		if absErr != nil {
			return absErr
		}
		s.Local = &notebook.Local{Lake: folder, Macros: duck.Macros()}
	default:
		return wrongUse("--engine wants local or athena, not %q", *engine)
	}
	if err != nil {
		return err
	}
	body, err := notebook.Write(s)
	if err != nil {
		return err
	}
	if *out == "-" {
		_, err = p.out.Write(body)
		return err
	}
	if *out == "" {
		*out = id + ".ipynb"
	}
	if err := os.WriteFile(*out, body, 0o640); err != nil {
		return fmt.Errorf("write notebook: %w", err)
	}
	fmt.Fprintf(p.out, "%s: %s as of %s. Open it with Jupyter; it needs pandas, scipy, matplotlib and %s.\n",
		*out, id, s.AsOf.Format(time.DateOnly), map[string]string{"athena": "pyathena", "local": "duckdb"}[*engine])
	return nil
}

// subject is an experiment with its metrics, one of them to look deeper into.
func subject(d definitions, id, metricName string) (notebook.Subject, error) {
	at := slices.IndexFunc(d.Experiments, func(e *experiment.Experiment) bool { return e.ID == id })
	if at < 0 {
		return notebook.Subject{}, fault.New(fault.NotFound, "there is no experiment %s", id)
	}
	s := notebook.Subject{Experiment: d.Experiments[at], Templates: athenasql.Files}
	var err error
	if s.Metrics, err = measure.Select(s.Experiment, d.Metrics); err != nil {
		return s, err
	}
	chosen := slices.IndexFunc(s.Experiment.Metrics, func(m experiment.Metric) bool {
		return m.Name == metricName || metricName == "" && m.Role == experiment.Goal
	})
	if chosen < 0 {
		return s, fault.New(fault.NotFound, "experiment %s has no metric %s", id, metricName)
	}
	s.Metric, err = metric.Find(s.Metrics, s.Experiment.Metrics[chosen].Name)
	return s, err
}

// readoutDay is the day that is asked for, or that of the latest readout in the lake.
func (p program) readoutDay(ctx context.Context, lakeDir, id, text string) (time.Time, error) {
	if text != "" {
		return p.day("as-of", text, 0)
	}
	if _, err := os.Stat(lakeDir); err != nil {
		return time.Time{}, fmt.Errorf("open lake: %w", err)
	}
	w, err := duck.Open(ctx, &directory.Store{Root: lakeDir})
	if err != nil {
		return time.Time{}, err
	}
	defer w.Close() //nolint:errcheck // it was only read
	r, err := w.Query(ctx, "select max(as_of) from fact_experiment_results where experiment_id = "+lake.Quote(id))
	if err != nil {
		return time.Time{}, fmt.Errorf("look up readouts: %w", err)
	}
	if r.Rows[0][0] == nil {
		return time.Time{}, fault.New(fault.NotFound, "the lake has no readout of %s yet: run the pipeline", id)
	}
	return time.Parse(time.DateOnly, *r.Rows[0][0])
}
