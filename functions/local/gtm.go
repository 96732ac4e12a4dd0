package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"verdict/shared/definition"
	"verdict/shared/fault"
	"verdict/shared/tagmanager"
)

// gtmEnvironment is one entry of environments.yaml.
type gtmEnvironment struct {
	tagmanager.Config `yaml:",inline"`
	Values            map[string]string `yaml:"values"`
}

// gtm is `verdict gtm`.
func (p program) gtm(ctx context.Context, flags *flag.FlagSet, args []string) error {
	env := flags.String("env", "", "environment of events/gtm/environments.yaml")
	folder := flags.String("folder", filepath.Join("events", "gtm"), "folder with container.json, environments.yaml and verdict.tpl")
	yes := flags.Bool("yes", false, "publish; without it, publish only says what it would do")
	asJSON := flags.Bool("json", false, "print the plan as JSON")
	if len(args) == 0 || !slices.Contains([]string{"plan", "publish", "container"}, args[0]) {
		flags.Usage()
		return fault.New(fault.Invalid, "gtm wants plan, publish or container")
	}
	action := args[0]
	if err := parse(flags, args[1:], 0); err != nil {
		return err
	}
	source, err := os.ReadFile(filepath.Join(*folder, "container.json"))
	if err != nil {
		return fmt.Errorf("read container: %w", err)
	}
	if action == "container" {
		return p.gtmContainer(source, *folder)
	}
	chosen, err := readGTM(filepath.Join(*folder, "environments.yaml"), *env)
	if err != nil {
		return err
	}
	want, err := tagmanager.Load(source, chosen.Values)
	if err != nil {
		return err
	}
	client, err := p.openGTM(ctx, chosen.Config)
	if err != nil {
		return err
	}
	plan, err := client.Plan(ctx, want)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := p.printJSON(plan); err != nil {
			return err
		}
	} else {
		p.gtmPlan(plan)
	}
	if action == "plan" || len(plan.Differences) == 0 {
		return nil
	}
	if !*yes {
		fmt.Fprintf(p.err, "Nothing was published: add --yes to publish to %s.\n", *env)
		return nil
	}
	version, err := client.Publish(ctx, want, plan, "Verdict "+p.now().UTC().Format("2006-01-02 15:04"))
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "Version %s is live in %s.\n", version, *env)
	return nil
}

// gtmContainer prints the container with the template that stands beside it.
func (p program) gtmContainer(source []byte, folder string) error {
	template, err := os.ReadFile(filepath.Join(folder, "verdict.tpl"))
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	with, err := tagmanager.WithTemplate(source, "Verdict", string(template))
	if err != nil {
		return err
	}
	_, err = p.out.Write(with)
	return err
}

func readGTM(file, env string) (gtmEnvironment, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return gtmEnvironment{}, fmt.Errorf("read environments: %w", err)
	}
	var all map[string]gtmEnvironment
	doc, err := definition.Decode(file, source, &all)
	if err != nil {
		return gtmEnvironment{}, err
	}
	one, ok := all[env]
	if !ok {
		return one, fault.New(fault.Invalid, "--env wants one of %s, not %q", strings.Join(slices.Sorted(maps.Keys(all)), ", "), env)
	}
	if one.Account == "" || one.Container == "" || one.Workspace == "" {
		return one, doc.Errorf("$."+env, "%s needs account, container and workspace", env)
	}
	return one, nil
}

// openGTM authorizes with an access token; its scopes are tagmanager.edit.containers, .edit.containerversions and .publish.
func (p program) openGTM(ctx context.Context, c tagmanager.Config) (*tagmanager.Client, error) {
	token, ok := p.env("GTM_TOKEN")
	if !ok || token == "" {
		return nil, fault.New(fault.Invalid, "set GTM_TOKEN to an access token of Google's with the Tag Manager scopes; docs/gtm.md says how to get one")
	}
	if url, ok := p.env("GTM_URL"); ok { // a stand-in
		c.BaseURL = url
	}
	const patience = 30 * time.Second
	return tagmanager.New(ctx, c, &http.Client{Timeout: patience, Transport: authorized{token}}, wait)
}

// authorized adds the token to each request.
type authorized struct{ token string }

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return http.DefaultTransport.RoundTrip(r)
}

func (p program) gtmPlan(plan tagmanager.Plan) {
	if len(plan.Differences) == 0 {
		fmt.Fprintf(p.out, "Live version %s is as the code wants it.\n", plan.Live)
		return
	}
	signs := map[string]string{"added": "+", "updated": "~", "deleted": "-"}
	for _, d := range plan.Differences {
		fmt.Fprintf(p.out, "%s %-8s %s\n", signs[d.Status], d.Kind, d.Name)
		if d.Detail != "" {
			fmt.Fprintf(p.out, "    %s\n", d.Detail)
		}
	}
}
