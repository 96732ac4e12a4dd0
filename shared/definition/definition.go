// Package definition reads the YAML files in which people define things (experiments, metrics,
// models, the tracking plan, import mappings) so that every complaint names file, line and reason.
// Unknown and duplicate keys are refused: a misspelt key must not pass silently.
package definition

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"verdict/shared/fault"
)

// Complaint is one thing that is wrong with a definition, and where.
type Complaint struct { //nolint:errname // it is found inside errors, and never is one that a caller matches {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

func (c Complaint) Error() string { return fmt.Sprintf("%s:%d: %s", c.File, c.Line, c.Text) }

// Complaints finds every complaint in an error.
func Complaints(err error) []Complaint {
	var out []Complaint
	switch e := err.(type) { //nolint:errorlint // it is unwrapped here, and may be several
	case Complaint:
		out = append(out, e)
	case interface{ Unwrap() error }:
		out = Complaints(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			out = append(out, Complaints(one)...)
		}
	}
	return out
}

// Refuse makes one error of complaints: fault.Invalid, a line each, in order of file and place; nil of none.
func Refuse(all []Complaint) error {
	all = slices.SortedStableFunc(slices.Values(all), func(a, b Complaint) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(all))
	for i, c := range all {
		errs[i] = c
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "%w", errors.Join(errs...))
}

// Under says in which folder the files are that an error complains of.
func Under(folder string, err error) error {
	all := Complaints(err)
	if all == nil {
		return fmt.Errorf("%s/%w", folder, err)
	}
	for i := range all {
		all[i].File = folder + "/" + all[i].File
	}
	return Refuse(all)
}

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
		return Document{}, Refuse([]Complaint{{file, 1, 1, fmt.Sprintf("want one YAML document, have %d", len(docs))}})
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

// DecodeAll is Decode that goes on after what it cannot read, and complains of all of it. It also refuses
// a whole number written with a fraction, which the YAML library cuts off in silence.
func (d Document) DecodeAll(v any) []Complaint {
	if len(ast.Filter(ast.AliasType, d.body)) > 0 { // a piece does not know the anchors of another
		return Complaints(d.Decode(v))
	}
	var out []Complaint
	d.piecewise(d.body, reflect.ValueOf(v).Elem(), &out)
	return out
}

// piecewise decodes fields and elements one by one.
func (d Document) piecewise(node ast.Node, to reflect.Value, out *[]Complaint) {
	values, isMapping := node.(ast.MapNode)
	elements, isSequence := node.(*ast.SequenceNode)
	_, isText := to.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case isMapping && to.Kind() == reflect.Struct && !isText:
		for each := values.MapRange(); each.Next(); {
			field := fieldOf(to, each.Key().String())
			if !field.IsValid() {
				*out = append(*out, d.complain(each.Key(), fmt.Sprintf("unknown field %q", each.Key().String())))
				continue
			}
			d.piecewise(each.Value(), field, out)
		}
	case isSequence && to.Kind() == reflect.Slice:
		to.Set(reflect.MakeSlice(to.Type(), len(elements.Values), len(elements.Values)))
		for i, element := range elements.Values {
			d.piecewise(element, to.Index(i), out)
		}
	case node.Type() == ast.FloatType && (to.CanInt() || to.CanUint()):
		*out = append(*out, d.complain(node, "want a whole number, not "+node.String()))
	default:
		if err := yaml.NodeToValue(node, to.Addr().Interface(), yaml.Strict()); err != nil {
			*out = append(*out, complaint(d.file, err))
		}
	}
}

// fieldOf is the field of a struct that a key names; the zero Value without one.
func fieldOf(of reflect.Value, key string) reflect.Value {
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" {
			name = strings.ToLower(of.Type().Field(i).Name)
		}
		if name == key {
			return of.Field(i)
		}
	}
	return reflect.Value{}
}

// Has tells whether the document has something at a path such as "$.metric".
func (d Document) Has(path string) bool { return d.node(path) != nil }

// Complain is about the value at a path such as "$.metrics[1].margin", or, when that is missing, about
// the nearest thing around it.
func (d Document) Complain(path, format string, args ...any) Complaint {
	node := d.node(path)
	for p := path; node == nil && p != "$"; {
		p = parentPath(p)
		node = d.node(p)
	}
	if node == nil {
		node = d.body
	}
	return d.complain(node, fmt.Sprintf(format, args...))
}

// Errorf is Complain as an error.
func (d Document) Errorf(path, format string, args ...any) error {
	return Refuse([]Complaint{d.Complain(path, format, args...)})
}

func (d Document) complain(node ast.Node, text string) Complaint {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 { // its own token is its first colon
		node = m.Values[0].Key
	}
	c := Complaint{File: d.file, Line: 1, Column: 1, Text: text}
	if t := node.GetToken(); t != nil {
		c.Line, c.Column = t.Position.Line, t.Position.Column
	}
	return c
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

func located(file string, err error) error { return Refuse([]Complaint{complaint(file, err)}) }

func complaint(file string, err error) Complaint {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return Complaint{file, 1, 1, err.Error()}
	}
	position := at.GetToken().Position
	return Complaint{file, position.Line, position.Column, at.GetMessage()}
}
