package impact_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	athenasql "verdict/athena-sql"
	"verdict/events"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/impact"
	"verdict/shared/lake"
	"verdict/shared/project"
)

// with is the built-in project with some text replaced in some files.
func with(t *testing.T, changes map[string][2]string) *project.Project {
	t.Helper()
	all := fstest.MapFS{}
	for folder, files := range map[string]fs.FS{"events": events.Files, "athena-sql": athenasql.Files} {
		if err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(files, path)
			name := folder + "/" + path
			if c, ok := changes[name]; ok {
				if !strings.Contains(string(text), c[0]) {
					t.Fatalf("%s has no %q", name, c[0])
				}
				text = []byte(strings.Replace(string(text), c[0], c[1], 1))
			}
			all[name] = &fstest.MapFile{Data: text}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	p, err := project.Load(all)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAssess(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	put := func(key string, size int) {
		t.Helper()
		if err := store.Put(t.Context(), key, make([]byte, size), lake.Overwrite); err != nil {
			t.Fatal(err)
		}
	}
	put("raw/namespace=shop/event_date=2026-01-06/a.ndjson.gz", 1000)
	facts := lake.Table{Name: "fact_event", Columns: []lake.Column{{Name: "event_id", Type: "varchar"}}, PartitionBy: []string{"event_date"}}
	for i, day := range []string{"2026-01-04", "2026-01-06", "2026-01-20"} { // before the experiments, in them, and not yet
		location := "warehouse/fact_event/run=1/event_date=" + day + "/"
		put(location+"part.txt", []int{1, 10, 100}[i])
		facts.Partitions = append(facts.Partitions, lake.Partition{Values: []string{day}, Location: location})
	}
	if err := w.Publish(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	running := []string{"cart_service_rewrite", "gift_wrap", "new_navigation", "one_page_checkout", "urgency_banner"}
	for name, c := range map[string]struct {
		changes map[string][2]string
		want    []impact.Change
	}{
		"nothing": {nil, nil},
		"a note":  {map[string][2]string{"events/experiments/gift_wrap.yaml": {"mode:", "notes: all is well\nmode:"}}, nil},
		"an experiment": {
			map[string][2]string{"events/experiments/gift_wrap.yaml": {"alpha: 0.", "alpha: 0.0"}},
			[]impact.Change{{Kind: impact.Experiment, Name: "gift_wrap", How: "changed", Experiments: []string{"gift_wrap"}, Bytes: 10}},
		},
		"what nothing else reads": {
			map[string][2]string{"athena-sql/models/ledger_hour.yml": {"description: ", "description: Anew. "}},
			[]impact.Change{{Kind: impact.Model, Name: "ledger_hour", How: "changed", Tables: []string{"ledger_hour"}, Bytes: 1000 + 111}},
		},
		"units": {
			map[string][2]string{"athena-sql/models/fact_experiment_exposure.yml": {"description: ", "description: Anew. "}},
			[]impact.Change{{Kind: impact.Model, Name: "fact_experiment_exposure", How: "changed", Tables: []string{"fact_experiment_exposure"}, Experiments: running, Bytes: 111 + 5*10}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := impact.Assess(t.Context(), with(t, nil), with(t, c.changes), &impact.Lake{Objects: store, Catalog: w}, time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("a metric that is gone and one that is new", func(t *testing.T) {
		after := with(t, nil)
		first := after.Metrics[0]
		renamed := first
		renamed.Name = "new_one"
		after.Metrics[0] = renamed
		got, err := impact.Assess(t.Context(), with(t, nil), after, nil, time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		want := []impact.Change{{Kind: impact.Metric, Name: "new_one", How: "added"}, {Kind: impact.Metric, Name: first.Name, How: "removed"}}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
