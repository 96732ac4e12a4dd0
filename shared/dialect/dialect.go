// Package dialect names what is not in the part of Trino's SQL that DuckDB gives the same meaning: each construct with
// the line it stands on and what to write instead. What only one of the two understands fails by itself, on the other;
// here is, above all, what both take and answer differently (tests/trino holds the list to a real Trino).
package dialect

import (
	"regexp"
	"strings"
)

// Finding is one construct that is not in the dialect.
type Finding struct {
	Line    int
	Found   string
	Instead string
}

type rule struct {
	pattern *regexp.Regexp
	unless  *regexp.Regexp // on the same line
	instead string
}

func word(pattern string) *regexp.Regexp { return regexp.MustCompile(`(?i)` + pattern) }

// rules see SQL whose comments and texts are blanked.
func rules() []rule {
	return []rule{
		{word(`^\s*(create|insert|merge|update|delete|drop|alter|truncate|copy|unload)\s+(or|table|view|into|from|schema|\()|\bupdate\s+\w+\s+set\b`), nil, "a model is one SELECT; the runner writes its rows"},
		{word(`::`), nil, "cast(x as type): Trino has no ::"},
		{word(`//`), nil, "floor(cast(a as double) / b): Trino has no //"},
		{word("`"), nil, `"name" in double quotes`},
		{word(`\bqualify\b`), nil, "a subquery with the window function, and where around it"},
		{word(`\bilike\b`), nil, "lower(x) like lower(y)"},
		{word(`\b(group|order)\s+by\s+all\b`), nil, "the columns by name or number"},
		{word(`->`), nil, "json_extract_scalar(j, '$.a'); lambdas have no equal in DuckDB"},
		{word(`(=|\(|,|\bselect|\bthen|\belse)\s*(\[|\{)`), nil, "array[1, 2] and map(array[...], array[...]): Trino has no other literals"},
		{word(`\bexclude\s*\(`), nil, "the columns that stay, by name"},
		{word(`\bat\s+time\s+zone\b`), nil, "at_timezone(x, zone) of a timestamp with time zone: on a plain timestamp the two mean opposite things"},
		{word(`\btry\s*\(`), nil, "try_cast, or nullif(b, 0) below a fraction: DuckDB's try lets 1 / 0 be infinite"},
		{word(`\b(min_by|max_by)\s*\(`), nil, "row_number() over (... order by y) = 1: the two treat NULL differently"},
		{word(`\b(date_parse|format_datetime|parse_datetime)\s*\(`), nil, "from_iso8601_timestamp, or date_format with %Y %m %d %H %i %s"},
		{word(`\b(decimal|numeric)\b`), nil, "double: Trino keeps the scale of decimals in a division, DuckDB does not"},
		{word(`\bvarchar\s*\(\s*\d|\bchar\s*\(\s*\d`), nil, "varchar and substr(x, 1, n): Trino cuts to n, DuckDB does not"},
		{word(`/`), word(`as\s+double\s*\)|\d+(\.\d+)?e[+-]?\d+`), "cast(a as double) / nullif(b, 0): Trino cuts the fraction of two integers, DuckDB does not"},
		{word(`\bignore\s+nulls\b`), nil, "a subquery without the NULLs"},
		{word(`\b(listagg|multimap_agg|approx_set|tdigest_agg|checksum)\s*\(`), nil, "array_join(array_agg(x order by x), ','), approx_distinct, approx_percentile: DuckDB has no such function"},
		{word(`\b(approx_distinct|approx_percentile|map_agg)\s*\([^()]*\)\s*filter\b`), nil, "agg(case when c then x end): a macro takes no filter"},
		{word(`\btablesample\b`), nil, "a hash of the key: a sample must be the same each time"},
		{word(`\barray\s*\(\s*[a-z]`), nil, "bigint array: the type's postfix form is in both"},
		{word(`\b(now|random|rand|uuid)\s*\(|\b(current_timestamp|current_date|localtimestamp)\b`), nil, "nothing that changes between runs: a model is a function of its inputs"},
	}
}

// Check lists what is wrong with a SELECT.
func Check(sql string) []Finding {
	var out []Finding
	all := rules()
	for i, line := range strings.Split(blank(sql), "\n") {
		for _, r := range all {
			found := r.pattern.FindString(line)
			if found == "" || r.unless != nil && r.unless.MatchString(line) {
				continue
			}
			if found == "/" && strings.Contains(line, "//") {
				continue // said already
			}
			out = append(out, Finding{i + 1, strings.TrimSpace(found), r.instead})
		}
	}
	return out
}

// blank replaces comments and texts by spaces, so that lines keep their numbers and words in them are no SQL.
func blank(sql string) string {
	out := []byte(sql)
	for i := 0; i < len(out); {
		end := i + 1
		switch {
		case out[i] == '\'' || out[i] == '"': // a text, or a name that may hold anything
			for end < len(out) && out[end] != out[i] {
				end++
			}
			end = min(end+1, len(out))
		case strings.HasPrefix(sql[i:], "--"):
			for end < len(out) && out[end] != '\n' {
				end++
			}
		case strings.HasPrefix(sql[i:], "/*"):
			if n := strings.Index(sql[i:], "*/"); n >= 0 {
				end = i + n + len("*/")
			} else {
				end = len(out)
			}
		default:
			i++
			continue
		}
		for ; i < end; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return string(out)
}
