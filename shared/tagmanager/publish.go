package tagmanager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	api "google.golang.org/api/tagmanager/v2"

	"verdict/shared/fault"
)

// pause is between requests: the API takes 0.25 a second of a project (Tag Manager API, limits and quotas).
const pause = 4 * time.Second

// attempts at a request that was refused for being too many, or failed on the other side.
const attempts = 4

// Client publishes to one container.
type Client struct {
	service   *api.Service
	container string // accounts/1/containers/2
	workspace string // its name: nobody else's
	wait      func(ctx context.Context, d time.Duration) error
	busy      bool
}

// Config says which container, and through which workspace.
type Config struct {
	BaseURL   string `yaml:"-"` // empty: Google's
	Account   string `yaml:"account"`
	Container string `yaml:"container"` // the numeric id
	Workspace string `yaml:"workspace"`
}

// New returns a client; its http.Client must add the authorization. wait sleeps unless ctx ends first.
func New(ctx context.Context, c Config, client *http.Client, wait func(context.Context, time.Duration) error) (*Client, error) {
	options := []option.ClientOption{option.WithHTTPClient(client)}
	if c.BaseURL != "" {
		options = append(options, option.WithEndpoint(c.BaseURL))
	}
	service, err := api.NewService(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("open tag manager: %w", err)
	}
	return &Client{service: service, container: "accounts/" + c.Account + "/containers/" + c.Container, workspace: c.Workspace, wait: wait}, nil
}

// call makes a request at the pace that the API allows. A request that changes something is repeated only when it was
// refused, not when its answer was lost: whoever publishes again compares first.
func call[T any](ctx context.Context, c *Client, what string, change bool, do func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		if c.busy {
			if err := c.wait(ctx, pause<<(attempt-1)); err != nil {
				return *new(T), err
			}
		}
		c.busy = true
		answer, err := do()
		if err == nil {
			return answer, nil
		}
		class := classify(err)
		refused := tooMany(err)
		if class != fault.Transient || attempt == attempts || change && !refused {
			return *new(T), fault.New(class, "%s: %w", what, err)
		}
	}
}

func tooMany(err error) bool {
	var e *googleapi.Error
	if !errors.As(err, &e) {
		return false
	}
	limited := slices.ContainsFunc(e.Errors, func(i googleapi.ErrorItem) bool {
		return i.Reason == "rateLimitExceeded" || i.Reason == "userRateLimitExceeded" || i.Reason == "quotaExceeded"
	})
	return e.Code == http.StatusTooManyRequests || e.Code == http.StatusForbidden && limited
}

func classify(err error) fault.Class {
	var e *googleapi.Error
	switch {
	case !errors.As(err, &e):
		return fault.Transient // it did not come through
	case tooMany(err), e.Code >= http.StatusInternalServerError:
		return fault.Transient
	case e.Code == http.StatusNotFound:
		return fault.NotFound
	case e.Code == http.StatusConflict, e.Code == http.StatusPreconditionFailed:
		return fault.Conflict
	default:
		return fault.Invalid
	}
}

// Plan is what publishing would do.
type Plan struct {
	Live        string       `json:"live_version"` // its id and fingerprint
	Differences []Difference `json:"differences"`
}

// Plan compares the wanted content with the live version.
func (c *Client) Plan(ctx context.Context, want Content) (Plan, error) {
	live, err := c.live(ctx)
	if err != nil {
		return Plan{}, err
	}
	return Plan{mark(live), Differences(want, Content{live.Tag, live.Trigger, live.Variable, live.CustomTemplate})}, nil
}

func mark(v *api.ContainerVersion) string { return v.ContainerVersionId + "/" + v.Fingerprint }

// live is the published version, an empty one where nothing was ever published.
func (c *Client) live(ctx context.Context) (*api.ContainerVersion, error) {
	v, err := call(ctx, c, "read live version", false, func() (*api.ContainerVersion, error) {
		return c.service.Accounts.Containers.Versions.Live(c.container).Context(ctx).Do()
	})
	if fault.Is(err, fault.NotFound) {
		return &api.ContainerVersion{ContainerVersionId: "0"}, nil
	}
	return v, err
}

// Publish makes the container what a plan said, unless somebody else has published since: then nothing is published,
// and the error is fault.Conflict. Without differences it does nothing.
func (c *Client) Publish(ctx context.Context, want Content, plan Plan, name string) (version string, err error) {
	if len(plan.Differences) == 0 {
		return "", nil
	}
	workspace, err := c.openWorkspace(ctx)
	if err != nil {
		return "", err
	}
	have, err := c.read(ctx, workspace)
	if err != nil {
		return "", err
	}
	if err := c.change(ctx, workspace, want, have); err != nil {
		return "", err
	}
	live, err := c.live(ctx)
	if err != nil {
		return "", err
	}
	if mark(live) != plan.Live {
		return "", fault.New(fault.Conflict, "publish: version %s went live after the plan was made on %s; nothing was published: plan again", mark(live), plan.Live)
	}
	made, err := call(ctx, c, "create version", true, func() (*api.CreateContainerVersionResponse, error) {
		return c.service.Accounts.Containers.Workspaces.CreateVersion(workspace, &api.CreateContainerVersionRequestVersionOptions{Name: name, Notes: "Published by verdict gtm publish"}).Context(ctx).Do()
	})
	switch {
	case err != nil:
		return "", err
	case made.CompilerError:
		return "", fault.New(fault.Invalid, "create version: Tag Manager cannot compile the container; nothing was published: open workspace %q and preview it", c.workspace)
	case made.SyncStatus != nil && (made.SyncStatus.MergeConflict || made.SyncStatus.SyncError):
		return "", fault.New(fault.Conflict, "create version: workspace %q conflicts with the latest version; nothing was published: resolve it in Tag Manager, or delete the workspace, then plan again", c.workspace)
	}
	v := made.ContainerVersion
	path := c.container + "/versions/" + v.ContainerVersionId
	_, err = call(ctx, c, "publish version "+v.ContainerVersionId, true, func() (*api.PublishContainerVersionResponse, error) {
		return c.service.Accounts.Containers.Versions.Publish(path).Fingerprint(v.Fingerprint).Context(ctx).Do()
	})
	return v.ContainerVersionId, err
}

// openWorkspace returns the path of our workspace, brought up to the latest version.
func (c *Client) openWorkspace(ctx context.Context) (string, error) {
	list, err := call(ctx, c, "list workspaces", false, func() (*api.ListWorkspacesResponse, error) {
		return c.service.Accounts.Containers.Workspaces.List(c.container).Context(ctx).Do()
	})
	if err != nil {
		return "", err
	}
	for _, w := range list.Workspace {
		if w.Name != c.workspace {
			continue
		}
		path := c.container + "/workspaces/" + w.WorkspaceId
		synced, err := call(ctx, c, "sync workspace", true, func() (*api.SyncWorkspaceResponse, error) {
			return c.service.Accounts.Containers.Workspaces.Sync(path).Context(ctx).Do()
		})
		if err != nil {
			return "", err
		}
		if len(synced.MergeConflict) > 0 || synced.SyncStatus != nil && (synced.SyncStatus.MergeConflict || synced.SyncStatus.SyncError) {
			return "", fault.New(fault.Conflict, "sync workspace %q: %d entities were changed here and in the latest version; nothing was published: resolve them in Tag Manager, or delete the workspace, then plan again", c.workspace, len(synced.MergeConflict))
		}
		return path, nil
	}
	made, err := call(ctx, c, "create workspace", true, func() (*api.Workspace, error) {
		return c.service.Accounts.Containers.Workspaces.Create(c.container, &api.Workspace{Name: c.workspace, Description: "Of verdict gtm publish: do not edit"}).Context(ctx).Do()
	})
	if err != nil {
		return "", err
	}
	return c.container + "/workspaces/" + made.WorkspaceId, nil
}

// read lists what stands in a workspace, which may hold what an interrupted publish has left.
func (c *Client) read(ctx context.Context, workspace string) (Content, error) {
	w := c.service.Accounts.Containers.Workspaces
	var out Content
	_, err := call(ctx, c, "list templates", false, func() (any, error) {
		out.Templates = nil
		return nil, w.Templates.List(workspace).Pages(ctx, func(p *api.ListTemplatesResponse) error {
			out.Templates = append(out.Templates, p.Template...)
			return nil
		})
	})
	if err != nil {
		return out, err
	}
	_, err = call(ctx, c, "list variables", false, func() (any, error) {
		out.Variables = nil
		return nil, w.Variables.List(workspace).Pages(ctx, func(p *api.ListVariablesResponse) error {
			out.Variables = append(out.Variables, p.Variable...)
			return nil
		})
	})
	if err != nil {
		return out, err
	}
	_, err = call(ctx, c, "list triggers", false, func() (any, error) {
		out.Triggers = nil
		return nil, w.Triggers.List(workspace).Pages(ctx, func(p *api.ListTriggersResponse) error {
			out.Triggers = append(out.Triggers, p.Trigger...)
			return nil
		})
	})
	if err != nil {
		return out, err
	}
	_, err = call(ctx, c, "list tags", false, func() (any, error) {
		out.Tags = nil
		return nil, w.Tags.List(workspace).Pages(ctx, func(p *api.ListTagsResponse) error {
			out.Tags = append(out.Tags, p.Tag...)
			return nil
		})
	})
	return out, err
}

// change brings a workspace to the wanted content in two bulk updates: tags name templates and triggers by ids, which
// new ones get in the first.
func (c *Client) change(ctx context.Context, workspace string, want, have Content) error {
	differences := Differences(want, have)
	status := map[[2]string]string{}
	for _, d := range differences {
		status[[2]string{d.Kind, d.Name}] = d.Status
	}
	known, err := c.changeParts(ctx, workspace, want, have, status)
	if err != nil {
		return err
	}
	return c.changeTags(ctx, workspace, want, have, known, status)
}

// ids are how a container calls templates and triggers, by name.
type ids struct{ template, trigger map[string]string }

func (c *Client) changeParts(ctx context.Context, workspace string, want, have Content, status map[[2]string]string) (ids, error) {
	known := ids{map[string]string{}, map[string]string{}}
	for _, t := range have.Templates {
		known.template[t.Name] = t.TemplateId
	}
	for _, t := range have.Triggers {
		known.trigger[t.Name] = t.TriggerId
	}
	variables := map[string]string{}
	for _, v := range have.Variables {
		variables[v.Name] = v.VariableId
	}
	var changes []*api.Entity
	next := 0
	id := func(old string) string {
		if old != "" {
			return old
		}
		next++
		return fmt.Sprintf("new_%d", next)
	}
	for _, t := range both(want.Templates, have.Templates, func(t *api.CustomTemplate) string { return t.Name }) {
		if s := status[[2]string{"template", t.Name}]; s != "" {
			changes = append(changes, &api.Entity{ChangeStatus: s, CustomTemplate: &api.CustomTemplate{Name: t.Name, TemplateData: t.TemplateData, TemplateId: id(known.template[t.Name])}})
		}
	}
	for _, v := range both(want.Variables, have.Variables, func(v *api.Variable) string { return v.Name }) {
		if s := status[[2]string{"variable", v.Name}]; s != "" {
			changes = append(changes, &api.Entity{ChangeStatus: s, Variable: &api.Variable{Name: v.Name, Type: v.Type, Parameter: v.Parameter, VariableId: id(variables[v.Name])}})
		}
	}
	for _, t := range both(want.Triggers, have.Triggers, func(t *api.Trigger) string { return t.Name }) {
		if s := status[[2]string{"trigger", t.Name}]; s != "" {
			changes = append(changes, &api.Entity{ChangeStatus: s, Trigger: &api.Trigger{
				Name: t.Name, Type: t.Type, CustomEventFilter: t.CustomEventFilter, Filter: t.Filter, AutoEventFilter: t.AutoEventFilter, Parameter: t.Parameter, TriggerId: id(known.trigger[t.Name]),
			}})
		}
	}
	made, err := c.bulkUpdate(ctx, workspace, changes)
	for _, e := range made {
		if e.CustomTemplate != nil {
			known.template[e.CustomTemplate.Name] = e.CustomTemplate.TemplateId
		}
		if e.Trigger != nil {
			known.trigger[e.Trigger.Name] = e.Trigger.TriggerId
		}
	}
	return known, err
}

func (c *Client) changeTags(ctx context.Context, workspace string, want, have Content, known ids, status map[[2]string]string) error {
	templates, triggers := map[string]string{}, map[string]string{} // names by the ids of the code
	for _, t := range want.Templates {
		templates[t.TemplateId] = t.Name
	}
	for _, t := range want.Triggers {
		triggers[t.TriggerId] = t.Name
	}
	there := map[string]string{}
	for _, t := range have.Tags {
		there[t.Name] = t.TagId
	}
	_, container, _ := strings.Cut(c.container, "/containers/")
	var changes []*api.Entity
	for i, t := range both(want.Tags, have.Tags, func(t *api.Tag) string { return t.Name }) {
		s := status[[2]string{"tag", t.Name}]
		if s == "" {
			continue
		}
		tag := &api.Tag{Name: t.Name, Type: t.Type, Parameter: t.Parameter, TagFiringOption: t.TagFiringOption, Paused: t.Paused, ConsentSettings: t.ConsentSettings, TagId: there[t.Name]}
		if tag.TagId == "" {
			tag.TagId = fmt.Sprintf("new_%d", i+1)
		}
		if s != "deleted" {
			if id, ok := templateOf(t.Type); ok {
				tag.Type = "cvt_" + container + "_" + known.template[templates[id]]
			}
			tag.FiringTriggerId, tag.BlockingTriggerId = translate(t.FiringTriggerId, triggers, known), translate(t.BlockingTriggerId, triggers, known)
		}
		changes = append(changes, &api.Entity{ChangeStatus: s, Tag: tag})
	}
	_, err := c.bulkUpdate(ctx, workspace, changes)
	return err
}

// both lists what is wanted, then what is there and not wanted.
func both[T any](want, have []T, name func(T) string) []T {
	out := slices.Clone(want)
	for _, h := range have {
		if !slices.ContainsFunc(want, func(w T) bool { return name(w) == name(h) }) {
			out = append(out, h)
		}
	}
	return out
}

func translate(of []string, names map[string]string, known ids) []string {
	out := make([]string, len(of))
	for i, id := range of {
		if out[i] = id; names[id] != "" { // else one of Tag Manager's own
			out[i] = known.trigger[names[id]]
		}
	}
	return out
}

func (c *Client) bulkUpdate(ctx context.Context, workspace string, changes []*api.Entity) ([]*api.Entity, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	made, err := call(ctx, c, "change workspace", true, func() (*api.BulkUpdateWorkspaceResponse, error) {
		return c.service.Accounts.Containers.Workspaces.BulkUpdate(workspace, &api.ProposedChange{Changes: changes}).Context(ctx).Do()
	})
	if err != nil {
		return nil, err
	}
	return made.Changes, nil
}
