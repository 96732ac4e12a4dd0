// Package counter is the one-machine home of the collector's counts: a line for each batch, in a file for each day,
// apart from the events that it counts. On AWS they are metrics.
package counter

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"verdict/shared/collect"
	"verdict/shared/ledger"
)

// hourLayout is how ledger.Count names an hour.
const hourLayout = "2006-01-02T15"

// Counter keeps the counts below a folder.
type Counter struct {
	Folder string
	Log    *slog.Logger

	mu   sync.Mutex
	file *os.File
	day  string
}

var (
	_ collect.Meter    = (*Counter)(nil)
	_ ledger.Collected = (*Counter)(nil)
)

type line struct {
	Namespace   string `json:"namespace"`
	Hour        string `json:"hour"`
	Accepted    int64  `json:"accepted"`
	Quarantined int64  `json:"quarantined"`
	NotStored   int64  `json:"not_stored,omitempty"`
}

// Measure implements collect.Meter.
func (c *Counter) Measure(ctx context.Context, m collect.Measurement) {
	if err := c.append(m); err != nil {
		c.Log.ErrorContext(ctx, "a batch was not counted", slog.Any("error", err))
	}
}

func (c *Counter) append(m collect.Measurement) error {
	text, err := json.Marshal(line{m.Namespace, m.At.UTC().Format(hourLayout), int64(m.Accepted), int64(m.Quarantined), int64(m.NotStored)})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if day := m.At.UTC().Format(time.DateOnly); day != c.day {
		if c.file != nil {
			c.file.Close() //nolint:errcheck // each line was written when it was made
		}
		if err := os.MkdirAll(c.Folder, 0o750); err != nil {
			return err
		}
		if c.file, err = os.OpenFile(filepath.Join(c.Folder, day+".ndjson"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640); err != nil {
			c.day = ""
			return err
		}
		c.day = day
	}
	_, err = c.file.Write(append(text, '\n'))
	return err
}

// Collected implements ledger.Collected.
func (c *Counter) Collected(_ context.Context, from, to time.Time) ([]ledger.Count, error) {
	sums := map[string]ledger.Count{}
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		if err := read(filepath.Join(c.Folder, day.Format(time.DateOnly)+".ndjson"), sums); err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b ledger.Count) int {
		return strings.Compare(a.Namespace+a.Hour, b.Namespace+b.Hour)
	}), nil
}

func read(path string, sums map[string]ledger.Count) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		var l line
		if json.Unmarshal(scanner.Bytes(), &l) != nil {
			continue // cut off by a crash: its batch was not answered
		}
		key := l.Namespace + " " + l.Hour
		sum := sums[key]
		sum.Namespace, sum.Hour = l.Namespace, l.Hour
		sum.Accepted += l.Accepted
		sum.Quarantined += l.Quarantined
		sums[key] = sum
	}
	return scanner.Err()
}
