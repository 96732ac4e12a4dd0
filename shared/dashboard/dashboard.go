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
	"slices"
	"strconv"
	"strings"
	"time"

	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

//go:embed page
var page embed.FS

type server struct {
	engine      lake.Engine
	experiments []*experiment.Experiment
	now         func() time.Time
	log         *slog.Logger
	howto       string
	pages       map[string]*template.Template
	policy      string // Content-Security-Policy
}

// New returns the dashboard of these experiments. howto is the command or the sentence that an
// empty page shows: what to run here to get results.
func New(engine lake.Engine, experiments []*experiment.Experiment, now func() time.Time, log *slog.Logger, howto string) http.Handler {
	style, err := page.ReadFile("page/style.css")
	if err != nil {
		panic("dashboard: its style sheet is embedded: " + err.Error())
	}
	s := &server{engine: engine, experiments: experiments, now: now, log: log, howto: howto, pages: map[string]*template.Template{}}
	functions := s.functions(template.CSS(style)) //nolint:gosec // our own embedded file
	for _, name := range []string{"list", "experiment", "problem"} {
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
	mux.HandleFunc("GET /api/experiments", s.listJSON)
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
	i := slices.IndexFunc(s.experiments, func(e *experiment.Experiment) bool { return e.ID == id })
	if i < 0 {
		s.problem(w, r, problem{Status: http.StatusNotFound, Detail: "There is no experiment " + id + "."})
		return nil, found{}, false
	}
	f, err := s.history(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return nil, f, false
	}
	return f.report(s.experiments[i], s.now()), f, true
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
		s.log.ErrorContext(r.Context(), "render page", slog.String("page", name), slog.Any("error", err))
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
	reference := strconv.FormatInt(s.now().UnixNano(), 36)
	s.log.ErrorContext(r.Context(), "read results", slog.String("reference", reference), slog.Any("error", err))
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
	if !strings.HasPrefix(r.URL.Path, "/api/") && !strings.HasSuffix(r.URL.Path, ".json") {
		s.render(w, r, p.Status, "problem", struct {
			problem
			Experiments []*experiment.Experiment
		}{p, s.experiments})
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
		"howto": func() string { return s.howto },
		"value": value, "lift": lift, "interval": interval, "probability": probability, "chance": chance,
		"share": share, "count": count, "day": day, "moment": moment, "signed": signed,
		"verdict": verdictWords, "tone": verdictTone, "check": checkName, "measured": measured, "limit": limit,
		"outcome": outcomeOf, "mark": statusMark, "consequence": consequence, "margin": signedMargin,
	}
}
