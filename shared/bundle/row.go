package bundle

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// Row is one row of a table: column to value, as JSON. Encoded, its columns stand in alphabetical order, and a number
// reads back to the same bits.
type Row map[string]json.RawMessage

// The numbers that JSON has no word for.
const (
	infinity         = `"Infinity"`
	negativeInfinity = `"-Infinity"`
	notANumber       = `"NaN"`
)

// rowsOf writes structs whose fields carry `lake:"column"`, as the tables have them.
func rowsOf[T any](values []T) ([]Row, error) {
	rows := make([]Row, len(values))
	for i, value := range values {
		rows[i] = Row{}
		v := reflect.ValueOf(value)
		for f, column := range columnsOf[T]() {
			text, err := encode(v.Field(f))
			if err != nil {
				return nil, fmt.Errorf("write column %s: %w", column, err)
			}
			rows[i][column] = text
		}
	}
	return rows, nil
}

// valuesOf reads rows back. A column that a row does not have stays zero: older bundles know fewer.
func valuesOf[T any](rows []Row) ([]T, error) {
	values := make([]T, len(rows))
	for i, row := range rows {
		v := reflect.ValueOf(&values[i]).Elem()
		for f, column := range columnsOf[T]() {
			text, ok := row[column]
			if !ok {
				continue
			}
			if err := decode(text, v.Field(f)); err != nil {
				return nil, fmt.Errorf("read column %s of row %d: %w", column, i+1, err)
			}
		}
	}
	return values, nil
}

// columnsOf names the columns by field.
func columnsOf[T any]() map[int]string {
	t := reflect.TypeFor[T]()
	columns := map[int]string{}
	for i := range t.NumField() {
		if column, _, _ := strings.Cut(t.Field(i).Tag.Get("lake"), ","); column != "" {
			columns[i] = column
		}
	}
	return columns
}

func encode(v reflect.Value) (json.RawMessage, error) {
	if v.Kind() == reflect.Float64 {
		switch x := v.Float(); {
		case math.IsInf(x, 1):
			return json.RawMessage(infinity), nil
		case math.IsInf(x, -1):
			return json.RawMessage(negativeInfinity), nil
		case math.IsNaN(x):
			return json.RawMessage(notANumber), nil
		}
	}
	if t, ok := v.Interface().(time.Time); ok && t.IsZero() {
		return json.RawMessage("null"), nil
	}
	return marshal(v.Interface())
}

func decode(text json.RawMessage, v reflect.Value) error {
	if v.Kind() == reflect.Float64 {
		switch string(text) {
		case infinity:
			v.SetFloat(math.Inf(1))
			return nil
		case negativeInfinity:
			v.SetFloat(math.Inf(-1))
			return nil
		case notANumber:
			v.SetFloat(math.NaN())
			return nil
		}
	}
	return json.Unmarshal(text, v.Addr().Interface())
}
