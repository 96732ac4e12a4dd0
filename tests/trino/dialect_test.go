package trino_test

import (
	"bufio"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
)

// cases are the researched meanings of Trino's SQL, beside the checkout: name, query, expected answer, remark.
const cases = "../../../shared/sql/cases.tsv"

func cell(r lake.Result, err error) string {
	if err != nil {
		return "ERROR " + strings.SplitN(err.Error(), "\n", 2)[0]
	}
	if len(r.Rows) == 0 {
		return "(no rows)"
	}
	if r.Rows[0][0] == nil {
		return "NULL"
	}
	return *r.Rows[0][0]
}

// same tells whether two answers say the same, numbers to twelve digits.
func same(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if errA == nil && errB == nil {
		return x == y || math.Abs(x-y) <= 1e-12*math.Max(math.Abs(x), math.Abs(y))
	}
	return strings.EqualFold(a, b)
}

// corrected are the cases whose noted answer a real Trino does not give, with what it gives. They were noted from
// documentation: a timestamp's text has the digits of its precision, three where the type names none.
func corrected() map[string]string {
	return map[string]string{
		"interval arith":                 "2020-03-08 10:00:00.000",
		"from_unixtime":                  "2020-03-01 00:00:00.000",
		"from_iso8601_timestamp":         "2020-03-01 10:11:12.345000",
		"at_timezone":                    "2020-03-01 05:00:00.000",
		"AT TIME ZONE op on timestamptz": "2020-03-01 05:00:00.000",
		"AT TIME ZONE op on timestamp":   "2020-03-01 05:00:00.000",
		"date_parse mysql":               "2020-03-01 10:11:00.000",
		"multi interval":                 "2020-01-04 00:00:00.000",
		"dst spring forward":             "2020-03-08 03:30:00.000",
	}
}

// silent are the constructs that both engines answer, and differently, with what keeps them out of our SQL.
func silent() map[string]string {
	const lint = "shared/dialect refuses it"
	const text = "a timestamp as text: models hand timestamps on as they are, and cast only dates"
	return map[string]string{
		"interval arith": text, "from_unixtime": text, "from_iso8601_timestamp": text, "at_timezone": text, "AT TIME ZONE op on timestamptz": text,
		"multi interval": text, "dst spring forward": text, "date_trunc week date": text,
		"AT TIME ZONE op on timestamp": lint, "min_by null value": lint, "min_by_null shim wrapped in CASE agg": lint, "try div zero": lint,
		"int division": lint, "decimal div": lint, "varchar(n) truncates": lint,
		"sum bigint type": "a model's columns are cast to their types",
		"cast round":      "casts to integers are of integers, or of what floor has cut",
	}
}

// only are the constructs that DuckDB answers and Trino refuses: what runs here and not on Athena. make test-trino runs
// every model and compiled query on Trino for their sake.
func only() []string {
	return []string{
		"QUALIFY", "implicit int=varchar", "int division by zero", "sum overflow bigint", "timestamp literal with T", "x timestamp compare str",
	}
}

// The researched cases hold on a real Trino, and what DuckDB answers differently is known.
func TestDialect(t *testing.T) {
	e := engine(t)
	f, err := os.Open(cases)
	if err != nil {
		t.Skip("skipped: the dialect's cases are not beside this checkout (../shared/sql/cases.tsv)")
	}
	defer f.Close()
	w, err := duck.Open(t.Context(), &directory.Store{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fixed, known := corrected(), silent()
	scanner := bufio.NewScanner(f)
	n, differ := 0, 0
	for scanner.Scan() {
		parts := strings.Split(scanner.Text(), "\t")
		if len(parts) < 3 || !strings.HasPrefix(strings.ToUpper(parts[1]), "SELECT") && !strings.HasPrefix(strings.ToUpper(parts[1]), "WITH") {
			continue // a model is a SELECT
		}
		n++
		name, want := parts[0], parts[2]
		actual, ours := cell(e.Query(t.Context(), parts[1])), cell(w.Query(t.Context(), parts[1]))
		if to, ok := fixed[name]; ok {
			want = to
		}
		refused := strings.HasPrefix(actual, "ERROR")
		if want == "ERROR" && !refused || want != "ERROR" && !same(actual, want) {
			t.Errorf("%s: Trino says %q, noted is %q: %s", name, actual, want, parts[1])
		}
		if same(actual, ours) || strings.HasPrefix(ours, "ERROR") { // an error is not silent
			continue
		}
		differ++
		if refused && !slices.Contains(only(), name) {
			t.Errorf("%s: Trino refuses it, DuckDB says %q: %s", name, ours, parts[1])
		}
		if !refused && known[name] == "" {
			t.Errorf("%s: Trino says %q, DuckDB %q: %s", name, actual, ours, parts[1])
		}
	}
	if want := len(known) + len(only()); differ != want {
		t.Errorf("%d cases differ, %d are known to", differ, want)
	}
	t.Logf("%d cases", n)
}
