package metric

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Lambda's image has no time zones

	"verdict/shared/definition"
)

// semanticModel is a table of facts in MetricFlow's words.
type semanticModel struct {
	Name         string            `yaml:"name"`
	NodeRelation map[string]string `yaml:"node_relation"`
	Defaults     map[string]string `yaml:"defaults"`
	Entities     []element         `yaml:"entities"`
	Dimensions   []element         `yaml:"dimensions"`
	Measures     []element         `yaml:"measures"`

	table      Table
	dimensions map[string]string // name to SQL over the alias e
	measures   map[string]Term
}

type element struct {
	Name        string         `yaml:"name"`
	Description string         `yaml:"description"`
	Type        string         `yaml:"type"`
	Agg         string         `yaml:"agg"`
	Expr        string         `yaml:"expr"`
	TypeParams  map[string]any `yaml:"type_params"`
}

func (e element) expression() string {
	if e.Expr == "" {
		return e.Name
	}
	return e.Expr
}

type declared struct {
	Name        string `yaml:"name"`
	Label       string `yaml:"label"`
	Description string `yaml:"description"`
	Type        string `yaml:"type"`
	TypeParams  struct {
		Measure     string `yaml:"measure"`
		Numerator   string `yaml:"numerator"`
		Denominator string `yaml:"denominator"`
	} `yaml:"type_params"`
	Filter string `yaml:"filter"`
	Config struct {
		Meta struct {
			Owner      string      `yaml:"owner"`
			Status     Status      `yaml:"status"`
			Version    int         `yaml:"version"`
			Experiment *experiment `yaml:"experiment"`
		} `yaml:"meta"`
	} `yaml:"config"`
	doc definition.Document
}

type experiment struct {
	Kind       Kind   `yaml:"kind"`
	Window     Window `yaml:"window"`
	Incomplete string `yaml:"incomplete"`
	Direction  string `yaml:"direction"`
	Format     string `yaml:"format"`
	// Cap is part of the definition, so that it is taken from the past and frozen while experiments run: a
	// cap computed from the data at hand depends on the treatment.
	Cap         *float64 `yaml:"cap"`
	CapQuantile *float64 `yaml:"cap_quantile"`
	Attribution string   `yaml:"attribution"`
	CUPED       *struct {
		Days int `yaml:"days"`
	} `yaml:"cuped"`
	Funnel   []funnelStep `yaml:"funnel"`
	Quantile *struct {
		Level float64 `yaml:"level"`
		Of    string  `yaml:"of"`
	} `yaml:"quantile"`
}

type funnelStep struct {
	Metric string `yaml:"metric"`
	Within *struct {
		Length int    `yaml:"length"`
		Unit   string `yaml:"unit"`
	} `yaml:"within"`
}

// library is what the files under a directory say, before it is put together.
type library struct {
	columns func(table string) []string
	models  []*semanticModel
	metrics map[string]*declared
	order   []string
}

func read(files fs.FS, dir string, columns func(table string) []string) (*library, error) {
	names, err := fs.Glob(files, path.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list metrics: %w", err)
	}
	l := &library{columns: columns, metrics: map[string]*declared{}}
	for _, name := range names {
		source, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		docs, err := definition.Parse(name, source)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			if err := l.add(doc); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// Load reads every *.yaml under dir, in name order. columns lists the columns of a table, none for one that does not
// exist.
func Load(files fs.FS, dir string, columns func(table string) []string) ([]Metric, error) {
	l, err := read(files, dir, columns)
	if err != nil {
		return nil, err
	}
	var out []Metric
	for _, name := range l.order {
		if l.metrics[name].Config.Meta.Experiment == nil {
			continue // a building block of others
		}
		m, err := l.resolve(l.metrics[name])
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (l *library) add(doc definition.Document) error {
	var content struct {
		SemanticModel *semanticModel `yaml:"semantic_model"`
		Metric        *declared      `yaml:"metric"`
	}
	if err := doc.Decode(&content); err != nil {
		return err
	}
	switch m := content.Metric; {
	case content.SemanticModel != nil:
		if err := content.SemanticModel.resolve(doc, l.columns); err != nil {
			return err
		}
		l.models = append(l.models, content.SemanticModel)
	case m == nil:
		return doc.Errorf("$", "want a document with semantic_model or metric")
	case m.Name == "" || l.metrics[m.Name] != nil:
		return doc.Errorf("$.metric.name", "a metric needs a name of its own, not %q", m.Name)
	default:
		m.doc = doc
		l.metrics[m.Name] = m
		l.order = append(l.order, m.Name)
	}
	return nil
}

// resolve makes SQL of what the model names, and finds the columns that say whose a row is, and of when.
func (m *semanticModel) resolve(doc definition.Document, columnsOf func(string) []string) error {
	const at = "$.semantic_model"
	m.table.Name = m.NodeRelation["alias"]
	if m.table.Name == "" {
		m.table.Name = m.Name
	}
	columns := columnsOf(m.table.Name)
	if columns == nil {
		return doc.Errorf(at+".name", "there is no table %q", m.table.Name)
	}
	named := func(elements []element, name, standard string) string {
		column := standard
		for _, e := range elements {
			if e.Name == name {
				column = e.expression()
			}
		}
		if !slices.Contains(columns, column) {
			return ""
		}
		return column
	}
	if m.table.Entity = named(m.Entities, "entity", Events().Entity); m.table.Entity == "" {
		return doc.Errorf(at+".entities", "want an entity with the name entity whose expr is the column of the id (u:... or a:...)")
	}
	if m.table.Time = named(m.Dimensions, m.Defaults["agg_time_dimension"], Events().Time); m.table.Time == "" {
		return doc.Errorf(at+".defaults", "want an agg_time_dimension that is one of the dimensions, and a column")
	}
	for column, into := range map[string]*string{"event_date": &m.table.Date, "is_bot": &m.table.Bot} {
		if slices.Contains(columns, column) {
			*into = column
		}
	}
	m.dimensions, m.measures = map[string]string{}, map[string]Term{}
	for i, d := range m.Dimensions {
		if !identifier.MatchString(d.Name) {
			return doc.Errorf(fmt.Sprintf("%s.dimensions[%d].name", at, i), "a dimension is named by small letters, digits and _, not %q", d.Name)
		}
		sql, err := qualify(d.expression(), columns)
		if err != nil {
			return doc.Errorf(fmt.Sprintf("%s.dimensions[%d]", at, i), "dimension %s: %s", d.Name, err)
		}
		m.dimensions[d.Name] = sql
	}
	for i, e := range m.Measures {
		here := fmt.Sprintf("%s.measures[%d]", at, i)
		sql, err := qualify(e.expression(), columns)
		if err != nil {
			return doc.Errorf(here, "measure %s: %s", e.Name, err)
		}
		if !slices.Contains([]string{"sum", "count", "count_distinct", "max"}, e.Agg) {
			return doc.Errorf(here, "measure %s: agg must be sum, count, count_distinct or max, not %q", e.Name, e.Agg)
		}
		m.measures[e.Name] = Term{Table: m.table, Aggregation: e.Agg, Expression: sql}
	}
	return nil
}

func (l *library) resolve(d *declared) (Metric, error) {
	const at = "$.metric.config.meta.experiment"
	e := d.Config.Meta.Experiment
	m := Metric{
		Name: d.Name, Label: d.Label, Description: d.Description, Kind: e.Kind, Window: e.Window,
		Incomplete: e.Incomplete == "include", Increase: e.Direction == "increase", Format: e.Format,
	}
	switch {
	case !slices.Contains(Kinds(), e.Kind):
		return m, d.doc.Errorf(at+".kind", "kind must be conversion, retention, mean, ratio, funnel, quantile or time_to_event, not %q", e.Kind)
	case (e.Kind == Ratio) != (d.Type == "ratio"):
		return m, d.doc.Errorf(at+".kind", "a metric of type %s cannot be of kind %s", d.Type, e.Kind)
	case e.Direction != "increase" && e.Direction != "decrease":
		return m, d.doc.Errorf(at+".direction", "direction must be increase or decrease, not %q", e.Direction)
	case !slices.Contains([]string{"percent", "currency", "number"}, e.Format):
		return m, d.doc.Errorf(at+".format", "format must be percent, currency or number, not %q", e.Format)
	case !slices.Contains([]string{"", "include", "exclude"}, e.Incomplete):
		return m, d.doc.Errorf(at+".incomplete", "units whose window is not complete yet are left out (exclude) or in (include), not %q", e.Incomplete)
	case e.Kind == Retention && e.Window.Delay < 1:
		return m, d.doc.Errorf(at+".window", "a retention window starts at least a day after exposure: give it a delay")
	}
	if err := e.Window.check(d.doc, at+".window"); err != nil {
		return m, err
	}
	if err := m.refine(d.doc, at, e); err != nil {
		return m, err
	}
	var err error
	if m.Governance, err = d.governance(); err != nil {
		return m, err
	}
	if e.Kind == Funnel {
		return m, l.funnel(&m, d, at)
	}
	if d.Type == "ratio" {
		m.Numerator, m.Denominator, err = l.ratio(d)
		return m, err
	}
	m.Numerator, err = l.term(d)
	if err == nil && m.Kind == Quantile && m.OfEvents && m.Numerator.Aggregation != "sum" {
		err = d.doc.Errorf("$.metric.type_params.measure", "a quantile of events is of the column of a sum")
	}
	return m, err
}

func (w Window) check(doc definition.Document, at string) error {
	switch {
	case w.Unit != "day" && w.Unit != "hour":
		return doc.Errorf(at+".unit", "the unit of a window is day or hour, not %q", w.Unit)
	case w.Anchor != "" && w.Anchor != "exposure":
		return doc.Errorf(at+".anchor", "windows start at exposure, not %q", w.Anchor)
	case w.Lookback != 0 && (w.Lookback < 1 || w.Length != 0 || w.Delay != 0 || w.Unit != "day" || w.TimeZone != ""):
		return doc.Errorf(at+".lookback", "a lookback is a number of days, and stands without delay, length and time zone")
	case w.Lookback == 0 && (w.Length < 1 || w.Delay < 0):
		return doc.Errorf(at, "window needs a length of at least 1 and no negative delay")
	case w.TimeZone != "" && w.Unit != "day":
		return doc.Errorf(at+".time_zone", "a time zone makes the days of a window calendar days; its unit must be day")
	}
	if _, err := time.LoadLocation(w.TimeZone); err != nil {
		return doc.Errorf(at+".time_zone", "there is no time zone %q; want a name such as Europe/Berlin", w.TimeZone)
	}
	return nil
}

// refine reads what only some kinds have.
func (m *Metric) refine(doc definition.Document, at string, e *experiment) error {
	moments := slices.Contains([]Kind{Conversion, Retention, Mean, Ratio}, e.Kind)
	switch {
	case e.Cap != nil && (e.Kind != Mean || *e.Cap <= 0):
		return doc.Errorf(at+".cap", "a cap is a number above 0, for metrics of kind mean")
	case e.CapQuantile != nil && (e.Kind != Mean || e.Cap != nil || !(*e.CapQuantile > 0 && *e.CapQuantile < 1)):
		return doc.Errorf(at+".cap_quantile", "cap_quantile lies between 0 and 1 (0.999), for metrics of kind mean that have no cap")
	case !slices.Contains([]string{"", "all", string(FirstTouch), string(LastTouch)}, e.Attribution):
		return doc.Errorf(at+".attribution", "attribution must be all, first_touch or last_touch, not %q", e.Attribution)
	case (e.Attribution == string(FirstTouch) || e.Attribution == string(LastTouch)) && e.Kind != Mean && e.Kind != Ratio:
		return doc.Errorf(at+".attribution", "the first or last touch is of metrics of kind mean or ratio")
	case e.CUPED != nil && (!moments || e.CUPED.Days < 1 || e.CapQuantile != nil):
		return doc.Errorf(at+".cuped", "cuped needs a number of days, and a metric of kind conversion, retention, mean or ratio without cap_quantile")
	case (e.Kind == Funnel) != (len(e.Funnel) > 0):
		return doc.Errorf(at+".funnel", "a metric of kind funnel has a funnel, and no other has")
	case (e.Kind == Quantile) != (e.Quantile != nil):
		return doc.Errorf(at+".quantile", "a metric of kind quantile has a quantile, and no other has")
	case e.Quantile != nil && !(e.Quantile.Level > 0 && e.Quantile.Level < 1):
		return doc.Errorf(at+".quantile.level", "the level of a quantile lies between 0 and 1: 0.5 is the median")
	case e.Quantile != nil && e.Quantile.Of != "unit" && e.Quantile.Of != "event":
		return doc.Errorf(at+".quantile.of", "a quantile is of unit or event, not %q", e.Quantile.Of)
	case e.Kind == TimeToEvent && (e.Window.Delay != 0 || e.Window.Lookback != 0 || e.Window.TimeZone != ""):
		return doc.Errorf(at+".window", "time to an event starts at exposure and ends with a length: no delay, lookback or time zone")
	case e.Incomplete == "include" && (e.Kind == Quantile || e.Kind == TimeToEvent || e.Window.Lookback > 0):
		return doc.Errorf(at+".incomplete", "such a metric needs complete windows")
	}
	if e.Cap != nil {
		m.Cap = *e.Cap
	}
	if e.CapQuantile != nil {
		m.CapQuantile = *e.CapQuantile
	}
	if e.Attribution != "all" {
		m.Touch = Touch(e.Attribution)
	}
	if e.CUPED != nil {
		m.Covariate = e.CUPED.Days
	}
	if e.Quantile != nil {
		m.Level, m.OfEvents = e.Quantile.Level, e.Quantile.Of == "event"
	}
	return nil
}

// simple finds a building block.
func (l *library) simple(d *declared, at, name string) (Term, error) {
	part := l.metrics[name]
	if part == nil || part.Type != "simple" {
		return Term{}, d.doc.Errorf(at, "want the name of a simple metric, not %q", name)
	}
	return l.term(part)
}

func (l *library) ratio(d *declared) (numerator, denominator Term, err error) {
	if numerator, err = l.simple(d, "$.metric.type_params.numerator", d.TypeParams.Numerator); err != nil {
		return numerator, denominator, err
	}
	denominator, err = l.simple(d, "$.metric.type_params.denominator", d.TypeParams.Denominator)
	return numerator, denominator, err
}

func (l *library) funnel(m *Metric, d *declared, at string) error {
	for i, s := range d.Config.Meta.Experiment.Funnel {
		here := fmt.Sprintf("%s.funnel[%d]", at, i)
		term, err := l.simple(d, here+".metric", s.Metric)
		if err != nil {
			return err
		}
		step := Step{Filter: term.Filter}
		if s.Within != nil {
			unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[s.Within.Unit]
			if step.Within = int((time.Duration(s.Within.Length) * unit).Milliseconds()); i == 0 || step.Within < 1 {
				return d.doc.Errorf(here+".within", "within is a length in minute, hour or day after the step before; the first step has none")
			}
		}
		switch {
		case i == 0:
			m.Numerator.Table = term.Table
		case term.Table != m.Numerator.Table:
			return d.doc.Errorf(here+".metric", "the steps of a funnel are rows of one table")
		}
		if term.Filter == "" || slices.ContainsFunc(m.Steps, func(o Step) bool { return o.Filter == step.Filter }) {
			return d.doc.Errorf(here+".metric", "each step of a funnel needs a filter of its own, so that no event is two steps")
		}
		m.Steps = append(m.Steps, step)
	}
	if len(m.Steps) < 2 {
		return d.doc.Errorf(at+".funnel", "a funnel has at least two steps")
	}
	return nil
}

func (l *library) term(d *declared) (Term, error) {
	if d.Type != "simple" {
		return Term{}, d.doc.Errorf("$.metric.type", "type must be simple or ratio, not %q", d.Type)
	}
	for _, model := range l.models {
		t, ok := model.measures[d.TypeParams.Measure]
		if !ok {
			continue
		}
		var err error
		if t.Filter, err = model.filter(strings.TrimSpace(d.Filter)); err != nil {
			return Term{}, d.doc.Errorf("$.metric.filter", "%s: a filter compares dimensions, as in {{ Dimension('entity__event_name') }} = 'order_completed'", err)
		}
		return t, nil
	}
	return Term{}, d.doc.Errorf("$.metric.type_params.measure", "there is no measure %q", d.TypeParams.Measure)
}
