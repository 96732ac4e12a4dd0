// Package metricsapi answers programs over HTTP: what metrics and dimensions there are, what a metric came to, where it
// comes from, and what experiments found. It reads and changes nothing; openapi.yaml is its contract.
package metricsapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lineage"
	"verdict/shared/project"
	"verdict/shared/semantic"
)

// Base is the path below which everything stands.
const Base = "/api/v1"

// Keys gives the read keys in force, and who has each.
type Keys func(ctx context.Context) (map[string]string, error)

// Config is what the API works with.
type Config struct {
	Project *project.Project
	Source  *semantic.Source // of the metrics' values; its engine and catalog have the experiments' tables, too
	Keys    Keys
	Signed  func(context.Context) (who string, ok bool) // whether the home has checked a signature; nil: it never has
	Log     *slog.Logger                                // gets what a client is not told
	Now     func() time.Time
}

type api struct {
	Config
	contract []byte // openapi.yaml as JSON
	shape    string // hash of the contract: a new shape is a new version of every answer
	graph    *lineage.Graph
	metrics  []wholeMetric
	dims     []describedDimension
	routes   []route
}

// route is one thing that can be asked for.
type route struct {
	path       string // below Base; a part in braces is anything
	parameters []string
	open       bool // to everybody
	answer     func(*api, request) (answer, error)
}

func routes() []route {
	return []route{
		{"/openapi.json", nil, true, (*api).openAPI},
		{"/metrics", []string{"status", "owner", "limit", "cursor"}, false, (*api).listMetrics},
		{"/metrics/{metric}", nil, false, (*api).oneMetric},
		{"/metrics/{metric}/values", []string{"from", "to", "grain", "by", "filter", "limit", "cursor"}, false, (*api).values},
		{"/metrics/{metric}/lineage", nil, false, (*api).lineage},
		{"/dimensions", []string{"limit", "cursor"}, false, (*api).listDimensions},
		{"/dimensions/{dimension}", nil, false, (*api).oneDimension},
		{"/experiments", []string{"owner", "verdict", "limit", "cursor"}, false, (*api).listExperiments},
		{"/experiments/{experiment}", nil, false, (*api).oneExperiment},
		{"/experiments/{experiment}/results", []string{"metric", "variant", "from", "to", "limit", "cursor"}, false, (*api).results},
	}
}

// New returns the API.
func New(c Config) http.Handler {
	a := &api{Config: c, routes: routes(), contract: contract()}
	a.shape = hash(string(a.contract))
	a.describe()
	return a
}

// request is a request whose route is found.
type request struct {
	ctx   context.Context
	path  string
	named string // by the route's part in braces
	query url.Values
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "private, no-cache") // keep it, but ask whether it still holds
	found, err := a.find(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.write(w, r, found)
}

func (a *api) find(w http.ResponseWriter, r *http.Request) (answer, error) {
	to, named, ok := a.route(r.URL.Path)
	if !ok {
		return answer{}, refusal{status: http.StatusNotFound, kind: "not-found", says: "there is nothing at " + r.URL.Path}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return answer{}, refusal{status: http.StatusMethodNotAllowed, kind: "method-not-allowed", says: "this API is only read: GET or HEAD, not " + r.Method}
	}
	if !to.open {
		if err := a.admit(r); err != nil {
			return answer{}, err
		}
	}
	query, err := parameters(r.URL.RawQuery, to.parameters)
	if err != nil {
		return answer{}, err
	}
	return to.answer(a, request{r.Context(), r.URL.Path, named, query})
}

// route finds what a path asks for. A mux would redirect what it takes for another spelling, and refuse in plain text.
func (a *api) route(path string) (found route, named string, ok bool) {
	parts := strings.Split(path, "/")
	for _, to := range a.routes {
		named = ""
		if slices.EqualFunc(strings.Split(Base+to.path, "/"), parts, func(pattern, part string) bool {
			if strings.HasPrefix(pattern, "{") {
				named = part
				return part != ""
			}
			return pattern == part
		}) {
			return to, named, true
		}
	}
	return route{}, "", false
}

// admit lets pass who signed, or has a key.
func (a *api) admit(r *http.Request) error {
	if a.Signed != nil {
		if _, ok := a.Signed(r.Context()); ok {
			return nil
		}
	}
	const header = "X-Api-Key"
	given := r.Header.Get(header)
	if given == "" {
		return refusal{status: http.StatusUnauthorized, kind: "unauthorized", says: "send a key in the header " + header + ", or sign the request"}
	}
	keys, err := a.Keys(r.Context())
	if err != nil && !fault.Is(err, fault.NotFound) { // not found: nobody has been given one yet
		return internal{err}
	}
	// Of equal length, and each looked at: how long it takes says nothing about any key.
	sum, match := sha256.Sum256([]byte(given)), 0
	for key := range keys {
		of := sha256.Sum256([]byte(key))
		match |= subtle.ConstantTimeCompare(sum[:], of[:])
	}
	if match != 1 {
		return refusal{status: http.StatusUnauthorized, kind: "unauthorized", says: "there is no such key"}
	}
	return nil
}
