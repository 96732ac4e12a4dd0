// Package api_test turns schemathesis on a metrics API that serves a demo's lake: every answer to what it makes up must
// keep the contract, whatever is asked.
package api_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func path(t *testing.T, relative string) string {
	t.Helper()
	out, err := filepath.Abs(relative)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serve starts verdict serve and gives the address of its metrics API.
func serve(t *testing.T, verdict, lake string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), verdict, "serve", "--lake", lake, "--addr", "127.0.0.1:0", "--every", "24h")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`^Metrics +(http://127\.0\.0\.1:\d+/\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			go func() { // nobody reads the rest, and the process must not wait for it
				for lines.Scan() {
				}
			}()
			return m[1]
		}
	}
	t.Fatal("verdict serve did not say where it listens")
	return ""
}

// follow runs the docs' Python with the requests that schemathesis brings.
func follow(t *testing.T, schemathesis, at string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/metrics-api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(text), "```python\n")
	code, _, _ = strings.Cut(code, "```")
	python := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(schemathesis), "python"), "-c", code)
	python.Env = append(os.Environ(), "API="+at, "KEY=rk_local")
	out, err := python.CombinedOutput()
	if rows := strings.Count(string(out), "\n"); err != nil || rows < 7 { // pages have three
		t.Errorf("%d rows, %v\n%s", rows, err, out)
	}
}

func TestSchemathesisFindsNothing(t *testing.T) {
	schemathesis := os.Getenv("SCHEMATHESIS")
	if schemathesis == "" {
		t.Skip("slow, needs schemathesis: run it with make test-api")
	}
	verdict, dir := path(t, "../../bin/verdict"), t.TempDir()
	lake := filepath.Join(dir, "lake")
	demo := exec.CommandContext(t.Context(), verdict, "demo", "--serve=false", "--visitors", "2000", "--addr", "127.0.0.1:0", "--lake", lake)
	if out, err := demo.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at := serve(t, verdict, lake)
	t.Run("the docs' way to follow pages", func(t *testing.T) { follow(t, schemathesis, at) })
	// The run is the same each time, or a finding would be gone with the next.
	st := exec.CommandContext(t.Context(), schemathesis, "--config-file", path(t, "schemathesis.toml"), "run", at+"/openapi.json",
		"--header", "X-Api-Key: rk_local", "--checks", "all", "--seed", "1", "--generation-deterministic", "--max-examples", "50", "--no-color")
	st.Dir, st.Env = dir, append(os.Environ(), "HOME="+dir)
	out, err := st.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`Operations: +9 selected / 9 total`).Match(out) {
		t.Error("not every operation was tried: all but that which serves the contract are")
	}
}
