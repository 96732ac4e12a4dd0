package land

import (
	"bytes"

	"github.com/klauspost/compress/gzip"
)

// Compress makes a landed file of lines, quickly rather than small: it is read a few times and then replaced by tables.
func Compress(lines ...[]byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if _, err := w.Write(line); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
