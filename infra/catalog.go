package main

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	athenasql "verdict/athena-sql"
	verdictlake "verdict/shared/lake"
	"verdict/shared/model"
)

// catalog is the Glue database. It holds the tables that land as files; the jobs add those they make.
type catalog struct {
	name     string
	database awsglue.CfnDatabase
}

func newCatalog(scope constructs.Construct, e Environment, l lake) (catalog, error) {
	project, err := model.Load(athenasql.Files)
	if err != nil {
		return catalog{}, fmt.Errorf("load sources: %w", err)
	}
	scope = group(scope, "Catalog")
	c := catalog{name: "verdict_" + e.Name}
	c.database = awsglue.NewCfnDatabase(scope, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId:     awscdk.Aws_ACCOUNT_ID(),
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{Name: &c.name, Description: jsii.String("Verdict: events, metrics, results and decisions")},
	})
	c.database.ApplyRemovalPolicy(e.removal(), nil)
	for _, source := range project.Sources {
		if source.Location != "" {
			c.add(scope, e, l, source)
		}
	}
	return c, nil
}

// add declares a landing table. Athena computes its partitions instead of looking them up, so that
// a file is readable as soon as Firehose has written it.
func (c catalog) add(scope constructs.Construct, e Environment, l lake, source model.Source) {
	at := func(path string) *string { return l.bucket.S3UrlForObject(&path) }
	template := []string{source.Location}
	var partitions []any
	for _, name := range source.PartitionBy {
		template = append(template, name, "=${", name, "}/")
		partitions = append(partitions, column(name, "string"))
	}
	var columns []any
	for _, col := range source.Landing().Columns {
		columns = append(columns, column(col.Name, hiveType(col)))
	}
	table := awsglue.NewCfnTable(scope, jsii.String(source.Name), &awsglue.CfnTableProps{
		CatalogId:    awscdk.Aws_ACCOUNT_ID(),
		DatabaseName: &c.name,
		TableInput: &awsglue.CfnTable_TableInputProperty{
			Name:          &source.Name,
			TableType:     jsii.String("EXTERNAL_TABLE"),
			PartitionKeys: partitions,
			Parameters: map[string]any{
				"classification":                      "json",
				"compressionType":                     "gzip",
				"projection.enabled":                  "true",
				"projection.namespace.type":           "enum",
				"projection.namespace.values":         strings.Join(e.Namespaces, ","),
				"projection.event_date.type":          "date",
				"projection.event_date.format":        "yyyy-MM-dd",
				"projection.event_date.range":         e.Since + ",NOW+1DAYS", // clocks of clients are corrected, zones are not asked
				"projection.event_date.interval":      "1",
				"projection.event_date.interval.unit": "DAYS",
				"storage.location.template":           at(strings.Join(template, "")),
			},
			StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
				Location:     at(source.Location),
				Columns:      columns,
				Compressed:   jsii.Bool(true),
				InputFormat:  jsii.String("org.apache.hadoop.mapred.TextInputFormat"),
				OutputFormat: jsii.String("org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"),
				// OpenX gives an object in a text column as JSON text; the other JSON SerDe does not.
				// Case matters: keys inside that text are people's, and must stay as they sent them.
				SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{
					SerializationLibrary: jsii.String("org.openx.data.jsonserde.JsonSerDe"),
					Parameters:           map[string]any{"case.insensitive": "FALSE"},
				},
			},
		},
	})
	table.AddDependency(c.database)
	table.ApplyRemovalPolicy(e.removal(), nil)
}

func column(name, kind string) *awsglue.CfnTable_ColumnProperty {
	return &awsglue.CfnTable_ColumnProperty{Name: &name, Type: &kind}
}

// hiveType is a Trino type as Glue spells it.
func hiveType(c verdictlake.Column) string {
	switch c.Type {
	case "varchar":
		return "string"
	case "timestamp(3)":
		return "timestamp"
	default: // bigint, double, boolean and date are spelled alike
		return c.Type
	}
}

// arns name the catalog, the database and all its tables.
func (c catalog) arns(scope constructs.Construct) []*string {
	var out []*string
	for _, resource := range []string{"catalog", "database/" + c.name, "table/" + c.name + "/*"} {
		out = append(out, glue(scope, resource))
	}
	return out
}

func glue(scope constructs.Construct, resource string) *string {
	return awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("glue"), Resource: &resource, ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
	})
}

// reading allows to look tables up. Athena asks for the default database whatever a query names.
func (c catalog) reading(scope constructs.Construct) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow([]string{"glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"}, c.arns(scope)...),
		allow([]string{"glue:GetDatabase"}, glue(scope, "database/default")),
	}
}

// writing allows to publish tables and to delete none.
func (c catalog) writing(scope constructs.Construct) awsiam.PolicyStatement {
	return allow([]string{"glue:CreateTable", "glue:UpdateTable", "glue:BatchCreatePartition", "glue:BatchUpdatePartition"}, c.arns(scope)...)
}
