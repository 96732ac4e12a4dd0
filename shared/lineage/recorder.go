package lineage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/model"
)

// Recorder tells what each run of the pipeline read and wrote, as OpenLineage events: into the lake, one file of JSON
// lines for each step, and to whoever else is to be told. Telling never holds the pipeline up: what goes wrong with it
// goes to Lost. The zero Recorder tells nothing.
type Recorder struct {
	Graph     *Graph
	Objects   lake.Objects
	Catalog   lake.Catalog
	Namespace string        // of tables: where they are, as awsathena://athena.eu-central-1.amazonaws.com
	Prefix    string        // of tables' names there, as AwsDataCatalog.verdict.
	NewRun    func() string // a UUID
	Now       func() time.Time
	Post      func(ctx context.Context, event []byte) error // may be nil
	Lost      func(error)
}

// jobs is the namespace of jobs.
const jobs = "verdict"

// Step is a step of the pipeline, and the tables that Go reads and writes in it; models tell of theirs themselves.
type Step struct {
	Name    string
	Says    string
	AsOf    time.Time
	Inputs  []string
	Outputs []string
}

// step is one that runs.
type step struct {
	mu    sync.Mutex
	job   string
	run   string
	key   string // of its file
	lines bytes.Buffer
}

type stepKey struct{}

// Begin tells that a step starts. What the context that it returns is given to is told as part of the step. What it
// returns is to be called once, with how the step ended.
func (r *Recorder) Begin(ctx context.Context, s Step) (context.Context, func(error)) {
	began := r.Now().UTC()
	at := &step{job: s.Name, run: r.NewRun()}
	at.key = fmt.Sprintf("lineage/event_date=%s/%s-%s.ndjson", began.Format(time.DateOnly), s.Name, at.run)
	ctx = context.WithValue(ctx, stepKey{}, at)
	event := Event{
		Type: Start, Run: Run{at.run, map[string]any{"nominalTime": nominalTimeFacet{of("1-0-1", "NominalTimeRunFacet"), s.AsOf.UTC()}}},
		Job: Job{jobs, s.Name, jobFacets("STEP", s.Says)},
	}
	r.tell(ctx, event)
	return ctx, func(err error) {
		event.end(err)
		for _, name := range s.Inputs {
			event.Inputs = r.known(ctx, event.Inputs, name)
		}
		for _, name := range s.Outputs {
			event.Outputs = r.known(ctx, event.Outputs, name)
		}
		r.tell(ctx, event)
	}
}

// Observe tells of the writes of models; it is what model.Builder calls.
func (r *Recorder) Observe(ctx context.Context, w model.Writing) func(model.Outcome) {
	event := Event{Type: Start, Run: Run{r.NewRun(), map[string]any{}}, Job: Job{jobs, "model." + w.Model.Name, jobFacets("MODEL", w.Model.Description)}}
	under(ctx, &event)
	event.Job.Facets["sql"] = sqlFacet{of("1-1-0", "SQLJobFacet"), w.SQL, "trino"}
	for _, ref := range w.Model.Refs {
		event.Inputs = append(event.Inputs, r.dataset(ref, r.Graph.models.ColumnsOf(ref)))
	}
	out := r.dataset(w.Model.Name, r.Graph.models.ColumnsOf(w.Model.Name), w.Model.Columns...)
	out.Facets["columnLineage"] = r.columns(w.Model)
	event.Outputs = []Dataset{out}
	r.tell(ctx, event)
	return func(o model.Outcome) {
		event.end(o.Err)
		if o.Err == nil {
			event.Outputs[0].OutputFacets = map[string]any{"outputStatistics": r.statistics(ctx, o.Location)}
		}
		if o.Tests != nil {
			r.audited(ctx, event, o.Tests)
		}
		r.tell(ctx, event)
	}
}

// audited tells of the data tests: a run of its own, that reads what was written.
func (r *Recorder) audited(ctx context.Context, whose Event, tests []model.Tested) {
	audit := Event{Type: Start, Run: Run{r.NewRun(), map[string]any{}}, Job: Job{jobs, whose.Job.Name + ".audit", jobFacets("TEST", "Data tests of what was written, before readers see it.")}}
	parent := parentFacet{facet: of("1-2-0", "ParentRunFacet")}
	parent.Run.ID, parent.Job.Namespace, parent.Job.Name = whose.Run.ID, jobs, whose.Job.Name
	audit.Run.Facets["parent"] = parent
	read := Dataset{Namespace: whose.Outputs[0].Namespace, Name: whose.Outputs[0].Name, Facets: map[string]any{"schema": whose.Outputs[0].Facets["schema"]}}
	audit.Inputs = []Dataset{read}
	r.tell(ctx, audit)
	facet := assertionsFacet{facet: of("1-1-0", "DataQualityAssertionsDatasetFacet")}
	for _, t := range tests {
		facet.Assertions = append(facet.Assertions, assertion{
			Assertion: "custom_sql", Description: "no row where " + t.Says, Success: t.Rows == "0", Severity: severity(t.Severity), Expected: "0", Actual: t.Rows,
		})
	}
	audit.Inputs[0].InputFacets = map[string]any{"dataQualityAssertions": facet}
	audit.Type = Complete
	r.tell(ctx, audit)
}

// end makes the event of a run's start that of its end.
func (e *Event) end(err error) {
	e.Type = Complete
	if err == nil {
		return
	}
	e.Type = Fail
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		e.Type = Abort
	}
	e.Run.Facets["errorMessage"] = errorFacet{of("1-0-1", "ErrorMessageRunFacet"), err.Error(), "GO"}
}

func jobFacets(name, says string) map[string]any {
	return map[string]any{
		"jobType":       jobTypeFacet{of("2-0-4", "JobTypeJobFacet"), "BATCH", "VERDICT", name},
		"documentation": documentationFacet{of("1-1-0", "DocumentationJobFacet"), says},
	}
}

// under makes a run part of the step that the context is of.
func under(ctx context.Context, e *Event) {
	at, ok := ctx.Value(stepKey{}).(*step)
	if !ok {
		return
	}
	parent := parentFacet{facet: of("1-2-0", "ParentRunFacet")}
	parent.Run.ID, parent.Job.Namespace, parent.Job.Name = at.run, jobs, at.job
	e.Run.Facets["parent"] = parent
}

// dataset is a table with its columns, some of which are described.
func (r *Recorder) dataset(table string, columns []lake.Column, described ...model.Column) Dataset {
	fields := make([]fieldOfSchema, len(columns))
	for i, c := range columns {
		fields[i] = fieldOfSchema{Name: c.Name, Type: c.Type}
		for _, d := range described {
			if d.Name == c.Name {
				fields[i].Description = d.Description
			}
		}
	}
	return Dataset{Namespace: r.Namespace, Name: r.Prefix + table, Facets: map[string]any{"schema": schemaFacet{of("1-2-0", "SchemaDatasetFacet"), fields}}}
}

// known adds a published table; one that nobody made yet is none.
func (r *Recorder) known(ctx context.Context, to []Dataset, name string) []Dataset {
	columns := r.Graph.models.ColumnsOf(name)
	if columns == nil {
		t, err := r.Catalog.Table(ctx, name)
		if err != nil {
			if !fault.Is(err, fault.NotFound) {
				r.Lost(fmt.Errorf("look up %s: %w", name, err))
			}
			return to
		}
		columns = t.Columns
		for _, c := range t.PartitionBy {
			columns = append(columns, lake.Column{Name: c, Type: "varchar"})
		}
	}
	return append(to, r.dataset(name, columns))
}

func (r *Recorder) columns(m *model.Model) columnLineageFacet {
	out := columnLineageFacet{of("1-2-0", "ColumnLineageDatasetFacet"), map[string]madeOf{}}
	for _, c := range r.Graph.models.ColumnsOf(m.Name) {
		made := madeOf{Inputs: []inputField{}}
		for _, o := range r.Graph.Column(m.Name, c.Name) {
			field := o.Column
			if o.Field != "" {
				field += "." + o.Field
			}
			made.Inputs = append(made.Inputs, inputField{r.Namespace, r.Prefix + o.Table, field})
		}
		out.Fields[c.Name] = made
	}
	return out
}

func (r *Recorder) statistics(ctx context.Context, location string) statisticsFacet {
	out := statisticsFacet{facet: of("1-0-2", "OutputStatisticsOutputDatasetFacet")}
	objects, err := r.Objects.List(ctx, location)
	if err != nil {
		r.Lost(fmt.Errorf("size %s: %w", location, err))
	}
	for _, o := range objects {
		out.Size += o.Size
		out.Files++
	}
	return out
}

// tell writes an event down and sends it on. The work may have been told to stop; telling of that goes on.
func (r *Recorder) tell(ctx context.Context, e Event) {
	ctx = context.WithoutCancel(ctx)
	e.Time, e.Producer, e.Schema = r.Now().UTC(), producer, eventSchema
	if e.Inputs == nil {
		e.Inputs = []Dataset{}
	}
	if e.Outputs == nil {
		e.Outputs = []Dataset{}
	}
	line, err := json.Marshal(e)
	if err != nil {
		r.Lost(fmt.Errorf("write lineage of %s: %w", e.Job.Name, err))
		return
	}
	if err := r.keep(ctx, e, line); err != nil {
		r.Lost(fmt.Errorf("keep lineage of %s: %w", e.Job.Name, err))
	}
	if r.Post == nil {
		return
	}
	if err := r.Post(ctx, line); err != nil {
		r.Lost(fmt.Errorf("send lineage of %s: %w", e.Job.Name, err))
	}
}

// keep adds a line to the file of the step, which is written anew: whatever is cut off, its start has been told.
func (r *Recorder) keep(ctx context.Context, e Event, line []byte) error {
	at, ok := ctx.Value(stepKey{}).(*step)
	if !ok {
		name := strings.ReplaceAll(e.Job.Name, ".", "-")
		at = &step{key: fmt.Sprintf("lineage/event_date=%s/%s-%s-%s.ndjson", e.Time.Format(time.DateOnly), name, e.Run.ID, strings.ToLower(e.Type))}
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	at.lines.Write(line)
	at.lines.WriteByte('\n')
	return r.Objects.Put(ctx, at.key, at.lines.Bytes(), lake.Overwrite)
}

// severity is in OpenLineage's words.
func severity(s model.Severity) string {
	if s == model.Warn {
		return "warn"
	}
	return "error"
}
