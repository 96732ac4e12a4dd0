package glue_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/lake"
	"verdict/shared/view"
	"verdict/shared/view/viewtest"
)

func TestPublisher(t *testing.T) {
	viewtest.Publisher(t, func(t *testing.T) (view.Publisher, lake.Catalog) {
		t.Helper()
		_, _, catalog := open(t)
		return catalog, catalog
	})
}

// Athena reads a view by what stands here, as its own CREATE VIEW writes it.
func TestWhatAthenaReadsOfAView(t *testing.T) {
	d, _, catalog := open(t)
	v := viewtest.IDs()
	if err := catalog.PublishView(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	entry := d.tables["ids"]
	if entry["TableType"] != "VIRTUAL_VIEW" || entry["ViewExpandedText"] != "/* Presto View */" {
		t.Errorf("entry %v", entry)
	}
	if diff := cmp.Diff(object{"presto_view": "true", "comment": "Presto View"}, entry["Parameters"]); diff != "" {
		t.Error(diff)
	}
	text, ok := strings.CutPrefix(entry["ViewOriginalText"].(string), "/* Presto View: ")
	text, closed := strings.CutSuffix(text, " */")
	decoded, err := base64.StdEncoding.DecodeString(text)
	if !ok || !closed || err != nil {
		t.Fatalf("text %q, %v", text, err)
	}
	var body object
	if err := json.Unmarshal(decoded, &body); err != nil {
		t.Fatal(err)
	}
	columns := []any{
		object{"name": "id", "type": "varchar"},
		object{"name": "n", "type": "bigint"},
		object{"name": "x", "type": "double"},
		object{"name": "b", "type": "boolean"},
		object{"name": "d", "type": "date"},
		object{"name": "at", "type": "timestamp(3)"},
	}
	if diff := cmp.Diff(object{"originalSql": v.SQL, "catalog": "awsdatacatalog", "schema": "verdict", "columns": columns}, body); diff != "" {
		t.Error(diff)
	}
	descriptor, err := json.Marshal(entry["StorageDescriptor"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"Name":"id","Type":"string"}`, `{"Name":"at","Type":"timestamp"}`, `{"Name":"x","Type":"double"}`} {
		if !strings.Contains(string(descriptor), want) {
			t.Errorf("there is no %s in %s", want, descriptor)
		}
	}
}
