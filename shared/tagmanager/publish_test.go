package tagmanager_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	api "google.golang.org/api/tagmanager/v2"

	"verdict/shared/fault"
	"verdict/shared/tagmanager"
)

type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// open is a client of the stand-in, whose clock waits for nobody.
func open(t *testing.T, p *platform) *tagmanager.Client {
	t.Helper()
	c, err := tagmanager.New(t.Context(), tagmanager.Config{BaseURL: p.serve(), Account: "1", Container: "2", Workspace: "verdict-dev"},
		&http.Client{Transport: bearer{"token"}}, func(_ context.Context, d time.Duration) error {
			p.now = p.now.Add(d)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	p.last = time.Time{}
	return c
}

// code is the container that stands in the repository.
func code(t *testing.T, values map[string]string) tagmanager.Content {
	t.Helper()
	source, err := os.ReadFile("../../events/gtm/container.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := tagmanager.Load(source, values)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publish(t *testing.T, p *platform, want tagmanager.Content) (tagmanager.Plan, error) {
	t.Helper()
	c := open(t, p)
	plan, err := c.Plan(t.Context(), want)
	if err != nil {
		return plan, err
	}
	_, err = c.Publish(t.Context(), want, plan, "v")
	return plan, err
}

// differences plans anew.
func differences(t *testing.T, p *platform, want tagmanager.Content) []tagmanager.Difference {
	t.Helper()
	p.before, p.after = nil, nil
	p.now = p.now.Add(time.Minute)
	plan, err := open(t, p).Plan(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return plan.Differences
}

func TestTheContainerHoldsTheTemplateThatStandsBesideIt(t *testing.T) {
	tpl, err := os.ReadFile("../../events/gtm/verdict.tpl")
	if err != nil {
		t.Fatal(err)
	}
	if got := code(t, nil).Templates[0].TemplateData; got != string(tpl) {
		t.Error("events/gtm/container.json holds another verdict.tpl: run verdict gtm container > events/gtm/container.json")
	}
}

func TestPublish(t *testing.T) {
	p := newPlatform(t)
	want := code(t, map[string]string{"Verdict - collector": "https://events.dev.example.com"})
	plan, err := publish(t, p, want)
	if err != nil {
		t.Fatal(err)
	}
	if p.hurried > 0 {
		t.Errorf("%d requests came sooner than the quota allows", p.hurried)
	}
	if len(plan.Differences) != 1+6+3+5 {
		t.Errorf("planned %+v", plan.Differences)
	}
	if got := differences(t, p, want); got != nil {
		t.Errorf("after publishing, still %+v", got)
	}
	if !slices.ContainsFunc(p.live.Tag, func(tag *api.Tag) bool { return tag.Name == "Somebody's pixel" }) {
		t.Error("somebody else's tag is gone")
	}
	load := p.live.Tag[slices.IndexFunc(p.live.Tag, func(tag *api.Tag) bool { return tag.Name == "Verdict - load" })]
	if load.Type != "cvt_2_"+p.live.CustomTemplate[0].TemplateId || load.FiringTriggerId[0] != "2147479573" || load.TagFiringOption != "oncePerEvent" || load.ConsentSettings.ConsentStatus != "notNeeded" {
		t.Errorf("tag %+v", load)
	}
	if i := slices.IndexFunc(p.live.Variable, func(v *api.Variable) bool { return v.Name == "Verdict - collector" }); p.live.Variable[i].Parameter[0].Value != "https://events.dev.example.com" {
		t.Errorf("variable %+v", p.live.Variable[i])
	}
	before := len(p.calls)
	if _, err := publish(t, p, want); err != nil || len(p.calls) != before+1 {
		t.Errorf("publishing again: %v, calls %v", err, p.calls[before:])
	}
}

func TestChangesAreFoundAndPublished(t *testing.T) {
	p := newPlatform(t)
	if _, err := publish(t, p, code(t, nil)); err != nil {
		t.Fatal(err)
	}
	want := code(t, map[string]string{"Verdict - write key": "wk_other"})
	want.Tags = slices.DeleteFunc(want.Tags, func(tag *api.Tag) bool { return tag.Name == "Verdict - user" })
	want.Triggers = slices.DeleteFunc(want.Triggers, func(tr *api.Trigger) bool { return tr.Name == "Verdict - user known" })
	plan := []tagmanager.Difference{
		{Kind: "variable", Name: "Verdict - write key", Status: "updated", Detail: `"value": "wk_demo" → "value": "wk_other"`},
		{Kind: "trigger", Name: "Verdict - user known", Status: "deleted"},
		{Kind: "tag", Name: "Verdict - user", Status: "deleted"},
	}
	if diff := cmp.Diff(plan, differences(t, p, want)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := publish(t, p, want); err != nil {
		t.Fatal(err)
	}
	if got := differences(t, p, want); got != nil {
		t.Errorf("left: %+v", got)
	}
}

// Whatever goes wrong, what is live is either as it was or as it was wanted, and publishing again gets there.
func TestFaults(t *testing.T) {
	want := code(t, nil)
	calls := []string{
		"GET versions:live", "GET workspaces", "POST workspaces", "GET templates", "GET variables", "GET triggers", "GET tags",
		"POST bulk_update", "POST create_version", "POST publish",
	}
	for _, call := range calls {
		for name, break1 := range map[string]func(p *platform){
			"busy once": func(p *platform) { p.before = once(call, 429) },
			"down once": func(p *platform) { p.before = once(call, 503) },
			"answer lost": func(p *platform) {
				lost := false
				p.after = func(c string) bool {
					first := c == call && !lost
					lost = lost || first
					return first
				}
			},
		} {
			t.Run(call+" "+name, func(t *testing.T) {
				p := newPlatform(t)
				break1(p)
				live := p.live
				_, err := publish(t, p, want)
				if strings.HasPrefix(call, "GET") || name == "busy once" {
					if err != nil {
						t.Fatalf("gave up: %v", err)
					}
				} else if !fault.Is(err, fault.Transient) {
					t.Fatalf("error %v (%s), want transient", err, fault.Of(err))
				}
				if err != nil && p.live != live && (call != "POST publish" || name != "answer lost") {
					t.Error("something was published")
				}
				p.before, p.after = nil, nil
				p.now = p.now.Add(time.Minute)
				if _, err := publish(t, p, want); err != nil {
					t.Fatalf("again: %v", err)
				}
				if got := differences(t, p, want); got != nil {
					t.Errorf("left: %+v", got)
				}
				tags := map[string]int{}
				for _, tag := range p.live.Tag {
					tags[tag.Name]++
				}
				for tag, n := range tags {
					if n > 1 {
						t.Errorf("%d tags are called %s", n, tag)
					}
				}
			})
		}
	}
}

func once(call string, status int) func(string) int {
	done := false
	return func(c string) int {
		if c != call || done {
			return 0
		}
		done = true
		return status
	}
}

func TestConflicts(t *testing.T) {
	other := func(p *platform) {
		v := clone(*p.live)
		v.ContainerVersionId, v.Fingerprint = p.id(), "theirs"
		p.live = &v
		p.versions[v.ContainerVersionId] = p.live
	}
	for name, c := range map[string]struct {
		trouble func(p *platform)
		class   fault.Class
		says    string
	}{
		"somebody publishes meanwhile": {func(p *platform) {
			p.after = func(call string) bool {
				if call == "POST bulk_update" {
					other(p)
				}
				return false
			}
		}, fault.Conflict, "went live after the plan was made"},
		"a workspace that somebody edited": {func(p *platform) {
			p.workspaces["7"] = &space{api.Workspace{Name: "verdict-dev", WorkspaceId: "7"}, "0", clone(*p.live), map[string]bool{"Verdict": true}}
		}, fault.Conflict, "resolve them in Tag Manager"},
		"a container that does not compile": {func(p *platform) { p.broken = true }, fault.Invalid, "cannot compile"},
		"no right":                          {func(p *platform) { p.before = func(string) int { return 401 } }, fault.Invalid, "401"},
		"busy for good":                     {func(p *platform) { p.before = func(string) int { return 429 } }, fault.Transient, "429"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			c.trouble(p)
			_, err := publish(t, p, code(t, nil))
			if !fault.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v (%s)", err, fault.Of(err))
			}
			if len(p.live.Tag) != 1 {
				t.Errorf("published %d tags", len(p.live.Tag))
			}
		})
	}
}

func TestWithTemplate(t *testing.T) {
	source, err := os.ReadFile("../../events/gtm/container.json")
	if err != nil {
		t.Fatal(err)
	}
	other, err := tagmanager.WithTemplate(source, "Verdict", "<other> & code")
	if err != nil {
		t.Fatal(err)
	}
	c, err := tagmanager.Load(other, nil)
	if err != nil || c.Templates[0].TemplateData != "<other> & code" || len(c.Tags) != 5 {
		t.Errorf("%v: %+v", err, c.Templates)
	}
	if _, err := tagmanager.WithTemplate(source, "Nobody", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown template: %v", err)
	}
}

func TestBrokenContainers(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		values map[string]string
	}{
		"no JSON":         {"{", nil},
		"another version": {`{"exportFormatVersion": 1}`, nil},
		"unknown value":   {`{"exportFormatVersion": 2}`, map[string]string{"Verdict - nothing": "x"}},
	} {
		if _, err := tagmanager.Load([]byte(c.source), c.values); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
