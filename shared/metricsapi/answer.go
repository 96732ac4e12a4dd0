package metricsapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"verdict/shared/fault"
)

// answer is what a client gets unless it has it: its version is known before its body is made, which may cost a query.
type answer struct {
	version string
	body    func() (body any, next string, err error) // next: of the page after this one; empty: it is the last
}

// fixed is an answer that is made already.
func fixed(body any) (answer, error) {
	text, err := plain(body)
	if err != nil {
		return answer{}, err
	}
	return answer{hash(string(text)), func() (any, string, error) { return json.RawMessage(text), "", nil }}, nil
}

// plain is JSON in which SQL stays readable: nothing here becomes HTML, so < and > need no escape.
func plain(body any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, fmt.Errorf("write answer: %w", err)
	}
	return out.Bytes(), nil
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (a *api) write(w http.ResponseWriter, r *http.Request, found answer) {
	tag := `"` + hash(a.shape, r.URL.Path, r.URL.RawQuery, found.version) + `"`
	if has(r.Header.Get("If-None-Match"), tag) {
		w.Header().Set("ETag", tag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, next, err := found.body()
	if err != nil {
		a.fail(w, r, internal{err})
		return
	}
	text, err := plain(body)
	if err != nil {
		a.fail(w, r, internal{err})
		return
	}
	w.Header().Set("ETag", tag)
	if next != "" {
		w.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	send(w, r, http.StatusOK, "application/json", text)
}

func send(w http.ResponseWriter, r *http.Request, status int, kind string, text []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that left needs no answer
	}
}

// has tells whether a client has the version, by its If-None-Match. Tags are compared weakly (RFC 9110, 13.1.2).
func has(header, tag string) bool {
	for known := range strings.SplitSeq(header, ",") {
		known = strings.TrimSpace(known)
		if known == "*" || strings.TrimPrefix(known, "W/") == tag {
			return true
		}
	}
	return false
}

// refusal is an error that a client can read.
type refusal struct {
	status    int
	kind      string // last part of the problem's type
	parameter string // of the query, that is at fault; empty: none is
	says      string
	instead   []string // addresses that answer what was meant
}

func (r refusal) Error() string { return r.says }

// malformed is a parameter that the contract does not allow.
func malformed(parameter, format string, args ...any) error {
	return refusal{status: http.StatusBadRequest, kind: "invalid-parameter", parameter: parameter, says: fmt.Sprintf(format, args...)}
}

// internal is an error that is never the client's doing, whatever its class: a table that is not there, SQL that does not run.
type internal struct{ error }

func (i internal) Unwrap() error { return i.error }

// problem is a refusal as RFC 9457 spells it.
type problem struct {
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"`
	Parameter string   `json:"parameter,omitempty"`
	Instead   []string `json:"instead,omitempty"`   // addresses to ask
	Reference string   `json:"reference,omitempty"` // by which the log has the cause
}

// refuse gives every error its status. A well-formed question that has no answer is no malformed one: 422 and 400.
func refuse(err error) refusal {
	if r, ok := errors.AsType[refusal](err); ok {
		return r
	}
	class := fault.Of(err)
	if _, ok := errors.AsType[internal](err); ok && class != fault.Transient {
		class = fault.Internal
	}
	if errors.Is(err, context.DeadlineExceeded) {
		class = fault.Transient
	}
	switch class {
	case fault.Invalid:
		return refusal{status: http.StatusUnprocessableEntity, kind: "unanswerable", says: err.Error()}
	case fault.NotFound:
		return refusal{status: class.Status(), kind: "not-found", says: err.Error()}
	case fault.Conflict:
		return refusal{status: class.Status(), kind: "stale-cursor", says: err.Error()}
	case fault.Transient:
		return refusal{status: class.Status(), kind: "unavailable", says: "the query engine is busy or away, or the answer took too long: try again, or ask for fewer days"}
	default:
		return refusal{status: http.StatusInternalServerError, kind: "internal", says: "the answer could not be made: the log has the cause under the reference"}
	}
}

func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		return // the client left
	}
	why := refuse(err)
	p := problem{Type: "urn:verdict:problem:" + why.kind, Title: http.StatusText(why.status), Status: why.status, Detail: why.says, Parameter: why.parameter, Instead: why.instead}
	switch why.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `ApiKey realm="verdict"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	if why.status >= http.StatusInternalServerError {
		p.Reference = strconv.FormatInt(a.Now().UnixNano(), 36)
		a.Log.ErrorContext(r.Context(), "answer", slog.String("path", r.URL.Path), slog.String("reference", p.Reference), slog.Any("error", err))
	}
	text, err := plain(p)
	if err != nil {
		panic("metricsapi: a problem does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	send(w, r, why.status, "application/problem+json", text)
}

// figure is a number in JSON: null where there is none, else with as many digits as do not depend on the order in
// which an engine adds. Twelve digits do not, and whole numbers are exact.
type figure float64

// MarshalJSON implements json.Marshaler.
func (f figure) MarshalJSON() ([]byte, error) {
	x := float64(f)
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return []byte("null"), nil
	}
	if x != math.Trunc(x) {
		x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'e', 11, 64), 64)
	}
	return json.Marshal(x)
}
