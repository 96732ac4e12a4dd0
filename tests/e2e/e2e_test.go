// Package e2e_test runs the built binary as a user does, and kills it as an operator might.
package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "verdict-e2e")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "verdict")
	build := exec.Command("go", "build", "-o", binary, "../../functions/local")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build verdict:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func verdict(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	return out.String(), complaints.String(), err
}

type outcome struct {
	Experiments []struct {
		ID, Verdict, Variant string
		DecidedOn            string `json:"decided_on"`
		Results              []struct {
			Metric, Variant, Guardrail, Status string
			UnitsControl                       int64   `json:"units_control"`
			UnitsTreatment                     int64   `json:"units_treatment"`
			MeanControl                        float64 `json:"mean_control"`
			MeanTreatment                      float64 `json:"mean_treatment"`
			Lift                               float64
			AnytimeP                           float64 `json:"anytime_p"`
		}
	}
	Traffic map[string]int
}

// demo plays a small shop into a folder.
func demo(t *testing.T, lake string) outcome {
	t.Helper()
	out, complaints, err := verdict(t, "demo", "--json", "--visitors", "1500", "--days", "9", "--seed", "7", "--addr", "127.0.0.1:0", "--lake", lake)
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, complaints)
	}
	var o outcome
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return o
}

// tolerance is what the order of additions may change in a sum of floating-point numbers.
func tolerance() cmp.Option { return cmpopts.EquateApprox(1e-9, 1e-12) }

// sameText gives numbers that stand as text the same tolerance.
func sameText() cmp.Option {
	return cmp.Comparer(func(a, b string) bool {
		x, errX := strconv.ParseFloat(a, 64)
		y, errY := strconv.ParseFloat(b, 64)
		return a == b || errX == nil && errY == nil && cmp.Equal(x, y, tolerance())
	})
}

func TestASeedGivesTheSameVerdicts(t *testing.T) {
	first, second := demo(t, t.TempDir()), demo(t, t.TempDir())
	if diff := cmp.Diff(first, second, tolerance()); diff != "" {
		t.Errorf("two runs of a seed differ:\n%s", diff)
	}
	if len(first.Experiments) != 5 || first.Experiments[0].Results[0].UnitsControl == 0 {
		t.Errorf("nothing was evaluated: %+v", first)
	}
	for _, kind := range []string{"batches", "duplicates", "late", "invalid", "bots", "consent_refused"} {
		if first.Traffic[kind] == 0 {
			t.Errorf("the shop had no %s", kind)
		}
	}
}

// tables reads what a user of the lake would.
func tables(t *testing.T, lake string) map[string][][]string {
	t.Helper()
	w, err := duck.Open(t.Context(), &directory.Store{Root: lake})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := map[string][][]string{}
	for name, sql := range map[string]string{
		"fact_event":               "select event_date, count(*), count(distinct event_id), min(event_id), max(event_id), count(distinct entity_id) from fact_event group by event_date order by event_date",
		"dim_user":                 "select * from dim_user order by entity_id, valid_from",
		"fact_experiment_exposure": "select * from fact_experiment_exposure order by experiment_id, unit_id",
		"statistic":                "select experiment_id, metric, variant, exposure_date, units, nonzero, mean_y, yy, mean_d from fact_experiment_statistic order by experiment_id, metric, variant, exposure_date",
		"results":                  "select experiment_id, metric, variant, units_control, units_treatment, lift, lift_low, significance, guardrail, status from fact_experiment_results order by experiment_id, metric, variant",
		"decision":                 "select decision_id, experiment_id, as_of, verdict, variant, headline, reasons, action, applied_at is null from fact_decision order by decision_id",
	} {
		result, err := w.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range result.Rows {
			row := make([]string, len(r))
			for i, v := range r {
				if v != nil {
					row[i] = *v
				}
			}
			out[name] = append(out[name], row)
		}
	}
	return out
}

// spooled makes a lake whose collector has acknowledged everything and delivered nothing yet, of
// what another lake landed.
func spooled(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	source := &directory.Store{Root: from}
	landed, err := source.List(t.Context(), "raw/")
	if err != nil || len(landed) == 0 {
		t.Fatalf("%d landed files, %v", len(landed), err)
	}
	var lines bytes.Buffer
	for _, o := range landed {
		body, err := source.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&lines, z); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&directory.Store{Root: to}).Put(t.Context(), "spool/good/0192f0c1-0000-7000-8000-000000000001", lines.Bytes(), 0); err != nil {
		t.Fatal(err)
	}
	return to
}

// A run that is killed at any stage is completed by the next one: same tables, same verdicts, no
// decision twice.
func TestKilledRunsAreCompleted(t *testing.T) {
	source := t.TempDir()
	demo(t, source)
	const asOf = "2026-01-14"
	whole := spooled(t, source)
	if _, complaints, err := verdict(t, "run", "--lake", whole, "--as-of", asOf); err != nil {
		t.Fatalf("run: %v\n%s", err, complaints)
	}
	want := tables(t, whole)
	for name, rows := range want {
		if len(rows) == 0 {
			t.Fatalf("%s is empty", name)
		}
	}
	for _, stage := range []string{"land", "model", "resolve", "measure", "evaluate", "decide", "notify"} {
		t.Run(stage, func(t *testing.T) {
			lake := spooled(t, source)
			killAfter(t, stage, "run", "--lake", lake, "--as-of", asOf)
			for range 2 { // the second run finds nothing to do
				if _, complaints, err := verdict(t, "run", "--lake", lake, "--as-of", asOf); err != nil {
					t.Fatalf("run: %v\n%s", err, complaints)
				}
			}
			if diff := cmp.Diff(want, tables(t, lake), sameText()); diff != "" {
				t.Errorf("-uninterrupted +killed:\n%s", diff)
			}
		})
	}
}

// killAfter starts a command and kills it the moment a stage reports that it is done.
func killAfter(t *testing.T, stage string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(progress)
	for lines.Scan() {
		if strings.HasPrefix(strings.TrimSpace(lines.Text()), stage+" ") {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			return
		}
	}
	t.Fatalf("the run ended before stage %s", stage)
}

// serve starts the server and returns its address.
func serve(t *testing.T, lake string) (base string, process *os.Process) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, "serve", "--lake", lake, "--addr", "127.0.0.1:0", "--every", "1h")
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	lines := bufio.NewScanner(progress)
	for lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), "http://"); ok {
			go io.Copy(io.Discard, progress)
			return "http://" + strings.Fields(at)[0], cmd.Process
		}
	}
	t.Fatal("the server did not say where it listens")
	return "", nil
}

func post(t *testing.T, url, key, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Write-Key", key)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// What was answered with 200 is there after the process was killed.
func TestAcknowledgedEventsOutliveAKill(t *testing.T) {
	lake := t.TempDir()
	base, process := serve(t, lake)
	const count = 40
	for i := range count {
		event := fmt.Sprintf(`{"event_id":"0192f0c1-0000-7000-8000-%012d","event":"page_viewed","schema":"1-0-0","ts":"2026-01-05T10:00:00Z","anonymous_id":"a","properties":{"page_type":"home"}}`, i)
		odd := strings.Replace(event, "page_viewed", "page_eaten", 1)
		status, text := post(t, base+"/v1/events", "wk_local", `{"events":[`+event+`,`+odd+`]}`)
		if status != http.StatusOK || !strings.Contains(text, `"accepted":1,"quarantined":1`) {
			t.Fatalf("answer %d %s", status, text)
		}
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 50 { // the kernel takes a moment to give the lake's lock back
		if _, _, err := verdict(t, "run", "--lake", lake); err == nil {
			break
		}
	}
	w, err := duck.Open(t.Context(), &directory.Store{Root: lake})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	result, err := w.Query(t.Context(), "select count(*), count(distinct event_id) from fact_event")
	if err != nil {
		t.Fatal(err)
	}
	if got := *result.Rows[0][0]; got != strconv.Itoa(count) {
		t.Errorf("%s events after the kill, want %d", got, count)
	}
	kept, err := (&directory.Store{Root: lake}).List(t.Context(), "quarantine/")
	if err != nil || len(kept) == 0 {
		t.Errorf("%d files in quarantine, %v", len(kept), err)
	}
}

// Every bundle of a lake comes out again, also where there is no lake, and running again adds none.
func TestBundlesVerifyAnywhere(t *testing.T) {
	lake := filepath.Join(t.TempDir(), "lake")
	o := demo(t, lake)
	bundles := func() []string {
		files, err := filepath.Glob(filepath.Join(lake, "bundles", "*", "*", "*.json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	files := bundles()
	if len(files) < len(o.Experiments) {
		t.Fatalf("%d bundles of %d experiments", len(files), len(o.Experiments))
	}
	out, complaints, err := verdict(t, append([]string{"verify", "--json", "--lake", t.TempDir()}, files...)...)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, complaints)
	}
	if n := strings.Count(out, `"identical": true`); n != len(files) {
		t.Errorf("%d of %d come out to the same bytes:\n%s", n, len(files), out)
	}
	if out, _, err := verdict(t, "verify", o.Experiments[0].ID, "--lake", lake); err != nil || !strings.Contains(out, "OK, to the same bytes") {
		t.Errorf("by experiment: %v %s", err, out)
	}
	// Someone exchanges the file.
	if err := os.Rename(files[0], files[1]); err != nil {
		t.Fatal(err)
	}
	if out, _, err := verdict(t, "verify", files[1]); err == nil || !strings.Contains(out, "name: stated") {
		t.Errorf("exchanged: %v %s", err, out)
	}
	_, _, err = verdict(t, "verify", "no_such", "--lake", lake)
	if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() != 2 {
		t.Errorf("missing: %v", err)
	}
}

func TestBadInputIsAnsweredInKind(t *testing.T) {
	base, _ := serve(t, t.TempDir())
	for name, c := range map[string]struct {
		key, body string
		status    int
	}{
		"unparsable": {"wk_local", "{", http.StatusBadRequest},
		"bad key":    {"wk_other", `{"events":[]}`, http.StatusUnauthorized},
		"too large":  {"wk_local", `{"events":["` + strings.Repeat("x", 1<<20) + `"]}`, http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			status, text := post(t, base+"/v1/events", c.key, c.body)
			if status != c.status || !strings.Contains(text, fmt.Sprintf(`"status":%d`, c.status)) {
				t.Errorf("answer %d %s, want %d", status, text, c.status)
			}
		})
	}
}

func TestBrokenDefinitionsAreRefusedBeforeAnythingRuns(t *testing.T) {
	project := t.TempDir()
	broken := filepath.Join(project, "events", "experiments")
	if err := os.MkdirAll(broken, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "x.yaml"), []byte("id: x\nname: X\nhypotesis: h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lake := filepath.Join(t.TempDir(), "lake")
	_, complaints, err := verdict(t, "run", "--lake", lake, "--project", project)
	if err == nil || !strings.Contains(complaints, `events/experiments/x.yaml:3: unknown field "hypotesis"`) {
		t.Errorf("run: %v, %s", err, complaints)
	}
	if _, err := os.Stat(lake); err == nil {
		t.Error("the lake was made all the same")
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"unknown command": {[]string{"rum"}, `there is no command "rum": did you mean run? verdict help lists them`},
		"no events":       {[]string{"run", "--lake", t.TempDir()}, "no events have arrived in this lake yet"},
		"bad date":        {[]string{"run", "--as-of", "today"}, `--as-of wants a date like 2026-01-26, not "today"`},
		"foreign folder":  {[]string{"demo", "--lake", "."}, "was not made by a demo: give another folder with --lake"},
	} {
		t.Run(name, func(t *testing.T) {
			_, complaints, err := verdict(t, c.args...)
			if err == nil || !strings.Contains(complaints, c.want) {
				t.Errorf("%v: %s, want %s", err, complaints, c.want)
			}
		})
	}
}
