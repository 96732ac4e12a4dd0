package decide_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Machines go by the codes, and people look them up: the page lists those that the code knows, and no other.
func TestThePageListsTheCodes(t *testing.T) {
	page, err := os.ReadFile("../../docs/experiments.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "| code | means |")
	if !found {
		t.Fatal("the page has no table of codes")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.+) \\|$").FindAllStringSubmatch(table, -1) {
		listed = append(listed, row[1])
	}
	slices.Sort(listed)
	known := slices.Concat(codes(t, ".", "Reason", ""), codes(t, "../evaluate", "Check", "Name"))
	slices.Sort(known)
	if diff := cmp.Diff(slices.Compact(known), listed); diff != "" || len(listed) < 15 {
		t.Errorf("codes (-code +page):\n%s", diff)
	}
}

// codes finds the texts that composite literals of a type begin with, or have in a field; constants are looked up.
func codes(t *testing.T, dir, kind, field string) (out []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	var values []ast.Expr
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, v := range n.Values {
					if text, ok := literal(v); ok {
						constants[n.Names[i].Name] = text
					}
				}
			case *ast.CompositeLit:
				values = append(values, first(n, kind, field)...)
			}
			return true
		})
	}
	for _, v := range values {
		text, ok := literal(v)
		if id, named := v.(*ast.Ident); named {
			text, ok = constants[id.Name]
		}
		if ok {
			out = append(out, text)
		}
	}
	return out
}

// first gives the wanted field of a literal of a type, or of the elements of one of its slices.
func first(n *ast.CompositeLit, kind, field string) (out []ast.Expr) {
	of := n.Type
	if slice, ok := of.(*ast.ArrayType); ok {
		if id, ok := slice.Elt.(*ast.Ident); ok && id.Name == kind {
			for _, e := range n.Elts {
				if element, ok := e.(*ast.CompositeLit); ok {
					out = append(out, first(&ast.CompositeLit{Type: id, Elts: element.Elts}, kind, field)...)
				}
			}
		}
		return out
	}
	if id, ok := of.(*ast.Ident); !ok || id.Name != kind {
		return nil
	}
	for _, e := range n.Elts {
		pair, keyed := e.(*ast.KeyValueExpr)
		if !keyed && field == "" {
			return []ast.Expr{e}
		}
		if keyed {
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == field {
				return []ast.Expr{pair.Value}
			}
		}
	}
	return nil
}

func literal(e ast.Expr) (string, bool) {
	basic, ok := e.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
