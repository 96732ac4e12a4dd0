package linkage

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/definition"
)

// Config says what to compare. What is left out is chosen from the table by Complete.
type Config struct {
	Fields    []Field    `yaml:"fields"`
	Blocking  [][]string `yaml:"blocking"`  // two records are compared when all columns of a rule agree; "name:3" is the first three letters
	Known     string     `yaml:"known"`     // column of the person where it is known: teaches the weights, and keeps two known persons apart
	Source    string     `yaml:"source"`    // column of the list a record is from: records of one list are never compared
	Threshold float64    `yaml:"threshold"` // probability from which on two records are one person's
	Agreement float64    `yaml:"agreement"` // mean probability that all pairs across two units must have for the units to become one
	Pairs     int        `yaml:"pairs"`     // budget of compared pairs; the largest blocks go first
	Cap       int        `yaml:"cap"`       // records of one person at most
}

// Field is one comparison.
type Field struct {
	Column string `yaml:"column"`
	As     string `yaml:"as"` // exact, text, code, set, profile, browser
}

// Defaults. A wrong merge spoils two persons' data, a missed one dilutes an effect: hence 0.99.
const (
	defaultThreshold = 0.99
	// One strong match does not make two units one (average linkage): between the cookies of a couple
	// there is always one, among many that speak against it.
	defaultAgreement = 0.5
	defaultPairs     = 5_000_000
	defaultCap       = 100
	maxFields        = 16 // of four bits each in 64
	maxRules         = 32
)

// Load reads a configuration. A broken one is fault.Invalid with file, line and reason.
func Load(file string, source []byte) (*Config, error) {
	c := &Config{}
	doc, err := definition.Decode(file, source, c)
	if err != nil {
		return nil, err
	}
	for i, f := range c.Fields {
		if f.Column == "" {
			return nil, doc.Errorf(fmt.Sprintf("$.fields[%d]", i), "a field needs a column")
		}
		if f.As != "" && !slices.Contains(kinds(), f.As) {
			return nil, doc.Errorf(fmt.Sprintf("$.fields[%d].as", i), "there is no comparison %q; there are %s", f.As, strings.Join(kinds(), ", "))
		}
	}
	switch {
	case len(c.Fields) > maxFields:
		return nil, doc.Errorf("$.fields", "%d fields are more than %d", len(c.Fields), maxFields)
	case len(c.Blocking) > maxRules:
		return nil, doc.Errorf("$.blocking", "%d rules are more than %d", len(c.Blocking), maxRules)
	case c.Threshold < 0 || c.Threshold >= 1:
		return nil, doc.Errorf("$.threshold", "a threshold is a probability below 1, not %g", c.Threshold)
	case c.Agreement < 0 || c.Agreement > 1:
		return nil, doc.Errorf("$.agreement", "an agreement is a probability, not %g", c.Agreement)
	case c.Pairs < 0:
		return nil, doc.Errorf("$.pairs", "a budget of pairs is a number above 0")
	case c.Cap < 0:
		return nil, doc.Errorf("$.cap", "a cap is a number above 0")
	}
	return c, nil
}

// Complete chooses what the configuration leaves out. Fields: all columns but those of one value,
// those without a repeated one (keys), and the ones named in without. Blocking: on each field alone.
func (c *Config) Complete(t *Table, without ...string) error {
	if len(c.Fields) == 0 {
		for i, name := range t.Columns {
			if slices.Contains(append(without, c.Known, c.Source), name) {
				continue
			}
			distinct, filled := map[string]bool{}, 0
			for _, row := range t.Rows {
				if row[i] != "" {
					distinct[row[i]] = true
					filled++
				}
			}
			if len(distinct) > 1 && len(distinct) < filled && len(c.Fields) < maxFields {
				c.Fields = append(c.Fields, Field{Column: name})
			}
		}
	}
	for i := range c.Fields {
		f := &c.Fields[i]
		at, err := t.Column(f.Column)
		if err != nil {
			return err
		}
		if f.As == "" {
			f.As = guess(t, at)
		}
	}
	if len(c.Fields) < 2 {
		return fmt.Errorf("a table needs two fields that repeat to be linked by, it has %d", len(c.Fields))
	}
	if len(c.Blocking) == 0 {
		for _, f := range c.Fields {
			if f.As != "profile" {
				c.Blocking = append(c.Blocking, []string{f.Column})
			}
		}
	}
	if c.Threshold == 0 {
		c.Threshold = defaultThreshold
	}
	if c.Agreement == 0 {
		c.Agreement = defaultAgreement
	}
	if c.Pairs == 0 {
		c.Pairs = defaultPairs
	}
	if c.Cap == 0 {
		c.Cap = defaultCap
	}
	return nil
}

// guess takes numbers and dates for codes, in which a single character counts, and the rest for text.
func guess(t *Table, column int) string {
	number := regexp.MustCompile(`^[0-9./: -]+$`)
	for _, row := range t.Rows {
		if row[column] != "" && !number.MatchString(row[column]) {
			return "text"
		}
	}
	return "code"
}

// known numbers the known persons; -1 is unknown.
func (c *Config) known(t *Table) ([]int32, error) {
	out := make([]int32, len(t.Rows))
	for i := range out {
		out[i] = -1
	}
	if c.Known == "" {
		return out, nil
	}
	at, err := t.Column(c.Known)
	if err != nil {
		return nil, err
	}
	numbers := map[string]int32{}
	for i, row := range t.Rows {
		if row[at] == "" {
			continue
		}
		if _, ok := numbers[row[at]]; !ok {
			numbers[row[at]] = int32(len(numbers)) //nolint:gosec // as many as rows
		}
		out[i] = numbers[row[at]]
	}
	return out, nil
}

// part is one column of a blocking rule, and how much of its value counts; 0 is all.
type part struct{ column, letters int }

func partsOf(t *Table, rule []string) ([]part, error) {
	out := make([]part, 0, len(rule))
	for _, name := range rule {
		letters := 0
		if head, tail, ok := strings.Cut(name, ":"); ok {
			n, err := strconv.Atoi(tail)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("blocking %q: want a number of letters after the colon", name)
			}
			name, letters = head, n
		}
		at, err := t.Column(name)
		if err != nil {
			return nil, fmt.Errorf("blocking: %w", err)
		}
		out = append(out, part{at, letters})
	}
	return out, nil
}
