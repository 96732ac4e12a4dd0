package measure_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	athenasql "verdict/athena-sql"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/experiment"
	"verdict/shared/feature"
	"verdict/shared/identity"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/model"
	"verdict/shared/table"
)

func start() time.Time { return time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) }

func day(n int) time.Time { return start().AddDate(0, 0, n) }

// event is one row of fact_event.
type event struct {
	entity     string
	name       string
	at         time.Time
	value      *float64 // nil: the event has none
	bot        bool
	experiment string // of an experiment_exposed
	variant    string
}

func exposed(experiment, entity, variant string, at time.Time) event {
	return event{entity: entity, name: "experiment_exposed", at: at, experiment: experiment, variant: variant}
}

func ordered(entity string, at time.Time, value float64) event {
	return event{entity: entity, name: "order_completed", at: at, value: &value}
}

// home is a lake on this machine with the tables that measuring reads, made by the real models.
type home struct {
	store     *directory.Store
	warehouse *duck.Warehouse
	measurer  *measure.Measurer
	builder   *model.Builder
	runs      int
	sessions  []session
}

func newHome(tb testing.TB) *home {
	tb.Helper()
	project, err := model.Load(athenasql.Files)
	if err != nil {
		tb.Fatal(err)
	}
	store := &directory.Store{Root: tb.TempDir()}
	w, err := duck.Open(tb.Context(), store)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	h := &home{store: store, warehouse: w}
	h.measurer = &measure.Measurer{Objects: store, Engine: w, Catalog: w, NewRun: h.newRun}
	h.builder = &model.Builder{Project: project, Objects: store, Engine: w, Catalog: w, NewRun: h.newRun}
	none := table.Place{Table: "dim_feature", Run: h.newRun()}
	if err := table.Write[feature.Row](tb.Context(), store, w, none, nil); err != nil {
		tb.Fatal(err)
	}
	return h
}

func (h *home) newRun() string {
	h.runs++
	return strconv.Itoa(h.runs)
}

// land puts events into fact_event, in place of what stood on their days, and builds the models on
// top of it. people maps the ids that belong to another unit than themselves.
func (h *home) land(tb testing.TB, events []event, people map[string]string) {
	tb.Helper()
	h.landEvents(tb, events)
	members := make([]identity.Member, 0, len(people))
	for entity, unit := range people {
		members = append(members, identity.Member{EntityID: entity, UnitID: unit, Method: "signed_in", Confidence: 1})
	}
	if err := table.Write(tb.Context(), h.store, h.warehouse, table.Place{Table: "identity_map", Run: h.newRun()}, members); err != nil {
		tb.Fatal(err)
	}
	h.build(tb)
}

// landEvents is land without the models.
func (h *home) landEvents(tb testing.TB, events []event) {
	tb.Helper()
	rows := make([]string, len(events))
	var days []string
	for i, e := range events {
		value := "null"
		if e.value != nil {
			value = strconv.FormatFloat(*e.value, 'e', -1, 64) // an exponent makes a literal a double
		}
		properties := "{}"
		if e.experiment != "" {
			properties = fmt.Sprintf(`{"experiment_id":%q,"variant":%q}`, e.experiment, e.variant)
		}
		date := e.at.Format(time.DateOnly)
		rows[i] = fmt.Sprintf("('e%d', %s, %s, timestamp '%s', %s, %t, %s, '%s')",
			i, lake.Quote(e.entity), lake.Quote(e.name), e.at.Format(lake.TimeLayout), value, e.bot, lake.Quote(properties), date)
		days = append(days, date)
	}
	h.publishEvents(tb, `select
    event_id,
    entity_id,
    case when entity_id like 'a:%' then substr(entity_id, 3) end as anonymous_id,
    case when entity_id like 'u:%' then substr(entity_id, 3) end as user_id,
    event_name, event_ts, value, is_bot, properties, event_date
from (values `+strings.Join(rows, ",\n")+") as t(event_id, entity_id, event_name, event_ts, value, is_bot, properties, event_date)", days)
}

// publishEvents writes the rows of a SELECT as fact_event.
func (h *home) publishEvents(tb testing.TB, sql string, days []string) {
	tb.Helper()
	location := "warehouse/fact_event/run=" + h.newRun() + "/"
	if err := h.warehouse.Unload(tb.Context(), sql, location, []string{"event_date"}); err != nil {
		tb.Fatal(err)
	}
	described, err := h.warehouse.Query(tb.Context(), "select * from ("+sql+") as rows where 1 = 0")
	if err != nil {
		tb.Fatal(err)
	}
	events := lake.Table{Name: "fact_event", PartitionBy: []string{"event_date"}}
	for _, c := range h.builder.Project.ColumnsOf("fact_event") {
		if c.Name != "event_date" && slices.Contains(described.Columns, c.Name) {
			events.Columns = append(events.Columns, c)
		}
	}
	for _, day := range slices.Compact(slices.Sorted(slices.Values(days))) {
		events.Partitions = append(events.Partitions, lake.Partition{Values: []string{day}, Location: location + "event_date=" + day + "/", Source: location})
	}
	if err := h.warehouse.Publish(tb.Context(), events); err != nil {
		tb.Fatal(err)
	}
}

func (h *home) build(tb testing.TB) {
	tb.Helper()
	if _, err := h.builder.Build(tb.Context(), "dim_user", "fact_experiment_exposure"); err != nil {
		tb.Fatal(err)
	}
	to := table.Place{Table: "ledger_session", Run: h.newRun()}
	if err := table.Write(tb.Context(), h.store, h.warehouse, to, h.sessions); err != nil {
		tb.Fatal(err)
	}
}

// session is what a unit's sessions lost, of ledger_session.
type session struct {
	Entity string `lake:"entity_id"`
	Day    string `lake:"event_date"`
	Bot    bool   `lake:"is_bot"`
	Lost   int64  `lake:"lost"`
}

// cells runs the generated query.
func (h *home) cells(tb testing.TB, e *experiment.Experiment, metrics []metric.Metric, asOf time.Time) []measure.Statistic {
	tb.Helper()
	result, err := h.warehouse.Query(tb.Context(), measure.Query(e, metrics, asOf))
	if err != nil {
		tb.Fatal(err)
	}
	cells, err := measure.Decode(e.ID, metrics, result)
	if err != nil {
		tb.Fatal(err)
	}
	return cells
}

// run measures as the pipeline does, and returns what it published for the day.
func (h *home) run(tb testing.TB, experiments []*experiment.Experiment, metrics []metric.Metric, asOf time.Time) ([]measure.Statistic, []measure.Exposure) {
	tb.Helper()
	if err := h.measurer.Run(tb.Context(), experiments, metrics, asOf); err != nil {
		tb.Fatal(err)
	}
	where := " where as_of = " + lake.Quote(asOf.Format(time.DateOnly)) + " order by experiment_id, exposure_date, variant"
	cells, err := lake.Read[measure.Statistic](tb.Context(), h.warehouse, "select * from fact_experiment_statistic"+where+", metric")
	if err != nil {
		tb.Fatal(err)
	}
	traffic, err := lake.Read[measure.Exposure](tb.Context(), h.warehouse, "select * from fact_experiment_traffic"+where)
	if err != nil {
		tb.Fatal(err)
	}
	return cells, traffic
}

// running is an experiment of a number of days with the given metrics as goals.
func running(id string, days int, metrics ...metric.Metric) *experiment.Experiment {
	e := &experiment.Experiment{
		ID: id, Control: "control", Start: experiment.Date{Time: start()}, PlannedDays: days,
		Variants: []experiment.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}},
	}
	for _, m := range metrics {
		e.Metrics = append(e.Metrics, experiment.Metric{Name: m.Name, Role: experiment.Goal})
	}
	return e
}

const isOrder = "e.event_name = 'order_completed'"

func orders() metric.Term {
	return metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1", Filter: isOrder}
}

func revenue() metric.Term {
	return metric.Term{Table: metric.Events(), Aggregation: "sum", Expression: "e.value", Filter: isOrder}
}

func anything() metric.Term {
	return metric.Term{Table: metric.Events(), Aggregation: "count", Expression: "1"}
}

func days(delay, length int) metric.Window {
	return metric.Window{Delay: delay, Length: length, Unit: "day"}
}
