// Package ldapi stands in for LaunchDarkly on one machine: reading a flag and changing it by
// semantic patch, as the REST API (v2, version 20240415) documents them, and the flag as SDKs get
// it. Where the documents are lenient or silent it is strict: what the stand-in accepts, the
// platform should accept too. Every change of a flag counts, and one that changes nothing does not.
package ldapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"verdict/shared/embedded/spoil"
	"verdict/shared/feature"
)

const (
	// BasePath is where the REST API starts.
	BasePath = "/api/v2"

	// limit and window are ours: the platform publishes the window alone.
	limit  = 20
	window = 10 * time.Second

	maxPatch = 1 << 20
)

// Config says what the stand-in serves.
type Config struct {
	Project   string
	Token     string // may read and write
	ReadOnly  string // a token that may only read; empty for none
	Approvals bool   // changes of a flag's configuration need an approval
}

// Server is an http.Handler. It is safe for concurrent use.
type Server struct {
	spoil.Faults // Inject spoils requests

	config Config
	now    func() time.Time
	mux    *http.ServeMux

	mu      sync.Mutex
	flags   []*flag
	changes int64
	resets  time.Time // when the rate limit's window is over
	left    int
}

// New returns a stand-in that holds the flags.
func New(config Config, flags []feature.Flag, now func() time.Time) (*Server, error) {
	s := &Server{config: config, now: now, mux: http.NewServeMux()}
	for _, from := range flags {
		f, err := seed(from)
		if err != nil {
			return nil, err
		}
		s.flags = append(s.flags, f)
	}
	s.mux.HandleFunc("GET "+BasePath+"/flags/{project}/{flag}", s.api(show))
	s.mux.HandleFunc("PATCH "+BasePath+"/flags/{project}/{flag}", s.api(s.patch))
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Changes counts the changes carried out.
func (s *Server) Changes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// SDK is a flag as the platform sends it to SDKs; nil for an unknown one.
func (s *Server) SDK(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flags {
		if f.Key == key {
			return json.Marshal(f.sdk())
		}
	}
	return nil, nil
}

// answer is what an endpoint says: a body for 200, or a problem.
type answer struct {
	status int
	body   any
}

// problem is the documented form of every error.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	ID      string `json:"id"`
}

func refuse(status int, format string, args ...any) answer {
	code := map[int]string{
		http.StatusBadRequest: "invalid_request", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
		http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "method_not_allowed", http.StatusConflict: "optimistic_locking_error",
		http.StatusTooManyRequests: "rate_limited",
	}[status]
	if code == "" {
		code = "error"
	}
	return answer{status, problem{code, fmt.Sprintf(format, args...), "30ce6058-87da-11e4-b116-123b93f75cba"}}
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body) // whoever asked has hung up: nobody is left to tell
}

// api wraps an endpoint in what all of them share: faults, the token, the rate limit, the names.
func (s *Server) api(endpoint func(*flag, *http.Request, []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPatch))
		if err != nil {
			refuse(http.StatusBadRequest, "read body: %v", err).write(w)
			return
		}
		s.mu.Lock()
		fault := s.Take(r.Method)
		injected := func(status int, retry time.Duration) {
			if retry > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(retry/time.Second)))
			}
			refuse(status, "injected fault").write(w)
		}
		if fault.Stops() {
			s.mu.Unlock()
			fault.Answer(r, injected)
			return
		}
		f, a := s.admit(w, r)
		if f != nil {
			a = endpoint(f, r, body)
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
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*flag, answer) {
	token := r.Header.Get("Authorization") // as it is: with Bearer before it, it is another
	if token == "" || token != s.config.Token && token != s.config.ReadOnly {
		return nil, refuse(http.StatusUnauthorized, "invalid access token")
	}
	if !s.now().Before(s.resets) {
		s.resets, s.left = s.now().Add(window), limit
	}
	s.left--
	w.Header().Set("X-Ratelimit-Global-Remaining", strconv.Itoa(max(s.left, 0)))
	w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(s.resets.UnixMilli(), 10))
	if s.left < 0 {
		return nil, refuse(http.StatusTooManyRequests, "too many requests")
	}
	if v := r.Header.Get("LD-API-Version"); v != "" && !slices.Contains([]string{"20240415", "20220603", "20210729", "20191212", "20160426", "beta"}, v) {
		return nil, refuse(http.StatusBadRequest, "there is no API version %q", v)
	}
	if r.Method != http.MethodGet && token == s.config.ReadOnly {
		return nil, refuse(http.StatusForbidden, "access to the requested resource was denied")
	}
	if r.PathValue("project") != s.config.Project {
		return nil, refuse(http.StatusNotFound, "unknown project key %q", r.PathValue("project"))
	}
	for _, f := range s.flags {
		if f.Key == r.PathValue("flag") {
			return f, answer{}
		}
	}
	return nil, refuse(http.StatusNotFound, "unknown feature flag key %q", r.PathValue("flag"))
}

func show(f *flag, r *http.Request, _ []byte) answer {
	return answer{http.StatusOK, f.view(r.URL.Query()["env"])}
}

// patch carries out a semantic patch as a whole or not at all.
func (s *Server) patch(f *flag, r *http.Request, body []byte) answer {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || parameters["domain-model"] != "launchdarkly.semanticpatch" {
		return refuse(http.StatusBadRequest, "not a JSON patch: a semantic patch needs its domain-model in the Content-Type")
	}
	var p struct {
		Comment      string            `json:"comment"`
		Environment  string            `json:"environmentKey"`
		Instructions []json.RawMessage `json:"instructions"`
	}
	if err := strict(body, &p); err != nil {
		return refuse(http.StatusBadRequest, "the body is no semantic patch: %v", err)
	}
	if len(p.Instructions) == 0 {
		return refuse(http.StatusBadRequest, "instructions: there are none")
	}
	next, err := f.clone()
	if err != nil {
		return refuse(http.StatusInternalServerError, "%v", err)
	}
	configures := false // the environment, and not the flag as a whole
	for i, raw := range p.Instructions {
		global, err := next.apply(raw)
		if err != nil {
			return refuse(http.StatusBadRequest, "instructions[%d]: %v", i, err)
		}
		configures = configures || !global
	}
	if configures && p.Environment != f.Environment {
		return refuse(http.StatusBadRequest, "environmentKey: there is no environment %q", p.Environment)
	}
	if configures && s.config.Approvals {
		return refuse(http.StatusMethodNotAllowed, "approval is required to change flags in %s", p.Environment)
	}
	if !next.same(f) {
		s.changes++
		next.FlagVersion++
		if configures {
			next.Version++
		}
		*f = *next
	}
	return answer{http.StatusOK, f.view(nil)}
}

func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more after the JSON document")
	}
	return nil
}
