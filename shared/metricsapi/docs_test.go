package metricsapi_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"verdict/shared/metricsapi"
)

// like says where an answer differs from what the docs show of it: a part, in which … stands for anything.
func like(shown, got any, at string) error {
	switch shown := shown.(type) {
	case map[string]any:
		object, _ := got.(map[string]any)
		for name, value := range shown {
			inner, ok := object[name]
			if !ok {
				return fmt.Errorf("%s has no %s", at, name)
			}
			if err := like(value, inner, at+"."+name); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, _ := got.([]any)
		if len(list) != len(shown) {
			return fmt.Errorf("%s has %d elements, the docs show %d", at, len(list), len(shown))
		}
		for i := range shown {
			if err := like(shown[i], list[i], fmt.Sprint(at, "[", i, "]")); err != nil {
				return err
			}
		}
		return nil
	}
	if shown != "…" && shown != got {
		return fmt.Errorf("%s is %v, the docs show %v", at, got, shown)
	}
	return nil
}

func TestTheExamplesOfTheDocs(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	text, err := os.ReadFile("../../docs/metrics-api.md")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(filled(t))
	defer server.Close()
	examples := regexp.MustCompile("(?s)```sh\n(.*?)```\n```(json|http)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if blocks := strings.Count(string(text), "```sh\ncurl") + strings.Count(string(text), "```sh\nURL"); len(examples) < 9 || len(examples) != blocks {
		t.Fatalf("%d examples with an answer, of %d", len(examples), blocks)
	}
	for _, example := range examples {
		t.Run(example[1][strings.LastIndex(example[1], "/"):], func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", example[1])
			cmd.Env = append(os.Environ(), "API="+server.URL+metricsapi.Base, "KEY="+readKey)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if example[2] == "http" {
				if !strings.HasPrefix(string(out), strings.TrimSpace(example[3])) {
					t.Errorf("got %s", out)
				}
				return
			}
			var shown, got any
			if err := json.Unmarshal([]byte(example[3]), &shown); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := like(shown, got, "answer"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What the docs say of limits is what the contract says.
func TestTheDocsNameEveryAddressAndProblem(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics-api.md")
	if err != nil {
		t.Fatal(err)
	}
	c := contractOf(t, open(t))
	for _, route := range metricsapi.Paths() {
		if !strings.Contains(string(text), route+"`") {
			t.Errorf("the docs do not name %s", route)
		}
	}
	for _, kind := range c.in(c.document, "components", "schemas", "Problem", "properties", "type")["enum"].([]any) {
		if name := strings.TrimPrefix(kind.(string), "urn:verdict:problem:"); !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the docs do not name the problem %s", name)
		}
	}
}
