// Package foreign reads Parquet files that others wrote, however nested. It stands apart from table, whose importers it
// would weigh down: with Arrow's readers come gRPC and protobuf, and then a Lambda's zip has 5 MB more.
package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"verdict/shared/fault"
)

// batchRows are in memory at a time.
const batchRows = 1024

// EachRow reads somebody else's Parquet file, however nested, and hands over each row as a JSON object, with the
// share of the file that was read. What is not Parquet is fault.Invalid.
func EachRow(ctx context.Context, in io.ReaderAt, size int64, each func(row []byte, share float64) error) error {
	properties := parquet.NewReaderProperties(memory.DefaultAllocator)
	properties.BufferedStreamEnabled = true // a column chunk may be as large as the file
	parquetFile, err := file.NewParquetReader(io.NewSectionReader(in, 0, size), file.WithReadProps(properties))
	if err != nil {
		return fault.New(fault.Invalid, "read Parquet: %w", err)
	}
	defer parquetFile.Close() //nolint:errcheck // it was only read
	reader, err := pqarrow.NewFileReader(parquetFile, pqarrow.ArrowReadProperties{BatchSize: batchRows}, memory.DefaultAllocator)
	if err != nil {
		return fault.New(fault.Invalid, "read Parquet: %w", err)
	}
	records, err := reader.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return fault.New(fault.Invalid, "read Parquet: %w", err)
	}
	defer records.Release()
	read, total := 0, float64(max(parquetFile.NumRows(), 1))
	for records.Next() {
		structs := array.RecordToStructArray(records.RecordBatch())
		for i := range structs.Len() {
			text, err := json.Marshal(structs.GetOneForMarshal(i))
			if err != nil {
				return fault.New(fault.Invalid, "read Parquet row %d: %w", read+1, err)
			}
			read++
			if err := each(text, float64(read)/total); err != nil {
				structs.Release()
				return err
			}
		}
		structs.Release()
	}
	if err := records.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "read Parquet: %w", err)
	}
	return nil
}
