package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// accessLine is what is logged of a request: enough to find it again, nothing of who made it.
const accessLine = `{"id":"$context.requestId","time":"$context.requestTime","route":"$context.routeKey","status":"$context.status",` +
	`"bytes":"$context.responseLength","ms":"$context.responseLatency","error":"$context.integrationErrorMessage"}`

// newStage puts an API into service: throttled, and every request logged.
func newStage(scope constructs.Construct, e Environment, api awsapigatewayv2.HttpApi, domain *awsapigatewayv2.DomainMappingOptions) {
	logs := awslogs.NewLogGroup(scope, jsii.String("AccessLogs"), &awslogs.LogGroupProps{Retention: e.LogDays, RemovalPolicy: awscdk.RemovalPolicy_DESTROY})
	stage := awsapigatewayv2.NewHttpStage(scope, jsii.String("Stage"), &awsapigatewayv2.HttpStageProps{
		HttpApi:                api,
		StageName:              jsii.String("$default"),
		AutoDeploy:             jsii.Bool(true),
		DetailedMetricsEnabled: jsii.Bool(true),
		DomainMapping:          domain,
		Throttle:               &awsapigatewayv2.ThrottleSettings{RateLimit: &e.RequestsPerSecond, BurstLimit: &e.RequestBurst},
	})
	// The construct takes its log settings only as an object with methods, which Go cannot hand over.
	if resource, ok := stage.Node().DefaultChild().(awsapigatewayv2.CfnStage); ok {
		resource.SetAccessLogSettings(&awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: logs.LogGroupArn(), Format: jsii.String(accessLine),
		})
	}
}
