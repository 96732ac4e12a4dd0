package aws_test

import (
	"context"
	"os"
	"testing"

	"verdict/shared/lake"
	"verdict/tests/athenafront"
	"verdict/tests/trinoserver"
)

// query is what executes Athena's statements: a real Trino on the emulator's catalog and bucket where one is installed,
// else DuckDB on a copy.
func (e *emulator) query(t *testing.T, m *mirror) lake.Engine {
	t.Helper()
	home := os.Getenv("TRINO_HOME")
	if home == "" {
		t.Log("Athena's statements run on DuckDB: make .bin/trino/lib brings a Trino")
		return m
	}
	server, err := trinoserver.Start(context.WithoutCancel(t.Context()), home, t.TempDir(), trinoserver.Catalog{
		Name: "awsdatacatalog", Schema: m.database, // as Athena names them
		Properties: []string{
			"hive.metastore=glue", "hive.metastore.glue.endpoint-url=" + e.url(), "hive.metastore.glue.region=" + region,
			"hive.metastore.glue.aws-access-key=test", "hive.metastore.glue.aws-secret-key=test",
			"fs.native-s3.enabled=true", "s3.endpoint=" + e.url(), "s3.region=" + region, "s3.path-style-access=true",
			"s3.aws-access-key=test", "s3.aws-secret-key=test",
			"hive.recursive-directories=true",            // as Athena reads
			"hive.partition-projection-enabled=true",     // as the catalog declares of what lands
			"hive.non-managed-table-writes-enabled=true", // UNLOAD
			"hive.compression-codec=ZSTD", "hive.parquet.time-zone=UTC",
			"hive.table-statistics-enabled=false", "hive.collect-column-statistics-on-write=false",
		},
	}, func(says string) { t.Log(says) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	engine, err := athenafront.NewTrino(t.Context(), server, m.bucket.Location(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Log("Athena's statements run on a real Trino")
	return engine
}
