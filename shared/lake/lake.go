// Package lake declares what the pipeline asks of its storage: objects, a SQL engine, and a catalog
// of tables made of immutable partitions. Two homes implement it: a directory with DuckDB, and
// S3 with Athena and Glue. Both pass laketest.
package lake

import (
	"context"
	"io"
	"strings"
)

// Mode says what Put does with a key that exists.
type Mode uint8

const (
	// Overwrite replaces what is there.
	Overwrite Mode = iota
	// Create stores only under a new key and returns fault.Conflict otherwise.
	Create
)

// Object is one stored blob. ETag changes whenever the content does.
type Object struct {
	Key  string
	Size int64
	ETag string
}

// Objects stores blobs under slash-separated keys. A blob appears whole or not at all.
type Objects interface {
	// Get returns fault.NotFound for an unknown key.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put returns fault.Conflict in mode Create when the key exists.
	Put(ctx context.Context, key string, body []byte, mode Mode) error
	// List returns all objects whose key starts with prefix, in key order.
	List(ctx context.Context, prefix string) ([]Object, error)
}

// File is an object that is read a piece at a time: it may be larger than memory.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Result is the whole answer to a query, as text: NULL is nil, numbers are in a form that parses
// back to the same bits, timestamps read "2006-01-02 15:04:05.000" in UTC.
type Result struct {
	Columns []string
	Rows    [][]*string
}

// Engine runs SELECTs in the restricted Trino dialect of athena-sql/README.md.
type Engine interface {
	// Query returns every row, however many pages the engine needs. Invalid SQL is fault.Invalid.
	Query(ctx context.Context, sql string) (Result, error)
	// Unload writes the rows of a SELECT as Parquet files under prefix, which must hold nothing
	// yet. The partitionBy columns stand last in the SELECT and become folders "column=value/".
	Unload(ctx context.Context, sql, prefix string, partitionBy []string) error
}

// Column is one column of a table; Type is a Trino type: varchar, bigint, double, boolean,
// timestamp(3), date.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Partition is one immutable set of Parquet files under a prefix, which may be empty.
type Partition struct {
	Values   []string `json:"values,omitempty"` // in the order of Table.PartitionBy
	Location string   `json:"location"`         // key prefix, ends in "/"
	Source   string   `json:"source,omitempty"` // fingerprint of what the partition was made from
}

// Table is a named set of partitions. A table without PartitionBy has exactly one.
type Table struct {
	Name        string      `json:"name"`
	Columns     []Column    `json:"columns"`                // without the partition columns
	PartitionBy []string    `json:"partition_by,omitempty"` // varchar columns
	Partitions  []Partition `json:"partitions"`
}

// Made tells of each partition, by its values, which one it is and what it was made from: it changes with the rows.
func (t Table) Made() map[string]string {
	out := map[string]string{}
	for _, p := range t.Partitions {
		out[strings.Join(p.Values, "/")] = p.Location + " " + p.Source
	}
	return out
}

// Catalog names the partitions that readers see.
type Catalog interface {
	// Table returns the table as last published, partitions in order of their values, or
	// fault.NotFound.
	Table(ctx context.Context, name string) (Table, error)
	// Publish makes readers see the given partitions: those with the same values are replaced,
	// the others of the table stay. It creates the table when there is none and takes over the
	// given columns. One partition flips atomically.
	Publish(ctx context.Context, table Table) error
}
