package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsquicksight"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/monitor"
)

// QuickSight shows results, decisions and the pipeline's pulse to people who look at the rest of the company there.
type QuickSight struct {
	Reader string // ARN of the QuickSight group or user who sees them; empty: there is none of this
}

// dataSet is what QuickSight may ask of one table.
type dataSet struct {
	id, name, table string
	row             reflect.Type // of the table
}

func dataSets() []dataSet {
	return []dataSet{
		{"results", "Results", evaluate.ResultTable, reflect.TypeFor[evaluate.Result]()},
		{"checks", "Validity checks", evaluate.CheckTable, reflect.TypeFor[evaluate.Check]()},
		{"decisions", "Decisions", decide.Table, reflect.TypeFor[decide.Decision]()},
		{"readings", "Pipeline", monitor.ReadingTable, reflect.TypeFor[monitor.Reading]()},
	}
}

// newQuickSight is a stack of its own: the account needs a subscription to QuickSight, and what lacks one must not hold
// up the collector.
func newQuickSight(stage awscdk.Stage, e Environment, d data) {
	scope := newStack(stage, e, "quicksight", e.Region, "Verdict: data sets, an analysis and a dashboard for QuickSight")
	named := func(what string) *string { return jsii.String("verdict-" + e.Name + "-" + what) }
	granted := func(actions ...string) []any {
		for i := range actions {
			actions[i] = "quicksight:" + actions[i]
		}
		return []any{map[string]any{"principal": e.QuickSight.Reader, "actions": actions}}
	}
	account := awscdk.Aws_ACCOUNT_ID()

	source := awsquicksight.NewCfnDataSource(scope, jsii.String("Source"), &awsquicksight.CfnDataSourceProps{
		AwsAccountId: account, DataSourceId: named("athena"), Name: named("athena"), Type: jsii.String("ATHENA"),
		DataSourceParameters: map[string]any{"athenaParameters": map[string]any{"workGroup": d.queries.adHoc.name, "roleArn": newReadingRole(scope, d).RoleArn()}},
		Permissions:          granted("DescribeDataSource", "DescribeDataSourcePermissions", "PassDataSource"),
	})
	var declared []any
	for _, set := range dataSets() {
		made := awsquicksight.NewCfnDataSet(scope, jsii.String("Set-"+set.id), &awsquicksight.CfnDataSetProps{
			AwsAccountId: account, DataSetId: named(set.id), Name: jsii.String("Verdict " + e.Name + ": " + set.name),
			ImportMode: jsii.String("DIRECT_QUERY"), // a copy of its own would be yet another place that an erasure must reach
			PhysicalTableMap: map[string]any{set.id: map[string]any{"customSql": map[string]any{
				"dataSourceArn": source.AttrArn(), "name": set.id, "sqlQuery": set.sql(d.catalog.name), "columns": set.columns(),
			}}},
			Permissions: granted("DescribeDataSet", "DescribeDataSetPermissions", "PassDataSet", "DescribeIngestion", "ListIngestions"),
		})
		declared = append(declared, map[string]any{"identifier": set.id, "dataSetArn": made.AttrArn()})
	}
	definition := map[string]any{"dataSetIdentifierDeclarations": declared, "sheets": sheets(), "filterGroups": filters()}
	awsquicksight.NewCfnAnalysis(scope, jsii.String("Analysis"), &awsquicksight.CfnAnalysisProps{
		AwsAccountId: account, AnalysisId: named("experiments"), Name: jsii.String("Verdict " + e.Name), Definition: definition,
		// QuickSight knows no reader of an analysis: it is what its owners work on.
		Permissions: granted("DescribeAnalysis", "DescribeAnalysisPermissions", "QueryAnalysis", "UpdateAnalysis", "UpdateAnalysisPermissions", "DeleteAnalysis", "RestoreAnalysis"),
	})
	awsquicksight.NewCfnDashboard(scope, jsii.String("Dashboard"), &awsquicksight.CfnDashboardProps{
		AwsAccountId: account, DashboardId: named("experiments"), Name: jsii.String("Verdict " + e.Name), Definition: definition,
		Permissions: granted("DescribeDashboard", "ListDashboardVersions", "QueryDashboard"),
	})
}

// newReadingRole is whom QuickSight asks Athena as: it may read the tables like any analyst, and nothing else of the account.
func newReadingRole(scope constructs.Construct, d data) awsiam.Role {
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("quicksight.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
	})
	for _, statement := range d.querying(scope, d.queries.adHoc, warehouse) {
		role.AddToPolicy(statement)
	}
	return role
}

// sql reads a table's plain columns; a bound that does not exist (an infinity) is no value to a chart.
func (s dataSet) sql(database string) string {
	var columns []string
	for _, f := range s.fields() {
		switch {
		case f.name == "as_of":
			columns = append(columns, "CAST(as_of AS date) AS as_of")
		case f.kind == "DECIMAL":
			columns = append(columns, fmt.Sprintf("CASE WHEN abs(%[1]s) < 1e300 THEN %[1]s END AS %[1]s", f.name))
		default:
			columns = append(columns, f.name)
		}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + database + "." + s.table
}

func (s dataSet) columns() (out []any) {
	for _, f := range s.fields() {
		out = append(out, map[string]any{"name": f.name, "type": f.kind})
	}
	return out
}

type dataField struct{ name, kind string }

// fields are the columns that QuickSight has types for. What a table is partitioned by need not stand in its rows.
func (s dataSet) fields() []dataField {
	var out []dataField
	day := false
	for f := range s.row.Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("lake"), ",")
		kind := "STRING"
		switch {
		case name == "" || option == "json":
			continue
		case name == "as_of":
			kind, day = "DATETIME", true
		case f.Type == reflect.TypeFor[time.Time]():
			kind = "DATETIME"
		case f.Type.Kind() == reflect.Float64:
			kind = "DECIMAL"
		case f.Type.Kind() == reflect.Int64:
			kind = "INTEGER"
		}
		out = append(out, dataField{name, kind})
	}
	if !day {
		out = append(out, dataField{"as_of", "DATETIME"})
	}
	return out
}
