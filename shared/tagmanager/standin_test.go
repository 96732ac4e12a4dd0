package tagmanager_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "google.golang.org/api/tagmanager/v2"
)

// platform is a stand-in for the Tag Manager API v2 with one container. It takes only what the API's discovery
// document knows, and only as often as its quota allows by the test's clock.
type platform struct {
	t          *testing.T
	now        time.Time
	last       time.Time
	live       *api.ContainerVersion
	versions   map[string]*api.ContainerVersion
	workspaces map[string]*space
	ids        int
	calls      []string
	before     func(call string) int  // a status to answer with instead
	after      func(call string) bool // the answer gets lost
	hurried    int                    // requests that came too soon
	broken     bool                   // the container does not compile
}

// space is a workspace and the version that it began from.
type space struct {
	api.Workspace
	base    string
	content api.ContainerVersion
	touched map[string]bool // names changed here
}

const container = "accounts/1/containers/2"

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), versions: map[string]*api.ContainerVersion{}, workspaces: map[string]*space{}}
	p.live = &api.ContainerVersion{ContainerVersionId: "1", Fingerprint: "f1", Tag: []*api.Tag{{Name: "Somebody's pixel", TagId: "90", Type: "html", FiringTriggerId: []string{"2147479553"}}}}
	p.versions["1"] = p.live
	return p
}

func (p *platform) id() string {
	p.ids++
	return strconv.Itoa(100 + p.ids)
}

func clone[T any](v T) T {
	var out T
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":%q,"message":%q}]}}`, status, message, reason, message)
}

var actions = regexp.MustCompile(`^/tagmanager/v2/` + container + `/(versions:live|versions/(\d+):publish|workspaces|workspaces/(\d+):(sync|create_version)|workspaces/(\d+)/(bulk_update|templates|variables|triggers|tags))$`)

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := actions.FindStringSubmatch(r.URL.Path)
	if m == nil {
		refuse(w, 404, "notFound", "no such path: "+r.URL.Path)
		return
	}
	id, action := m[2]+m[3]+m[5], m[4]+m[6]
	if action == "" {
		if action = m[1]; m[2] != "" {
			action = "publish"
		}
	}
	call := r.Method + " " + action
	p.calls = append(p.calls, call)
	if r.Header.Get("Authorization") != "Bearer token" {
		refuse(w, 401, "authError", "no token")
		return
	}
	if !p.last.IsZero() && p.now.Sub(p.last) < 4*time.Second {
		p.hurried++
		refuse(w, 403, "rateLimitExceeded", "0.25 requests a second")
		return
	}
	p.last = p.now
	if p.before != nil {
		if status := p.before(call); status != 0 {
			refuse(w, status, map[int]string{429: "rateLimitExceeded"}[status], "as the test wants")
			return
		}
	}
	answer, status, message := p.act(call, id, r)
	if status != 0 {
		refuse(w, status, "invalid", message)
		return
	}
	if p.after != nil && p.after(call) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		p.t.Error(err)
	}
}

func decode(r *http.Request, to any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

func (p *platform) act(call, id string, r *http.Request) (answer any, status int, message string) {
	ws := p.workspaces[id]
	if strings.Contains(r.URL.Path, "/workspaces/") && ws == nil {
		return nil, 404, "there is no workspace " + id
	}
	switch call {
	case "GET versions:live":
		return p.live, 0, ""
	case "GET workspaces":
		var out api.ListWorkspacesResponse
		for _, w := range p.workspaces {
			out.Workspace = append(out.Workspace, &w.Workspace)
		}
		return out, 0, ""
	case "POST workspaces":
		var in api.Workspace
		if err := decode(r, &in); err != nil || in.Name == "" || in.WorkspaceId != "" {
			return nil, 400, fmt.Sprint("workspace: ", err)
		}
		in.WorkspaceId = p.id()
		p.workspaces[in.WorkspaceId] = &space{in, p.live.ContainerVersionId, clone(*p.live), map[string]bool{}}
		return in, 0, ""
	case "GET templates":
		return api.ListTemplatesResponse{Template: ws.content.CustomTemplate}, 0, ""
	case "GET variables":
		return api.ListVariablesResponse{Variable: ws.content.Variable}, 0, ""
	case "GET triggers":
		return api.ListTriggersResponse{Trigger: ws.content.Trigger}, 0, ""
	case "GET tags":
		return api.ListTagsResponse{Tag: ws.content.Tag}, 0, ""
	case "POST sync":
		if ws.base == p.live.ContainerVersionId {
			return api.SyncWorkspaceResponse{SyncStatus: &api.SyncStatus{}}, 0, ""
		}
		if len(ws.touched) > 0 {
			return api.SyncWorkspaceResponse{SyncStatus: &api.SyncStatus{MergeConflict: true}, MergeConflict: []*api.MergeConflict{{}}}, 0, ""
		}
		ws.base, ws.content = p.live.ContainerVersionId, clone(*p.live)
		return api.SyncWorkspaceResponse{SyncStatus: &api.SyncStatus{}}, 0, ""
	case "POST bulk_update":
		return p.bulk(ws, r)
	case "POST create_version":
		if p.broken {
			return api.CreateContainerVersionResponse{CompilerError: true}, 0, ""
		}
		if ws.base != p.live.ContainerVersionId {
			return api.CreateContainerVersionResponse{SyncStatus: &api.SyncStatus{MergeConflict: true}}, 0, ""
		}
		v := clone(ws.content)
		v.ContainerVersionId, v.Fingerprint = p.id(), "f"+p.id()
		p.versions[v.ContainerVersionId] = &v
		delete(p.workspaces, id)
		return api.CreateContainerVersionResponse{ContainerVersion: &v, SyncStatus: &api.SyncStatus{}}, 0, ""
	case "POST publish":
		v := p.versions[id]
		if v == nil || r.URL.Query().Get("fingerprint") != v.Fingerprint {
			return nil, 412, "another fingerprint"
		}
		p.live = v
		return api.PublishContainerVersionResponse{ContainerVersion: v}, 0, ""
	}
	return nil, 404, "no such method: " + call
}

// bulk applies changes, all or none.
func (p *platform) bulk(ws *space, r *http.Request) (answer any, status int, message string) {
	var in api.ProposedChange
	if err := decode(r, &in); err != nil {
		return nil, 400, err.Error()
	}
	content, out := clone(ws.content), []*api.Entity{}
	given := map[string]string{}
	assign := func(id, change string, exists bool) (string, bool) {
		switch change {
		case "added":
			if !regexp.MustCompile(`^new_\d+$`).MatchString(id) || given[id] != "" {
				return "", false
			}
			given[id] = p.id()
			return given[id], true
		case "updated", "deleted":
			return id, exists
		}
		return "", false
	}
	for _, c := range in.Changes {
		e := clone(c)
		ok := false
		switch {
		case e.CustomTemplate != nil:
			i := slices.IndexFunc(content.CustomTemplate, func(t *api.CustomTemplate) bool { return t.TemplateId == e.CustomTemplate.TemplateId })
			e.CustomTemplate.TemplateId, ok = assign(e.CustomTemplate.TemplateId, c.ChangeStatus, i >= 0)
			content.CustomTemplate = put(content.CustomTemplate, i, c.ChangeStatus, e.CustomTemplate)
			ws.touched[e.CustomTemplate.Name] = true
		case e.Variable != nil:
			i := slices.IndexFunc(content.Variable, func(t *api.Variable) bool { return t.VariableId == e.Variable.VariableId })
			e.Variable.VariableId, ok = assign(e.Variable.VariableId, c.ChangeStatus, i >= 0)
			content.Variable = put(content.Variable, i, c.ChangeStatus, e.Variable)
		case e.Trigger != nil:
			i := slices.IndexFunc(content.Trigger, func(t *api.Trigger) bool { return t.TriggerId == e.Trigger.TriggerId })
			e.Trigger.TriggerId, ok = assign(e.Trigger.TriggerId, c.ChangeStatus, i >= 0)
			content.Trigger = put(content.Trigger, i, c.ChangeStatus, e.Trigger)
		case e.Tag != nil:
			i := slices.IndexFunc(content.Tag, func(t *api.Tag) bool { return t.TagId == e.Tag.TagId })
			e.Tag.TagId, ok = assign(e.Tag.TagId, c.ChangeStatus, i >= 0)
			content.Tag = put(content.Tag, i, c.ChangeStatus, e.Tag)
			if c.ChangeStatus != "deleted" && !resolves(content, e.Tag) {
				return nil, 400, "tag " + e.Tag.Name + " names a template or trigger that is not there"
			}
		}
		if !ok {
			return nil, 400, fmt.Sprintf("change %+v: bad id or status", *c)
		}
		out = append(out, e)
	}
	ws.content = content
	return api.BulkUpdateWorkspaceResponse{Changes: out}, 0, ""
}

func put[T any](list []T, i int, change string, v T) []T {
	switch {
	case change == "added":
		return append(list, v)
	case i < 0:
		return list
	case change == "deleted":
		return slices.Delete(list, i, i+1)
	}
	list[i] = v
	return list
}

func resolves(content api.ContainerVersion, tag *api.Tag) bool {
	for _, id := range tag.FiringTriggerId {
		own := slices.ContainsFunc(content.Trigger, func(t *api.Trigger) bool { return t.TriggerId == id })
		if !own && !strings.HasPrefix(id, "21474795") {
			return false
		}
	}
	if !strings.HasPrefix(tag.Type, "cvt_") {
		return true
	}
	return slices.ContainsFunc(content.CustomTemplate, func(t *api.CustomTemplate) bool { return tag.Type == "cvt_2_"+t.TemplateId })
}

func (p *platform) serve() string {
	server := httptest.NewServer(p)
	p.t.Cleanup(server.Close)
	return server.URL
}
