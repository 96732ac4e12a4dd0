// Package table writes Go rows as Parquet, with Arrow, and publishes them as one partition of a
// table: how results, decisions and everything else that Go computes reaches SQL.
package table

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Place says where rows go.
type Place struct {
	Table       string
	Run         string   // makes the location immutable: another run writes elsewhere
	PartitionBy []string // columns of the row type that are not written into the file
	Values      []string
	Source      string // fingerprint of what the rows were computed from
}

// Write stores rows of a struct type whose fields carry `lake:"column"` (or `lake:"column,json"`
// for a value kept as JSON text) and publishes them as one partition, in place of what stood there.
// A zero time is NULL. Writing the same rows to the same place again changes nothing.
func Write[T any](ctx context.Context, objects lake.Objects, catalog lake.Catalog, to Place, rows []T) error {
	body, columns, err := encode(rows, to.PartitionBy)
	if err != nil {
		return fmt.Errorf("encode %s: %w", to.Table, err)
	}
	folders := []string{"warehouse", to.Table, "run=" + to.Run}
	for i, column := range to.PartitionBy {
		folders = append(folders, column+"="+to.Values[i])
	}
	location := strings.Join(folders, "/") + "/"
	if err := objects.Put(ctx, location+"part-0.parquet", body, lake.Overwrite); err != nil {
		return err
	}
	return catalog.Publish(ctx, lake.Table{
		Name: to.Table, Columns: columns, PartitionBy: to.PartitionBy,
		Partitions: []lake.Partition{{Values: to.Values, Location: location, Source: to.Source}},
	})
}

// Stands tells whether a table without partitions is there and was computed from a source.
func Stands(ctx context.Context, catalog lake.Catalog, name, source string) (bool, error) {
	there, err := catalog.Table(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && len(there.Partitions) == 1 && there.Partitions[0].Source == source, err
}

type column struct {
	lake.Column
	field int
	json  bool
	arrow arrow.DataType
}

func columnsOf(t reflect.Type, without []string) ([]column, error) {
	var out []column
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("lake")
		if tag == "" {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		if slices.Contains(without, name) {
			continue
		}
		c := column{Column: lake.Column{Name: name}, field: i, json: option == "json"}
		switch kind := t.Field(i).Type; {
		case c.json || kind.Kind() == reflect.String:
			c.Type, c.arrow = "varchar", arrow.BinaryTypes.String
		case kind == reflect.TypeFor[time.Time]():
			c.Type, c.arrow = "timestamp(3)", &arrow.TimestampType{Unit: arrow.Millisecond}
		case kind.Kind() == reflect.Int64 || kind.Kind() == reflect.Int:
			c.Type, c.arrow = "bigint", arrow.PrimitiveTypes.Int64
		case kind.Kind() == reflect.Float64:
			c.Type, c.arrow = "double", arrow.PrimitiveTypes.Float64
		case kind.Kind() == reflect.Bool:
			c.Type, c.arrow = "boolean", arrow.FixedWidthTypes.Boolean
		default:
			return nil, fmt.Errorf("column %s: no Parquet type for %s", name, kind)
		}
		out = append(out, c)
	}
	return out, nil
}

func encode[T any](rows []T, without []string) ([]byte, []lake.Column, error) {
	columns, err := columnsOf(reflect.TypeFor[T](), without)
	if err != nil {
		return nil, nil, err
	}
	fields, names := make([]arrow.Field, len(columns)), make([]lake.Column, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.arrow, Nullable: true}
		names[i] = c.Column
	}
	schema := arrow.NewSchema(fields, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for j, c := range columns {
			if err := appendValue(builder.Field(j), row.Field(c.field), c.json); err != nil {
				return nil, nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
	}
	record := builder.NewRecordBatch()
	defer record.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd)), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, nil, err
	}
	if err := w.Write(record); err != nil {
		return nil, nil, err
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), names, nil
}

func appendValue(to array.Builder, v reflect.Value, asJSON bool) error {
	switch b := to.(type) {
	case *array.StringBuilder:
		if !asJSON {
			b.Append(v.String())
			return nil
		}
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return err
		}
		b.Append(string(text))
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.TimestampBuilder:
		if t, ok := v.Interface().(time.Time); ok && !t.IsZero() {
			b.Append(arrow.Timestamp(t.UnixMilli()))
		} else {
			b.AppendNull()
		}
	default:
		return fmt.Errorf("no way to write into %T", to)
	}
	return nil
}
