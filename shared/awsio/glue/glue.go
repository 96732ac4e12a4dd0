// Package glue keeps the catalog in the AWS Glue Data Catalog, as external tables over Parquet that
// Athena reads. What a partition was made from stands in a parameter of the partition, written by the
// same call that shows it to readers.
package glue

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

const (
	sourceParameter = "verdict.source"
	maxBatch        = 100 // partitions in one call of BatchCreatePartition and BatchUpdatePartition (API reference)
)

// Catalog is one database.
type Catalog struct {
	client   *api.Client
	database string
	location func(prefix string) string
}

var _ lake.Catalog = (*Catalog)(nil)

// New returns a Catalog. location says where the objects of a key prefix are, as s3://….
func New(config aws.Config, database string, location func(prefix string) string) *Catalog {
	return &Catalog{api.NewFromConfig(config), database, location}
}

// Table implements lake.Catalog.
func (c *Catalog) Table(ctx context.Context, name string) (lake.Table, error) {
	t := lake.Table{Name: name}
	found, err := c.entry(ctx, name)
	if err != nil {
		return t, err
	}
	if aws.ToString(found.TableType) == viewType {
		return t, fault.New(fault.NotFound, "look up table %s: it is a view", name)
	}
	for _, column := range found.StorageDescriptor.Columns {
		t.Columns = append(t.Columns, lake.Column{Name: aws.ToString(column.Name), Type: trinoType(aws.ToString(column.Type))})
	}
	if len(found.PartitionKeys) == 0 {
		t.Partitions = []lake.Partition{c.partition(nil, found.StorageDescriptor.Location, found.Parameters)}
		return t, nil
	}
	for _, key := range found.PartitionKeys {
		t.PartitionBy = append(t.PartitionBy, aws.ToString(key.Name))
	}
	pages := api.NewGetPartitionsPaginator(c.client, &api.GetPartitionsInput{DatabaseName: &c.database, TableName: &name, ExcludeColumnSchema: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return t, awsfault.Wrap("list partitions of "+name, err)
		}
		for _, p := range page.Partitions {
			t.Partitions = append(t.Partitions, c.partition(p.Values, p.StorageDescriptor.Location, p.Parameters))
		}
	}
	slices.SortFunc(t.Partitions, func(a, b lake.Partition) int { return slices.Compare(a.Values, b.Values) })
	return t, nil
}

func (c *Catalog) partition(values []string, location *string, parameters map[string]string) lake.Partition {
	return lake.Partition{Values: values, Location: strings.TrimPrefix(aws.ToString(location), c.location("")), Source: parameters[sourceParameter]}
}

// Publish implements lake.Catalog.
func (c *Catalog) Publish(ctx context.Context, table lake.Table) error {
	current, err := c.Table(ctx, table.Name)
	switch {
	case fault.Is(err, fault.NotFound):
		_, err = c.client.CreateTable(ctx, &api.CreateTableInput{DatabaseName: &c.database, TableInput: c.input(table)})
		err = awsfault.Wrap("create table "+table.Name, err)
	case err == nil && differs(current, table):
		_, err = c.client.UpdateTable(ctx, &api.UpdateTableInput{DatabaseName: &c.database, TableInput: c.input(table), SkipArchive: aws.Bool(true)})
		err = awsfault.Wrap("update table "+table.Name, err)
	}
	if err != nil || len(table.PartitionBy) == 0 {
		return err
	}
	return c.publishPartitions(ctx, current, table)
}

// differs tells whether the table's own entry is to be written anew; that of an unpartitioned table
// says where its data are.
func differs(current, table lake.Table) bool {
	return !slices.Equal(current.Columns, table.Columns) ||
		len(table.PartitionBy) == 0 && (current.Partitions[0].Location != table.Partitions[0].Location || current.Partitions[0].Source != table.Partitions[0].Source)
}

func (c *Catalog) publishPartitions(ctx context.Context, current, table lake.Table) error {
	known := map[string]lake.Partition{}
	for _, p := range current.Partitions {
		known[strings.Join(p.Values, "\x00")] = p
	}
	var fresh, changed []lake.Partition
	for _, p := range table.Partitions {
		old, ok := known[strings.Join(p.Values, "\x00")]
		switch {
		case !ok:
			fresh = append(fresh, p)
		case old.Location != p.Location || old.Source != p.Source:
			changed = append(changed, p)
		}
	}
	for batch := range slices.Chunk(fresh, maxBatch) {
		in := &api.BatchCreatePartitionInput{DatabaseName: &c.database, TableName: &table.Name}
		for _, p := range batch {
			in.PartitionInputList = append(in.PartitionInputList, c.partitionInput(table, p))
		}
		answer, err := c.client.BatchCreatePartition(ctx, in)
		if err != nil {
			return awsfault.Wrap("add partitions to "+table.Name, err)
		}
		for _, e := range answer.Errors {
			return refusal("add partition", table.Name, e.PartitionValues, e.ErrorDetail)
		}
	}
	for batch := range slices.Chunk(changed, maxBatch) {
		in := &api.BatchUpdatePartitionInput{DatabaseName: &c.database, TableName: &table.Name}
		for _, p := range batch {
			in.Entries = append(in.Entries, types.BatchUpdatePartitionRequestEntry{PartitionValueList: p.Values, PartitionInput: new(c.partitionInput(table, p))})
		}
		answer, err := c.client.BatchUpdatePartition(ctx, in)
		if err != nil {
			return awsfault.Wrap("flip partitions of "+table.Name, err)
		}
		for _, e := range answer.Errors {
			return refusal("flip partition", table.Name, e.PartitionValueList, e.ErrorDetail)
		}
	}
	return nil
}

// refusal is one entry of a batch that Glue did not take. Publishing again does what is left.
func refusal(doing, table string, values []string, detail *types.ErrorDetail) error {
	class := fault.Transient
	if detail != nil && aws.ToString(detail.ErrorCode) == "AlreadyExistsException" {
		class = fault.Conflict
	}
	detail = cmp.Or(detail, &types.ErrorDetail{})
	return fault.New(class, "%s %s of %s: %s: %s", doing, strings.Join(values, "/"), table, aws.ToString(detail.ErrorCode), aws.ToString(detail.ErrorMessage))
}

func (c *Catalog) input(t lake.Table) *types.TableInput {
	in := &types.TableInput{
		Name: &t.Name, TableType: aws.String("EXTERNAL_TABLE"),
		Parameters: map[string]string{"EXTERNAL": "TRUE", "classification": "parquet"},
	}
	if len(t.PartitionBy) == 0 {
		in.Parameters[sourceParameter] = t.Partitions[0].Source
		in.StorageDescriptor = c.storage(t.Columns, t.Partitions[0].Location)
		return in
	}
	in.StorageDescriptor = c.storage(t.Columns, "warehouse/"+t.Name+"/")
	for _, name := range t.PartitionBy {
		in.PartitionKeys = append(in.PartitionKeys, types.Column{Name: aws.String(name), Type: aws.String("string")})
	}
	return in
}

func (c *Catalog) partitionInput(t lake.Table, p lake.Partition) types.PartitionInput {
	return types.PartitionInput{
		Values: p.Values, Parameters: map[string]string{sourceParameter: p.Source}, StorageDescriptor: c.storage(t.Columns, p.Location),
	}
}

func (c *Catalog) storage(columns []lake.Column, prefix string) *types.StorageDescriptor {
	sd := &types.StorageDescriptor{
		Location:     aws.String(c.location(prefix)),
		InputFormat:  aws.String("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"),
		OutputFormat: aws.String("org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"),
		SerdeInfo:    &types.SerDeInfo{SerializationLibrary: aws.String("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")},
	}
	for _, column := range columns {
		sd.Columns = append(sd.Columns, types.Column{Name: aws.String(column.Name), Type: aws.String(HiveType(column.Type))})
	}
	return sd
}

// hiveTypes names the types that Trino and Hive call differently.
func hiveTypes() map[string]string {
	return map[string]string{"varchar": "string", "timestamp(3)": "timestamp"}
}

// HiveType is what Glue calls a Trino type.
func HiveType(trino string) string { return cmp.Or(hiveTypes()[trino], trino) }

func trinoType(hive string) string {
	for trino, name := range hiveTypes() {
		if name == hive {
			return trino
		}
	}
	return hive
}
