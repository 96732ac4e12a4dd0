// Package tagmanager keeps a Google Tag Manager container as code: it compares the export that stands in the
// repository with what is live, and publishes the difference through the Tag Manager API v2. It touches what is
// named "Verdict…" and nothing else of the container.
package tagmanager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	api "google.golang.org/api/tagmanager/v2"

	"verdict/shared/fault"
)

// Prefix begins the name of everything that is ours in a container.
const Prefix = "Verdict"

// Content is the part of a container that is compared.
type Content struct {
	Tags      []*api.Tag
	Triggers  []*api.Trigger
	Variables []*api.Variable
	Templates []*api.CustomTemplate
}

// export is a file of Tag Manager's "Export container", format version 2.
type export struct {
	FormatVersion int `json:"exportFormatVersion"`
	Version       struct {
		Tag            []*api.Tag            `json:"tag"`
		Trigger        []*api.Trigger        `json:"trigger"`
		Variable       []*api.Variable       `json:"variable"`
		CustomTemplate []*api.CustomTemplate `json:"customTemplate"`
	} `json:"containerVersion"`
}

// constant is how exports write an enum: SNAKE_CAPS, where the API wants camelCase.
var constant = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// Load reads an export. values replaces those of constant variables, by name: what differs between environments.
func Load(source []byte, values map[string]string) (Content, error) {
	var tree any
	if err := json.Unmarshal(source, &tree); err != nil {
		return Content{}, fault.New(fault.Invalid, "read container: %w", err)
	}
	text, err := json.Marshal(camel(tree, ""))
	if err != nil {
		return Content{}, fmt.Errorf("read container: %w", err)
	}
	var e export
	if err := json.Unmarshal(text, &e); err != nil {
		return Content{}, fault.New(fault.Invalid, "read container: %w", err)
	}
	if e.FormatVersion != 2 {
		return Content{}, fault.New(fault.Invalid, "read container: exportFormatVersion is %d, want 2: export the container from Tag Manager's Admin page", e.FormatVersion)
	}
	c := Content{e.Version.Tag, e.Version.Trigger, e.Version.Variable, e.Version.CustomTemplate}
	return c, c.set(values)
}

// camel turns the enums of an export into the API's.
func camel(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		for name, one := range v {
			v[name] = camel(one, name)
		}
	case []any:
		for i, one := range v {
			v[i] = camel(one, key)
		}
	case string:
		if slices.Contains([]string{"type", "tagFiringOption", "consentStatus"}, key) && constant.MatchString(v) {
			words := strings.Split(strings.ToLower(v), "_")
			for i, word := range words[1:] {
				words[i+1] = strings.ToUpper(word[:1]) + word[1:]
			}
			return strings.Join(words, "")
		}
	}
	return v
}

// set gives constant variables their value in an environment.
func (c Content) set(values map[string]string) error {
	for name, value := range values {
		i := slices.IndexFunc(c.Variables, func(v *api.Variable) bool { return v.Name == name && v.Type == "c" })
		if i < 0 {
			return fault.New(fault.Invalid, "read container: there is no constant variable %q to give a value", name)
		}
		for _, p := range c.Variables[i].Parameter {
			if p.Key == "value" {
				p.Value = value
			}
		}
	}
	return nil
}

// ours leaves out what is not.
func (c Content) ours() Content {
	return Content{
		slices.DeleteFunc(slices.Clone(c.Tags), func(t *api.Tag) bool { return !strings.HasPrefix(t.Name, Prefix) }),
		slices.DeleteFunc(slices.Clone(c.Triggers), func(t *api.Trigger) bool { return !strings.HasPrefix(t.Name, Prefix) }),
		slices.DeleteFunc(slices.Clone(c.Variables), func(v *api.Variable) bool { return !strings.HasPrefix(v.Name, Prefix) }),
		slices.DeleteFunc(slices.Clone(c.Templates), func(t *api.CustomTemplate) bool { return !strings.HasPrefix(t.Name, Prefix) }),
	}
}

// Difference is one thing in which code and container differ.
type Difference struct {
	Kind   string `json:"kind"` // template, variable, trigger, tag
	Name   string `json:"name"`
	Status string `json:"status"` // added, updated, deleted, as the API calls them
	Detail string `json:"detail,omitempty"`
}

// Differences lists what must change for have to become want.
func Differences(want, have Content) []Difference {
	want, have = want.ours(), have.ours()
	var out []Difference
	out = append(out, differ("template", want.texts("template"), have.texts("template"))...)
	out = append(out, differ("variable", want.texts("variable"), have.texts("variable"))...)
	out = append(out, differ("trigger", want.texts("trigger"), have.texts("trigger"))...)
	return append(out, differ("tag", want.texts("tag"), have.texts("tag"))...)
}

func differ(kind string, want, have map[string]string) []Difference {
	var out []Difference
	for name, text := range want {
		before, ok := have[name]
		switch {
		case !ok:
			out = append(out, Difference{kind, name, "added", ""})
		case before != text:
			out = append(out, Difference{kind, name, "updated", firstChange(before, text)})
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			out = append(out, Difference{kind, name, "deleted", ""})
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// firstChange is the first line in which two texts differ.
func firstChange(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return short(strings.TrimSpace(a[i])) + " → " + short(strings.TrimSpace(b[i]))
		}
	}
	return fmt.Sprintf("%d lines → %d", len(a), len(b))
}

func short(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

// texts writes each entity of a kind in a form in which the same content reads the same: without ids, which differ
// from container to container, and with the defaults that Tag Manager fills in.
func (c Content) texts(kind string) map[string]string {
	triggers, templates := map[string]string{}, map[string]string{}
	for _, t := range c.Triggers {
		triggers[t.TriggerId] = t.Name
	}
	for _, t := range c.Templates {
		templates[t.TemplateId] = t.Name
	}
	named := func(ids []string) []string {
		out := make([]string, len(ids))
		for i, id := range ids {
			if out[i] = triggers[id]; out[i] == "" {
				out[i] = id // one of Tag Manager's own, such as All Pages
			}
		}
		slices.Sort(out)
		return out
	}
	out := map[string]string{}
	switch kind {
	case "template":
		for _, t := range c.Templates {
			out[t.Name] = strings.TrimSpace(t.TemplateData)
		}
	case "variable":
		for _, v := range c.Variables {
			out[v.Name] = text(v.Type, parameters(v.Parameter), named(v.EnablingTriggerId), named(v.DisablingTriggerId))
		}
	case "trigger":
		for _, t := range c.Triggers {
			out[t.Name] = text(t.Type, t.CustomEventFilter, t.Filter, t.AutoEventFilter, parameters(t.Parameter))
		}
	case "tag":
		for _, t := range c.Tags {
			kind := t.Type
			if id, ok := templateOf(t.Type); ok {
				kind = "template " + templates[id]
			}
			firing := t.TagFiringOption
			if firing == "" {
				firing = "oncePerEvent"
			}
			out[t.Name] = text(kind, parameters(t.Parameter), named(t.FiringTriggerId), named(t.BlockingTriggerId), firing, t.Paused, consent(t.ConsentSettings))
		}
	}
	return out
}

// templateOf is the id of the template that a tag's type names: cvt_<container>_<template>.
func templateOf(kind string) (string, bool) {
	if !strings.HasPrefix(kind, "cvt_") {
		return "", false
	}
	return kind[strings.LastIndexByte(kind, '_')+1:], true
}

func consent(c *api.TagConsentSetting) string {
	if c == nil || c.ConsentStatus == "" {
		return "notSet"
	}
	return c.ConsentStatus
}

// parameters in the order of their keys, which means nothing.
func parameters(list []*api.Parameter) []*api.Parameter {
	return slices.SortedStableFunc(slices.Values(list), func(a, b *api.Parameter) int { return strings.Compare(a.Key, b.Key) })
}

func text(parts ...any) string {
	body, err := json.MarshalIndent(parts, "", " ")
	if err != nil {
		return fmt.Sprint(parts...) // plain data always marshals
	}
	return string(body)
}

// WithTemplate returns an export with the code of one of its custom templates replaced.
func WithTemplate(source []byte, name, template string) ([]byte, error) {
	var tree map[string]any
	if err := json.Unmarshal(source, &tree); err != nil {
		return nil, fault.New(fault.Invalid, "read container: %w", err)
	}
	version, ok := tree["containerVersion"].(map[string]any)
	templates, listed := version["customTemplate"].([]any)
	if !ok || !listed {
		return nil, fault.New(fault.Invalid, "read container: it has no custom templates")
	}
	for _, one := range templates {
		if t, ok := one.(map[string]any); ok && t["name"] == name {
			t["templateData"] = template
			var out bytes.Buffer
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(tree); err != nil {
				return nil, fmt.Errorf("write container: %w", err)
			}
			return out.Bytes(), nil
		}
	}
	return nil, fault.New(fault.NotFound, "read container: there is no custom template %q", name)
}
