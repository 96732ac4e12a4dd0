// Package definition reads the YAML files in which people define things (experiments, metrics,
// models, the tracking plan, import mappings) so that every complaint names file, line and reason.
// Unknown and duplicate keys are refused: a misspelt key must not pass silently.
package definition

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"verdict/shared/fault"
)

// Document is one YAML document of a file.
type Document struct {
	file string
	body ast.Node
}

// Parse splits a file into its documents. Empty documents are left out.
func Parse(file string, source []byte) ([]Document, error) {
	parsed, err := parser.ParseBytes(source, 0)
	if err != nil {
		return nil, located(file, err)
	}
	var out []Document
	for _, d := range parsed.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentType {
			out = append(out, Document{file, d.Body})
		}
	}
	return out, nil
}

// Decode reads a file of exactly one document into v.
func Decode(file string, source []byte, v any) (Document, error) {
	docs, err := Parse(file, source)
	if err != nil {
		return Document{}, err
	}
	if len(docs) != 1 {
		return Document{}, fault.New(fault.Invalid, "%s:1: want one YAML document, have %d", file, len(docs))
	}
	return docs[0], docs[0].Decode(v)
}

// Decode fills v, a pointer to a struct, refusing keys that v does not have.
func (d Document) Decode(v any) error {
	if err := yaml.NodeToValue(d.body, v, yaml.Strict()); err != nil {
		return located(d.file, err)
	}
	return nil
}

// Has tells whether the document has something at a path such as "$.metric".
func (d Document) Has(path string) bool { return d.node(path) != nil }

// Errorf is a complaint about the value at a path such as "$.metrics[1].margin", or, when that is
// missing, about the nearest thing around it.
func (d Document) Errorf(path, format string, args ...any) error {
	node := d.node(path)
	for p := path; node == nil && p != "$"; {
		p = parentPath(p)
		node = d.node(p)
	}
	line := 1
	if node == nil {
		node = d.body
	}
	if t := node.GetToken(); t != nil {
		line = t.Position.Line
	}
	return fault.New(fault.Invalid, "%s:%d: %s", d.file, line, fmt.Sprintf(format, args...))
}

func (d Document) node(path string) ast.Node {
	p, err := yaml.PathString(path)
	if err != nil {
		return nil
	}
	node, err := p.FilterNode(d.body)
	if err != nil {
		return nil
	}
	return node
}

func parentPath(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return "$"
}

func located(file string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return fault.New(fault.Invalid, "%s:1: %w", file, err)
	}
	return fault.New(fault.Invalid, "%s:%d: %s", file, at.GetToken().Position.Line, at.GetMessage())
}
