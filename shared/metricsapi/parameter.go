package metricsapi

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"verdict/shared/fault"
)

// parameters reads a query. A parameter that is not known, or stands twice, is refused: what is misspelt must not
// pass for an answer to what was meant. Only filters may be several.
func parameters(raw string, known []string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("", "the query cannot be read: %v", err)
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, malformed(name, "there is no parameter %s here; there are: %s", name, strings.Join(known, ", "))
		case len(values) > 1 && name != "filter":
			return nil, malformed(name, "%s stands %d times", name, len(values))
		case slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }):
			return nil, malformed(name, "%s is no text in UTF-8", name)
		}
	}
	return query, nil
}

// date reads a day; required says whether there must be one.
func (r request) date(name string, required bool) (time.Time, error) {
	text := r.query.Get(name)
	if text == "" && !r.query.Has(name) && !required {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, malformed(name, "%s must be a day such as 2026-01-31", name)
	}
	return day, nil
}

// oneOf reads a word that must be one of a few; empty: none was given.
func (r request) oneOf(name string, words ...string) (string, error) {
	text := r.query.Get(name)
	if r.query.Has(name) && !slices.Contains(words, text) {
		return "", malformed(name, "%s must be %s", name, strings.Join(words, " or "))
	}
	return text, nil
}

// page is where an answer goes on, and how much of it is wanted.
type page struct {
	offset, limit int
	given         string // the cursor
	version       string // that the cursor is of
}

// cursor is where a page begins, and in which version of the answer: pages of two versions make no whole.
type cursor struct {
	Offset  int    `json:"o"`
	Version string `json:"v"`
}

// Rows that a page has, unless told otherwise, and at most.
const (
	usualItems, maxItems = 100, 1000
	usualRows, maxRows   = 1000, 10_000
)

func (r request) page(usual, most int) (page, error) {
	p := page{limit: usual, given: r.query.Get("cursor")}
	if r.query.Has("limit") {
		n, err := strconv.Atoi(r.query.Get("limit"))
		if err != nil || n < 1 || n > most {
			return p, malformed("limit", "limit must be a whole number from 1 to %d", most)
		}
		p.limit = n
	}
	if r.query.Has("cursor") {
		var c cursor
		text, err := base64.RawURLEncoding.DecodeString(p.given)
		if err == nil && json.Unmarshal(text, &c) == nil && c.Offset > 0 {
			p.offset, p.version = c.Offset, c.Version
		}
	}
	return p, nil
}

// of refuses a cursor into another version of the answer.
func (p page) of(version string) error {
	if p.given != "" && p.version != version {
		return fault.New(fault.Conflict, "the cursor is of another question, or the data has changed since: begin again without it")
	}
	return nil
}

// next is the address of the page that begins at an offset.
func (r request) next(offset int, version string) string {
	text, err := json.Marshal(cursor{offset, version})
	if err != nil {
		panic("metricsapi: a cursor does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	query := url.Values{}
	maps.Copy(query, r.query)
	query.Set("cursor", base64.RawURLEncoding.EncodeToString(text))
	at := url.URL{Path: r.path, RawQuery: query.Encode()}
	return at.String()
}

// list is one page of many things.
type list struct {
	Items any     `json:"items"`
	Next  *string `json:"next"`
}

// paged cuts a list that is at hand.
func paged[T any](r request, all []T, version string) (answer, error) {
	p, err := r.page(usualItems, maxItems)
	if err != nil {
		return answer{}, err
	}
	if err := p.of(version); err != nil {
		return answer{}, err
	}
	return answer{version, func() (any, string, error) {
		begin := min(p.offset, len(all))
		end := min(begin+p.limit, len(all))
		out := list{Items: append([]T{}, all[begin:end]...)}
		if end == len(all) {
			return out, "", nil
		}
		next := r.next(end, version)
		out.Next = &next
		return out, next, nil
	}}, nil
}
