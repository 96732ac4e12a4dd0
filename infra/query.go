package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsathena"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// workgroup is where queries run: what a query may read and where its answer goes is not for the
// query to say.
type workgroup struct {
	name string
}

func newWorkgroup(scope constructs.Construct, e Environment, l lake) workgroup {
	w := workgroup{name: "verdict-" + e.Name}
	awsathena.NewCfnWorkGroup(group(scope, "Query"), jsii.String("Workgroup"), &awsathena.CfnWorkGroupProps{
		Name:                  &w.name,
		Description:           jsii.String("Verdict's queries"),
		RecursiveDeleteOption: jsii.Bool(!e.Keep), // otherwise a workgroup with a history cannot be deleted
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration:   jsii.Bool(true),
			PublishCloudWatchMetricsEnabled: jsii.Bool(true),
			BytesScannedCutoffPerQuery:      jsii.Number(e.ScanGiB * (1 << 30)),
			EngineVersion:                   &awsathena.CfnWorkGroup_EngineVersionProperty{SelectedEngineVersion: jsii.String("Athena engine version 3")},
			ResultConfiguration: &awsathena.CfnWorkGroup_ResultConfigurationProperty{
				OutputLocation:          l.bucket.S3UrlForObject(jsii.String(answers)),
				EncryptionConfiguration: &awsathena.CfnWorkGroup_EncryptionConfigurationProperty{EncryptionOption: jsii.String("SSE_S3")},
			},
		},
	})
	return w
}

// running allows to run queries here and to read their answers; what a query reads and writes needs
// a permission of its own.
func (w workgroup) running(scope constructs.Construct) awsiam.PolicyStatement {
	arn := awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{Service: jsii.String("athena"), Resource: jsii.String("workgroup"), ResourceName: &w.name})
	return allow([]string{"athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"}, arn)
}
