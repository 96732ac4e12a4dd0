// Package links_test follows every relative link of the pages in this repository, and every page that the code names.
package links_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// files lists those of this repository with an ending.
func files(t *testing.T, ending string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (name == "node_modules" || name == "cdk.out" || name == "dist" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if !entry.IsDir() && strings.HasSuffix(name, ending) {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	span    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	page    = regexp.MustCompile(`docs/[a-z0-9/_-]+\.(?:md|json)|docs/adr/[0-9]{4}`)
)

// anchors are the names by which GitHub links to the headings of a page.
func anchors(text string) []string {
	var out []string
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		title := link.ReplaceAllString(match[1], "]")
		var b strings.Builder
		for _, r := range strings.ToLower(title) {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r > 127:
				b.WriteRune(r)
			case r == ' ':
				b.WriteRune('-')
			}
		}
		out = append(out, b.String())
	}
	return out
}

func TestLinksOfPagesLeadSomewhere(t *testing.T) {
	followed := 0
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		prose := span.ReplaceAllString(fence.ReplaceAllString(string(text), ""), "")
		for _, match := range link.FindAllStringSubmatch(prose, -1) {
			target, err := url.Parse(match[1])
			if err != nil {
				t.Errorf("%s: %q is no link: %v", file, match[1], err)
				continue
			}
			if target.Scheme != "" {
				continue // elsewhere: no business of a test without a network
			}
			followed++
			to := file
			if target.Path != "" {
				to = filepath.Join(filepath.Dir(file), filepath.FromSlash(target.Path))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", file, match[1])
				continue
			}
			if target.Fragment == "" || !strings.HasSuffix(to, ".md") {
				continue
			}
			there, err := os.ReadFile(to)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(anchors(string(there)), target.Fragment) {
				t.Errorf("%s: %s has no heading for #%s", file, to, target.Fragment)
			}
		}
	}
	if followed < 50 {
		t.Errorf("only %d links were found", followed)
	}
}

// A complaint or comment that sends people to a page which does not exist is worse than none.
func TestPagesThatTheCodeNamesExist(t *testing.T) {
	named := map[string]string{}
	for _, file := range files(t, ".go") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range page.FindAllString(string(text), -1) {
			named[name] = file
		}
	}
	for _, ending := range []string{".py", ".yaml", ".yml", ".sql", "Makefile"} {
		for _, file := range files(t, ending) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range page.FindAllString(string(text), -1) {
				named[name] = file
			}
		}
	}
	if len(named) < 20 {
		t.Errorf("only %d pages are named", len(named))
	}
	for name, file := range named {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name)) + "*")
		if err != nil || len(found) == 0 {
			t.Errorf("%s names %s, which does not exist", file, name)
		}
	}
}

// Records are numbered without a gap, and their titles say their numbers: a reference by number means one record.
func TestRecordsAreNumberedInOrder(t *testing.T) {
	records, err := filepath.Glob(filepath.Join(root, "docs", "adr", "[0-9]*.md"))
	if err != nil || len(records) < 10 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for i, path := range records {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !strings.HasPrefix(name, fmt.Sprintf("%04d-", i+1)) || !strings.HasPrefix(string(text), fmt.Sprintf("# %d. ", i+1)) {
			t.Errorf("record %d in order is %s: %.60s", i+1, name, text)
		}
	}
}
