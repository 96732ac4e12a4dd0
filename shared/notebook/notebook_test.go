package notebook_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	athenasql "verdict/athena-sql"
	"verdict/shared/dialect"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/notebook"
	"verdict/shared/project"
)

func subject(t *testing.T) notebook.Subject {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Experiments {
		if e.ID != "one_page_checkout" {
			continue
		}
		metrics, err := measure.Select(e, p.Metrics)
		if err != nil {
			t.Fatal(err)
		}
		return notebook.Subject{
			Experiment: e, Metrics: metrics, Metric: metrics[0], AsOf: e.Start.AddDate(0, 0, 10), Templates: athenasql.Files,
			Local: &notebook.Local{Lake: "/lake", Macros: duck.Macros()}, Funnel: []string{"product_viewed", "order_completed"},
		}
	}
	t.Fatal("there is no experiment one_page_checkout")
	return notebook.Subject{}
}

type document struct {
	Cells []struct {
		Type     string                     `json:"cell_type"`
		ID       string                     `json:"id"`
		Metadata map[string]json.RawMessage `json:"metadata"`
		Source   []string                   `json:"source"`
	} `json:"cells"`
	Metadata      map[string]json.RawMessage `json:"metadata"`
	Format        int                        `json:"nbformat"`
	FormatMinor   int                        `json:"nbformat_minor"`
	rawCells      []map[string]json.RawMessage
	code, written string
}

func write(t *testing.T, s notebook.Subject) document {
	t.Helper()
	body, err := notebook.Write(s)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	var raw struct {
		Cells []map[string]json.RawMessage `json:"cells"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		t.Fatal(err)
	}
	d.rawCells = raw.Cells
	for _, c := range d.Cells {
		if c.Type == "code" {
			d.code += strings.Join(c.Source, "") + "\n"
		} else {
			d.written += strings.Join(c.Source, "") + "\n"
		}
	}
	return d
}

// What nbformat.v4.5.schema.json requires of a notebook and its cells; it allows no other field in a cell.
func TestTheNotebookHasTheShapeOfFormat45(t *testing.T) {
	d := write(t, subject(t))
	if d.Format != 4 || d.FormatMinor != 5 || d.Metadata["kernelspec"] == nil {
		t.Errorf("format %d.%d, metadata %v", d.Format, d.FormatMinor, d.Metadata)
	}
	fields := map[string][]string{
		"code":     {"cell_type", "execution_count", "id", "metadata", "outputs", "source"},
		"markdown": {"cell_type", "id", "metadata", "source"},
	}
	ids, id := map[string]bool{}, regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	for i, c := range d.Cells {
		var have []string
		for _, name := range []string{"cell_type", "execution_count", "id", "metadata", "outputs", "source"} {
			if _, ok := d.rawCells[i][name]; ok {
				have = append(have, name)
			}
		}
		if diff := cmp.Diff(fields[c.Type], have); diff != "" || len(have) != len(d.rawCells[i]) {
			t.Errorf("cell %d (%s): fields %s", i, c.Type, diff)
		}
		if !id.MatchString(c.ID) || ids[c.ID] {
			t.Errorf("cell %d: id %q is not one of its own", i, c.ID)
		}
		ids[c.ID] = true
	}
	if len(d.Cells) < 20 || !strings.HasPrefix(d.written, "# One-page checkout\n\nFewer steps") {
		t.Errorf("%d cells, first text %.60q", len(d.Cells), d.written)
	}
	if again := write(t, subject(t)); cmp.Diff(d.code+d.written, again.code+again.written) != "" {
		t.Error("the same subject gives another notebook")
	}
}

var query = regexp.MustCompile(`(?s)(\w+) = (?:query\()?r"""\n(.*?)\n"""`)

// queries are the SQL texts of a notebook, by the variable that takes them.
func queries(d document) map[string]string {
	out := map[string]string{}
	for _, m := range query.FindAllStringSubmatch(d.code, -1) {
		if m[1] != "MACROS" {
			out[m[1]] = m[2]
		}
	}
	return out
}

// The same queries run on Athena: they keep to the dialect, and DuckDB takes them on a lake with empty tables.
func TestEveryQueryIsInTheDialect(t *testing.T) {
	w := emptyLake(t)
	for _, name := range []string{"purchase_conversion_d3", "revenue_per_user_d3", "returned_d1_d4", "average_order_value_d3"} {
		s := subject(t)
		var err error
		if s.Metric, err = metric.Find(s.Metrics, name); err != nil {
			t.Fatal(err)
		}
		all := queries(write(t, s))
		if len(all) != 10 {
			t.Errorf("%s: %d queries, want 10", name, len(all))
		}
		for variable, sql := range all {
			for _, f := range dialect.Check(sql) {
				t.Errorf("%s, %s:%d: %q, write %s", name, variable, f.Line, f.Found, f.Instead)
			}
			if _, err := w.Query(t.Context(), sql); err != nil {
				t.Errorf("%s, %s: %v\n%s", name, variable, err, sql)
			}
		}
	}
}

// emptyLake has every table of the built-in project, without a row.
func emptyLake(t *testing.T) *duck.Warehouse {
	t.Helper()
	w, err := duck.Open(t.Context(), &directory.Store{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]lake.Column{
		"fact_experiment_statistic": columns("experiment_id,metric,variant,exposure_date,as_of"),
		"fact_experiment_results":   append(columns("experiment_id,metric,variant,status,as_of"), doubles("units_control,units_treatment,lift,lift_low,lift_high")...),
	}
	for _, m := range p.Models.Models {
		tables[m.Name] = p.Models.ColumnsOf(m.Name)
	}
	for name, columns := range tables {
		if err := w.Publish(t.Context(), lake.Table{Name: name, Columns: columns}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func columns(names string) []lake.Column {
	var out []lake.Column
	for name := range strings.SplitSeq(names, ",") {
		out = append(out, lake.Column{Name: name, Type: "varchar"})
	}
	return out
}

func doubles(names string) []lake.Column {
	out := columns(names)
	for i := range out {
		out[i].Type = "double"
	}
	return out
}

func TestAthenaAndTheLakeDifferOnlyInHowToConnect(t *testing.T) {
	s := subject(t)
	local := write(t, s)
	s.Local, s.Athena = nil, &notebook.Athena{Database: "verdict_dev", Workgroup: "people"}
	athena := write(t, s)
	if diff := cmp.Diff(queries(local), queries(athena)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(athena.code, `pyathena.connect(schema_name="verdict_dev", work_group="people")`) || strings.Contains(athena.code, "duckdb") {
		t.Error("the notebook for Athena does not connect to it")
	}
	if !strings.Contains(local.code, `LAKE = Path("/lake")`) || strings.Contains(local.code, "pyathena") {
		t.Error("the notebook for a lake does not open it")
	}
}

func TestHostileTexts(t *testing.T) {
	s := subject(t)
	e := *s.Experiment
	e.Name, e.Hypothesis = "A \"quoted\" name\n# %% cut", "One\n\n# %%\nimport os"
	s.Experiment = &e
	d := write(t, s)
	if plain := write(t, subject(t)); len(d.Cells) != len(plain.Cells) {
		t.Errorf("%d cells, want %d: a text has become a cell", len(d.Cells), len(plain.Cells))
	}
	for name, change := range map[string]func(*notebook.Subject){
		"segment with a statement":       func(s *notebook.Subject) { s.Segment = "e.user_id; drop table x" },
		"segment outside the dialect":    func(s *notebook.Subject) { s.Segment = "e.user_id::varchar" },
		"segment with a comment":         func(s *notebook.Subject) { s.Segment = "e.user_id -- x" },
		"text that ends Python's quotes": func(s *notebook.Subject) { s.Funnel = []string{`a"""b`} },
		"no home":                        func(s *notebook.Subject) { s.Local = nil },
		"two homes":                      func(s *notebook.Subject) { s.Athena = &notebook.Athena{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := subject(t)
			change(&s)
			if _, err := notebook.Write(s); !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v (%s), want one of class invalid", err, fault.Of(err))
			}
		})
	}
}

// A unit counts from the day on which its window is complete, and after the planned end nobody new does.
func TestTheCohortIsTheReadouts(t *testing.T) {
	for name, c := range map[string]struct {
		days int
		want string
	}{
		"while it runs":              {10, "and exposure_date < '2026-01-12'"},
		"long after the planned end": {60, "and exposure_date < '2026-01-23'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := subject(t)
			s.AsOf = s.Experiment.Start.Add(time.Duration(c.days) * 24 * time.Hour)
			if unit := queries(write(t, s))["UNIT"]; !strings.Contains(unit, c.want) {
				t.Errorf("%s does not stand in\n%s", c.want, unit)
			}
		})
	}
}
