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
	name    string
	answers string // prefix of the lake
}

// workgroups keep those who ask apart, in limits and on the bill: jobs, what answers requests, and people.
type workgroups struct {
	pipeline, api, adHoc workgroup
}

func newWorkgroups(scope constructs.Construct, e Environment, l lake) workgroups {
	scope = group(scope, "Query")
	add := func(id, name, description string, gib float64) workgroup {
		return newWorkgroup(scope, e, l, id, name, description, gib)
	}
	return workgroups{
		pipeline: add("Pipeline", "pipeline", "Verdict's jobs", e.ScanGiB.Pipeline),
		api:      add("Api", "api", "Verdict's dashboard and APIs", e.ScanGiB.API),
		adHoc:    add("AdHoc", "adhoc", "People's questions to Verdict's tables", e.ScanGiB.AdHoc),
	}
}

func newWorkgroup(scope constructs.Construct, e Environment, l lake, id, name, description string, gib float64) workgroup {
	w := workgroup{name: "verdict-" + e.Name + "-" + name, answers: answers + name + "/"}
	awsathena.NewCfnWorkGroup(scope, &id, &awsathena.CfnWorkGroupProps{
		Name:                  &w.name,
		Description:           &description,
		RecursiveDeleteOption: jsii.Bool(!e.Keep), // otherwise a workgroup with a history cannot be deleted
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration:   jsii.Bool(true),
			PublishCloudWatchMetricsEnabled: jsii.Bool(true),
			BytesScannedCutoffPerQuery:      jsii.Number(gib * (1 << 30)),
			EngineVersion:                   &awsathena.CfnWorkGroup_EngineVersionProperty{SelectedEngineVersion: jsii.String("Athena engine version 3")},
			ResultConfiguration: &awsathena.CfnWorkGroup_ResultConfigurationProperty{
				OutputLocation:          l.bucket.S3UrlForObject(&w.answers),
				EncryptionConfiguration: &awsathena.CfnWorkGroup_EncryptionConfigurationProperty{EncryptionOption: jsii.String("SSE_S3")},
			},
		},
	})
	return w
}

// newAnalysts makes a policy to attach to people's roles: it allows to ask the tables anything that the ad hoc
// workgroup's limit lets pass, and to change nothing.
func newAnalysts(scope constructs.Construct, d data) {
	scope = group(scope, "Analysts")
	statements := d.querying(scope, d.queries.adHoc, warehouse)
	policy := awsiam.NewManagedPolicy(scope, jsii.String("Policy"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Read Verdict's tables through the ad hoc workgroup"),
		Statements:  &statements,
	})
	output(scope, "PolicyArn", "what to attach to the roles of people who query the tables", policy.ManagedPolicyArn())
}

// running allows to run queries here and to read their answers; what a query reads and writes needs
// a permission of its own.
func (w workgroup) running(scope constructs.Construct) awsiam.PolicyStatement {
	arn := awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{Service: jsii.String("athena"), Resource: jsii.String("workgroup"), ResourceName: &w.name})
	return allow([]string{"athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"}, arn)
}
