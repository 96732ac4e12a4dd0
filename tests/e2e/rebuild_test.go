package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made lists the tables that follow from what has landed, and what is read of each. dim_feature is none: it says since
// when flags are on, which nothing else knows.
func made() map[string]string {
	const last = " where as_of = '2026-01-10'"
	return map[string]string{
		"fact_event": "", "ledger_hour": "", "ledger_session": "", "identity_edge": "", "identity_map": "", "dim_user": "", "fact_experiment_exposure": "",
		"fact_experiment_statistic": last, "fact_experiment_traffic": last, "fact_experiment_results": last, "fact_experiment_check": last, "fact_decision": "",
	}
}

func contents(t *testing.T, root string) map[string][][]string {
	t.Helper()
	w := warehouse(t, root)
	out := map[string][][]string{}
	for name, where := range made() {
		columns := "*"
		if name == "fact_decision" {
			columns = "* exclude (bundle)" // it names the runs that the tables were made in, which are others now
		}
		result, err := w.Query(t.Context(), "select "+columns+" from "+name+where)
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
		slices.SortFunc(out[name], slices.Compare)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Facts, identities, results and the catalog's entries of them are lost; a run makes them again of what has landed.
func TestTablesAreRebuiltFromRaw(t *testing.T) {
	root := filepath.Join(t.TempDir(), "lake")
	days(t, root)
	balance(t, root) // makes the ledger's tables
	want := contents(t, root)
	for name := range made() {
		if len(want[name]) == 0 {
			t.Fatalf("%s is empty: the test proves nothing", name)
		}
		for _, path := range []string{"warehouse/" + name, "catalog/" + name + ".json", "catalog/" + name + "__audit.json"} {
			if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if entries, err := os.ReadDir(filepath.Join(root, "warehouse")); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "fact_event") }) {
		t.Fatalf("nothing was lost: %v, %v", entries, err)
	}
	if _, complaints, err := verdict(t, "run", "--lake", root, "--as-of", "2026-01-10"); err != nil {
		t.Fatalf("run: %v\n%s", err, complaints)
	}
	balance(t, root)
	if diff := cmp.Diff(want, contents(t, root), sameText()); diff != "" {
		t.Errorf("-lost +rebuilt:\n%s", diff)
	}
}
