// Package table writes Go rows as Parquet and publishes them as one partition of a
// table: how results, decisions and everything else that Go computes reaches SQL.
package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

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
	node  schema.Node
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
			c.Type, c.node = "varchar", logical(name, schema.StringLogicalType{}, parquet.Types.ByteArray)
		case kind == reflect.TypeFor[time.Time]():
			// Forced to name its old type, too: readers that know no other still see a timestamp (ARROW-5878).
			c.Type, c.node = "timestamp(3)", logical(name, schema.NewTimestampLogicalTypeForce(false, schema.TimeUnitMillis), parquet.Types.Int64)
		case kind.Kind() == reflect.Int64 || kind.Kind() == reflect.Int:
			c.Type, c.node = "bigint", schema.NewInt64Node(name, parquet.Repetitions.Optional, unnumbered)
		case kind.Kind() == reflect.Float64:
			c.Type, c.node = "double", schema.NewFloat64Node(name, parquet.Repetitions.Optional, unnumbered)
		case kind.Kind() == reflect.Bool:
			c.Type, c.node = "boolean", schema.NewBooleanNode(name, parquet.Repetitions.Optional, unnumbered)
		default:
			return nil, fmt.Errorf("column %s: no Parquet type for %s", name, kind)
		}
		out = append(out, c)
	}
	return out, nil
}

const (
	unnumbered = -1      // columns go by name
	mostRows   = 1 << 20 // of one row group
)

func logical(name string, meaning schema.LogicalType, as parquet.Type) schema.Node {
	return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, parquet.Repetitions.Optional, meaning, as, unnumbered, unnumbered))
}

func encode[T any](rows []T, without []string) ([]byte, []lake.Column, error) {
	columns, err := columnsOf(reflect.TypeFor[T](), without)
	if err != nil {
		return nil, nil, err
	}
	fields, names := make(schema.FieldList, len(columns)), make([]lake.Column, len(columns))
	for i, c := range columns {
		fields[i], names[i] = c.node, c.Column
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, unnumbered)
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	w := file.NewParquetWriter(&out, root, file.WithWriterProps(parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd))))
	for group := range slices.Chunk(rows, mostRows) {
		to := w.AppendRowGroup()
		for _, c := range columns {
			if err := write(to, c, reflect.ValueOf(group)); err != nil {
				return nil, nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		if err := to.Close(); err != nil {
			return nil, nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	return out.Bytes(), names, nil
}

// write adds the next column of a row group.
func write(group file.SerialRowGroupWriter, c column, rows reflect.Value) error {
	to, err := group.NextColumn()
	if err != nil {
		return err
	}
	switch to := to.(type) {
	case *file.ByteArrayColumnChunkWriter:
		err = batch(to.WriteBatch, rows, c, text)
	case *file.Int64ColumnChunkWriter:
		err = batch(to.WriteBatch, rows, c, integer)
	case *file.Float64ColumnChunkWriter:
		err = batch(to.WriteBatch, rows, c, func(v reflect.Value, _ column) (float64, bool, error) { return v.Float(), true, nil })
	case *file.BooleanColumnChunkWriter:
		err = batch(to.WriteBatch, rows, c, func(v reflect.Value, _ column) (bool, bool, error) { return v.Bool(), true, nil })
	default:
		err = fmt.Errorf("no way to write into %T", to)
	}
	return errors.Join(err, to.Close())
}

// batch writes a column's values, less those that are NULL.
func batch[V any](write func(values []V, there, repeated []int16) (int64, error), rows reflect.Value, c column, value func(reflect.Value, column) (V, bool, error)) error {
	values, there := make([]V, 0, rows.Len()), make([]int16, rows.Len())
	for i := range there {
		v, ok, err := value(rows.Index(i).Field(c.field), c)
		if err != nil {
			return err
		}
		if ok {
			values, there[i] = append(values, v), 1
		}
	}
	_, err := write(values, there, nil)
	return err
}

func text(v reflect.Value, c column) (parquet.ByteArray, bool, error) {
	if !c.json {
		return parquet.ByteArray(v.String()), true, nil
	}
	body, err := json.Marshal(v.Interface())
	return body, true, err
}

// integer is a whole number, or a moment in milliseconds.
func integer(v reflect.Value, _ column) (int64, bool, error) {
	if t, ok := v.Interface().(time.Time); ok {
		return t.UnixMilli(), !t.IsZero(), nil
	}
	return v.Int(), true, nil
}
