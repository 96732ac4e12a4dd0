// Package directory is the one-machine object store: a folder whose files are the objects. A file
// appears whole under its name or not at all, also when the process is killed meanwhile.
package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// partial marks a file that is being written; it is never listed.
const partial = ".partial-"

// Store keeps objects under Root.
type Store struct{ Root string }

var _ lake.Objects = (*Store)(nil)

// Path is the file that holds an object.
func (s *Store) Path(key string) string { return filepath.Join(s.Root, filepath.FromSlash(key)) }

// Get implements lake.Objects.
func (s *Store) Get(_ context.Context, key string) ([]byte, error) {
	if !valid(key) {
		return nil, fault.New(fault.Invalid, "get object: %q is no key", key)
	}
	body, err := os.ReadFile(s.Path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fault.New(fault.NotFound, "get object %s: %w", key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("get object %s: %w", key, err)
	}
	return body, nil
}

// Put implements lake.Objects.
func (s *Store) Put(_ context.Context, key string, body []byte, mode lake.Mode) (err error) {
	if !valid(key) {
		return fault.New(fault.Invalid, "put object: %q is no key", key)
	}
	path := s.Path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), partial+"*")
	if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already when the rename succeeded
	if _, err := f.Write(body); err != nil {
		f.Close() //nolint:errcheck // the write error counts
		return fmt.Errorf("put object %s: %w", key, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	publish := os.Rename
	if mode == lake.Create {
		publish = os.Link // fails where the name exists, which a rename would not
	}
	if err := publish(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "put object %s: %w", key, err)
	} else if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	return nil
}

// List implements lake.Objects.
func (s *Store) List(_ context.Context, prefix string) ([]lake.Object, error) {
	start := s.Root
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		start = s.Path(prefix[:i])
	}
	var out []lake.Object
	err := filepath.WalkDir(start, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing under the prefix, or gone since the folder was read
		}
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), partial) {
			return err
		}
		rel, err := filepath.Rel(s.Root, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if !strings.HasPrefix(key, prefix) {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		out = append(out, lake.Object{Key: key, Size: info.Size(), ETag: fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list objects %s: %w", prefix, err)
	}
	slices.SortFunc(out, func(a, b lake.Object) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// Delete implements privacy.Store.
func (s *Store) Delete(_ context.Context, key string) error {
	if !valid(key) {
		return fault.New(fault.Invalid, "delete object: %q is no key", key)
	}
	if err := os.Remove(s.Path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}

// Prune implements privacy.Store: a folder keeps no earlier versions.
func (*Store) Prune(context.Context, string) error { return nil }

func valid(key string) bool { return key != "." && fs.ValidPath(key) }

// MakeFolder makes the folder of a key prefix, for programs that write files there themselves.
func (s *Store) MakeFolder(prefix string) error {
	if err := os.MkdirAll(s.Path(prefix), 0o750); err != nil {
		return fmt.Errorf("make folder %s: %w", prefix, err)
	}
	return nil
}

// file is an object that is read a piece at a time.
type file struct {
	*os.File
	size int64
}

func (f *file) Size() int64 { return f.size }

// Open implements replay.Source.
func (s *Store) Open(_ context.Context, key string) (lake.File, error) {
	if !valid(key) {
		return nil, fault.New(fault.Invalid, "open object: %q is no key", key)
	}
	return OpenFile(s.Path(key))
}

// OpenFile opens any file of this machine.
func OpenFile(path string) (lake.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "open file: %w", err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fault.New(fault.Invalid, "open file: %s is no file", path), err, f.Close())
	}
	return &file{f, info.Size()}, nil
}
