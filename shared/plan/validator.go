package plan

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"verdict/shared/fault"
)

// Failure is one way in which an event breaks its contract. Path is a JSON Pointer.
type Failure struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Validator checks parsed JSON against one compiled schema. It knows the part of JSON Schema
// 2020-12 that the tracking plan uses and refuses to compile anything else, so that no keyword is
// ignored silently. A general validator takes longer than the whole budget of the collector per
// event (docs/adr/0002-compiled-validators.md); a test holds the two to equal answers.
type Validator struct {
	types      []string
	properties map[string]*Validator
	required   []string
	closed     bool // additionalProperties: false
	items      *Validator
	maxItems   int
	minItems   int
	enum       []string
	pattern    *regexp.Regexp
	dateTime   bool
	minLength  int
	maxLength  int
	minimum    *float64
	maximum    *float64
	anyOf      []*Validator
}

type schema struct {
	Schema      string                     `json:"$schema"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Type        json.RawMessage            `json:"type"`
	Properties  map[string]json.RawMessage `json:"properties"`
	Required    []string                   `json:"required"`
	Additional  *bool                      `json:"additionalProperties"`
	Items       json.RawMessage            `json:"items"`
	MaxItems    *int                       `json:"maxItems"`
	MinItems    int                        `json:"minItems"`
	Enum        []string                   `json:"enum"`
	Const       *string                    `json:"const"`
	Pattern     string                     `json:"pattern"`
	Format      string                     `json:"format"`
	MinLength   int                        `json:"minLength"`
	MaxLength   *int                       `json:"maxLength"`
	Minimum     *float64                   `json:"minimum"`
	Maximum     *float64                   `json:"maximum"`
	AnyOf       []json.RawMessage          `json:"anyOf"`
}

const unlimited = int(^uint(0) >> 1)

// Compile reads a JSON Schema. A keyword outside the supported part is fault.Invalid.
func Compile(source []byte) (*Validator, error) {
	var s schema
	dec := json.NewDecoder(strings.NewReader(string(source)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, fault.New(fault.Invalid, "compile schema: %w", err)
	}
	v := &Validator{
		required: s.Required, closed: s.Additional != nil && !*s.Additional, enum: s.Enum, minItems: s.MinItems,
		minLength: s.MinLength, minimum: s.Minimum, maximum: s.Maximum, maxLength: unlimited, maxItems: unlimited,
	}
	if s.MaxLength != nil {
		v.maxLength = *s.MaxLength
	}
	if s.MaxItems != nil {
		v.maxItems = *s.MaxItems
	}
	if s.Const != nil {
		v.enum = []string{*s.Const}
	}
	switch s.Format {
	case "":
	case "date-time":
		v.dateTime = true
	default:
		return nil, fault.New(fault.Invalid, "compile schema: format %q is not supported", s.Format)
	}
	if err := v.compileType(s.Type); err != nil {
		return nil, err
	}
	if s.Pattern != "" {
		re, err := regexp.Compile(s.Pattern)
		if err != nil {
			return nil, fault.New(fault.Invalid, "compile schema: pattern: %w", err)
		}
		v.pattern = re
	}
	return v, v.compileParts(s)
}

func (v *Validator) compileType(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		v.types = []string{one}
	} else if err := json.Unmarshal(raw, &v.types); err != nil {
		return fault.New(fault.Invalid, "compile schema: type: %w", err)
	}
	for _, t := range v.types {
		if !slices.Contains([]string{"object", "array", "string", "number", "integer", "boolean", "null"}, t) {
			return fault.New(fault.Invalid, "compile schema: there is no type %q", t)
		}
	}
	return nil
}

func (v *Validator) compileParts(s schema) (err error) {
	if s.Items != nil {
		if v.items, err = Compile(s.Items); err != nil {
			return err
		}
	}
	if s.Properties != nil {
		v.properties = make(map[string]*Validator, len(s.Properties))
	}
	for name, raw := range s.Properties {
		if v.properties[name], err = Compile(raw); err != nil {
			return fmt.Errorf("property %s: %w", name, err)
		}
	}
	for _, raw := range s.AnyOf {
		option, err := Compile(raw)
		if err != nil {
			return err
		}
		v.anyOf = append(v.anyOf, option)
	}
	return nil
}

// Validate returns every way in which value breaks the schema, none for a valid value.
// The path is that of value itself.
func (v *Validator) Validate(path string, value *fastjson.Value) []Failure {
	return v.check(path, value)
}

func (v *Validator) check(path string, value *fastjson.Value) (f []Failure) {
	if len(v.types) > 0 && !slices.ContainsFunc(v.types, func(t string) bool { return isType(value, t) }) {
		return []Failure{{path, "must be " + strings.Join(v.types, " or ") + ", not " + value.Type().String()}}
	}
	switch value.Type() {
	case fastjson.TypeObject:
		f = v.checkObject(f, path, value.GetObject())
	case fastjson.TypeArray:
		f = v.checkArray(f, path, value.GetArray())
	case fastjson.TypeString:
		f = v.checkString(f, path, value.GetStringBytes())
	case fastjson.TypeNumber:
		f = v.checkNumber(f, path, value.GetFloat64())
	case fastjson.TypeNull, fastjson.TypeTrue, fastjson.TypeFalse:
	}
	if v.enum != nil && (value.Type() != fastjson.TypeString || !slices.Contains(v.enum, string(value.GetStringBytes()))) {
		f = append(f, Failure{path, "must be one of " + strings.Join(v.enum, ", ")})
	}
	if len(v.anyOf) > 0 && !slices.ContainsFunc(v.anyOf, func(o *Validator) bool { return o.check(path, value) == nil }) {
		f = append(f, Failure{path, "must satisfy one of: " + v.alternatives()})
	}
	return f
}

func (v *Validator) alternatives() string {
	var out []string
	for _, o := range v.anyOf {
		out = append(out, "has "+strings.Join(o.required, " and "))
	}
	return strings.Join(out, "; ")
}

func isType(value *fastjson.Value, t string) bool {
	switch value.Type() {
	case fastjson.TypeObject:
		return t == "object"
	case fastjson.TypeArray:
		return t == "array"
	case fastjson.TypeString:
		return t == "string"
	case fastjson.TypeNumber:
		if t == "integer" {
			x := value.GetFloat64()
			return x == math.Trunc(x)
		}
		return t == "number"
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return t == "boolean"
	case fastjson.TypeNull:
		return t == "null"
	}
	return false
}

func (v *Validator) checkObject(f []Failure, path string, object *fastjson.Object) []Failure {
	for _, name := range v.required {
		if object.Get(name) == nil {
			f = append(f, Failure{path + "/" + name, "is required"})
		}
	}
	if v.properties == nil && !v.closed {
		return f
	}
	object.Visit(func(key []byte, value *fastjson.Value) {
		property := v.properties[string(key)]
		switch {
		case property != nil:
			// The path is put together only for a failure: joining it for every field
			// would be most of the cost of validation.
			if found := property.check("", value); found != nil {
				for _, failure := range found {
					f = append(f, Failure{path + "/" + string(key) + failure.Path, failure.Message})
				}
			}
		case v.closed:
			f = append(f, Failure{path + "/" + string(key), "is not in the tracking plan"})
		}
	})
	return f
}

func (v *Validator) checkArray(f []Failure, path string, values []*fastjson.Value) []Failure {
	if len(values) > v.maxItems {
		f = append(f, Failure{path, "must have at most " + strconv.Itoa(v.maxItems) + " items"})
	}
	if len(values) < v.minItems {
		f = append(f, Failure{path, "must have at least " + strconv.Itoa(v.minItems) + " items"})
	}
	if v.items == nil {
		return f
	}
	for i, value := range values {
		for _, failure := range v.items.check("", value) {
			f = append(f, Failure{path + "/" + strconv.Itoa(i) + failure.Path, failure.Message})
		}
	}
	return f
}

func (v *Validator) checkString(f []Failure, path string, text []byte) []Failure {
	if v.minLength > 0 || v.maxLength < unlimited {
		switch n := utf8.RuneCount(text); {
		case n < v.minLength:
			f = append(f, Failure{path, "must have at least " + strconv.Itoa(v.minLength) + " characters"})
		case n > v.maxLength:
			f = append(f, Failure{path, "must have at most " + strconv.Itoa(v.maxLength) + " characters"})
		}
	}
	if v.pattern != nil && !v.pattern.Match(text) {
		f = append(f, Failure{path, "must match " + v.pattern.String()})
	}
	if v.dateTime {
		if _, err := ParseTime(text); err != nil {
			f = append(f, Failure{path, "must be a time like 2026-01-05T10:11:12.345Z"})
		}
	}
	return f
}

func (v *Validator) checkNumber(f []Failure, path string, x float64) []Failure {
	if v.minimum != nil && x < *v.minimum {
		f = append(f, Failure{path, "must be at least " + strconv.FormatFloat(*v.minimum, 'g', -1, 64)})
	}
	if v.maximum != nil && x > *v.maximum {
		f = append(f, Failure{path, "must be at most " + strconv.FormatFloat(*v.maximum, 'g', -1, 64)})
	}
	return f
}

// ParseTime reads an RFC 3339 time.
func ParseTime(text []byte) (time.Time, error) { return time.Parse(time.RFC3339Nano, string(text)) }
