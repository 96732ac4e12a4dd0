package flagapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// errTest means that a document is not what a patch was made for.
var errTest = errors.New("the test does not hold")

// operation is one step of a JSON Patch (RFC 6902). It is stricter than the RFC in one thing: to
// add what an object already has is an error, as users of the platform report.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from"`
	Value json.RawMessage `json:"value"`
}

func (o operation) apply(doc any) (any, error) {
	path, err := steps(o.Path)
	if err != nil {
		return nil, err
	}
	switch o.Op {
	case "remove":
		return edit(doc, path, o.Op, nil)
	case "move", "copy":
		return o.relocate(doc, path)
	case "add", "replace", "test":
		if o.Value == nil {
			return nil, fmt.Errorf("%s %s has no value", o.Op, o.Path)
		}
		var value any
		if err := json.Unmarshal(o.Value, &value); err != nil {
			return nil, err
		}
		if o.Op != "test" {
			return edit(doc, path, o.Op, value)
		}
		got, err := at(doc, path)
		if err != nil {
			// What a test looks at may be gone just because somebody else changed it.
			return nil, fmt.Errorf("%w: %w", errTest, err)
		}
		if !reflect.DeepEqual(got, value) {
			return nil, fmt.Errorf("%w: %s is %v, not %v", errTest, o.Path, got, value)
		}
		return doc, nil
	default:
		return nil, fmt.Errorf("unknown op %q", o.Op)
	}
}

func (o operation) relocate(doc any, path []string) (any, error) {
	from, err := steps(o.From)
	if err != nil {
		return nil, err
	}
	value, err := at(doc, from)
	if err != nil {
		return nil, err
	}
	if o.Op == "move" {
		if doc, err = edit(doc, from, "remove", nil); err != nil {
			return nil, err
		}
	}
	return edit(doc, path, "add", value)
}

// steps splits a JSON Pointer (RFC 6901). The whole document is no place to write to.
func steps(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("path %q does not begin with /", pointer)
	}
	path := strings.Split(pointer[1:], "/")
	for i, s := range path {
		path[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return path, nil
}

func at(doc any, path []string) (any, error) {
	for _, step := range path {
		switch c := doc.(type) {
		case map[string]any:
			child, ok := c[step]
			if !ok {
				return nil, fmt.Errorf("there is no %q", step)
			}
			doc = child
		case []any:
			i, err := index(step, len(c)-1)
			if err != nil {
				return nil, err
			}
			doc = c[i]
		default:
			return nil, fmt.Errorf("there is no %q", step)
		}
	}
	return doc, nil
}

// edit returns doc with one member added, replaced or removed.
func edit(doc any, path []string, op string, value any) (any, error) {
	step, rest := path[0], path[1:]
	if len(rest) > 0 {
		child, err := at(doc, path[:1])
		if err != nil {
			return nil, err
		}
		if value, err = edit(child, rest, op, value); err != nil {
			return nil, err
		}
		op = "replace"
	}
	switch c := doc.(type) {
	case map[string]any:
		if _, ok := c[step]; ok == (op == "add") {
			return nil, fmt.Errorf("cannot %s %q: it is there: %t", op, step, ok)
		}
		if op == "remove" {
			delete(c, step)
		} else {
			c[step] = value
		}
		return c, nil
	case []any:
		if op != "add" {
			i, err := index(step, len(c)-1)
			if err != nil {
				return nil, err
			}
			if op == "remove" {
				return slices.Delete(c, i, i+1), nil
			}
			c[i] = value
			return c, nil
		}
		if step == "-" {
			return append(c, value), nil
		}
		i, err := index(step, len(c))
		if err != nil {
			return nil, err
		}
		return slices.Insert(c, i, value), nil
	default:
		return nil, fmt.Errorf("there is no %q", step)
	}
}

func index(step string, last int) (int, error) {
	i, err := strconv.Atoi(step)
	if err != nil || i < 0 || i > last || strconv.Itoa(i) != step {
		return 0, fmt.Errorf("there is no element %q", step)
	}
	return i, nil
}
