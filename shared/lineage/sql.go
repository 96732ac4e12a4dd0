package lineage

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The part of SQL that matters here is small: WITH, SELECT lists, FROM and UNION. What an expression reads is every
// column that it names, whatever it does with them: lineage says "depends on", not how.

type kind uint8

const (
	mark kind = iota
	word
	literal // a text, without its quotes
)

type token struct {
	kind kind
	text string // words in small letters
}

var lexeme = regexp.MustCompile(`--[^\n]*|'(?:[^']|'')*'|"[^"]*"|[A-Za-z_][A-Za-z0-9_]*|[0-9][A-Za-z0-9_.+]*|\S`)

func tokens(sql string) []token {
	var out []token
	for _, text := range lexeme.FindAllString(sql, -1) {
		switch first := text[0]; {
		case strings.HasPrefix(text, "--"):
		case first == '\'':
			out = append(out, token{literal, strings.ReplaceAll(text[1:len(text)-1], "''", "'")})
		case first == '"':
			out = append(out, token{word, text[1 : len(text)-1]})
		case first == '_' || first >= 'A' && first <= 'Z' || first >= 'a' && first <= 'z':
			out = append(out, token{word, strings.ToLower(text)})
		default:
			out = append(out, token{mark, text})
		}
	}
	return out
}

// relation is what a name in FROM stands for: a table, or a query with its columns' origins.
type relation struct {
	base    string
	columns []string
	made    map[string][]Origin
}

func (r relation) origins(column string) []Origin {
	if r.base != "" && slices.Contains(r.columns, column) {
		return []Origin{{Table: r.base, Column: column}}
	}
	return r.made[column]
}

func (r relation) has(column string) bool { return slices.Contains(r.columns, column) }

// scope is the relations of one SELECT by the name they have there.
type scope map[string]relation

// made is what each column of a query is made of.
func made(sql string, tables map[string][]string) map[string][]Origin {
	known := scope{}
	for name, columns := range tables {
		known[name] = relation{base: name, columns: columns}
	}
	return query(tokens(sql), known).made
}

// query reads WITH and the SELECTs after it.
func query(all []token, known scope) relation {
	known = maps.Clone(known)
	if len(all) > 0 && all[0].text == "with" {
		all = all[1:]
		for len(all) > 3 && all[1].text == "as" {
			end := closing(all, 2)
			known[all[0].text] = query(all[3:end], known)
			all = all[end+1:]
			if len(all) > 0 && all[0].text == "," {
				all = all[1:]
			}
		}
	}
	out := relation{made: map[string][]Origin{}}
	for i, part := range split(all, "union") {
		one := selectList(part, known)
		for n, column := range one.columns {
			name := column
			if i == 0 {
				out.columns = append(out.columns, name)
			} else if n < len(out.columns) {
				name = out.columns[n] // by position
			}
			out.made[name] = unique(append(out.made[name], one.made[column]...))
		}
	}
	return out
}

// selectList reads one SELECT.
func selectList(all []token, known scope) relation {
	start := slices.IndexFunc(all, func(t token) bool { return t.text == "select" && t.kind == word })
	parts := split(all[start+1:], "from")
	s := scope{}
	if len(parts) > 1 {
		s = from(parts[1], known)
	}
	out := relation{made: map[string][]Origin{}}
	add := func(name string, origins []Origin) {
		out.columns = append(out.columns, name)
		out.made[name] = origins
	}
	for _, item := range split(parts[0], ",") {
		last := item[len(item)-1]
		if last.text == "*" {
			for _, alias := range slices.Sorted(maps.Keys(s)) {
				if len(item) == 3 && item[0].text != alias {
					continue
				}
				for _, column := range s[alias].columns {
					add(column, s[alias].origins(column))
				}
			}
			continue
		}
		if n := len(item); n > 2 && item[n-2].text == "as" {
			item = item[:n-2]
		}
		add(last.text, s.origins(item))
	}
	return out
}

// from reads the relations up to WHERE and what follows it.
func from(all []token, known scope) scope {
	for _, end := range []string{"where", "group", "having", "order", "limit"} {
		all = split(all, end)[0]
	}
	out := scope{}
	for _, comma := range split(all, ",") {
		for _, joined := range split(comma, "join") {
			joined = split(joined, "on")[0]
			name, r := joined[0].text, known[joined[0].text]
			rest := joined[1:]
			switch name {
			case "(":
				end := closing(joined, 0)
				r, rest = query(joined[1:end], known), joined[end+1:]
			case "unnest":
				end := closing(joined, 1)
				r, rest = unnested(out.origins(joined[2:end]), joined[end+1:]), joined[end+1:]
			}
			if len(rest) > 1 && rest[0].text == "as" {
				name = rest[1].text
			}
			out[name] = r
		}
	}
	return out
}

// unnested is a relation of the columns named in "as alias (column, ...)".
func unnested(origins []Origin, alias []token) relation {
	r := relation{made: map[string][]Origin{}}
	for _, t := range alias[min(2, len(alias)):] {
		if t.kind == word {
			r.columns = append(r.columns, t.text)
			r.made[t.text] = origins
		}
	}
	return r
}

// origins are the columns that an expression names.
func (s scope) origins(expression []token) []Origin {
	var out []Origin
	for i := 0; i < len(expression); i++ {
		t := expression[i]
		if t.kind != word {
			continue
		}
		var found []Origin
		switch {
		case i+2 < len(expression) && expression[i+1].text == "." && expression[i+2].kind == word:
			found = s[t.text].origins(expression[i+2].text)
			i += 2
		case i+1 < len(expression) && expression[i+1].text == "(": // a function
		default:
			for _, alias := range slices.Sorted(maps.Keys(s)) {
				if r := s[alias]; r.has(t.text) {
					found = r.origins(t.text)
					break
				}
			}
		}
		field := jsonField(expression[i+1:])
		for _, o := range found {
			if o.Field == "" {
				o.Field = field
			}
			out = append(out, o)
		}
	}
	return unique(out)
}

// jsonField is the field that stands after a column in json_extract_scalar(column, '$.field').
func jsonField(after []token) string {
	if len(after) > 1 && after[0].text == "," && after[1].kind == literal {
		if field, ok := strings.CutPrefix(after[1].text, "$."); ok {
			return field
		}
	}
	return ""
}

// closing is where the bracket at a position is closed.
func closing(all []token, open int) int {
	depth := 0
	for i := open; i < len(all); i++ {
		if all[i].kind != mark {
			continue
		}
		switch all[i].text {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(all) - 1
}

// split cuts at a word or mark that stands in no bracket.
func split(all []token, at string) [][]token {
	var out [][]token
	depth, start := 0, 0
	for i, t := range all {
		switch {
		case t.kind == literal:
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case t.text == at && depth == 0:
			out = append(out, all[start:i])
			start = i + 1
		}
	}
	return append(out, all[start:])
}
