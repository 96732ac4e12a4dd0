package duck

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/mapping"
)

// File is one CSV or Parquet file as a table named data. Every column of a CSV is text, as it
// stands in the file: guessing types would change what a row says when the file grows.
type File struct{ db *sql.DB }

var _ mapping.Rows = (*File)(nil)

// OpenFile opens a .csv (also .csv.gz) or .parquet file.
func OpenFile(ctx context.Context, path string) (*File, error) {
	var reader string
	switch name := strings.ToLower(filepath.Base(path)); {
	case strings.HasSuffix(name, ".parquet"):
		reader = "read_parquet(%s)"
	case strings.HasSuffix(name, ".csv"), strings.HasSuffix(name, ".csv.gz"):
		reader = "read_csv(%s, header = true, all_varchar = true)"
	default:
		return nil, fault.New(fault.Invalid, "open %s: want a .csv, .csv.gz or .parquet file", path)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fault.New(fault.NotFound, "open data: %w", err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, fmt.Errorf("open duckdb: %w", err)
	}
	// The view is what the macros' functions are called over: both stand in the same database.
	start := "SET GLOBAL TimeZone = 'UTC';\n" + macros + "\nCREATE VIEW data AS FROM " + fmt.Sprintf(reader, lake.Quote(path))
	if _, err := db.ExecContext(ctx, start); err != nil {
		return nil, errors.Join(classify("open "+path, err), db.Close())
	}
	return &File{db}, nil
}

// Close ends the reading.
func (f *File) Close() error { return f.db.Close() }

// Columns names the columns in the order of the file.
func (f *File) Columns(ctx context.Context) ([]string, error) {
	var out []string
	err := f.Each(ctx, "select column_name from (describe data)", func(values []*string) error {
		out = append(out, *values[0])
		return nil
	})
	return out, err
}

// Each implements mapping.Rows.
func (f *File) Each(ctx context.Context, query string, row func(values []*string) error) error {
	return scan(ctx, f.db, query, nil, row)
}
