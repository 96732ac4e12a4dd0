package flagapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"
)

// view is a ruleset as it is read: what may be written, and what only the platform sets.
type view struct {
	ruleset
	Rules           map[string]ruleView `json:"rules"`
	ID              int64               `json:"id"`
	URN             string              `json:"urn"`
	URL             string              `json:"url"`
	UpdateURL       string              `json:"update_url"`
	FlagKey         string              `json:"flag_key"`
	EnvironmentKey  string              `json:"environment_key"`
	EnvironmentName string              `json:"environment_name"`
	Archived        bool                `json:"archived"`
	Status          string              `json:"status"`
	Revision        int64               `json:"revision"`
	Updated         time.Time           `json:"updated_time"`
}

type ruleView struct {
	rule
	ID           int64  `json:"id"`
	URN          string `json:"urn"`
	ExperimentID int64  `json:"layer_experiment_id"`
	Status       string `json:"status"`
}

func (s *Server) show(f *flag) answer {
	id := number("ruleset", f.Environment, f.Key)
	url := fmt.Sprintf("/projects/%s/flags/%s/environments/%s/ruleset", s.config.Project, f.Key, f.Environment)
	v := view{
		ruleset: f.Ruleset, Rules: map[string]ruleView{}, ID: id, URN: fmt.Sprintf("rulesets.flags.optimizely.com::%d", id),
		URL: url, UpdateURL: url, FlagKey: f.Key, EnvironmentKey: f.Environment, EnvironmentName: f.Environment,
		Status: status(f.Ruleset.Enabled), Revision: f.Revision, Updated: f.Updated,
	}
	for key, r := range f.Ruleset.Rules {
		id := f.experimentID(key)
		v.Rules[key] = ruleView{
			rule: r, ID: id, URN: fmt.Sprintf("rules.flags.optimizely.com::%d", id), ExperimentID: id,
			Status: status(r.Enabled && f.Ruleset.Enabled),
		}
	}
	return answer{status: http.StatusOK, body: v}
}

func status(runs bool) string {
	if runs {
		return "running"
	}
	return "paused"
}

func (s *Server) fetch(f *flag, _ http.Header, _ []byte) answer { return s.show(f) }

func (s *Server) enable(f *flag, _ http.Header, _ []byte) answer  { return s.turn(f, true) }
func (s *Server) disable(f *flag, _ http.Header, _ []byte) answer { return s.turn(f, false) }

func (s *Server) turn(f *flag, on bool) answer {
	next := f.Ruleset
	next.Enabled = on
	return s.put(f, next)
}

// update carries out a JSON Patch as a whole or not at all.
func (s *Server) update(f *flag, header http.Header, body []byte) answer {
	// The reference names the first type; the vendor's own cookbook sends the second.
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || (kind != "application/json-patch+json" && kind != "application/json") {
		return refuse(http.StatusBadRequest, "Content-Type must be application/json-patch+json")
	}
	var patch []operation
	if err := strict(body, &patch); err != nil {
		return refuse(http.StatusBadRequest, "the body is no JSON Patch: %v", err)
	}
	next, err := patched(f.Ruleset, patch)
	if errors.Is(err, errTest) {
		return refuse(http.StatusConflict, "%v", err)
	}
	if err == nil {
		err = next.check(f)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	return s.put(f, next)
}

func patched(r ruleset, patch []operation) (ruleset, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return ruleset{}, err
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		return ruleset{}, err
	}
	for i, o := range patch {
		if doc, err = o.apply(doc); err != nil {
			return ruleset{}, fmt.Errorf("operation %d: %w", i, err)
		}
	}
	if b, err = json.Marshal(doc); err != nil {
		return ruleset{}, err
	}
	var next ruleset
	return next, strict(b, &next)
}

// put stores a ruleset, in the file first.
func (s *Server) put(f *flag, next ruleset) answer {
	before, revision := *f, s.state.Revision
	f.Ruleset = next
	f.Revision++
	f.Updated = s.now()
	s.state.Revision++
	if err := s.save(); err != nil {
		*f, s.state.Revision = before, revision
		return refuse(http.StatusInternalServerError, "%v", err)
	}
	return s.show(f)
}
