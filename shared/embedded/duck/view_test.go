package duck_test

import (
	"testing"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/lake"
	"verdict/shared/view"
	"verdict/shared/view/viewtest"
)

func TestPublisher(t *testing.T) {
	viewtest.Publisher(t, func(t *testing.T) (view.Publisher, lake.Catalog) {
		t.Helper()
		w, err := duck.Open(t.Context(), &directory.Store{Root: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		return w, w
	})
}

// Views are there again when the lake is opened again, those that read others included; one that reads what is gone
// keeps nobody out.
func TestViewsOutliveTheProcess(t *testing.T) {
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	fact := lake.Table{Name: "fact", Columns: []lake.Column{{Name: "id", Type: "varchar"}}, Partitions: []lake.Partition{{Location: "warehouse/fact/run=1/"}}}
	if err := w.Publish(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
	if err := w.Unload(t.Context(), "select 'a' as id union all select 'b' as id", "warehouse/fact/run=2/", nil); err != nil {
		t.Fatal(err)
	}
	number := []lake.Column{{Name: "n", Type: "bigint"}}
	for _, v := range []view.View{viewtest.IDs(), {Name: "counted", SQL: "select count(*) as n from ids", Columns: number}, {Name: "broken", SQL: "select count(id) as n from fact", Columns: number}} {
		if err := w.PublishView(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Put(t.Context(), "views/broken.json", []byte(`{"name":"broken","sql":"select gone from fact"}`), lake.Overwrite); err != nil {
		t.Fatal(err)
	}
	fact.Partitions[0].Location = "warehouse/fact/run=2/"
	if err := w.Publish(t.Context(), fact); err != nil { // a view sees what its tables hold now
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	got, err := again.Query(t.Context(), "select n from counted")
	if err != nil || *got.Rows[0][0] != "2" {
		t.Errorf("counted %v, %v", got, err)
	}
}
