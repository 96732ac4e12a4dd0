package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

// object is a part of a template.
type object = map[string]any

// resource is one resource of one stack.
type resource struct {
	stack, id, kind string
	all, properties object
}

func (r resource) String() string { return r.stack + "/" + r.id }

// synthesized is what the app makes of environments.
type synthesized struct {
	templates map[string]assertions.Template // by stack, such as dev/data
	resources []resource
}

func (s synthesized) of(kinds ...string) []resource {
	return slices.DeleteFunc(slices.Clone(s.resources), func(r resource) bool { return !slices.Contains(kinds, r.kind) })
}

// build fills a folder as make functions does, with bootstraps that say no more than their name.
func build(folder string) error {
	for _, name := range functionNames() {
		if err := os.MkdirAll(filepath.Join(folder, "arm64", name), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "arm64", name, "bootstrap"), []byte(name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func synthesize(folder string, environments ...Environment) (synthesized, error) {
	return synthesizeWith(nil, folder, environments...)
}

func synthesizeWith(context map[string]any, folder string, environments ...Environment) (synthesized, error) {
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(folder, "cdk.out")), Context: &context})
	if err := addEnvironments(app, folder, environments...); err != nil {
		return synthesized{}, err
	}
	out := synthesized{templates: map[string]assertions.Template{}}
	for _, e := range environments {
		for _, child := range *app.Node().FindChild(&e.Name).Node().Children() {
			stack, ok := child.(awscdk.Stack)
			if !ok {
				return synthesized{}, fmt.Errorf("%s is no stack", *child.Node().Path())
			}
			where := *child.Node().Path()
			template := assertions.Template_FromStack(stack, nil)
			out.templates[where] = template
			for id, r := range in(*template.ToJSON(), "Resources") {
				all := r.(object)
				out.resources = append(out.resources, resource{where, id, all["Type"].(string), all, in(all, "Properties")})
			}
		}
	}
	return out, nil
}

var everything = sync.OnceValues(func() (synthesized, error) {
	folder, err := os.MkdirTemp("", "infra")
	if err != nil {
		return synthesized{}, err
	}
	defer os.RemoveAll(folder)
	if err := build(folder); err != nil {
		return synthesized{}, err
	}
	return synthesize(folder, dev(), staging(), prod())
})

func all(t *testing.T) synthesized {
	t.Helper()
	s, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// in walks down a template; what is not there is empty.
func in(from object, path ...string) object {
	for _, name := range path {
		from, _ = from[name].(object)
	}
	return from
}

// list makes a list of what CloudFormation lets stand alone.
func list(v any) []any {
	if v == nil {
		return nil
	}
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

// text spells a value of a template with the parts it is joined of, references as their names.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case object:
		if join, ok := v["Fn::Join"].([]any); ok {
			var out strings.Builder
			for _, part := range join[1].([]any) {
				out.WriteString(text(part))
			}
			return out.String()
		}
	}
	spelled, _ := json.Marshal(v)
	return string(spelled)
}

// holds reports what an assertion of the CDK panics with.
func holds(t *testing.T, check func()) {
	t.Helper()
	defer func() {
		if problem := recover(); problem != nil {
			t.Error(problem)
		}
	}()
	check()
}
