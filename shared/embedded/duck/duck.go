// Package duck is the one-machine SQL engine and catalog: DuckDB over the Parquet files of a folder.
// It is the only package that imports DuckDB. Macros make the functions of the restricted Trino
// dialect mean what they mean on Trino (macros.sql).
package duck

import (
	"context"
	"database/sql"
	_ "embed" // for macros.sql
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

//go:embed macros.sql
var macros string

// Macros is the SQL that gives DuckDB's functions the meaning of Trino's, for readers of a lake elsewhere.
func Macros() string { return macros }

// Warehouse runs SQL over the tables published in a folder. It is safe for concurrent use.
type Warehouse struct {
	store *directory.Store
	db    *sql.DB

	mu      sync.Mutex
	waiting []lake.Table // landing tables that have no file yet
}

var (
	_ lake.Engine  = (*Warehouse)(nil)
	_ lake.Catalog = (*Warehouse)(nil)
)

// Open starts DuckDB over the tables published under the store's root. landing lists the tables
// whose files arrive without being published: gzip NDJSON under the location of their only partition.
func Open(ctx context.Context, store *directory.Store, landing ...lake.Table) (*Warehouse, error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	w := &Warehouse{store: store, db: db, waiting: landing}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open warehouse: %w", err), db.Close())
	}
	return w, nil
}

// memory is what DuckDB may hold before it spills to files: by itself it would take four fifths of the machine, and a
// backfill of ten million events all of that. The process adds some 0.5 GB.
const memory = "3GB"

func (w *Warehouse) start(ctx context.Context) error {
	settings := "SET GLOBAL TimeZone = 'UTC'; SET preserve_insertion_order = false; SET memory_limit = '" + memory + "'; SET temp_directory = " + lake.Quote(w.store.Path("spilled")) + ";\n"
	if _, err := w.db.ExecContext(ctx, settings+macros); err != nil {
		return err
	}
	published, err := w.store.List(ctx, "catalog/")
	if err != nil {
		return err
	}
	for _, o := range published {
		table, err := w.Table(ctx, strings.TrimSuffix(strings.TrimPrefix(o.Key, "catalog/"), ".json"))
		if err != nil {
			return err
		}
		if err := w.createView(ctx, table); err != nil {
			return err
		}
	}
	return w.openViews(ctx)
}

// Close ends DuckDB.
func (w *Warehouse) Close() error { return w.db.Close() }

// Query implements lake.Engine.
func (w *Warehouse) Query(ctx context.Context, query string) (lake.Result, error) {
	if err := w.openLanding(ctx); err != nil {
		return lake.Result{}, err
	}
	var out lake.Result
	err := scan(ctx, w.db, query, func(columns []string) { out.Columns = columns }, func(row []*string) error {
		out.Rows = append(out.Rows, row)
		return nil
	})
	return out, err
}

// scan runs a query and hands over its columns, then each row as text.
func scan(ctx context.Context, db *sql.DB, query string, header func(columns []string), each func(row []*string) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return classify("run query", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	columns, err := rows.ColumnTypes()
	if err != nil {
		return classify("run query", err)
	}
	if header != nil {
		var names []string
		for _, c := range columns {
			names = append(names, c.Name())
		}
		header(names)
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return classify("read query result", err)
		}
		row := make([]*string, len(values))
		for i, v := range values {
			row[i] = text(v, columns[i].DatabaseTypeName())
		}
		if err := each(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return classify("read query result", err)
	}
	return nil
}

// Unload implements lake.Engine.
func (w *Warehouse) Unload(ctx context.Context, query, prefix string, partitionBy []string) error {
	if err := w.openLanding(ctx); err != nil {
		return err
	}
	there, err := w.store.List(ctx, prefix)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return fault.New(fault.Conflict, "unload to %s: it holds %s already", prefix, there[0].Key)
	}
	target := filepath.Join(w.store.Path(prefix), "part-0.parquet")
	options := "FORMAT parquet, COMPRESSION zstd"
	if len(partitionBy) > 0 {
		target = w.store.Path(prefix)
		options += ", PARTITION_BY (" + strings.Join(partitionBy, ", ") + ")"
	}
	if err := w.store.MakeFolder(prefix); err != nil {
		return err
	}
	if _, err := w.db.ExecContext(ctx, fmt.Sprintf("COPY (%s\n) TO %s (%s)", query, lake.Quote(target), options)); err != nil {
		return classify("unload to "+prefix, err)
	}
	return nil
}

// Table implements lake.Catalog.
func (w *Warehouse) Table(ctx context.Context, name string) (lake.Table, error) {
	body, err := w.store.Get(ctx, catalogKey(name))
	if err != nil {
		return lake.Table{}, fmt.Errorf("look up table %s: %w", name, err)
	}
	var t lake.Table
	if err := json.Unmarshal(body, &t); err != nil {
		return lake.Table{}, fmt.Errorf("read catalog of %s: %w", name, err)
	}
	return t, nil
}

// Publish implements lake.Catalog: the table's entry is one file, replaced atomically.
func (w *Warehouse) Publish(ctx context.Context, table lake.Table) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	current, err := w.Table(ctx, table.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, old := range current.Partitions {
		if !slices.ContainsFunc(table.Partitions, func(p lake.Partition) bool { return slices.Equal(p.Values, old.Values) }) {
			table.Partitions = append(slices.Clip(table.Partitions), old)
		}
	}
	slices.SortFunc(table.Partitions, func(a, b lake.Partition) int { return slices.Compare(a.Values, b.Values) })
	body, err := json.MarshalIndent(table, "", " ")
	if err != nil {
		return fmt.Errorf("publish %s: %w", table.Name, err)
	}
	if err := w.store.Put(ctx, catalogKey(table.Name), body, lake.Overwrite); err != nil {
		return fmt.Errorf("publish %s: %w", table.Name, err)
	}
	return w.createView(ctx, table)
}

func catalogKey(name string) string { return "catalog/" + name + ".json" }

// createView makes the table readable under its name.
func (w *Warehouse) createView(ctx context.Context, table lake.Table) error {
	var files []string
	for _, p := range table.Partitions {
		pattern := filepath.Join(w.store.Path(p.Location), "*.parquet")
		found, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("create view %s: %w", table.Name, err)
		}
		if len(found) > 0 {
			files = append(files, pattern)
		}
	}
	source := ""
	if len(files) > 0 {
		source = "read_parquet([" + lake.QuoteList(files) + "], union_by_name = true" + hive(table.PartitionBy) + ")"
	}
	return w.view(ctx, table, source)
}

// openLanding makes landing tables readable as soon as they have a file: before, DuckDB refuses a
// pattern that matches nothing.
func (w *Warehouse) openLanding(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var waiting []lake.Table
	for _, table := range w.waiting {
		pattern := filepath.Join(w.store.Path(table.Partitions[0].Location), strings.Repeat("*/", len(table.PartitionBy))+"*.ndjson.gz")
		found, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("open %s: %w", table.Name, err)
		}
		source := ""
		if len(found) == 0 {
			waiting = append(waiting, table)
		} else {
			var columns []string
			for _, c := range table.Columns {
				columns = append(columns, c.Name+": "+lake.Quote(c.Type))
			}
			source = fmt.Sprintf("read_json(%s, format = 'newline_delimited', columns = {%s}%s)", lake.Quote(pattern), strings.Join(columns, ", "), hive(table.PartitionBy))
		}
		if err := w.view(ctx, table, source); err != nil {
			return err
		}
	}
	w.waiting = waiting
	return nil
}

// hive tells a reader that the folders name the partition columns, as text: left alone DuckDB
// would take a date for a DATE, which Trino does not.
func hive(partitionBy []string) string {
	if len(partitionBy) == 0 {
		return ", hive_partitioning = false"
	}
	types := make([]string, len(partitionBy))
	for i, c := range partitionBy {
		types[i] = c + ": VARCHAR"
	}
	return ", hive_partitioning = true, hive_types = {" + strings.Join(types, ", ") + "}"
}

// view creates a view of the table's columns over source, an empty one when there is no source.
func (w *Warehouse) view(ctx context.Context, table lake.Table, source string) error {
	columns := slices.Clone(table.Columns)
	for _, c := range table.PartitionBy {
		columns = append(columns, lake.Column{Name: c, Type: "varchar"})
	}
	list := make([]string, len(columns))
	for i, c := range columns {
		value := strconv.Quote(c.Name)
		if source == "" {
			value = "NULL"
		}
		list[i] = fmt.Sprintf("CAST(%s AS %s) AS %q", value, duckType(c.Type), c.Name)
	}
	query := fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT %s", table.Name, strings.Join(list, ", "))
	if source == "" {
		query += " WHERE false"
	} else {
		query += " FROM " + source
	}
	if _, err := w.db.ExecContext(ctx, query); err != nil {
		return classify("create view "+table.Name, err)
	}
	return nil
}

func duckType(trino string) string {
	if trino == "timestamp(3)" {
		return "TIMESTAMP"
	}
	return strings.ToUpper(trino)
}

func text(v any, columnType string) *string {
	var s string
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		s = v
	case []byte:
		s = string(v)
	case bool:
		s = strconv.FormatBool(v)
	case time.Time:
		s = v.UTC().Format(lake.TimeLayout)
		if columnType == "DATE" {
			s = v.UTC().Format(time.DateOnly)
		}
	case float64:
		s = strconv.FormatFloat(v, 'g', -1, 64)
	case *big.Int:
		s = v.String()
	case duckdb.Decimal:
		s = v.String()
	default:
		s = fmt.Sprint(v)
	}
	return &s
}

// classify tells a query that can never work from an engine in trouble.
func classify(doing string, err error) error {
	var e *duckdb.Error
	if errors.As(err, &e) {
		switch e.Type { //nolint:exhaustive // the others are the engine's trouble
		case duckdb.ErrorTypeParser, duckdb.ErrorTypeBinder, duckdb.ErrorTypeCatalog, duckdb.ErrorTypeConversion, duckdb.ErrorTypeSyntax, duckdb.ErrorTypeInvalidInput:
			return fault.New(fault.Invalid, "%s: %w", doing, err)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
