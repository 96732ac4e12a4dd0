package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lineage"
	"verdict/shared/metric"
	"verdict/shared/semantic"
)

const (
	maxBytes    = 100e9 // that one chart may read: half a dollar on Athena
	defaultDays = 28    // four whole weeks
	maxLines    = 5     // of a chart; what is smaller is in the table
	maxRows     = 5000
)

// metricEntry is one metric of the explorer.
type metricEntry struct {
	Name        string             `json:"name"`
	Label       string             `json:"label"`
	Description string             `json:"description"`
	Kind        string             `json:"kind"` // in experiments; empty: none can use it
	Owner       string             `json:"owner"`
	Status      metric.Status      `json:"status"`
	Version     int                `json:"version"`
	Hash        string             `json:"hash"`
	PII         string             `json:"pii_class"`
	Properties  []lineage.Property `json:"properties"`
	UsedIn      []usage            `json:"used_in"`
	Definition  metric.Definition  `json:"-"`
}

// usage is an experiment that a metric is used in.
type usage struct {
	Experiment string          `json:"experiment"`
	Name       string          `json:"name"`
	Role       experiment.Role `json:"role"`
}

func (s *server) entry(d metric.Definition) metricEntry {
	graph := lineage.New(s.Project.Models, s.Project.Plan)
	e := metricEntry{
		Name: d.Name, Label: cmp.Or(d.Label, d.Name), Description: d.Description, Owner: d.Owner, Status: d.Status, Version: d.Version, Hash: d.Hash(),
		Properties: []lineage.Property{}, UsedIn: []usage{}, Definition: d,
	}
	if d.Experiment != nil {
		e.Kind = string(d.Experiment.Kind)
	}
	for _, t := range d.Terms() {
		e.Properties = append(e.Properties, graph.Properties(t.Table.Name, t)...)
	}
	e.PII = string(lineage.Class(e.Properties))
	for _, x := range s.Project.Experiments {
		for _, m := range x.Metrics {
			if m.Name == d.Name {
				e.UsedIn = append(e.UsedIn, usage{x.ID, x.Name, m.Role})
			}
		}
	}
	return e
}

func wantsJSON(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

func (s *server) metricList(w http.ResponseWriter, r *http.Request) {
	words := strings.Fields(strings.ToLower(r.URL.Query().Get("q")))
	entries := []metricEntry{}
	for _, d := range s.Project.Layer.Definitions {
		text := strings.ToLower(strings.Join([]string{d.Name, d.Label, d.Description, d.Owner, string(d.Status)}, "\n"))
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) }) {
			entries = append(entries, s.entry(d))
		}
	}
	if wantsJSON(r) {
		s.writeJSON(w, r, struct {
			Metrics []metricEntry `json:"metrics"`
		}{entries})
		return
	}
	s.render(w, r, http.StatusOK, "metrics", struct {
		Metrics []metricEntry
		All     int
		Words   string
	}{entries, len(s.Project.Layer.Definitions), r.URL.Query().Get("q")})
}

// metricView is the page of one metric.
type metricView struct {
	metricEntry
	From, To   string // both days included
	By         string
	Dimensions []metric.Dimension
	SQL        string
	Bytes      int64
	Chart      *lines
	Rows       []semantic.Row
	Problem    string // why there is no chart
}

func (s *server) metric(w http.ResponseWriter, r *http.Request) {
	d, err := s.Project.Layer.Find(r.PathValue("name"))
	if err != nil {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "There is no metric " + r.PathValue("name") + "."})
		return
	}
	v := metricView{metricEntry: s.entry(d), Dimensions: s.Project.Layer.Dimensions, By: r.URL.Query().Get("by"), From: r.URL.Query().Get("from"), To: r.URL.Query().Get("to")}
	if err := s.chart(r.Context(), &v); err != nil {
		if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound) {
			s.fail(w, r, err)
			return
		}
		v.Problem = err.Error()
	}
	if wantsJSON(r) {
		s.writeJSON(w, r, struct {
			metricEntry
			From    string         `json:"from"`
			To      string         `json:"to"`
			By      string         `json:"by"`
			SQL     string         `json:"sql"`
			Bytes   int64          `json:"bytes"` // of the files of these days
			Rows    []semantic.Row `json:"rows"`
			Problem string         `json:"problem,omitempty"`
		}{v.metricEntry, v.From, v.To, v.By, v.SQL, v.Bytes, v.Rows, v.Problem})
		return
	}
	s.render(w, r, http.StatusOK, "metric", v)
}

// chart asks for the metric by day, of the last four weeks of events when nothing else is asked for.
func (s *server) chart(ctx context.Context, v *metricView) error {
	if v.To == "" {
		table, err := s.Catalog.Table(ctx, s.Project.Layer.Table.Name)
		if err != nil {
			return err
		}
		for _, p := range table.Partitions {
			v.To = max(v.To, strings.Join(p.Values, ""))
		}
	}
	to, err := time.Parse(time.DateOnly, v.To)
	if err != nil {
		return fault.New(fault.Invalid, "%q is no day like 2026-01-31", v.To)
	}
	if v.From == "" {
		v.From = to.AddDate(0, 0, 1-defaultDays).Format(time.DateOnly)
	}
	from, err := time.Parse(time.DateOnly, v.From)
	if err != nil {
		return fault.New(fault.Invalid, "%q is no day like 2026-01-31", v.From)
	}
	q := semantic.Question{Metric: v.Name, From: from, To: to.AddDate(0, 0, 1), Grain: semantic.Day}
	if v.By != "" {
		q.By = []string{v.By}
	}
	plan, err := s.metrics.Plan(ctx, q)
	if err != nil {
		return err
	}
	v.SQL, v.Bytes = plan.SQL, plan.Bytes
	if v.Rows, err = s.metrics.Rows(ctx, plan, 0, maxRows); err != nil {
		return err
	}
	format := ""
	if v.Definition.Experiment != nil && v.Definition.Type == "ratio" {
		format = v.Definition.Experiment.Format
	}
	v.Chart = linesOf(v.Rows, from, to, format)
	return nil
}

// lines is a chart of values by day: an axis from 0, and a line for each value of a dimension.
type lines struct {
	frame
	Days, Values []tick
	Series       []series
	Hidden       int // series that are in the table only
}

type series struct{ Name, Class, Points, EndX, EndY string }

// named is what a row of a split is called.
func named(r semantic.Row) string {
	switch {
	case len(r.Dimensions) == 0:
		return "all"
	case r.Dimensions[0] == nil:
		return "(none)"
	}
	return *r.Dimensions[0]
}

func linesOf(rows []semantic.Row, from, to time.Time, format string) *lines {
	if len(rows) == 0 {
		return nil
	}
	sums, points := map[string]float64{}, map[string][][2]float64{}
	var names []string
	low, high := 0.0, 0.0
	for _, r := range rows {
		at, err := time.Parse(time.DateOnly, r.Period)
		if err != nil || r.Value == nil {
			continue
		}
		name := named(r)
		if _, seen := sums[name]; !seen {
			names = append(names, name)
		}
		sums[name] += math.Abs(*r.Value)
		points[name] = append(points[name], [2]float64{at.Sub(from).Hours() / 24, *r.Value})
		low, high = min(low, *r.Value), max(high, *r.Value)
	}
	if high == low {
		high = low + 1
	}
	c := &lines{frame: trendFrame()}
	x, y := scale{0, max(1, to.Sub(from).Hours()/24), c.Left, c.Right - 60}, scale{low, high * 1.05, c.Bottom, c.Top}
	for _, t := range x.ticks(5) {
		if t == math.Trunc(t) {
			c.Days = append(c.Days, tick{px(x.at(t)), from.AddDate(0, 0, int(t)).Format("2 Jan")})
		}
	}
	for _, t := range y.ticks(5) {
		c.Values = append(c.Values, tick{px(y.at(t)), brief(t, format)})
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
	c.Hidden = max(0, len(names)-maxLines)
	for i, name := range names[:min(maxLines, len(names))] {
		s := series{Name: name, Class: fmt.Sprintf("s%d", i)}
		var all []string
		for _, p := range points[name] {
			s.EndX, s.EndY = px(x.at(p[0])+6), px(y.at(p[1]))
			all = append(all, px(x.at(p[0]))+","+px(y.at(p[1])))
		}
		s.Points = strings.Join(all, " ")
		c.Series = append(c.Series, s)
	}
	return c
}

// brief labels an axis of values.
func brief(x float64, format string) string {
	switch {
	case format == "percent":
		return share(x)
	case math.Abs(x) >= 1e6:
		return strings.TrimSuffix(fixed(x/1e6, 1), ".0") + " M"
	case x == math.Trunc(x):
		return fixed(x, 0)
	}
	return fixed(x, 2)
}

// bundle answers with the file that holds all a decision rests on. Its name is its content's hash, so it never changes.
func (s *server) bundle(w http.ResponseWriter, r *http.Request) {
	key := "bundles/" + r.PathValue("experiment") + "/" + r.PathValue("day") + "/" + r.PathValue("file")
	body, err := s.Objects.Get(r.Context(), key)
	if fault.Is(err, fault.NotFound) || err == nil && !strings.HasSuffix(key, ".json.gz") {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "There is no bundle " + r.PathValue("file") + "."})
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/gzip")
	h.Set("Content-Disposition", "attachment")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = w.Write(body) // a client that left needs no answer
}

// gigabytes writes an amount of bytes.
func gigabytes(n int64) string {
	switch {
	case n >= 1e9:
		return fixed(float64(n)/1e9, 1) + " GB"
	case n >= 1e6:
		return fixed(float64(n)/1e6, 1) + " MB"
	}
	return fixed(float64(n)/1e3, 0) + " kB"
}

func known(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}
