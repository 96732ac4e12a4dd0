// Package flagapi stands in for Optimizely Feature Experimentation on one machine: the ruleset
// endpoints of its flags REST API (v1), and the datafile that its CDN serves. It keeps the published
// contract (OpenAPI document 0.3.7), and where that is lenient or silent it is strict: what the
// stand-in accepts, the platform should accept too.
package flagapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"verdict/shared/embedded/spoil"
	"verdict/shared/feature"
)

// Config says what the stand-in serves.
type Config struct {
	Project  string
	Token    string // may read and write
	ReadOnly string // a token whose owner may only read; empty for none
	Default  string // the variation for users that no rule serves; empty for "off"
	State    string // file that keeps the state over restarts; empty to forget
}

// Server is an http.Handler. It is safe for concurrent use.
type Server struct {
	config Config
	now    func() time.Time
	mux    *http.ServeMux

	spoil.Faults // Inject spoils requests

	mu     sync.Mutex
	state  state
	limits map[string]*limit // by token
}

// New returns a stand-in that holds the flags. What the state file remembers of a flag is kept.
func New(config Config, flags []feature.Flag, now func() time.Time) (*Server, error) {
	if config.Default == "" {
		config.Default = "off"
	}
	s := &Server{config: config, now: now, mux: http.NewServeMux(), limits: map[string]*limit{}}
	if err := s.load(); err != nil {
		return nil, err
	}
	for _, f := range flags {
		if err := s.state.seed(f, config.Default); err != nil {
			return nil, err
		}
	}
	if err := s.save(); err != nil {
		return nil, err
	}
	const ruleset = BasePath + "/projects/{project}/flags/{flag}/environments/{environment}/ruleset"
	s.mux.HandleFunc("GET "+ruleset, s.api(s.fetch))
	s.mux.HandleFunc("PATCH "+ruleset, s.api(s.update))
	s.mux.HandleFunc("POST "+ruleset+"/enabled", s.api(s.enable))
	s.mux.HandleFunc("POST "+ruleset+"/disabled", s.api(s.disable))
	s.mux.HandleFunc("GET /datafiles/{file}", s.datafile)
	return s, nil
}

const (
	// BasePath is where the REST API starts.
	BasePath = "/flags/v1"

	// maxPatch bounds a request: a hundred rules of a few kB are a full ruleset.
	maxPatch = 1 << 20
)

// SDKKey is the key by which SDKs ask for an environment's datafile.
func SDKKey(environment string) string { return "sdk_" + environment }

// DatafilePath is where an environment's datafile is served.
func DatafilePath(environment string) string { return "/datafiles/" + SDKKey(environment) + ".json" }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(w, r)
}

// Datafile returns an environment's datafile as it is served now.
func (s *Server) Datafile(environment string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.datafile(s.config.Project, environment)
}

// Revision counts the changes carried out since the state began.
func (s *Server) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Revision
}

// answer is what an endpoint says: a body for 200, or a problem.
type answer struct {
	status int
	body   any
	retry  time.Duration
}

// problem is the documented error body (schema ProblemDetail, RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(status int, format string, args ...any) answer {
	return answer{status: status, body: problem{"about:blank", http.StatusText(status), status, fmt.Sprintf(format, args...)}}
}

// api wraps an endpoint in what all of them share: faults, the token, the rate limit, the project.
func (s *Server) api(endpoint func(*flag, http.Header, []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPatch))
		if err != nil {
			refuse(http.StatusBadRequest, "read body: %v", err).write(w)
			return
		}
		s.mu.Lock()
		fault := s.Take(r.Method)
		injected := func(status int, retry time.Duration) {
			a := refuse(status, "Injected fault")
			a.retry = retry
			a.write(w)
		}
		if fault.Stops() {
			s.mu.Unlock()
			fault.Answer(r, injected)
			return
		}
		f, a := s.admit(r)
		if f != nil {
			a = endpoint(f, r.Header, body)
		}
		s.mu.Unlock()
		if fault != nil { // the work is done, its answer gets lost
			fault.Answer(r, injected)
			return
		}
		a.write(w)
	}
}

// admit returns the flag a request is about, or why it goes no further.
func (s *Server) admit(r *http.Request) (*flag, answer) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || (token != s.config.Token && token != s.config.ReadOnly) {
		return nil, refuse(http.StatusUnauthorized, "Invalid credentials")
	}
	if s.limits[token] == nil {
		s.limits[token] = &limit{}
	}
	if wait := s.limits[token].take(s.now()); wait > 0 {
		a := refuse(http.StatusTooManyRequests, "Two requests a second and 120 a minute are allowed")
		a.retry = wait
		return nil, a
	}
	if r.Method != http.MethodGet && token == s.config.ReadOnly {
		return nil, refuse(http.StatusForbidden, "Permission denied")
	}
	if r.PathValue("project") != s.config.Project {
		return nil, refuse(http.StatusNotFound, "No project %s", r.PathValue("project"))
	}
	f := s.state.find(r.PathValue("environment"), r.PathValue("flag"))
	if f == nil {
		return nil, refuse(http.StatusNotFound, "No flag %s in environment %s", r.PathValue("flag"), r.PathValue("environment"))
	}
	return f, answer{}
}

func (a answer) write(w http.ResponseWriter) {
	kind := "application/json"
	if a.status != http.StatusOK {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	if a.retry > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((a.retry+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // whoever asked has hung up: nobody is left to tell
}

func (s *Server) datafile(w http.ResponseWriter, r *http.Request) {
	environment, ok := strings.CutPrefix(strings.TrimSuffix(r.PathValue("file"), ".json"), SDKKey(""))
	if !ok || !s.knows(environment) {
		// The CDN answers an unknown key so.
		http.Error(w, "Forbidden", http.StatusForbidden)
		return
	}
	b, err := s.Datafile(environment)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // as above
}

func (s *Server) knows(environment string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.state.Flags {
		if f.Environment == environment {
			return true
		}
	}
	return false
}

// limit keeps the documented two requests a second for one token. Sixty seconds hold at most sixty
// times two, so it keeps the documented 120 a minute as well.
type limit struct {
	last [2]time.Time
}

// take returns how long to wait, or zero if the request may pass.
func (l *limit) take(now time.Time) time.Duration {
	if wait := l.last[0].Add(time.Second).Sub(now); wait > 0 {
		return wait
	}
	l.last[0], l.last[1] = l.last[1], now
	return 0
}
