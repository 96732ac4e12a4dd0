// Package model builds the warehouse: it reads the SQL models, finds out which partitions of each
// are out of date, and makes them by write, audit, publish. What a partition was made from is
// recorded with it as a fingerprint, so a build can be repeated, interrupted and resumed at any
// point: it does what is left to do, and nothing when nothing is.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"verdict/shared/definition"
	"verdict/shared/dialect"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Project is a checked set of models and of the sources they start from.
type Project struct {
	Models  []*Model // in the order in which they can be built
	Sources []Source
}

// Source is a table that no model makes: landed by a delivery stream, or written by Go.
type Source struct {
	Name        string
	Description string   `yaml:"description"`
	Grain       string   `yaml:"grain"`
	Key         []string `yaml:"key"` // none: rows may stand there twice
	MadeBy      string   `yaml:"made_by"`
	Location    string   `yaml:"location"` // of landing tables
	PartitionBy []string `yaml:"partition_by"`
	Columns     []Column `yaml:"columns"`
}

// Landing is the table as an engine must declare it, for sources that land as files.
func (s Source) Landing() lake.Table {
	return lake.Table{Name: s.Name, Columns: plain(s.Columns), PartitionBy: s.PartitionBy, Partitions: []lake.Partition{{Location: s.Location}}}
}

// Model is one SELECT and what it promises.
type Model struct {
	Name        string
	SQL         string
	Key         []string
	Grain       string // this and the next two: lines of the header
	LateData    string
	Owner       string
	Description string          `yaml:"description"`
	PartitionBy string          `yaml:"partition_by"` // event_date, or empty: rebuilt whole
	Reads       map[string]Read `yaml:"reads"`
	LateDays    int             `yaml:"late_days"` // a day that ended longer ago is rebuilt only when somebody asks; 0: always
	Freshness   *Freshness      `yaml:"freshness"`
	Columns     []Column        `yaml:"columns"`
	Tests       []DataTest      `yaml:"tests"`
	Refs        []string        // tables it selects from
	version     string          // hash of the definition
}

// Freshness is how old the newest row may be. An old one is a warning: to hold the table back would make it no newer.
type Freshness struct {
	Column string        `yaml:"column"`
	Within time.Duration `yaml:"within"` // such as 26h
}

// DataTest is a SELECT of rows that should not be; ref('this') is what was built. Its refs to other models are no
// reason to build again.
type DataTest struct {
	Name     string   `yaml:"name"` // says what such a row means: "a refund without an order"
	SQL      string   `yaml:"sql"`
	Severity Severity `yaml:"severity"`
}

// Severity says what a failed data test does.
type Severity string

// The severities.
const (
	Refuse Severity = "error" // the default: readers keep what they had
	Warn   Severity = "warn"  // it is published, and people are told
)

// Read says how much of a table one partition of a model needs.
type Read struct {
	DaysAround int `yaml:"days_around"` // days before and after
}

// Column is one column with what is tested of it.
type Column struct {
	Name        string   `yaml:"name" json:"name"`
	Type        string   `yaml:"type" json:"type"`
	Description string   `yaml:"description" json:"description"`
	Tests       []string `yaml:"tests" json:"tests,omitempty"` // not_null, unique
	Accepted    []string `yaml:"accepted_values" json:"accepted_values,omitempty"`
	In          *Parent  `yaml:"relationships" json:"relationships,omitempty"`
}

// Parent is where each value of a column that is not null must be found.
type Parent struct {
	To       string   `yaml:"to" json:"to"` // a table that the model reads
	Field    string   `yaml:"field" json:"field"`
	Severity Severity `yaml:"severity" json:"severity"`
}

func plain(columns []Column) []lake.Column {
	out := make([]lake.Column, len(columns))
	for i, c := range columns {
		out[i] = lake.Column{Name: c.Name, Type: c.Type}
	}
	return out
}

const columnTypes = "varchar bigint double boolean timestamp(3) date"

// Load reads models/*.sql with their *.yml, and sources/*.yml. What is broken is fault.Invalid with
// file, line and reason.
func Load(files fs.FS) (*Project, error) {
	p := &Project{}
	if err := p.loadSources(files); err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "models/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	models := map[string]*Model{}
	for _, file := range names {
		m, err := loadModel(files, file)
		if err != nil {
			return nil, err
		}
		models[m.Name] = m
	}
	return p, p.order(models)
}

func (p *Project) loadSources(files fs.FS) error {
	names, err := fs.Glob(files, "sources/*.yml")
	if err != nil {
		return fmt.Errorf("list sources: %w", err)
	}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		s := Source{Name: strings.TrimSuffix(path.Base(file), ".yml")}
		doc, err := definition.Decode(file, text, &s)
		if err != nil {
			return err
		}
		if err := checkColumns(doc, s.Columns); err != nil {
			return err
		}
		p.Sources = append(p.Sources, s)
	}
	return nil
}

func loadModel(files fs.FS, file string) (*Model, error) {
	sql, err := fs.ReadFile(files, file)
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	described := strings.TrimSuffix(file, ".sql") + ".yml"
	text, err := fs.ReadFile(files, described)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s:1: the model needs a description in %s", file, described)
	}
	m := &Model{Name: strings.TrimSuffix(path.Base(file), ".sql"), SQL: string(sql)}
	doc, err := definition.Decode(described, text, m)
	if err != nil {
		return nil, err
	}
	if err := checkColumns(doc, m.Columns); err != nil {
		return nil, err
	}
	if m.PartitionBy != "" && m.PartitionBy != "event_date" {
		return nil, doc.Errorf("$.partition_by", "a model is partitioned by event_date or not at all")
	}
	if err := m.readHeader(file); err != nil {
		return nil, err
	}
	var wrong []error
	for _, f := range dialect.Check(m.SQL) {
		wrong = append(wrong, fmt.Errorf("%s:%d: %q is not in the dialect (athena-sql/README.md): write %s", file, f.Line, f.Found, f.Instead))
	}
	if wrong != nil {
		return nil, fault.New(fault.Invalid, "%w", errors.Join(wrong...))
	}
	for _, match := range refCall.FindAllStringSubmatch(m.SQL, -1) {
		if !slices.Contains(m.Refs, match[1]) {
			m.Refs = append(m.Refs, match[1])
		}
	}
	for name := range m.Reads {
		if !slices.Contains(m.Refs, name) {
			return nil, doc.Errorf("$.reads."+name, "the model does not read %s", name)
		}
	}
	if err := m.checkTests(doc); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(sql, text...))
	m.version = hex.EncodeToString(sum[:])
	return m, nil
}

func checkColumns(doc definition.Document, columns []Column) error {
	for i, c := range columns {
		at := fmt.Sprintf("$.columns[%d]", i)
		if !slices.Contains(strings.Fields(columnTypes), c.Type) {
			return doc.Errorf(at+".type", "type of %s must be one of %s, not %q", c.Name, columnTypes, c.Type)
		}
		for _, test := range c.Tests {
			if test != "not_null" && test != "unique" {
				return doc.Errorf(at+".tests", "there is no test %q: not_null and unique are tests, and the key in the model's header is unique anyway", test)
			}
		}
	}
	if len(columns) == 0 {
		return doc.Errorf("$.columns", "columns are missing")
	}
	return nil
}

// A model's header is part of its contract: readers need it, and the key is tested.
func headers() []string { return []string{"grain", "key", "late data", "owner"} }

func (m *Model) readHeader(file string) error {
	lines := strings.Split(m.SQL, "\n")
	for i, name := range headers() {
		at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "-- "+name+": ") })
		if at < 0 {
			return fault.New(fault.Invalid, "%s:%d: the header needs a line \"-- %s: ...\"", file, i+1, name)
		}
		parts := []string{strings.TrimPrefix(lines[at], "-- "+name+": ")}
		for _, more := range lines[at+1:] {
			if !strings.HasPrefix(more, "--     ") { // a line is gone on with further in
				break
			}
			parts = append(parts, strings.TrimSpace(strings.TrimPrefix(more, "--")))
		}
		text := strings.Join(parts, " ")
		switch name {
		case "grain":
			m.Grain = text
		case "key":
			for key := range strings.SplitSeq(text, ",") {
				m.Key = append(m.Key, strings.TrimSpace(key))
			}
		case "late data":
			m.LateData = text
		case "owner":
			m.Owner = text
		}
	}
	return nil
}

var refCall = regexp.MustCompile(`ref\('([a-z][a-z0-9_]*)'\)`)

// order sorts the models so that each comes after those it reads.
func (p *Project) order(models map[string]*Model) error {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(m *Model) error
	visit = func(m *Model) error {
		switch state[m.Name] {
		case done:
			return nil
		case visiting:
			return fault.New(fault.Invalid, "models/%s.sql:1: the model reads itself, over %s", m.Name, strings.Join(m.Refs, ", "))
		}
		state[m.Name] = visiting
		for _, ref := range m.Refs {
			if next := models[ref]; next != nil {
				if err := visit(next); err != nil {
					return err
				}
			} else if !slices.ContainsFunc(p.Sources, func(s Source) bool { return s.Name == ref }) {
				return fault.New(fault.Invalid, "models/%s.sql:%d: there is no model or source %s", m.Name, lineOf(m.SQL, "ref('"+ref+"')"), ref)
			}
		}
		state[m.Name] = done
		p.Models = append(p.Models, m)
		return nil
	}
	names := make([]string, 0, len(models))
	for name := range models {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := visit(models[name]); err != nil {
			return err
		}
	}
	return nil
}

func lineOf(text, part string) int {
	before, _, _ := strings.Cut(text, part)
	return 1 + strings.Count(before, "\n")
}

// Render returns the model's SELECT with every ref replaced.
func (m *Model) Render(ref func(table string) string) string {
	return refCall.ReplaceAllStringFunc(m.SQL, func(call string) string {
		return ref(refCall.FindStringSubmatch(call)[1])
	})
}

// ColumnsOf lists the columns of a model or source, its partition columns last, or nil.
func (p *Project) ColumnsOf(table string) []lake.Column {
	for _, m := range p.Models {
		if m.Name != table {
			continue
		}
		columns := plain(m.Columns)
		if m.PartitionBy != "" {
			columns = append(columns, lake.Column{Name: m.PartitionBy, Type: "varchar"})
		}
		return columns
	}
	for _, s := range p.Sources {
		if s.Name != table {
			continue
		}
		columns := plain(s.Columns)
		for _, c := range s.PartitionBy {
			columns = append(columns, lake.Column{Name: c, Type: "varchar"})
		}
		return columns
	}
	return nil
}

// Find returns a model by its name, or nil.
func (p *Project) Find(name string) *Model {
	if i := slices.IndexFunc(p.Models, func(m *Model) bool { return m.Name == name }); i >= 0 {
		return p.Models[i]
	}
	return nil
}

// Version changes whenever the model's definition does.
func (m *Model) Version() string { return m.version }

// After lists a model and those that read it, or read what does, in the order in which they are built.
func (p *Project) After(name string) []string {
	var out []string
	for _, m := range p.Models {
		if m.Name == name || slices.ContainsFunc(m.Refs, func(ref string) bool { return slices.Contains(out, ref) }) {
			out = append(out, m.Name)
		}
	}
	return out
}
