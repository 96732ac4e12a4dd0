package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"verdict/shared/evaluate"
)

// overview reads what the list shows, most urgent first.
func (s *server) overview(r *http.Request) ([]*Report, found, error) {
	f, err := s.latest(r.Context())
	if err != nil {
		return nil, f, err
	}
	reports := make([]*Report, len(s.Project.Experiments))
	for i, e := range s.Project.Experiments {
		reports[i] = f.report(e, s.Now())
	}
	slices.SortFunc(reports, byUrgency)
	return reports, f, nil
}

// filter is what a reader asks of the list, in the page's own address: a link to what is seen can be passed on.
type filter struct {
	Words string // all of them stand somewhere in what names the experiment
	Group string // one of groups, or empty for all
}

func filterOf(r *http.Request) filter {
	q := r.URL.Query()
	return filter{strings.TrimSpace(q.Get("q")), q.Get("show")}
}

// Some tells whether anything is asked for.
func (f filter) Some() bool { return f != filter{} }

func (f filter) keeps(r *Report) bool {
	if f.Group != "" && f.Group != r.Group() {
		return false
	}
	e := r.Experiment
	names := []string{e.ID, e.Name, e.Owner, e.Flag, e.Hypothesis, string(r.Verdict())}
	for _, m := range e.Metrics {
		names = append(names, m.Name)
	}
	text := strings.ToLower(strings.Join(names, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(f.Words)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// group is a part of the list and how many experiments are in it.
type group struct {
	Key, Says string
	Count     int
}

// groupsOf counts the experiments of each group; every experiment is in one.
func groupsOf(reports []*Report) []group {
	out := []group{{Key: "attention", Says: "need attention"}, {Key: "collecting", Says: "collecting"}, {Key: "waiting", Says: "waiting"}, {Key: "concluded", Says: "concluded"}}
	for _, r := range reports {
		for i := range out {
			if out[i].Key == r.Group() {
				out[i].Count++
			}
		}
	}
	return out
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	reports, f, err := s.overview(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	view := struct {
		Reports []*Report
		Missing []string
		All     int
		Groups  []group
		Filter  filter
		AsOf    string
	}{Missing: f.missing, All: len(reports), Groups: groupsOf(reports), Filter: filterOf(r)}
	var goals []evaluate.Result
	for _, report := range reports {
		view.AsOf = max(view.AsOf, report.AsOf())
		if !view.Filter.keeps(report) {
			continue
		}
		view.Reports = append(view.Reports, report)
		if len(report.Withheld()) == 0 {
			goals = append(goals, report.Goals()...)
		}
	}
	scale := miniScale(goals)
	for _, report := range view.Reports {
		report.scale = scale
	}
	s.render(w, r, http.StatusOK, "list", view)
}
