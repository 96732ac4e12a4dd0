package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fastjson"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

const (
	readAhead = 4 << 20 // one request to S3; larger ones are no faster
	maxRow    = 16 << 20
)

// rows hands over the rows of a file in order. A row is good until the next one is asked for. A file that
// cannot be read to its end is fault.Invalid.
func rows(ctx context.Context, parquet Parquet, f lake.File, moved func(read int64), each func(v *fastjson.Value) error) error {
	head := make([]byte, 4)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read file: %w", err)
	}
	if string(head[:n]) == "PAR1" {
		var parser fastjson.Parser
		return parquet(ctx, f, f.Size(), func(text []byte, share float64) error {
			moved(int64(share * float64(f.Size())))
			v, err := parser.ParseBytes(text)
			if err != nil {
				return fmt.Errorf("read row: %w", err)
			}
			return each(v)
		})
	}
	in := io.Reader(bufio.NewReaderSize(&counted{r: io.NewSectionReader(f, 0, f.Size()), moved: moved}, readAhead))
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) {
		if in, err = gzip.NewReader(in); err != nil {
			return fault.New(fault.Invalid, "read gzip: %w", err)
		}
	}
	return lines(ctx, in, each)
}

// counted tells how much was read.
type counted struct {
	r     io.Reader
	n     int64
	moved func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.moved(c.n)
	return n, err
}

// lines reads JSON objects, each on a line, or several on one with nothing between them, as some writers do.
func lines(ctx context.Context, in io.Reader, each func(v *fastjson.Value) error) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 1<<20), maxRow)
	var values fastjson.Scanner
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) {
				return fault.New(fault.Invalid, "line 1: this is a JSON array: write one object a line (jq -c '.[]')")
			}
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		values.InitBytes(line)
		for values.Next() {
			if err := each(values.Value()); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if err := values.Error(); err != nil {
			reason, _, _ := strings.Cut(err.Error(), "; unparsed tail") // the rest is the row itself
			return fault.New(fault.Invalid, "line %d: not JSON: %s", n, reason)
		}
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fault.New(fault.Invalid, "a line is longer than 16 MiB: write one object a line")
	} else if err != nil {
		return fault.New(fault.Invalid, "read file: %w", err)
	}
	return nil
}
