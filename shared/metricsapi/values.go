package metricsapi

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/plan"
	"verdict/shared/semantic"
)

// pageBytes ends a page early: Lambda answers with 6 MB at most, and dimensions may be long texts.
const pageBytes = 4 << 20

// series is what a metric came to.
type series struct {
	Metric string  `json:"metric"`
	Query  query   `json:"query"`
	Items  []row   `json:"items"`
	Next   *string `json:"next"`
}

// query is the question as it was understood, and what answers it.
type query struct {
	From    string   `json:"from"`
	To      string   `json:"to"` // the day after the last
	Grain   string   `json:"grain"`
	By      []string `json:"by"`
	Filters []filter `json:"filters"`
	Hash    string   `json:"definition_hash"`
	Status  string   `json:"status"`
	Version string   `json:"version"` // changes with the answer only
	Through *string  `json:"through"` // last day asked for of which there are events
	Bytes   int64    `json:"bytes"`   // that it may read
	SQL     string   `json:"sql"`
}

type filter struct {
	Dimension string `json:"dimension"`
	Value     string `json:"value"`
}

type row struct {
	Period      *string            `json:"period"` // its first day; null of a total
	Dimensions  map[string]*string `json:"dimensions"`
	Value       *figure            `json:"value"`
	Numerator   *figure            `json:"numerator,omitempty"`
	Denominator *figure            `json:"denominator,omitempty"`
}

func (a *api) values(r request) (answer, error) {
	q, err := r.question()
	if err != nil {
		return answer{}, err
	}
	p, err := r.page(usualRows, maxRows)
	if err != nil {
		return answer{}, err
	}
	if err := a.servable(q); err != nil {
		return answer{}, err
	}
	made, err := a.Source.Plan(r.ctx, q)
	if err != nil {
		return answer{}, a.instead(q.Metric, err)
	}
	// What a definition says of itself is in the answer, too.
	version := hash(made.Version, made.Definition.Hash(), string(made.Definition.Status))
	if err := p.of(version); err != nil {
		return answer{}, err
	}
	return answer{version, func() (any, string, error) {
		rows, err := a.Source.Rows(r.ctx, made, p.offset, p.limit+1) // one more says whether there is more
		if err != nil {
			return nil, "", err
		}
		out := series{Metric: q.Metric, Query: spelled(made, version), Items: []row{}}
		size := 0
		for i, found := range rows {
			item := rowOf(made, found)
			text, err := json.Marshal(item)
			if err != nil {
				return nil, "", err
			}
			if size += len(text); i == p.limit || i > 0 && size > pageBytes {
				next := r.next(p.offset+i, version)
				out.Next = &next
				return out, next, nil
			}
			out.Items = append(out.Items, item)
		}
		return out, "", nil
	}}, nil
}

// question reads what is asked.
func (r request) question() (semantic.Question, error) {
	q := semantic.Question{Metric: r.named, Grain: semantic.Day}
	var err error
	if q.From, err = r.date("from", true); err != nil {
		return q, err
	}
	if q.To, err = r.date("to", true); err != nil {
		return q, err
	}
	var grains []string
	for _, g := range semantic.Grains() {
		grains = append(grains, string(g))
	}
	grain, err := r.oneOf("grain", grains...)
	if err != nil {
		return q, err
	}
	if grain != "" {
		q.Grain = semantic.Grain(grain)
	}
	if by := r.query.Get("by"); by != "" {
		q.By = strings.Split(by, ",")
	}
	for _, text := range r.query["filter"] {
		dimension, value, ok := strings.Cut(text, ":")
		if !ok {
			return q, malformed("filter", "a filter reads dimension:value, such as device:mobile, not %q", text)
		}
		q.Filters = append(q.Filters, semantic.Filter{Dimension: dimension, Value: value})
	}
	return q, nil
}

// servable refuses what would show personal data: it is described, and not given away.
func (a *api) servable(q semantic.Question) error {
	if m, ok := find(a.metrics, q.Metric); ok && m.Class == plan.Personal {
		return fault.New(fault.Invalid, "%s reads personal data, which this API does not serve", q.Metric)
	}
	names := append([]string{}, q.By...)
	for _, f := range q.Filters {
		names = append(names, f.Dimension)
	}
	for _, name := range names {
		if d, ok := find(a.dims, name); ok && d.Class == plan.Personal {
			return fault.New(fault.Invalid, "the dimension %s is personal data, which this API does not serve", name)
		}
	}
	return nil
}

// instead adds to a refusal what to ask for where a metric has no values by period.
func (a *api) instead(name string, err error) error {
	d, notFound := a.Project.Layer.Find(name)
	if notFound != nil || d.ByPeriod() {
		return err
	}
	why := refuse(err)
	for _, other := range semantic.Instead(a.Project.Layer, d) {
		why.instead = append(why.instead, Base+"/metrics/"+other+"/values")
	}
	if m, ok := find(a.metrics, name); ok {
		for _, id := range m.Experiments {
			why.instead = append(why.instead, Base+"/experiments/"+id+"/results?metric="+name)
		}
	}
	return why
}

func spelled(made *semantic.Plan, version string) query {
	out := query{
		From: made.From.Format(time.DateOnly), To: made.To.Format(time.DateOnly), Grain: string(made.Grain),
		By: append([]string{}, made.By...), Filters: []filter{}, Hash: made.Definition.Hash(), Status: string(made.Definition.Status),
		Version: version, Bytes: made.Bytes, SQL: made.SQL,
	}
	if made.Through != "" {
		out.Through = &made.Through
	}
	for _, f := range made.Filters {
		out.Filters = append(out.Filters, filter{f.Dimension, f.Value})
	}
	return out
}

func rowOf(made *semantic.Plan, found semantic.Row) row {
	out := row{Dimensions: make(map[string]*string, len(made.By)), Value: (*figure)(found.Value)}
	if found.Period != "" {
		out.Period = &found.Period
	}
	for i, name := range made.By {
		out.Dimensions[name] = found.Dimensions[i]
	}
	if made.Definition.Type == "ratio" {
		above, below := nullable(found.Numerator), nullable(found.Denominator)
		out.Numerator, out.Denominator = &above, &below
	}
	return out
}

// nullable is a number that stands in the answer even when there is none.
func nullable(x *float64) figure {
	if x == nil {
		return figure(math.NaN())
	}
	return figure(*x)
}
