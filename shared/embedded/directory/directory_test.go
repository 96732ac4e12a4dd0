package directory_test

import (
	"os"
	"testing"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/lake/laketest"
)

func TestObjects(t *testing.T) {
	laketest.Objects(t, func(t *testing.T) lake.Objects {
		t.Helper()
		return &directory.Store{Root: t.TempDir()}
	})
}

func TestSource(t *testing.T) {
	laketest.Source(t, func(t *testing.T) (lake.Objects, laketest.Opener) {
		t.Helper()
		s := &directory.Store{Root: t.TempDir()}
		return s, s
	})
}

func TestNoKeyLeadsOutOfTheFolder(t *testing.T) {
	s := &directory.Store{Root: t.TempDir()}
	for _, key := range []string{"../x", "/etc/passwd", "a/../../x", "a//b", "."} {
		if err := s.Put(t.Context(), key, nil, lake.Overwrite); !fault.Is(err, fault.Invalid) {
			t.Errorf("put %q: %v, want invalid", key, err)
		}
		if _, err := s.Get(t.Context(), key); !fault.Is(err, fault.Invalid) {
			t.Errorf("get %q: %v, want invalid", key, err)
		}
	}
}

// A file that a killed process was writing is not there.
func TestAHalfWrittenFileIsNotListed(t *testing.T) {
	s := &directory.Store{Root: t.TempDir()}
	if err := s.Put(t.Context(), "raw/whole", []byte("x"), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path("raw/.partial-123"), []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := s.List(t.Context(), "raw/")
	if err != nil || len(found) != 1 || found[0].Key != "raw/whole" {
		t.Errorf("listed %v, %v; want the whole file alone", found, err)
	}
}

func TestErasing(t *testing.T) {
	laketest.Erasing(t, func(t *testing.T) laketest.Eraser { t.Helper(); return &directory.Store{Root: t.TempDir()} })
}
