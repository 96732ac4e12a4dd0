package athenafront_test

import (
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio"
	"verdict/shared/awsio/athena"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/tests/athenafront"
)

// bucket is a folder that says it were on S3.
type bucket struct{ *directory.Store }

func (bucket) Location(prefix string) string { return "s3://lake/" + prefix }

func open(t *testing.T) (*athena.Engine, *duck.Warehouse) {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	warehouse, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { warehouse.Close() })
	server := httptest.NewServer(athenafront.New(warehouse, "s3://lake/"))
	t.Cleanup(server.Close)
	config := aws.Config{Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	return athena.New(config, athena.Config{Workgroup: "w", Database: "d"}, bucket{store}, awsio.Wait, time.Now), warehouse
}

func TestAQuery(t *testing.T) {
	engine, _ := open(t)
	got, err := engine.Query(t.Context(), "SELECT n, CASE WHEN n <> 7 THEN 0.5e0 END AS x FROM UNNEST(generate_series(1, 2500)) t(n) ORDER BY n")
	if err != nil || len(got.Rows) != 2500 {
		t.Fatalf("%d rows, %v", len(got.Rows), err)
	}
	if diff := cmp.Diff([]string{"n", "x"}, got.Columns); diff != "" {
		t.Errorf("columns -want +got:\n%s", diff)
	}
	for i, row := range got.Rows {
		if *row[0] != strconv.Itoa(i+1) || (row[1] == nil) != (i == 6) {
			t.Fatalf("row %d is %s, %v", i, *row[0], row[1])
		}
	}
}

func TestAnUnload(t *testing.T) {
	engine, warehouse := open(t)
	const query = "SELECT n, d AS event_date FROM (VALUES (1, '2026-01-05'), (2, '2026-01-06')) t(n, d)"
	if err := engine.Unload(t.Context(), query, "warehouse/visit/run=1/", []string{"event_date"}); err != nil {
		t.Fatal(err)
	}
	table := lake.Table{
		Name: "visit", Columns: []lake.Column{{Name: "n", Type: "bigint"}}, PartitionBy: []string{"event_date"},
		Partitions: []lake.Partition{{Values: []string{"2026-01-06"}, Location: "warehouse/visit/run=1/event_date=2026-01-06/"}},
	}
	if err := warehouse.Publish(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	got, err := engine.Query(t.Context(), "SELECT n FROM visit")
	if err != nil || len(got.Rows) != 1 || *got.Rows[0][0] != "2" {
		t.Errorf("%v, %v", got, err)
	}
	if err := engine.Unload(t.Context(), query, "warehouse/visit/run=1/", nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("onto what is there: %v, want a conflict", err)
	}
}

func TestAWrongQueryIsTheCallersFault(t *testing.T) {
	engine, _ := open(t)
	if _, err := engine.Query(t.Context(), "SELECT nothing FROM nowhere"); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v, want invalid", err)
	}
}
