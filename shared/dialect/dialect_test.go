package dialect_test

import (
	"io/fs"
	"strings"
	"testing"

	athenasql "verdict/athena-sql"
	"verdict/shared/dialect"
)

func TestCheck(t *testing.T) {
	for sql, want := range map[string]string{
		"select a::int from t":                                     "::",
		"select a // b from t":                                     "//",
		"select `a` from t":                                        "`",
		"select 1 from t qualify row_number() over () = 1":         "qualify",
		"select a ILIKE b from t":                                  "ILIKE",
		"select a, count(*) from t group  by all":                  "group  by all",
		"select j -> 'a' from t":                                   "->",
		"select ts at time zone 'UTC' from t":                      "at time zone",
		"select try(1 / 0e0)":                                      "try(",
		"select min_by(a, b) from t":                               "min_by(",
		"select date_parse(a, '%Y') from t":                        "date_parse(",
		"select cast(a as decimal(10, 2)) from t":                  "decimal",
		"select cast(a as varchar(3)) from t":                      "varchar(3",
		"select a / b from t":                                      "/",
		"select lag(a) ignore nulls over (order by b) from t":      "ignore nulls",
		"select listagg(a, ',') from t":                            "listagg(",
		"select map_agg(a, b) filter (where c) from t":             "map_agg(a, b) filter",
		"select * from t tablesample bernoulli (10)":               "tablesample",
		"select cast(a as array(bigint)) from t":                   "array(b",
		"select now() from t":                                      "now(",
		"select [1, 2] as a":                                       "[",
		"select {'a': 1} as a":                                     "{",
		"select * exclude (a) from t":                              "exclude (",
		`select "it's", a::int from t`:                             "::",
		`select "a::b", random from t where a[1] = 2`:              "",
		"create table t as select 1":                               "create",
		"select 1\n-- fine\nfrom t\nwhere a::int = 1":              "::",
		"select cast(a as double) / nullif(b, 0) from t":           "",
		"select a * 1e0 / b from t":                                "",
		"select 'a::b // `c` now() x / y' as text -- a::b\nfrom t": "",
		"select created, updated_at, deleted from t":               "",
		"select array_agg(a) from t":                               "",
		"select cast(a as bigint array) from t":                    "",
	} {
		found := dialect.Check(sql)
		switch {
		case want == "" && found != nil:
			t.Errorf("%s: found %+v", sql, found)
		case want != "" && (len(found) != 1 || !strings.HasPrefix(want, strings.TrimSuffix(found[0].Found, "(")) && !strings.Contains(found[0].Found, want)):
			t.Errorf("%s: found %+v, want %s", sql, found, want)
		case want != "" && found[0].Line != 1+strings.Count(before(sql, want), "\n"):
			t.Errorf("%s: found on line %d", sql, found[0].Line)
		}
	}
}

func before(sql, what string) string {
	head, _, _ := strings.Cut(sql, what)
	return head
}

func TestOurModelsKeepTheDialect(t *testing.T) {
	files, err := fs.Glob(athenasql.Files, "models/*.sql")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		source, err := fs.ReadFile(athenasql.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range dialect.Check(string(source)) {
			t.Errorf("%s:%d: %s: write %s", name, f.Line, f.Found, f.Instead)
		}
	}
}
