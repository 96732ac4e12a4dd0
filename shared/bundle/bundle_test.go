package bundle

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

func TestRowsReadBackToTheSameBits(t *testing.T) {
	type row struct {
		Text   string    `lake:"text"`
		Number float64   `lake:"number"`
		Count  int64     `lake:"count"`
		At     time.Time `lake:"at"`
		Hidden int
	}
	want := []row{
		{Text: `a "quote" <b> & ü`, Number: 0.1, Count: math.MaxInt64, At: time.Date(2026, 1, 5, 1, 2, 3, 4, time.UTC)},
		{Number: math.Inf(1)},
		{Number: math.Inf(-1)},
		{Number: math.Nextafter(1, 2)},
		{Number: 5e-324},
		{Number: math.MaxFloat64},
	}
	rows, err := rowsOf(want)
	if err != nil {
		t.Fatal(err)
	}
	text, err := marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`<b> & ü`)) {
		t.Errorf("people cannot read %s", text)
	}
	got, err := valuesOf[row](rows)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if rows, err = rowsOf([]row{{Number: math.NaN()}}); err != nil {
		t.Fatal(err)
	}
	if got, err = valuesOf[row](rows); err != nil || !math.IsNaN(got[0].Number) {
		t.Errorf("not a number: %v %v", got, err)
	}
}

func TestCompressedIsTheContent(t *testing.T) {
	content := []byte(strings.Repeat(`{"format":1}`, 1000))
	file, err := Compress(content)
	if err != nil {
		t.Fatal(err)
	}
	if len(file) > len(content)/10 {
		t.Errorf("%d bytes of %d", len(file), len(content))
	}
	for _, form := range [][]byte{file, content} {
		if got, err := Decompress(form); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	file[len(file)-8] ^= 1 // of the checksum
	if _, err := Decompress(file); !fault.Is(err, fault.Invalid) {
		t.Errorf("broken: %v", err)
	}
}

func TestFindByWhatPeopleHave(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	first, second := strings.Repeat("a1", 32), strings.Repeat("a1", 4)+strings.Repeat("b2", 28)
	for key, body := range map[string]string{
		"bundles/one/2026-01-06/" + first + ".json.gz":  "{}",
		"bundles/two/2026-01-06/" + second + ".json.gz": "{}",
		"bundles/_watermark/2026-01-06.json":            "[]",
		"decisions/one/0000.json":                       `{"experiment_id":"one","bundle":"bundles/one/2026-01-05/old.json.gz"}`,
		"decisions/one/0001.json":                       `{"experiment_id":"one","bundle":"bundles/one/2026-01-06/` + first + `.json.gz"}`,
		"decisions/facade01/0000.json":                  `{"experiment_id":"facade01","bundle":"bundles/facade01/x.json.gz"}`,
		"decisions/young/0000.json":                     `{"experiment_id":"young"}`,
	} {
		if err := store.Put(t.Context(), key, []byte(body), lake.Create); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		first:             "bundles/one/2026-01-06/" + first + ".json.gz",
		first[:10]:        "bundles/one/2026-01-06/" + first + ".json.gz",
		"one":             "bundles/one/2026-01-06/" + first + ".json.gz",
		"facade01":        "bundles/facade01/x.json.gz", // an id of hexadecimal letters only
		"bundles/any.key": "bundles/any.key",
	} {
		if got, err := Find(t.Context(), store, name); err != nil || got != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for name, want := range map[string]fault.Class{first[:8]: fault.Invalid, "deadbeef": fault.NotFound, "three": fault.NotFound, "young": fault.NotFound} {
		if got, err := Find(t.Context(), store, name); !fault.Is(err, want) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}
