package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"verdict/shared/fault"
)

// TimeLayout is how a timestamp(3) reads in a Result.
const TimeLayout = "2006-01-02 15:04:05.000"

// Read runs a query and decodes each row into a T: a struct whose fields carry `lake:"column"`.
// Every such column must be in the result; NULL leaves the zero value. A field with
// `lake:"column,json"` is decoded from JSON text.
func Read[T any](ctx context.Context, engine Engine, sql string) ([]T, error) {
	result, err := engine.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	fields, err := columnsOf[T](result.Columns)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(result.Rows))
	for i, row := range result.Rows {
		v := reflect.ValueOf(&out[i]).Elem()
		for _, f := range fields {
			if row[f.column] == nil {
				continue
			}
			if err := f.set(v.Field(f.field), *row[f.column]); err != nil {
				return nil, fmt.Errorf("read column %s: %w", result.Columns[f.column], err)
			}
		}
	}
	return out, nil
}

type columnField struct {
	column, field int
	set           func(v reflect.Value, text string) error
}

func columnsOf[T any](columns []string) ([]columnField, error) {
	at := make(map[string]int, len(columns))
	for i, c := range columns {
		at[c] = i
	}
	var out []columnField
	t := reflect.TypeFor[T]()
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("lake")
		if name == "" {
			continue
		}
		name, option, _ := strings.Cut(name, ",")
		set := setText
		if option == "json" {
			set = setJSON
		}
		c, ok := at[name]
		if !ok {
			return nil, fault.New(fault.Invalid, "read rows: the query has no column %s", name)
		}
		out = append(out, columnField{c, i, set})
	}
	return out, nil
}

func setJSON(v reflect.Value, text string) error {
	return json.Unmarshal([]byte(text), v.Addr().Interface())
}

func setText(v reflect.Value, text string) error {
	if v.Type() == reflect.TypeFor[time.Time]() {
		layout := TimeLayout
		if len(text) == len(time.DateOnly) {
			layout = time.DateOnly
		}
		t, err := time.Parse(layout, text)
		if err == nil {
			v.Set(reflect.ValueOf(t))
		}
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		v.SetInt(n)
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return err
		}
		v.SetFloat(x)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return err
		}
		v.SetBool(b)
	default:
		return fmt.Errorf("no way to decode into %s", v.Type())
	}
	return nil
}

// Quote returns s as a SQL string literal.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// QuoteList returns a comma-separated list of SQL string literals.
func QuoteList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = Quote(v)
	}
	return strings.Join(quoted, ", ")
}
