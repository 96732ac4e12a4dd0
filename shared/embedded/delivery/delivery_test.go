package delivery_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"verdict/shared/embedded/delivery"
	"verdict/shared/embedded/directory"
	"verdict/shared/lake"
)

func line(date string, n int) []byte {
	return fmt.Appendf(nil, `{"namespace":"shop","event_date":"%s","n":%d}`+"\n", date, n)
}

func open(t *testing.T, root string) *delivery.Stream {
	t.Helper()
	s, err := delivery.Open(filepath.Join(root, "spool"), "raw/", &directory.Store{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// landed returns how many lines stand in each folder under raw/.
func landed(t *testing.T, root string) map[string]int {
	t.Helper()
	store := &directory.Store{Root: root}
	objects, err := store.List(t.Context(), "raw/")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, o := range objects {
		body, err := store.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[o.Key[:strings.LastIndexByte(o.Key, '/')+1]] += bytes.Count(text, []byte("\n"))
	}
	return out
}

func TestFlushPartitionsByTheLinesOwnKeys(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for i := range 100 {
				record := append(line("2026-01-05", w*100+i), line("2026-01-06", i)...)
				if failed, err := s.Put(t.Context(), [][]byte{record}); err != nil || failed != nil {
					t.Errorf("put: %v, %v", failed, err)
				}
			}
		})
	}
	group.Wait()
	if _, err := s.Put(t.Context(), [][]byte{[]byte("no json\n")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := landed(t, root)
	if got["raw/namespace=shop/event_date=2026-01-05/"] != 800 || got["raw/namespace=shop/event_date=2026-01-06/"] != 800 || got["raw/unpartitioned/"] != 1 {
		t.Errorf("landed %v", got)
	}
}

// A process that dies after acknowledging, or in the middle of a delivery, loses and doubles nothing.
func TestSegmentsOutliveTheirProcess(t *testing.T) {
	root := t.TempDir()
	if _, err := open(t, root).Put(t.Context(), [][]byte{line("2026-01-05", 1), line("2026-01-06", 2)}); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(root, "spool")
	segments, err := os.ReadDir(spool)
	if err != nil || len(segments) != 1 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	path := filepath.Join(spool, segments[0].Name())
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for attempt := range 2 {
		if err := open(t, root).Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := landed(t, root); got["raw/namespace=shop/event_date=2026-01-05/"] != 1 || got["raw/namespace=shop/event_date=2026-01-06/"] != 1 {
			t.Fatalf("attempt %d landed %v", attempt, got)
		}
		// as if the process had died between writing the objects and removing the segment,
		// with half a record behind that was never acknowledged
		if err := os.WriteFile(path, append(text, `{"namespace":"sh`...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFailedDeliveryKeepsTheSegment(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	if _, err := s.Put(t.Context(), [][]byte{line("2026-01-05", 1)}); err != nil {
		t.Fatal(err)
	}
	// a file where the folder must go
	if err := os.WriteFile(filepath.Join(root, "raw"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err == nil {
		t.Fatal("flushed into a file")
	}
	if err := os.Remove(filepath.Join(root, "raw")); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := landed(t, root); got["raw/namespace=shop/event_date=2026-01-05/"] != 1 {
		t.Errorf("landed %v", got)
	}
}

func TestPutAfterTheStoreIsGone(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	if err := os.RemoveAll(filepath.Join(root, "spool")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), [][]byte{line("2026-01-05", 1)}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("put: %v, want an error", err)
	}
}

var _ lake.Objects = (*directory.Store)(nil)
