// Package laketest is what every adapter of lake's ports must pass.
package laketest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Objects tests a store; open returns an empty one.
func Objects(t *testing.T, open func(t *testing.T) lake.Objects) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, lake.Objects){
		"what was put is what one gets":           putGet,
		"overwriting replaces":                    overwrite,
		"creating refuses what exists":            create,
		"of many that create one wins":            race,
		"a list is whole, ordered, and by prefix": list,
		"an ETag changes with the content":        etag,
		"bad keys are refused":                    badKeys,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, o lake.Objects, key, body string) {
	t.Helper()
	if err := o.Put(t.Context(), key, []byte(body), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, o lake.Objects, key string) string {
	t.Helper()
	body, err := o.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func putGet(t *testing.T, o lake.Objects) {
	t.Helper()
	big := string(bytes.Repeat([]byte{0, 'x', 0xff, '\n'}, 2<<20))
	for key, body := range map[string]string{"a": "text", "deep/er/key=1/x.parquet": big, "empty": ""} {
		put(t, o, key, body)
		if got := get(t, o, key); got != body {
			t.Errorf("%s: got %d bytes, want %d", key, len(got), len(body))
		}
	}
	for _, key := range []string{"b", "deep", "deep/er", "a/b"} {
		if _, err := o.Get(t.Context(), key); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: error %v, want not found", key, err)
		}
	}
}

func overwrite(t *testing.T, o lake.Objects) {
	t.Helper()
	put(t, o, "a/b", "longer than the second")
	put(t, o, "a/b", "second")
	if got := get(t, o, "a/b"); got != "second" {
		t.Errorf("got %q, want the second", got)
	}
}

func create(t *testing.T, o lake.Objects) {
	t.Helper()
	if err := o.Put(t.Context(), "d/0001", []byte("first"), lake.Create); err != nil {
		t.Fatal(err)
	}
	if err := o.Put(t.Context(), "d/0001", []byte("second"), lake.Create); !fault.Is(err, fault.Conflict) {
		t.Errorf("error %v, want a conflict", err)
	}
	if got := get(t, o, "d/0001"); got != "first" {
		t.Errorf("got %q, want the first", got)
	}
}

func race(t *testing.T, o lake.Objects) {
	t.Helper()
	const runners = 16
	var won []string
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range runners {
		all.Go(func() {
			name := fmt.Sprintf("runner %d", i)
			err := o.Put(t.Context(), "d/0001", []byte(name), lake.Create)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, name)
			case !fault.Is(err, fault.Conflict):
				t.Errorf("%s: %v, want a conflict", name, err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d runners created one key: %v", len(won), won)
	}
	if got := get(t, o, "d/0001"); got != won[0] {
		t.Errorf("%q is there, %q had won", got, won[0])
	}
}

func list(t *testing.T, o lake.Objects) {
	t.Helper()
	empty, err := o.List(t.Context(), "raw/")
	if err != nil || len(empty) != 0 {
		t.Errorf("an empty store lists %v, %v", empty, err)
	}
	var want []string
	for i := range 1100 { // S3 lists a thousand a page
		want = append(want, fmt.Sprintf("raw/day=%02d/%04d", i%7, i))
	}
	for _, key := range want {
		put(t, o, key, key)
	}
	put(t, o, "rawer/x", "")
	put(t, o, "a", "")
	slices.Sort(want)
	keys := func(prefix string) []string {
		found, err := o.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range found {
			out = append(out, f.Key)
			if f.Size != int64(len(get(t, o, f.Key))) {
				t.Errorf("%s has size %d", f.Key, f.Size)
			}
		}
		return out
	}
	if diff := cmp.Diff(want, keys("raw/")); diff != "" {
		t.Errorf("raw/ -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"raw/day=03/0003"}, keys("raw/day=03/0003")); diff != "" {
		t.Errorf("a whole key as prefix -want +got:\n%s", diff)
	}
	if got := len(keys("raw")); got != len(want)+1 {
		t.Errorf("raw: %d keys, want %d: a prefix is text, not a folder", got, len(want)+1)
	}
}

func etag(t *testing.T, o lake.Objects) {
	t.Helper()
	tag := func() string {
		found, err := o.List(t.Context(), "a")
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		return found[0].ETag
	}
	put(t, o, "a", "1")
	first := tag()
	if again := tag(); again != first {
		t.Errorf("ETag %s of the same content, it was %s", again, first)
	}
	put(t, o, "a", "2")
	if second := tag(); second == first || second == "" {
		t.Errorf("ETag %q after a change, it was %q", second, first)
	}
}

func badKeys(t *testing.T, o lake.Objects) {
	t.Helper()
	for _, key := range []string{"", "folder/"} {
		if err := o.Put(t.Context(), key, nil, lake.Overwrite); !fault.Is(err, fault.Invalid) {
			t.Errorf("put %q: %v, want invalid", key, err)
		}
	}
}

// Opener is replay.Source, which this package does not know.
type Opener interface {
	Open(ctx context.Context, key string) (lake.File, error)
}

// Source holds an object store that also opens objects to what replay.Source promises.
func Source(t *testing.T, open func(t *testing.T) (lake.Objects, Opener)) {
	t.Helper()
	store, source := open(t)
	body := []byte("0123456789")
	if err := store.Put(t.Context(), "inbox/a", body, lake.Overwrite); err != nil {
		t.Fatal(err)
	}
	f, err := source.Open(t.Context(), "inbox/a")
	if err != nil {
		t.Fatal(err)
	}
	if f.Size() != int64(len(body)) {
		t.Errorf("size %d, want %d", f.Size(), len(body))
	}
	for name, c := range map[string]struct {
		length int
		offset int64
		want   string
		end    bool
	}{
		"all":          {10, 0, "0123456789", false},
		"inside":       {3, 4, "456", false},
		"over the end": {5, 8, "89", true},
		"at the end":   {5, 10, "", true},
		"past the end": {5, 99, "", true},
	} {
		p := make([]byte, c.length)
		n, err := f.ReadAt(p, c.offset)
		if string(p[:n]) != c.want || c.end != errors.Is(err, io.EOF) || err != nil && !c.end {
			t.Errorf("%s: read %q, %v; want %q", name, p[:n], err, c.want)
		}
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := source.Open(t.Context(), "inbox/b"); !fault.Is(err, fault.NotFound) {
		t.Errorf("open what is not there: %v, want not found", err)
	}
}

// Eraser is a store that can let go for good, as shared/privacy wants it.
type Eraser interface {
	lake.Objects
	Delete(ctx context.Context, key string) error
	Prune(ctx context.Context, key string) error
}

// Erasing tests a store that lets go; open returns an empty one.
func Erasing(t *testing.T, open func(t *testing.T) Eraser) {
	t.Helper()
	o := open(t)
	put(t, o, "a/1", "first")
	put(t, o, "a/1", "second")
	put(t, o, "a/10", "a key that another begins")
	if err := o.Prune(t.Context(), "a/1"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, o, "a/1"); got != "second" {
		t.Errorf("pruned, the object is %q, want it as it was last", got)
	}
	for range 2 { // what is gone may be deleted
		if err := o.Delete(t.Context(), "a/1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Get(t.Context(), "a/1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted: %v, want not found", err)
	}
	left, err := o.List(t.Context(), "a/")
	if err != nil || len(left) != 1 || left[0].Key != "a/10" {
		t.Errorf("left %v, %v, want a/10", left, err)
	}
}
