// Package notebook_test runs the notebooks of a demo's experiments in Jupyter: they must reproduce the readout, and
// must not when a figure is another one.
package notebook_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/verdict")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// execute runs a notebook and gives what its cells print.
func execute(t *testing.T, notebook string) (string, error) {
	t.Helper()
	script, err := filepath.Abs("execute.py")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Getenv("NOTEBOOK_PYTHON"), script, notebook)
	cmd.Dir = filepath.Dir(notebook)
	cmd.Env = append(os.Environ(), "JUPYTER_PLATFORM_DIRS=1", "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNotebooksReproduceTheReadout(t *testing.T) {
	if os.Getenv("NOTEBOOK_PYTHON") == "" {
		t.Skip("slow, needs Jupyter: run it with make test-notebook")
	}
	verdict, dir := binary(t), t.TempDir()
	lake := filepath.Join(dir, "lake")
	demo := exec.CommandContext(t.Context(), verdict, "demo", "--serve=false", "--visitors", "8000", "--addr", "127.0.0.1:0", "--lake", lake)
	if out, err := demo.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(t *testing.T, name string, flags ...string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "n.ipynb")
		args := append([]string{"notebook", name, "--lake", lake, "--out", path}, flags...)
		if out, err := exec.CommandContext(t.Context(), verdict, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return path
	}
	for name, c := range map[string]struct {
		experiment string
		flags      []string
		says       []string
	}{
		"at the planned end": {"one_page_checkout", nil, []string{"4 lines of the readout are met", "add up to the statistics", "order_completed", "strict"}},
		"while it runs":      {"one_page_checkout", []string{"--as-of", "2026-01-16"}, []string{"4 lines of the readout are met"}},
		"a ratio, and a funnel with a step that nobody came to": {
			"one_page_checkout",
			[]string{"--metric", "average_order_value_d3", "--funnel", "product_viewed,search_performed"},
			[]string{"add up to the statistics", "search_performed  0.0"},
		},
		"revenue":                {"one_page_checkout", []string{"--metric", "revenue_per_user_d3"}, []string{"add up to the statistics"}},
		"before a window ended":  {"one_page_checkout", []string{"--as-of", "2026-01-06"}, []string{"no arm has units enough yet"}},
		"few units":              {"gift_wrap", nil, []string{"lines of the readout are met"}},
		"a broken split":         {"new_navigation", nil, []string{"lines of the readout are met"}},
		"a guardrail that falls": {"urgency_banner", nil, []string{"lines of the readout are met"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := execute(t, write(t, c.experiment, c.flags...))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.says {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
	// The assertions are what the notebook is for: each must fail when its figure is another one.
	for name, change := range map[string][2]string{
		"another rule":            {"FINAL_Z = 2", "FINAL_Z = 2.0001 * 2"},
		"another window":          {`window_days\\\":3`, `window_days\\\":4`},
		"another query":           {`and not is_multi_variant\n`, `and true\n`},
		"another metric of units": {"e.event_name = 'order_completed') then 1e0", "e.event_name = 'page_viewed') then 1e0"},
		"another definition":      {"DEFINITION = ", "DEFINITION = 'x' + "},
	} {
		t.Run("notices "+name, func(t *testing.T) {
			path := write(t, "one_page_checkout")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), change[0], change[1], 1)
			if changed == string(text) {
				t.Fatalf("the notebook holds no %q", change[0])
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := execute(t, path)
			if err == nil || !strings.Contains(out, "AssertionError") {
				t.Errorf("it ran: %v\n%s", err, out)
			}
		})
	}
}
