package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/replay/replaytest"
)

// export writes a GA4 export of so many rows.
func export(t *testing.T, rows int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.json")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := replaytest.GA4(f, rows, 1); err != nil {
		t.Fatal(err)
	}
	return path
}

// facts is the hash of all of fact_event, in the order of its key. The engine writes a file's rows in any order.
func facts(t *testing.T, w *duck.Warehouse) string {
	t.Helper()
	got, err := w.Query(t.Context(), "select * from fact_event order by namespace, event_id")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))
}

// A month of Google Analytics becomes facts; copies within the export count once; a second replay, of which nothing is
// remembered, writes every file anew and leaves every byte of every fact what it was.
func TestReplayedExportBecomesFacts(t *testing.T) {
	lake, file := filepath.Join(t.TempDir(), "lake"), export(t, 20_000)
	replay := func() (accepted int) {
		out, complaints, err := verdict(t, "replay", "--lake", lake, "--json", file)
		if err != nil {
			t.Fatalf("replay: %v\n%s", err, complaints)
		}
		var reports []struct{ Accepted, Quarantined int }
		if err := json.Unmarshal([]byte(out), &reports); err != nil || reports[0].Quarantined != 20 {
			t.Fatalf("%v in %s", err, out)
		}
		if out, complaints, err := verdict(t, "run", "--lake", lake, "--as-of", "2026-02-02", "--json"); err != nil {
			t.Fatalf("run: %v\n%s%s", err, out, complaints)
		}
		return reports[0].Accepted
	}
	accepted := replay()
	w := warehouse(t, lake)
	before := facts(t, w)
	got, err := w.Query(t.Context(), "select cast(count(*) as varchar), cast(count(distinct event_id) as varchar), cast(count(distinct event_date) as varchar) from fact_event")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := strconv.Atoi(*got.Rows[0][0])
	if err != nil {
		t.Fatal(err)
	}
	if copies := accepted - rows; *got.Rows[0][1] != *got.Rows[0][0] || copies < 100 || copies > 200 || *got.Rows[0][2] != "31" {
		t.Errorf("%d events accepted, %s facts, %s ids, %s days", accepted, *got.Rows[0][0], *got.Rows[0][1], *got.Rows[0][2])
	}
	if err := os.RemoveAll(filepath.Join(lake, "replay")); err != nil {
		t.Fatal(err)
	}
	if again := replay(); again != accepted {
		t.Errorf("accepted %d, then %d", accepted, again)
	}
	if after := facts(t, warehouse(t, lake)); after != before {
		t.Errorf("facts were %s and are %s", before, after)
	}
}

// A file larger than the memory that it is allowed. VERDICT_REPLAY_ROWS=3200000 makes it 5 GB.
func TestReplayStreams(t *testing.T) {
	const allowed = 300 << 20
	rows := 200_000 // 325 MB
	if text := os.Getenv("VERDICT_REPLAY_ROWS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		rows = n
	}
	file := export(t, rows)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() < allowed {
		t.Fatalf("a file of %d bytes proves nothing", info.Size())
	}
	cmd := exec.CommandContext(t.Context(), binary, "replay", "--lake", filepath.Join(t.TempDir(), "lake"), file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("replay: %v\n%s", err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Skip("skipped: this system does not tell a process's memory")
	}
	const kibibyte = 1 << 10 // Linux counts in them
	if used := usage.Maxrss * kibibyte; used > allowed {
		t.Errorf("replaying %d MB took %d MB of memory, want at most %d", info.Size()>>20, used>>20, allowed>>20)
	} else {
		t.Logf("replayed %d MB in %d MB of memory", info.Size()>>20, used>>20)
	}
}

func warehouse(t *testing.T, lake string) *duck.Warehouse {
	t.Helper()
	w, err := duck.Open(t.Context(), &directory.Store{Root: lake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// unzipped is the lines of a landed file.
func unzipped(t *testing.T, body []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(string(text)))
}
