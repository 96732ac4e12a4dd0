// Package arch_test holds the rules of ARCHITECTURE.md that a compiler does not.
package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, env []string, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,GoFiles,Imports,Deps"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func within(path string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return path == strings.TrimSuffix(p, "/") || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

// Domain packages reach no cloud, no database and no adapter, however indirectly.
func TestDomainReachesNoAdapter(t *testing.T) {
	forbidden := map[string]string{
		"github.com/aws":          "the domain knows no AWS: put it in shared/awsio or shared/lambdaio",
		"github.com/duckdb":       "only shared/embedded/duck knows DuckDB",
		"verdict/shared/awsio":    "take an interface; functions/ passes the adapter in",
		"verdict/shared/embedded": "take an interface; functions/local passes the adapter in",
		"verdict/shared/lambdaio": "Lambda envelopes stop at functions/",
		"verdict/functions":       "functions are leaves",
		"verdict/infra":           "infra declares, nobody imports it",
	}
	for _, p := range list(t, nil, "./shared/...", "./events/...", "./athena-sql/...") {
		if within(p.ImportPath, "verdict/shared/awsio", "verdict/shared/embedded", "verdict/shared/lambdaio") {
			continue
		}
		for _, dep := range p.Deps {
			for prefix, why := range forbidden {
				if within(dep, prefix) {
					t.Errorf("%s reaches %s: %s", p.ImportPath, dep, why)
				}
			}
		}
	}
}

func TestOnlyItsAdaptersImportAVendor(t *testing.T) {
	allowed := map[string][]string{
		"github.com/aws/aws-sdk-go-v2":   {"verdict/shared/awsio"},
		"github.com/aws/smithy-go":       {"verdict/shared/awsio"},
		"github.com/aws/aws-lambda-go":   {"verdict/shared/lambdaio", "verdict/shared/embedded/gateway", "verdict/functions"},
		"github.com/aws/aws-cdk-go":      {"verdict/infra"},
		"github.com/aws/jsii-runtime-go": {"verdict/infra"},
		"github.com/duckdb":              {"verdict/shared/embedded/duck"},
		"github.com/optimizely/go-sdk":   {"verdict/shared/optimizely"},
		"github.com/launchdarkly":        {"verdict/shared/launchdarkly"},
		"github.com/apache/arrow-go":     {"verdict/shared/table"},
		"google.golang.org/api":          {"verdict/shared/tagmanager"},
		"gonum.org/v1/gonum":             {"verdict/shared/stats", "verdict/tests/calibrate"},
	}
	for _, p := range list(t, nil, "./...") {
		for _, imported := range p.Imports {
			for vendor, where := range allowed {
				if within(imported, vendor) && !within(p.ImportPath, where...) {
					t.Errorf("%s imports %s: only %s may", p.ImportPath, imported, strings.Join(where, ", "))
				}
			}
		}
	}
}

func TestStatisticsArePure(t *testing.T) {
	for _, p := range list(t, nil, "./shared/stats/...") {
		for _, imported := range p.Imports {
			if slices.Contains([]string{"os", "time", "log", "log/slog", "context", "net/http", "math/rand", "math/rand/v2"}, imported) {
				t.Errorf("%s imports %s: statistics get numbers and give numbers", p.ImportPath, imported)
			}
		}
	}
}

// A command's main is a parts list.
func TestMainsAreSmall(t *testing.T) {
	for _, name := range mains(t) {
		main, err := os.ReadFile(filepath.Join(root, "functions", name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(main, []byte("\n")); n > 40 {
			t.Errorf("functions/%s: main.go has %d lines, 40 are allowed: move logic to where it can be tested", name, n)
		}
	}
}

// Every Lambda builds without cgo for the platform it runs on, links no DuckDB, and is one main.go.
func TestLambdasArePure(t *testing.T) {
	var folders []string
	for _, name := range mains(t) {
		if name != "local" {
			folders = append(folders, "./functions/"+name)
		}
	}
	for _, p := range list(t, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64"}, folders...) {
		if len(p.GoFiles) != 1 {
			t.Errorf("%s has %d files: a Lambda is one main.go", p.ImportPath, len(p.GoFiles))
		}
		for _, dep := range p.Deps {
			if within(dep, "github.com/duckdb", "verdict/shared/embedded", "runtime/cgo") {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
}

// A browser waits for the collector's cold start: it links nothing that only jobs need.
func TestTheCollectorStaysSmall(t *testing.T) {
	for _, p := range list(t, nil, "./functions/collector") {
		for _, dep := range p.Deps {
			if within(dep, "github.com/apache/arrow-go", "github.com/aws/aws-sdk-go-v2/service/athena", "github.com/aws/aws-sdk-go-v2/service/glue", "verdict/shared/pipeline") {
				t.Errorf("the collector links %s", dep)
			}
		}
	}
}

// A package that looks methods up by name keeps every exported method of everything that is linked, and the linker can
// leave nothing out: protobuf, which comes with what reads any Parquet file, took 4 to 5 MB of each zip so.
func TestOnlyReadersOfOthersFilesAreLarge(t *testing.T) {
	readers := []string{"verdict/functions/local", "verdict/functions/privacy", "verdict/functions/replay"}
	for _, p := range list(t, nil, "./functions/...") {
		for _, dep := range p.Deps {
			if within(dep, "verdict/shared/table/foreign", "google.golang.org/protobuf") && !slices.Contains(readers, p.ImportPath) {
				t.Errorf("%s links %s: it should be given what reads Parquet files", p.ImportPath, dep)
			}
		}
	}
}

// mains lists the folders of functions.
func mains(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	var out []string
	for _, f := range files {
		out = append(out, filepath.Base(filepath.Dir(f)))
	}
	return out
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		var comments int
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc != nil {
				comments++
			}
		}
		if len(p.GoFiles) > 0 && comments != 1 {
			t.Errorf("%s has %d package comments, want 1", p.ImportPath, comments)
		}
	}
}

// A domain package is given its clock, its randomness and its environment.
func TestNoHiddenInputs(t *testing.T) {
	for _, p := range list(t, nil, "./shared/...") {
		if within(p.ImportPath, "verdict/shared/awsio", "verdict/shared/embedded", "verdict/shared/lambdaio") {
			continue
		}
		for _, name := range p.GoFiles {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range []string{"time.Now(", "time.Sleep(", "os.Getenv(", "os.LookupEnv(", "os.Exit(", "context.Background(", "context.TODO(", "fmt.Print"} {
				if bytes.Contains(source, []byte(call)) {
					t.Errorf("%s/%s calls %s", p.ImportPath, name, strings.TrimSuffix(call, "("))
				}
			}
		}
	}
}
