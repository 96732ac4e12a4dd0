// Package dashboard shows what is known about every experiment, to people as pages that need no
// script and to machines as JSON. It reads published tables and changes nothing.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/project"
	"verdict/shared/semantic"
)

//go:embed page
var page embed.FS

// Source is what the dashboard shows: definitions, and what became of them in a lake.
type Source struct {
	Project *project.Project
	Engine  lake.Engine
	Catalog lake.Catalog
	Objects lake.Objects
	Now     func() time.Time
	Log     *slog.Logger
	Howto   string // command or sentence of an empty page: what to run here to get results
}

type server struct {
	Source
	metrics *semantic.Source
	pages   map[string]*template.Template
	policy  string // Content-Security-Policy
}

// New returns the dashboard of a source.
func New(source Source) http.Handler {
	style, err := page.ReadFile("page/style.css")
	if err != nil {
		panic("dashboard: its style sheet is embedded: " + err.Error())
	}
	s := &server{Source: source, pages: map[string]*template.Template{}}
	s.metrics = &semantic.Source{Layer: source.Project.Layer, Objects: source.Objects, Engine: source.Engine, Catalog: source.Catalog, MaxBytes: maxBytes}
	functions := s.functions(template.CSS(style)) //nolint:gosec // our own embedded file
	for _, name := range []string{"list", "experiment", "drill", "metrics", "metric", "pipeline", "identity", "problem"} {
		s.pages[name] = template.Must(template.New("layout.html").Funcs(functions).
			ParseFS(page, "page/layout.html", "page/chart.html", "page/"+name+".html"))
	}
	// The one style sheet stands in the page, allowed by its hash; nothing else may load or run.
	sum := sha256.Sum256(style)
	s.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("GET /experiments/{id}", s.experiment)
	mux.HandleFunc("GET /experiments/{id}/metrics/{metric}", s.drill)
	mux.HandleFunc("GET /metrics", s.metricList)
	mux.HandleFunc("GET /metrics/{name}", s.metric)
	mux.HandleFunc("GET /pipeline", s.pipeline)
	mux.HandleFunc("GET /identity", s.identity)
	mux.HandleFunc("GET /bundles/{experiment}/{day}/{file}", s.bundle)
	mux.HandleFunc("GET /api/experiments", s.listJSON)
	mux.HandleFunc("GET /api/metrics", s.metricList)
	mux.HandleFunc("GET /api/metrics/{name}", s.metric)
	mux.HandleFunc("GET /api/pipeline", s.pipeline)
	mux.HandleFunc("GET /api/identity", s.identity)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // a client that left needs no answer
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "There is no page " + r.URL.Path + "."})
	})
	return s.guarded(mux)
}

// guarded sets the headers every answer carries.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", s.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// one finds the experiment a path names, or answers that there is none.
func (s *server) one(w http.ResponseWriter, r *http.Request, id string) (*Report, found, bool) {
	i := slices.IndexFunc(s.Project.Experiments, func(e *experiment.Experiment) bool { return e.ID == id })
	if i < 0 {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "There is no experiment " + id + "."})
		return nil, found{}, false
	}
	f, err := s.history(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return nil, f, false
	}
	return f.report(s.Project.Experiments[i], s.Now()), f, true
}

func (s *server) experiment(w http.ResponseWriter, r *http.Request) {
	id, wantsJSON := strings.CutSuffix(r.PathValue("id"), ".json")
	report, f, ok := s.one(w, r, id)
	if !ok {
		return
	}
	if wantsJSON {
		s.writeJSON(w, r, report.detail())
		return
	}
	report.scale = forestScale(report.Latest())
	s.render(w, r, http.StatusOK, "experiment", struct {
		*Report
		Missing []string
	}{report, f.missing})
}

func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	var body bytes.Buffer
	if err := s.pages[name].Execute(&body, view); err != nil {
		s.Log.ErrorContext(r.Context(), "render page", slog.String("page", name), slog.Any("error", err))
		http.Error(w, "The page could not be drawn; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that left needs no answer
}

// problem is an error for a client, in the shape of RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// fail answers for an error of ours: the log gets its text, the client a reference to it.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client left
	}
	reference := strconv.FormatInt(s.Now().UnixNano(), 36)
	s.Log.ErrorContext(r.Context(), "read results", slog.String("reference", reference), slog.Any("error", err))
	p := problem{Status: http.StatusInternalServerError, Detail: "The results could not be read. The log has the cause under reference " + reference + "."}
	if fault.Is(err, fault.Transient) {
		p.Status = http.StatusServiceUnavailable
		p.Detail = "The query engine is busy or away. Try again in a moment. Reference " + reference + "."
		w.Header().Set("Retry-After", "5")
	}
	s.problem(w, r, p)
}

func (s *server) problem(w http.ResponseWriter, r *http.Request, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasSuffix(r.URL.Path, ".json") && r.URL.Query().Get("format") != "json" {
		s.render(w, r, p.Status, "problem", struct {
			problem
			Experiments []*experiment.Experiment
		}{p, s.Project.Experiments})
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("dashboard: a problem does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a client that left needs no answer
}

func (s *server) functions(style template.CSS) template.FuncMap {
	return template.FuncMap{
		"style": func() template.CSS { return style },
		"howto": func() string { return s.Howto }, "absences": s.absences,
		"value": value, "lift": lift, "interval": interval, "probability": probability, "chance": chance,
		"share": share, "count": count, "day": day, "moment": moment, "rfc": func(t time.Time) string { return t.UTC().Format(time.RFC3339) }, "signed": signed,
		"verdict": verdictWords, "tone": verdictTone, "check": checkName, "measured": measured, "limit": limit,
		"float": func(x number) float64 { return float64(x) }, "pair": func(b bounds) string { return interval(float64(b[0]), float64(b[1])) }, "gigabytes": gigabytes, "base": path.Base, "named": named, "meter": meter,
		"optional": func(x *float64) string { return value(known(x), "") },
		"outcome":  outcomeOf, "mark": statusMark, "late": lateDays, "margin": signedMargin,
	}
}
