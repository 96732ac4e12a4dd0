package metric

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"verdict/shared/dialect"
)

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// words are texts, numbers, and names with the bracket that makes a name a function.
var words = regexp.MustCompile(`'(?:[^']|'')*'|\d[\w.]*|[A-Za-z_]\w*(?:\s*\()?`)

// keywords are what an expression may say beside columns, functions and literals.
func keywords() []string {
	return strings.Fields("and or not in is null like between case when then else end as true false distinct " +
		"double bigint integer varchar boolean date timestamp interval day hour minute second")
}

// qualify puts the alias e before the columns in an expression, and refuses what is neither column nor SQL.
func qualify(expression string, columns []string) (string, error) {
	if strings.Contains(expression, "{{") || strings.Contains(expression, ";") || strings.Contains(expression, "--") || strings.Contains(expression, "/*") {
		return "", fmt.Errorf("%q is no expression", expression)
	}
	if found := dialect.Check(expression); found != nil {
		return "", fmt.Errorf("%q is not in the dialect (athena-sql/README.md): write %s", found[0].Found, found[0].Instead)
	}
	var unknown string
	out := words.ReplaceAllStringFunc(expression, func(word string) string {
		switch lower := strings.ToLower(word); {
		case word[0] == '\'' || word[0] >= '0' && word[0] <= '9' || slices.Contains(keywords(), lower):
			return word
		case strings.HasSuffix(word, "("): // a function, or a keyword before a bracket
			if strings.HasPrefix(lower, "select") {
				unknown = "select"
			}
			return word
		case slices.Contains(columns, word):
			return "e." + word
		default:
			unknown = word
			return word
		}
	})
	if unknown != "" {
		return "", fmt.Errorf("there is no column %q", unknown)
	}
	return out, nil
}

var dimensionCall = regexp.MustCompile(`\{\{\s*Dimension\('([a-z0-9_]+)__([a-z0-9_]+)'\)\s*\}\}`)

// filter is a MetricFlow filter as SQL: its dimensions become their expressions, and nothing else names a column.
func (m semanticModel) filter(text string) (string, error) {
	var out strings.Builder
	rest := 0
	for _, at := range dimensionCall.FindAllStringSubmatchIndex(text, -1) {
		plain, err := qualify(text[rest:at[0]], nil)
		if err != nil {
			return "", err
		}
		name := text[at[4]:at[5]]
		dimension, ok := m.dimensions[name]
		if !ok {
			return "", fmt.Errorf("there is no dimension %q", name)
		}
		out.WriteString(plain + dimension)
		rest = at[1]
	}
	plain, err := qualify(text[rest:], nil)
	return out.String() + plain, err
}
